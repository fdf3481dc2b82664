"""Case files as input for the pictures: which chart, which lanes, which graph. Called by the pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from toban.analysis import metrics, quantity
from toban.entrypoints.http.drawing import chart, lanes
from toban.entrypoints.http.i18n.words import Words
from toban.kit import text
from toban.model.alert import Alert, Severity
from toban.model.casefile import CaseFile
from toban.model.diagnosis import GraphEdge, GraphNode
from toban.model.finding import Finding, FindingKind
from toban.model.incident import OPEN_STATES, Incident
from toban.model.timeline import Lane, TimelineEntry

_SHAPES = {
    Lane.ALERTS: "triangle",
    Lane.CHANGES: "diamond",
    Lane.ANALYSIS: "circle",
    Lane.PEOPLE: "square",
    Lane.ACTIONS: "bar",
}
_CAPTIONED = frozenset({"incident.opened", "diagnosis.made", "change.planned", "incident.resolved", "change.rollout"})
_CAPTION = 28
_LEAD_S, _LEAD_SHARE = 120.0, 0.4
_WEEK = timedelta(days=7)


def spoken_graph(case: CaseFile, words: Words) -> tuple[tuple[GraphNode, ...], tuple[GraphEdge, ...]]:
    """The diagnosis' graph with causes and reasons in the viewer's language."""
    if case.diagnosis is None:
        return (), ()
    causes = {f"cause:{one.id}": words.cause(one.cause) for one in case.diagnosis.hypotheses}
    said = {finding.statement: words.finding(finding) for finding in case.findings}
    said |= {one.statement: words.hypothesis(one) for one in case.diagnosis.hypotheses}
    nodes = tuple(
        node.model_copy(update={"label": causes.get(node.id, node.label), "detail": words.reason(node.detail)})
        for node in case.diagnosis.nodes
    )
    known = {node.id for node in nodes}
    edges = tuple(
        edge.model_copy(update={"why": said.get(edge.why) or words.reason(edge.why)})
        for edge in case.diagnosis.edges
        if {edge.cause, edge.effect} <= known
    )
    return nodes, edges


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            return None
    return float(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Drawable:
    """A series in the unit its axis shows."""

    series: chart.Series
    unit: str


def series(finding: Finding, case: CaseFile, words: Words) -> Drawable | None:
    """What a metric finding gives to draw, with the changes near it; None when its points are not points."""
    facts = finding.facts
    try:
        points = sorted((float(at), float(value)) for at, value in facts.get("points") or ())
    except (TypeError, ValueError):
        return None
    if len(points) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    factor, unit = _axis(str(facts.get("unit", "")), max(value for _, value in points))
    low, high, ceiling = (
        None if found is None else found * factor
        for found in (_number(facts.get(name)) for name in ("low", "high", "limit_bytes"))
    )
    drawn = chart.Series(
        tuple((at, value * factor) for at, value in points),
        low if low is None else max(low, 0.0),  # none of these metrics can be below zero
        high,
        _seconds(facts.get("onset")),
        _seconds(facts.get("ended")),
        tuple(_marks(case, words)),
        ceiling,
    )
    return Drawable(drawn, unit)


def _axis(unit: str, most: float) -> tuple[float, str]:
    if unit == "B":
        return 1 / quantity.MEBIBYTE, "MiB"
    if unit == "share":
        return 100.0, "%"
    if unit == "s" and most < 1:
        return 1000.0, "ms"
    return 1.0, unit


def chart_labels(finding: Finding, unit: str, words: Words, moment: Callable[[datetime], str]) -> chart.Labels:
    """The words in a chart."""
    facts = finding.facts
    own_unit = str(facts.get("unit", ""))
    name = words.known(f"metric.{facts.get('metric')}", finding.code)
    service = finding.service or finding.subject.name
    low, high, now, peak = (amount(facts.get(key), own_unit) for key in ("low", "high", "now", "peak"))
    onset = _seconds(facts.get("onset"))
    when = moment(datetime.fromtimestamp(onset, UTC)) if onset is not None else ""
    if when and _number(facts.get("low")) is not None:
        text_ = words("chart.text", metric=name, service=service, low=low, high=high, now=now, time=when)
    else:
        text_ = words("chart.text_short", metric=name, service=service, peak=peak)
    return chart.Labels(
        title=words("chart.of", metric=name, service=service) + (f" [{unit}]" if unit else ""),
        text=text_,
        normal=words("chart.normal", low=low, high=high),
        anomaly=words("chart.onset", time=when[11:]),
        ceiling=f"{words('chart.limit')} {facts.get('limit', '')}".strip(),
    )


def _marks(case: CaseFile, words: Words) -> list[chart.Mark]:
    changed = [
        chart.Mark(finding.happened_at.timestamp(), text.quoted(_change_label(finding, words), _CAPTION))
        for finding in case.findings
        if finding.kind is FindingKind.CHANGE and finding.happened_at
    ]
    acted = [
        chart.Mark(file.change.dispatched_at.timestamp(), file.change.id)
        for file in case.changes
        if file.change.dispatched_at
    ]
    return sorted([*changed, *acted], key=lambda mark: mark.at)


def _change_label(finding: Finding, words: Words) -> str:
    revision = finding.facts.get("revision")
    name = finding.subject.name
    return f"{name} rev {revision}" if revision else f"{words('role.change')}: {name}"


def amount(value: Any, unit: str) -> str:
    """A measured value with its unit, or a dash."""
    found = _number(value)
    return "—" if found is None else metrics.amount(found, unit)


def story_rows(case: CaseFile, words: Words, now: datetime) -> tuple[list[lanes.Row], float, float]:
    """The incident's lanes and the time they span (Unix seconds)."""
    end = (case.incident.closed_at or case.incident.resolved_at or now).timestamp()
    spans: dict[Lane, list[lanes.Span]] = {lane: [] for lane in Lane}
    spans[Lane.ALERTS] += [_alert_span(alert, end) for alert in case.alerts]
    spans[Lane.CHANGES] += _found_changes(case, words)
    spans[Lane.ACTIONS] += _runs(case, end)
    for entry in case.timeline:
        if entry.lane is not Lane.ALERTS:
            spans[entry.lane].append(_moment(entry, words))
    times = [span.start for row in spans.values() for span in row]
    times += [span.end for row in spans.values() for span in row if span.end is not None]
    start = min([*times, case.incident.started_at.timestamp()])
    last = max([*times, min(end, now.timestamp())])
    # A change long before the start would squeeze the story: it stands at the left edge then.
    began = case.incident.started_at.timestamp()
    start = max(start, began - max(_LEAD_S, _LEAD_SHARE * (last - began)))
    rows = [lanes.Row(words(f"lane.{lane}"), tuple(spans[lane]), _SHAPES[lane], f"l-{lane}") for lane in Lane]
    return rows, start, max(last, start + 10)


