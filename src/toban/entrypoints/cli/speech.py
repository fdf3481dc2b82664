"""What people read: the command line's own words in English and Japanese, and the pages' sentences about incidents.

The sentences are handed in by `main`, since entry points do not know each other. Outside text is made visible here:
nothing that came in with an alert can steer a terminal.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from toban.entrypoints.cli.exits import CommandError, Exit
from toban.kit import text

if TYPE_CHECKING:
    from toban.model.diagnosis import Diagnosis, Hypothesis
    from toban.model.finding import Finding
    from toban.model.timeline import TimelineEntry

Lang = Literal["en", "ja"]


class Sentences(Protocol):
    """What can be said of records in one language."""

    def entry(self, entry: "TimelineEntry") -> str:
        """One line of an incident's story."""
        ...

    def finding(self, finding: "Finding") -> str:
        """What a finding says."""
        ...

    def hypothesis(self, hypothesis: "Hypothesis") -> str:
        """What a hypothesis says."""
        ...

    def summary(self, diagnosis: "Diagnosis") -> str:
        """What a diagnosis comes to."""
        ...

    def reason(self, sentence: str) -> str:
        """A short reason of the server."""
        ...

    def runbook(self, name: str, title: str) -> str:
        """A change's title."""
        ...

    def step(self, runbook: str, step_id: str, title: str) -> str:
        """A step's title."""
        ...

    def known(self, key: str, otherwise: str) -> str:
        """A word of the pages, such as `state.resolved`."""
        ...


_factory: list[Callable[[str], Sentences]] = []


def install(factory: Callable[[str], Sentences]) -> None:
    """Say where sentences come from; called once by `main`."""
    _factory[:] = [factory]


def language(chosen: Lang | None) -> Lang:
    """The language of `--lang`, else of TOBAN_LANG, else English. Raises CommandError for an unknown TOBAN_LANG."""
    if chosen:
        return chosen
    given = os.environ.get("TOBAN_LANG", "").strip().lower() or "en"
    if given not in {"en", "ja"}:
        raise CommandError(f"TOBAN_LANG is {given!r}", exit_code=Exit.USAGE, hint="use en or ja")
    return "ja" if given == "ja" else "en"


class Speaker:
    """All words of one language: `speaker("key", fact=…)` for the command line's own, `.of` for sentences."""

    def __init__(self, lang: Lang) -> None:
        from toban.entrypoints.cli.words import TEXTS

        self.lang = lang
        self._texts = TEXTS[lang]
        self._of: Sentences | None = None

    def __call__(self, key: str, **facts: object) -> str:
        """The text of a key. Raises KeyError for a key that is not there."""
        return self._texts[key].format(**facts) if facts else self._texts[key]

    def word(self, group: str, value: str) -> str:
        """An enum's value as people say it, such as `risk`, `MEDIUM_RISK`."""
        plain = value.removesuffix("_RISK").replace("_", " ").lower()
        return plain if self.lang == "en" else self.of.known(f"{group}.{value}", plain)

    @property
    def of(self) -> Sentences:
        """Sentences about records; loaded when first wanted."""
        if self._of is None:
            self._of = _factory[0](self.lang)
        return self._of


def speaker(chosen: Lang | None) -> Speaker:
    """The words of `--lang` or TOBAN_LANG."""
    return Speaker(language(chosen))


def safe(outside: object) -> str:
    """One line of text as it may stand on a terminal."""
    return " ".join(text.visible(str(outside)).split())
