"""Words in two languages, and outside text that cannot steer a terminal."""

import string

import pytest

from toban.entrypoints.cli import speech, words
from toban.entrypoints.cli.exits import CommandError


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys():
    assert words.TEXTS["en"].keys() == words.TEXTS["ja"].keys()


@pytest.mark.parametrize("key", words.TEXTS["en"])
def test_no_translation_asks_for_a_fact_that_the_other_does_not_know(key):
    english, japanese = words.TEXTS["en"][key], words.TEXTS["ja"][key]
    assert fields(japanese) <= fields(english)
    assert english
    assert japanese


@pytest.mark.parametrize(
    ("chosen", "variable", "expected"), [(None, "", "en"), (None, "JA", "ja"), ("en", "ja", "en"), ("ja", "", "ja")]
)
def test_the_option_wins_over_the_variable_over_english(monkeypatch, chosen, variable, expected):
    monkeypatch.setenv("TOBAN_LANG", variable)
    assert speech.language(chosen) == expected


def test_an_unknown_language_is_told(monkeypatch):
    monkeypatch.setenv("TOBAN_LANG", "fr")
    with pytest.raises(CommandError) as raised:
        speech.language(None)
    assert raised.value.exit_code == 2


def test_control_characters_from_outside_are_shown_not_obeyed():
    assert speech.safe("a\x1b[31mb\u202ec\nd") == "a<U+001B>[31mb<U+202E>c d"
