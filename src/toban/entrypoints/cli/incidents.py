"""`toban incident`: what is open, all that is known of one, and its story as it happens."""

import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from toban.entrypoints.cli import client, options, speech, tables, terminal
from toban.entrypoints.cli.exits import CommandError, Exit
from toban.entrypoints.cli.speech import Speaker
from toban.entrypoints.cli.tables import Column

if TYPE_CHECKING:
    from toban.entrypoints.cli.drawing import Drawing
    from toban.model.casefile import CaseFile

IncidentId = Annotated[str, Parameter(help="Such as INC-0042.")]
_STYLES = {"critical": "red", "high": "red", "warning": "yellow"}
_STATES = {"escalated": "red", "resolved": "green"}
_OVER = frozenset({"resolved", "closed"})
_WAIT_S = 5.0
_RETRY_S = 1.0
_BROKEN = frozenset({Exit.CONNECTION, Exit.TIME_OUT})


def list_all(
    *,
    open_only: Annotated[bool, Parameter(name="--open", help="Open ones only.")] = False,
    limit: Annotated[int, Parameter(help="How many at most (1 to 500).")] = 100,
    output: options.Output = "table",
    lang: options.Language = None,
) -> None:
    """Incidents, newest first."""
    speaker = speech.speaker(lang)
    with client.connect() as api:
        found = api.get("/incidents", open=open_only, limit=limit)
    empty = speaker("none.open_incidents" if open_only else "none.incidents")
    tables.show_list(found, _columns(speaker), output, empty=empty)


def _columns(speaker: Speaker) -> tuple[Column, ...]:
    return (
        Column(speaker("column.id"), lambda one: one["id"]),
        Column(
            speaker("column.severity"),
            lambda one: speaker.word("severity", one["severity"]),
            style=lambda one: _STYLES.get(one["severity"], ""),
        ),
        Column(
            speaker("column.state"),
            lambda one: speaker.word("incident_state", one["state"]),
            style=lambda one: _STATES.get(one["state"], ""),
        ),
        Column(speaker("column.service"), lambda one: one["service"], flexible=True),
        Column(speaker("column.environment"), lambda one: speaker.word("environment", one["environment"]), wide=True),
        Column(speaker("column.alerts"), lambda one: one["alert_count"]),
        Column(speaker("column.firing"), lambda one: one["firing_count"], wide=True),
        Column(speaker("column.age"), lambda one: tables.age(one["started_at"])),
        Column(speaker("column.started"), lambda one: tables.moment(one["started_at"]), wide=True),
        Column(speaker("column.title"), lambda one: one["title"], flexible=True),
    )


def show(incident: IncidentId, /, *, output: options.Output = "table", lang: options.Language = None) -> None:
    """All that is known of one incident."""
    speaker = speech.speaker(lang)
    with client.connect() as api:
        if output in {"json", "yaml"}:
            tables.show_data(api.get(f"/incidents/{client.segment(incident)}"), output)
            return
        file = api.case_file(incident)
    if output == "name":
        sys.stdout.write(f"{file.incident.id}\n")
        return
    _draw(file, speaker)


def _draw(file: "CaseFile", speaker: Speaker) -> None:
    from toban.entrypoints.cli.drawing import Drawing
    from toban.entrypoints.cli.paper import Paper

    paper = Paper(terminal.data(), label=13)
    drawing = Drawing(paper, speaker)
    _head(file, drawing)
    paper.print()
    paper.print(speaker("section.diagnosis"), "bold")
    if file.diagnosis is None:
        paper.line("", speaker("no_diagnosis"), style="dim")
    else:
        if file.diagnosis.best:
            paper.line("", speaker.of.hypothesis(file.diagnosis.best))
        drawing.diagnosis(file, file.diagnosis)
    if file.changes:
        paper.print()
        paper.print(speaker("section.changes"), "bold")
    for one in file.changes:
        state = speaker.word("change_state", one.change.state)
        paper.line(one.change.id, f"{drawing.title(one.change)}: {state}", label_style="bold")
        drawing.outcome(one)
        drawing.votes(one)
        if one.verification:
            drawing.verification(one.verification)
    paper.print()
    paper.print(speaker("section.timeline"), "bold")
    for entry in file.timeline:
        paper.line(entry.at.astimezone().strftime("%H:%M:%S"), speaker.of.entry(entry))
    if file.lesson:
        paper.print()
        paper.print(speaker("section.lesson"), "bold")
        paper.line("", file.lesson.statement)


def _head(file: "CaseFile", drawing: "Drawing") -> None:
    from toban.entrypoints.cli.drawing import local

    speaker, paper, incident = drawing.say, drawing.paper, file.incident
    paper.print(f"{incident.id} {incident.title}", "bold")
    words = {
        "severity": speaker.word("severity", incident.severity),
        "state": speaker.word("incident_state", incident.state),
        "environment": speaker.word("environment", incident.environment),
    }
    told = [speaker("incident.facts", **words)]
    if incident.service:
        told.append(speaker("incident.service", service=incident.service))
    key = "incident.alerts" if incident.alert_count == 1 else "incident.alerts.many"
    told.append(speaker(key, count=incident.alert_count, firing=incident.firing_count))
    told.append(speaker("incident.when", started=local(incident.started_at)))
    paper.print(speaker("joined").join(told))
    if incident.resolved_at:
        how = speaker.of.reason(incident.resolution)
        paper.print(speaker("incident.resolved", at=local(incident.resolved_at), how=how), "green")


def watch(
    incident: IncidentId,
    /,
    *,
    output: Annotated[options.Format, Parameter(name=["--output", "-o"], help="json: one entry a line.")] = "table",
    lang: options.Language = None,
) -> None:
    """Follow an incident's story until it is resolved; goes on where it was when the server restarts."""
    speaker = speech.speaker(lang)
    with client.connect() as api:
        state = api.get(f"/incidents/{client.segment(incident)}")["incident"]
        for entry in _follow(api, state["id"], speaker):
            _print_entry(entry, output, speaker)


def _print_entry(entry: dict[str, Any], output: options.Format, speaker: Speaker) -> None:
    if output in {"json", "yaml"}:
        sys.stdout.write(json.dumps(entry, ensure_ascii=False) + "\n")
    else:
        from toban.entrypoints.cli.paper import Paper
        from toban.model.timeline import TimelineEntry

        found = TimelineEntry.model_validate(entry)
        clock = found.at.astimezone().strftime("%H:%M:%S")
        Paper(terminal.data(), label=12, margin=10).line(
            speaker.word("lane", found.lane), speaker.of.entry(found), margin=clock
        )
    sys.stdout.flush()


def _follow(api: client.Api, incident: str, speaker: Speaker) -> Iterator[dict[str, Any]]:
    after, lost = 0, False
    while True:
        try:
            found = api.wait(f"/incidents/{incident}/timeline", _WAIT_S if after else 0, after=after)
            over = not found["items"] and api.get(f"/incidents/{incident}")["incident"]["state"] in _OVER
        except CommandError as error:
            if error.exit_code not in _BROKEN:
                raise
            if not lost:
                sys.stderr.write(speaker("lost") + "\n")
            lost = True
            time.sleep(_RETRY_S)
            continue
        if lost:
            sys.stderr.write(speaker("back") + "\n")
            lost = False
        yield from found["items"]
        after = found["next"] or after
        if over:
            return
