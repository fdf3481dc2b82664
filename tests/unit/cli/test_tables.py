"""Lists in every form; tables aligned by cells at two widths in two languages."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from rich.cells import cell_len

from toban.entrypoints.cli import incidents, speech, tables

NOW = datetime.now(UTC)
ITEMS = {
    "items": [
        {
            "id": "INC-0002", "severity": "critical", "state": "escalated", "service": "checkout",
            "environment": "production", "alert_count": 12, "firing_count": 3,
            "started_at": (NOW - timedelta(hours=3, minutes=1)).isoformat(),
            "title": "決済サービスの応答が遅く、チェックアウトの三割が失敗しています。原因は調べています",
        },
        {
            "id": "INC-0001", "severity": "warning", "state": "resolved", "service": None,
            "environment": "staging", "alert_count": 1, "firing_count": 0,
            "started_at": (NOW - timedelta(days=5)).isoformat(), "title": "A short one \x1b[31m",
        },
    ],
    "next": None,
}  # fmt: skip

ENGLISH_80 = """\
ID        SEVERITY  STATE      SERVICE   ALERTS  AGE  TITLE
INC-0002  critical  escalated  checkout  12      3h   決済サービスの応答が遅く…
INC-0001  warning   resolved   -         1       5d   A short one <U+001B>[31m
"""
JAPANESE_80 = """\
ID        重大度  状態                サービス  アラート  経過  件名
INC-0002  重大    担当者の対応が必要  checkout  12        3h    決済サービスの…
INC-0001  警告    解決済み            -         1         5d    A short one <U+…
"""
JAPANESE_120 = """\
ID        重大度  状態                サービス  アラート  経過  件名
INC-0002  重大    担当者の対応が必要  checkout  12        3h    決済サービスの応答が遅く、チェックアウトの三割が失敗し…
INC-0001  警告    解決済み            -         1         5d    A short one <U+001B>[31m
"""


def cells(line):
    """One item for each cell of the terminal; a wide character takes two, the second one empty."""
    return [part for character in line for part in (character, "")[: cell_len(character)]]


def shown(capsys, monkeypatch, *, lang="en", width="80", form="table"):
    monkeypatch.setenv("COLUMNS", width)
    tables.show_list(ITEMS, incidents._columns(speech.Speaker(lang)), form)
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _sentences():
    from toban import main

    speech.install(main._words)


@pytest.mark.parametrize(
    ("lang", "width", "expected"), [("en", "80", ENGLISH_80), ("ja", "80", JAPANESE_80), ("ja", "120", JAPANESE_120)]
)
def test_tables_look_as_agreed(capsys, monkeypatch, lang, width, expected):
    assert shown(capsys, monkeypatch, lang=lang, width=width) == expected


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_columns_begin_at_the_same_cell_in_every_row(capsys, monkeypatch, lang, width):
    head, *rows = [cells(line) for line in shown(capsys, monkeypatch, lang=lang, width=str(width)).splitlines()]
    starts = [
        at for at in range(len(head)) if head[at].strip() and (at == 0 or (not head[at - 1].strip() and head[at - 1]))
    ]
    assert len(starts) == 7
    for row in rows:
        assert all(row[at].strip() and "".join(row[max(at - 2, 0) : at]).strip() == "" for at in starts)
        assert len(row) <= max(width, 80)


def test_a_table_for_a_file_is_not_cut(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    tables.show_list(ITEMS, incidents._columns(speech.Speaker("en")), "table")
    assert ITEMS["items"][0]["title"] in capsys.readouterr().out


def test_names_alone_are_one_a_line(capsys, monkeypatch):
    assert shown(capsys, monkeypatch, form="name") == "INC-0002\nINC-0001\n"


def test_json_and_yaml_are_what_the_api_said(capsys, monkeypatch):
    assert json.loads(shown(capsys, monkeypatch, form="json")) == ITEMS
    assert yaml.safe_load(shown(capsys, monkeypatch, form="yaml")) == ITEMS


def test_an_empty_table_leaves_stdout_empty(capsys):
    tables.show_list({"items": [], "next": None}, (), "table", empty="no incidents")
    assert tuple(capsys.readouterr()) == ("", "no incidents\n")


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0s"), (119, "119s"), (121, "2m"), (7201, "2h"), (86400 * 3, "3d"), (-5, "0s")]
)
def test_ages_have_one_unit(seconds, told):
    assert tables.age((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == told