def _alert_span(alert: Alert, end: float) -> lanes.Span:
    until = alert.ended_at.timestamp() if alert.ended_at else max(end, alert.started_at.timestamp())
    class_ = f"l-{alert.severity}"
    return lanes.Span(alert.started_at.timestamp(), until, text.quoted(alert.name, 120), class_)


def _found_changes(case: CaseFile, words: Words) -> list[lanes.Span]:
    return [
        lanes.Span(
            finding.happened_at.timestamp(),
            None,
            text.quoted(words.finding(finding), 200),
            caption=text.quoted(_change_label(finding, words), _CAPTION),
        )
        for finding in case.findings
        if finding.kind is FindingKind.CHANGE and finding.happened_at
    ]


def _runs(case: CaseFile, end: float) -> list[lanes.Span]:
    return [
        lanes.Span(
            file.change.dispatched_at.timestamp(),
            file.change.ended_at.timestamp() if file.change.ended_at else end,
            f"{file.change.id}: {text.quoted(file.change.title, 120)}",
            "l-run",
        )
        for file in case.changes
        if file.change.dispatched_at
    ]


def _moment(entry: TimelineEntry, words: Words) -> lanes.Span:
    said = text.quoted(words.entry(entry), 200)
    caption = text.quoted(said, _CAPTION) if entry.kind in _CAPTIONED else ""
    return lanes.Span(entry.at.timestamp(), None, said, caption=caption)


def week_rows(incidents: Sequence[Incident], words: Words, now: datetime) -> list[lanes.Row]:
    """Lanes by severity with the incidents of the last seven days."""
    since = now - _WEEK
    rows = []
    for severity in Severity:
        spans = [
            lanes.Span(
                max(incident.started_at, since).timestamp(),
                max(_end(incident, now), since).timestamp(),
                f"{incident.id} {text.quoted(incident.title, 120)}",
                f"l-{severity}" + (" l-open" if incident.state in OPEN_STATES else ""),
                caption=incident.id,
            )
            for incident in incidents
            if incident.severity is severity and _end(incident, now) >= since
        ]
        if spans or severity is not Severity.UNKNOWN:
            rows.append(lanes.Row(words(f"severity.{severity}"), tuple(spans)))
    return rows


def _end(incident: Incident, now: datetime) -> datetime:
    return incident.resolved_at or incident.closed_at or max(now, incident.started_at)


def week_window(now: datetime, zone: tzinfo) -> lanes.Window:
    """The last seven days."""
    return lanes.Window((now - _WEEK).timestamp(), now.astimezone(UTC).timestamp(), zone)
