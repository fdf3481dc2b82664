"""`toban change`, `toban approve`, `toban reject`: what would be done, and the person's word on exactly that."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from toban.entrypoints.cli import client, options, speech, tables, terminal
from toban.entrypoints.cli.exits import CommandError, Exit
from toban.entrypoints.cli.speech import Speaker
from toban.entrypoints.cli.tables import Column, Item

if TYPE_CHECKING:
    from rich.console import Console

    from toban.model.casefile import ChangeFile

ChangeId = Annotated[str, Parameter(help="Such as CHG-0042.")]


def list_all(*, output: options.Output = "table", lang: options.Language = None) -> None:
    """Changes that wait for approval, oldest first."""
    speaker = speech.speaker(lang)
    with client.connect() as api:
        found = api.get("/changes")
    if output == "name":
        sys.stdout.writelines(f"{item['change']['id']}\n" for item in found["items"])
        return
    tables.show_list(found, _columns(speaker), output, empty=speaker("none.changes"))


def _columns(speaker: Speaker) -> tuple[Column, ...]:
    def votes(one: Item) -> str:
        agreed = sum(vote["decision"] == "approve" for vote in one["approvals"])
        return f"{agreed}/{one['change']['approvals_needed']}"

    return (
        Column(speaker("column.id"), lambda one: one["change"]["id"]),
        Column(speaker("column.incident"), lambda one: one["change"]["incident_id"]),
        Column(speaker("column.risk"), lambda one: speaker.word("risk", one["change"]["risk"])),
        Column(
            speaker("column.environment"),
            lambda one: speaker.word("environment", one["change"]["environment"]),
            wide=True,
        ),
        Column(speaker("column.votes"), votes),
        Column(speaker("column.approve_by"), lambda one: tables.moment(one["change"]["approve_by"])),
        Column(speaker("column.title"), lambda one: one["change"]["title"], flexible=True),
    )


def show(change: ChangeId, /, *, output: options.Output = "table", lang: options.Language = None) -> None:
    """One change: its plan, votes and verification."""
    speaker = speech.speaker(lang)
    with client.connect() as api:
        if output in {"json", "yaml"}:
            tables.show_data(api.get(f"/changes/{client.segment(change)}"), output)
            return
        file, _ = api.change_file(change)
    if output == "name":
        sys.stdout.write(f"{file.change.id}\n")
        return
    _draw(file, speaker, terminal.data())


def _draw(file: "ChangeFile", speaker: Speaker, console: "Console") -> None:
    from toban.entrypoints.cli.drawing import Drawing
    from toban.entrypoints.cli.paper import Paper

    paper = Paper(console, label=13)
    drawing = Drawing(paper, speaker)
    state = speaker.word("change_state", file.change.state)
    paper.print(f"{file.change.id} {drawing.title(file.change)}: {state}", "bold")
    paper.line(speaker("label.incident"), file.change.incident_id)
    paper.line(speaker("label.cause"), file.change.reason)
    drawing.plan(file)
    drawing.outcome(file)
    drawing.votes(file)
    if file.verification:
        drawing.verification(file.verification)


def settle(
    change: ChangeId,
    seen: Annotated[
        Literal["probe", "executed", "failed"],
        Parameter(help="probe: let Toban look again; else what you saw with your own eyes."),
    ],
    /,
    *,
    reason: Annotated[str, Parameter(help="How you know; needed for a person's word.")] = "",
    lang: options.Language = None,
) -> None:
    """Settle a change of which nobody knows whether it took effect."""
    if seen != "probe" and not reason.strip():
        raise CommandError("a person's word needs a reason", exit_code=Exit.USAGE, hint="say how you know: --reason")
    speaker = speech.speaker(lang)
    with client.connect() as api:
        after = api.post(f"/changes/{client.segment(change)}/settlement", {"decided": seen, "reason": reason})
    sys.stdout.write(f"{after['id']}: {speaker.word('change_state', after['state'])}\n")


def approve(
    change: ChangeId,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why, for the record.")] = "",
    yes: options.Yes = False,
    lang: options.Language = None,
) -> None:
    """Look at a change's plan and approve exactly what is shown."""
    _vote("approve", change, reason=reason, yes=yes, speaker=speech.speaker(lang))


def reject(
    change: ChangeId,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why, for the record.")],
    yes: options.Yes = False,
    lang: options.Language = None,
) -> None:
    """Reject a change; one rejection ends it."""
    _vote("reject", change, reason=reason, yes=yes, speaker=speech.speaker(lang))


def _vote(decision: str, change: str, *, reason: str, yes: bool, speaker: Speaker) -> None:
    with client.connect() as api:
        file, why_not = api.change_file(change)
        found = file.change
        if why_not:
            raise CommandError(f"you may not vote on {found.id}: {speaker.of.reason(why_not)}", exit_code=Exit.REFUSED)
        _draw(file, speaker, terminal.progress())
        if not (yes or terminal.ask(speaker(f"ask.{decision}", change=found.id))):
            raise CommandError(speaker("not_voted", change=found.id))
        body = {"decision": decision, "digest": found.digest, "reason": reason}
        try:
            after = api.post(f"/changes/{found.id}/votes", body)
        except CommandError as error:
            if error.code == "CONFLICT":
                error.hint = f"look at it again: toban change show {found.id}"
            raise
        sys.stdout.write(_voted(after, decision, speaker, api) + "\n")


def _voted(after: dict[str, Any], decision: str, speaker: Speaker, api: client.Api) -> str:
    if decision == "reject":
        return speaker("voted.rejected", change=after["id"])
    if after["state"] != "awaiting_approval":
        return speaker("voted.approved", change=after["id"], state=speaker.word("change_state", after["state"]))
    file, _ = api.change_file(after["id"])
    missing = file.change.approvals_needed - sum(vote.decision == "approve" for vote in file.approvals)
    return speaker("voted.waiting", change=after["id"], missing=missing)
