"""Words in one language: looked up by key, filled with facts, with durations and counts as that language writes them.

Called by every page. What the analysis and the flow say is translated by its stable code and its facts; where a code is
not known, or a fact it needs is absent, the English sentence that came with it stands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

from toban.entrypoints.http.i18n import en, ja, sentences_ja
from toban.model.diagnosis import Hypothesis
from toban.model.finding import Finding
from toban.model.timeline import TimelineEntry

LANGUAGES = {"en": "English", "ja": "日本語"}
_TEXTS: dict[str, dict[str, str]] = {"en": en.TEXTS, "ja": ja.TEXTS}


@dataclass(frozen=True)
class Phrase:
    """A key with the facts that fill it, so that what is worked out stays free of any language."""

    key: str
    facts: Mapping[str, Any] = field(default_factory=dict)


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
        key = phrase.key
        if key not in self._texts and "n" in facts:
            return self.count(key, int(facts["n"]), **{name: value for name, value in facts.items() if name != "n"})
        return self(key, **facts)

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
        return ",".join(self(name).replace(" ", "_").replace("\N{NO-BREAK SPACE}", "_") for name in names)

    def finding(self, finding: Finding) -> str:
        """What a finding says."""
        facts = {**_place(finding), **finding.facts}
        return self._sentence(sentences_ja.FINDINGS.get(finding.code), facts, finding.statement)

    def hypothesis(self, hypothesis: Hypothesis) -> str:
        """What a hypothesis says."""
        subject = hypothesis.subject
        facts = {"subject": str(subject), "service": hypothesis.service or subject.name, **hypothesis.facts}
        return self._sentence(sentences_ja.HYPOTHESES.get(hypothesis.cause), facts, hypothesis.statement)

    def cause(self, name: str) -> str:
        """A cause's name as people say it."""
        return self.known(f"cause.{name}", name.replace("_", " "))

    def entry(self, entry: TimelineEntry) -> str:
        """One line of an incident's story."""
        facts = {"actor": entry.actor, **entry.facts}
        return self._sentence(sentences_ja.TIMELINE.get(entry.kind), facts, entry.text)

    def _sentence(self, template: "str | Callable[..., str] | None", facts: Mapping[str, Any], fallback: str) -> str:
        if self.lang == "en" or template is None:
            return fallback
        if callable(template):
            return template(facts) or fallback
        needed = {name for _, name, _, _ in Formatter().parse(template) if name}
        if not all(facts.get(name) not in {None, ""} for name in needed if _simple(facts.get(name))):
            return fallback
        if any(name not in facts or not _simple(facts[name]) for name in needed):
            return fallback
        return template.format_map({name: facts[name] for name in needed})


def _simple(value: object) -> bool:
    return isinstance(value, (str, int, float))


def _place(finding: Finding) -> dict[str, Any]:
    subject = finding.subject
    return {
        "subject": str(subject),
        "kind": subject.kind,
        "namespace": subject.namespace,
        "name": subject.name,
        "container": subject.container,
        "service": finding.service or subject.name,
        "value": finding.value,
        "expected": finding.expected,
    }
