"""The command itself: checks what may be asked, runs the story on its own ground, prints the result."""

import os
import sys
from contextlib import suppress
from typing import Annotated

from cyclopts import Parameter

from toban.entrypoints.cli import options, sandboxes, speech, terminal, up
from toban.entrypoints.cli.exits import CommandError, Exit


def demo(
    *,
    scenario: Annotated[str, Parameter(help="What goes wrong; see `toban sandbox scenario list`.")] = "memory-limit",
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], help="Vote for the fix, in this sandbox only.")] = False,
    as_json: Annotated[bool, Parameter(name="--json", help="End with one JSON document on stdout.")] = False,
    keep: Annotated[bool, Parameter(help="Leave it running until Ctrl-C, to look at the pages.")] = False,
    lang: options.Language = None,
) -> int:
    """Watch one incident from alert to verified fix, in a sandbox on this machine.

    Needs no cluster, no key, no rights. Exit code 0 only when the fix was verified.
    """
    speaker = speech.speaker(lang)
    _check_url(yes=yes)
    known = sandboxes.scenario(scenario)
    if not (yes or known["harmless"] or terminal.is_person()):
        raise CommandError(
            "the fix needs a person's approval, and there is no terminal to ask on",
            exit_code=Exit.REFUSED,
            hint="--yes votes for it, in the demo's own sandbox",
        )
    from toban.entrypoints.cli.demo import ground, outcome, story
    from toban.entrypoints.cli.paper import Paper

    paper = Paper(terminal.progress(), label=13, margin=7)
    paper.print(speaker("demo.title", scenario=scenario, title=known["title"][speaker.lang]), "bold")
    paper.print(speaker("demo.where"), "dim")
    with up.stopped_by_term(), ground.taken(speaker, paper) as own:
        told = story.Story(own, speaker, paper, votes=yes)
        try:
            ended = told.follow(known)
        finally:
            if as_json:
                sys.stdout.write(outcome.document(scenario, told.files()) + "\n")
                sys.stdout.flush()
        if not as_json:
            outcome.summary(Paper(terminal.data(), label=9), speaker, own.url, told.files(), keep=keep)
        if keep:
            paper.print(speaker("demo.keep", url=own.url))
            with suppress(KeyboardInterrupt):
                own.wait()
    paper.print(speaker("demo.stopped"), "dim")
    if ended.problem:
        raise CommandError(ended.problem, exit_code=ended.exit_code, hint=ended.hint or own.log_hint)
    return ended.exit_code


def _check_url(*, yes: bool) -> None:
    elsewhere = os.environ.get("TOBAN_URL", "").strip()
    if yes and elsewhere:
        raise CommandError(
            f"TOBAN_URL is {elsewhere}, and --yes votes only in the demo's own sandbox",
            exit_code=Exit.REFUSED,
            hint="unset TOBAN_URL; for another Toban there is `toban approve`",
        )
