"""Lines for terminals: widths in cells, wrapping in Japanese, nothing cut but what cannot fit."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from toban.entrypoints.cli import paper

WORDS = st.text(st.sampled_from("abc 。、ーあ漢字（）-/x"), max_size=120)


@given(WORDS, st.integers(20, 60))
def test_no_line_is_wider_than_asked_and_nothing_is_lost(text, width):
    lines = paper.wrap(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_closing_punctuation_does_not_begin_a_line():
    lines = paper.wrap("あいうえおかきくけこ。さしすせそ", 20)
    assert lines == ["あいうえおかきくけ", "こ。さしすせそ"]


def test_words_stay_whole_where_they_fit():
    assert paper.wrap("Deployment shop/cart needs memory", 20) == ["Deployment shop/cart", "needs memory"]


def test_a_word_longer_than_the_line_is_cut():
    assert paper.wrap("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


@pytest.mark.parametrize(("text", "shown"), [("memory", "memory"), ("memories", "memori…"), ("メモリ上限", "メモリ…")])
def test_text_is_fitted_by_cells(text, shown):
    assert paper.fitted(text, 7) == shown
    assert cell_len(paper.padded(paper.fitted(text, 7), 7)) == 7


def drawn(draw, width=40):
    out = io.StringIO()
    draw(paper.Paper(Console(file=out, width=width, markup=False), label=10, margin=6))
    return out.getvalue().splitlines()


def test_a_text_wraps_under_itself_behind_its_label():
    lines = drawn(lambda sheet: sheet.line("診断", "カートのメモリが上限を超えています。", margin="00:01"))
    assert lines == [
        "00:01 診断      カートのメモリが上限を超",
        "                えています。",
    ]


def test_a_label_wider_than_its_column_keeps_a_gap():
    assert drawn(lambda sheet: sheet.line("インシデント", "INC-0001"))[0] == "      インシデント INC-0001"


def test_a_diff_keeps_its_signs_and_shows_hidden_characters():
    diff = "--- before\n+++ after\n@@ -1 +1 @@\n-limit: 1\n+limit: 2\x1b[2J\n name: x"
    assert [line.strip() for line in drawn(lambda sheet: sheet.diff(diff), 60)] == [
        "-limit: 1",
        "+limit: 2<U+001B>[2J",
        "name: x",
    ]


def test_a_long_diff_says_how_much_is_left_out():
    lines = drawn(lambda sheet: sheet.diff("\n".join(f"+line {number}" for number in range(60))))
    assert len(lines) == 41
    assert lines[-1].strip() == "… 20"
