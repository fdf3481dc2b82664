"""What the incident page and the plan cards show. Called by the page routes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toban.app import Toban
from toban.entrypoints.http.drawing import causal_graph, causal_tree, chart, lanes
from toban.entrypoints.http.drawing.svg import Picture
from toban.entrypoints.http.pages.rendering import Visit
from toban.entrypoints.http.views import alerts, evidence, outlook, pictures, strip
from toban.model.action import Target
from toban.model.approval import Decision
from toban.model.casefile import CaseFile, ChangeFile
from toban.model.change import ChangeState
from toban.model.finding import Finding
from toban.model.security import PrincipalType

_WIDE, _NARROW = 452.0, 336.0
_STORY_WIDE = 1320.0
_CHARTS = 4


@dataclass(frozen=True)
class Plan:
    """A change as the card shows it. `barred` says why this person may not vote; None where they may."""

    file: ChangeFile
    targets: tuple[Target, ...]
    given: int
    barred: str | None
    is_open: bool


@dataclass(frozen=True)
class Chart:
    """A metric finding with its pictures, wide and narrow."""

    finding: Finding
    pictures: tuple[Picture, ...]
    unit: str


async def plans(toban: Toban, visit: Visit, files: Sequence[ChangeFile]) -> list[Plan]:
    """Changes as cards."""
    return [await _plan(toban, visit, file) for file in files]


async def _plan(toban: Toban, visit: Visit, file: ChangeFile) -> Plan:
    is_open = file.change.state is ChangeState.AWAITING_APPROVAL
    barred = await toban.may_vote(visit.context, file.change) if is_open else ""
    targets = {str(target.ref): target for step in file.change.steps for target in step.targets}
    given = sum(vote.decision is Decision.APPROVE for vote in file.approvals)
    told = None if barred is None else visit.voice.words.reason(barred)
    return Plan(file, tuple(targets.values()), given, told, is_open)


async def of(toban: Toban, visit: Visit, case: CaseFile) -> dict[str, Any]:
    """Everything the incident page shows."""
    voice = visit.voice
    cards = await plans(toban, visit, tuple(reversed(case.changes)))
    until = voice.moment(cards[0].file.change.approve_by) if cards else ""
    return {
        "case": case,
        "incident": case.incident,
        "stages": strip.stages(case),
        "outlook": outlook.outlook(case, until=until),
        "alert_groups": alerts.groups(case.alerts),
        "candidates": evidence.candidates(case),
        "exhibits": evidence.exhibits(case),
        "plans": cards,
        "may_settle": visit.context.principal is PrincipalType.HUMAN and visit.context.may("changes.cancel"),
        **_graphs(case, visit),
        "charts": _charts(case, visit),
        "lanes": _story(case, visit),
    }


def _graphs(case: CaseFile, visit: Visit) -> dict[str, Any]:
    words = visit.voice.words
    nodes, edges = pictures.spoken_graph(case, words)
    title = words("graph.title")
    wide = causal_graph.draw(nodes, edges, say=words, title=title)
    narrow = causal_tree.draw(nodes, edges, say=words, title=title, width=_NARROW)
    return {"nodes": {node.id: node for node in nodes}, "edges": edges, "graphs": [g for g in (wide, narrow) if g]}


def _charts(case: CaseFile, visit: Visit) -> list[Chart]:
    drawn = []
    for finding in evidence.charted(case)[:_CHARTS]:
        found = pictures.series(finding, case, visit.voice.words)
        if found is None:
            continue
        labels = pictures.chart_labels(finding, found.unit, visit.voice.words, visit.voice.moment)
        zone = visit.voice.preferences.zone
        both = [
            chart.draw(found.series, labels, zone=zone, width=w, height=h) for w, h in ((_WIDE, 200), (_NARROW, 190))
        ]
        drawn.append(Chart(finding, tuple(picture for picture in both if picture), found.unit))
    return drawn


def _story(case: CaseFile, visit: Visit) -> list[Picture]:
    words = visit.voice.words
    rows, start, end = pictures.story_rows(case, words, visit.voice.now)
    window = lanes.Window(start, end, visit.voice.preferences.zone)
    both = [lanes.draw(rows, window, title=words("story.picture"), width=width) for width in (_STORY_WIDE, _NARROW)]
    return [picture for picture in both if picture]
