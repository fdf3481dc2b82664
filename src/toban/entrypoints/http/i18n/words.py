"""Words in one language: looked up by key, filled with facts, with durations and counts as that language writes them.

Called by every page. What the analysis and the flow say is translated by its stable code and its facts; where a code is
not known, or a fact it needs is absent, the English sentence that came with it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

from toban.entrypoints.http.i18n import en, ja, phrases_ja, sentences_ja
from toban.model.diagnosis import Diagnosis, Hypothesis
from toban.model.finding import Finding
from toban.model.timeline import TimelineEntry
from toban.runbooks.runbook import Runbook

LANGUAGES = {"en": "English", "ja": "日本語"}
_TEXTS: dict[str, dict[str, str]] = {"en": en.TEXTS, "ja": ja.TEXTS}


@dataclass(frozen=True)
class Phrase:
    """A key with the facts that fill it, so that what is worked out stays free of any language."""

    key: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@cache
def _shipped() -> dict[str, Runbook]:
    """The shipped runbooks by name, for their titles; whether their actions are there does not matter here."""
    folder = resources.files("toban.runbooks").joinpath("library")
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    loaded = [Runbook.model_validate(yaml.safe_load(entry.read_text("utf-8"))) for entry in files]
    return {runbook.name: runbook for runbook in loaded}


class Words:
    """All words of one language."""

    def __init__(self, lang: str) -> None:
        self.lang = lang if lang in _TEXTS else "en"
        self._texts = _TEXTS[self.lang]

    def __call__(self, key: str, **facts: object) -> str:
        """The text of a key. Raises KeyError for a key that is not there."""
        text = self._texts[key]
        return text.format(**facts) if facts else text

    def phrase(self, phrase: Phrase) -> str:
        """The text of a phrase; a fact named `n` chooses between one and many, inner phrases are said first."""
        facts = {key: self.phrase(value) if isinstance(value, Phrase) else value for key, value in phrase.facts.items()}
        if phrase.key not in self._texts and "n" in facts:
            n = int(facts.pop("n"))
            return self.count(phrase.key, n, **facts)
        return self(phrase.key, **facts)

    def count(self, key: str, n: int, **facts: object) -> str:
        """`KEY.one` or `KEY.other`, by number."""
        return self(f"{key}.{'one' if n == 1 else 'other'}", n=n, **facts)

    def known(self, key: str, otherwise: str) -> str:
        """The text of a key, or `otherwise` when there is none: for names that plugins bring."""
        return self._texts.get(key, otherwise)

    def duration(self, seconds: float) -> str:
        """Two units at most: 1 h 4 min, 2 d 3 h, 42 s; 1時間4分 in Japanese."""
        whole = max(0, int(seconds))
        amounts = (whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60)
        units = [self(f"unit.{name}") for name in ("day", "hour", "minute", "second")]
        first = next((index for index, amount in enumerate(amounts) if amount), 3)
        shown = [f"{amounts[i]}{units[i]}" for i in range(first, min(first + 2, 4)) if amounts[i] or i == first]
        return self("unit.between").join(shown)

    def units(self) -> str:
        """The units for the page's script, which counts on: day, hour, minute, second, what stands between."""
        names = ("unit.day", "unit.hour", "unit.minute", "unit.second", "unit.between")
        return ",".join(self(name).replace(" ", "_") for name in names)

    def finding(self, finding: Finding) -> str:
        """What a finding says."""
        subject = finding.subject
        place = {"namespace": subject.namespace, "workload": subject.name, "container": subject.container}
        facts = {"workload_kind": subject.kind, **place, **finding.facts}
        return self._sentence(sentences_ja.FINDINGS.get(finding.code), facts, finding.statement)

    def hypothesis(self, hypothesis: Hypothesis) -> str:
        """What a hypothesis says."""
        facts = {"subject": str(hypothesis.subject), **hypothesis.facts}
        return self._sentence(sentences_ja.HYPOTHESES.get(hypothesis.cause), facts, hypothesis.statement)

    def cause(self, name: str) -> str:
        """A cause's name as people say it."""
        return self.known(f"cause.{name}", name.replace("_", " "))

    def entry(self, entry: TimelineEntry) -> str:
        """One line of an incident's story."""
        facts = {"actor": entry.actor, **entry.facts}
        for name in ("because", "reason"):
            if isinstance(facts.get(name), str):
                facts[f"{name}_said"] = self.reason(facts[name])
        return self._sentence(sentences_ja.TIMELINE.get(entry.kind), facts, entry.text)

    def summary(self, diagnosis: Diagnosis) -> str:
        """What a diagnosis without a verdict comes to; one with a verdict is told by its best hypothesis."""
        return diagnosis.summary if self.lang == "en" else self("summary.none")

    def reason(self, sentence: str) -> str:
        """A short reason that the backend gives in English."""
        return phrases_ja.say(sentence) if self.lang == "ja" else sentence

    def runbook(self, name: str, title: str) -> str:
        """A change's title by its runbook (`rollback-deployment@1`); `title` is what stands on the change."""
        known = _shipped().get(name.partition("@")[0])
        if known is None or self.lang == "en":
            return title
        return title.replace(known.title.en, known.title.ja, 1)

    def step(self, runbook: str, step_id: str, title: str) -> str:
        """A step's title by its runbook."""
        known = _shipped().get(runbook.partition("@")[0])
        if known is None or self.lang == "en":
            return title
        return next((step.title.ja for step in known.steps if step.id == step_id), title)

    def _sentence(self, sentence: sentences_ja.Sentence | None, facts: Mapping[str, Any], fallback: str) -> str:
        if self.lang == "en" or sentence is None:
            return fallback
        try:
            return sentence.format_map(facts) if isinstance(sentence, str) else sentence(facts)
        except (KeyError, TypeError, ValueError):
            return fallback  # a fact is absent or of another form than this version knows
