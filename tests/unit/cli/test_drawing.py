"""Records as people see them before they decide, in both languages."""

import io
import time

import pytest
from rich.console import Console

from browser.support import web_cases
from toban import main
from toban.entrypoints.cli import incidents, speech
from toban.entrypoints.cli.drawing import Drawing
from toban.entrypoints.cli.paper import Paper
from toban.model.casefile import ChangeFile


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def drawn(draw, lang="en", width=90):
    speech.install(main._words)
    out = io.StringIO()
    draw(Drawing(Paper(Console(file=out, width=width, markup=False), label=13), speech.Speaker(lang)))
    return out.getvalue()


def squeezed(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_plan_shows_target_diff_risk_rollback_approvals_and_digest():
    change = web_cases.change()
    lines = squeezed(drawn(lambda drawing: drawing.plan(ChangeFile(change=change)), width=200))
    assert "step Return to the revision before" in lines
    assert "target Deployment shop/checkout (1 object, 3 of 3 replicas touched)" in lines
    assert any(line.startswith("+ image:") for line in lines)
    assert any(line.startswith("- image:") for line in lines)
    assert "risk high in staging; it touches 3 of 3 replicas" in lines
    assert any(line.startswith("undo kubernetes.rollback_deployment with namespace=shop") for line in lines)
    until = change.approve_by.strftime("%Y-%m-%d %H:%M:%S+00:00")
    assert f"needs 2 approvals in staging by {until}, from others than toban; 0 given" in lines
    assert f"digest {change.digest[:16]}" in lines


def test_a_plan_reads_in_japanese():
    text = drawn(lambda drawing: drawing.plan(ChangeFile(change=web_cases.change())), "ja")
    for told in (
        "一つ前のリビジョンに戻す",
        "レプリカ 3 個中 3 個に影響",
        "ステージング環境で高リスク",
        "toban 以外の 2 名",
    ):
        assert told in text


def test_a_change_without_a_way_back_says_so():
    change = web_cases.change()
    step = change.steps[0].model_copy(update={"rollback": None})
    change = change.model_copy(update={"steps": (step,)})
    assert "undo no way back" in squeezed(drawn(lambda drawing: drawing.plan(ChangeFile(change=change))))


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("name", sorted(web_cases.all_cases()))
def test_every_kind_of_incident_can_be_shown(monkeypatch, capsys, lang, name):
    monkeypatch.setenv("COLUMNS", "80")
    speech.install(main._words)
    incidents._draw(web_cases.all_cases()[name], speech.Speaker(lang))
    out = capsys.readouterr().out
    assert out.startswith(web_cases.all_cases()[name].incident.id)
    assert not {character for character in out if ord(character) < 32} - {"\n"}


def test_no_line_is_wider_than_the_terminal(monkeypatch, capsys):
    from rich.cells import cell_len

    monkeypatch.setenv("COLUMNS", "80")
    speech.install(main._words)
    for case in web_cases.all_cases().values():
        for lang in ("en", "ja"):
            incidents._draw(case, speech.Speaker(lang))
    assert max(map(cell_len, capsys.readouterr().out.splitlines())) <= 80
