"""How times, amounts and states are written for one viewer. The templates' only way to say them."""

from collections.abc import Iterable
from datetime import UTC, datetime

from markupsafe import Markup

from toban.entrypoints.http.i18n.words import Phrase, Words
from toban.entrypoints.http.preferences import Preferences
from toban.entrypoints.http.views import evidence, pictures
from toban.model.record import JsonValue


class Voice:
    """One viewer's language, zone and present."""

    def __init__(self, preferences: Preferences, now: datetime) -> None:
        self.preferences = preferences
        self.now = now
        self.words = Words(preferences.lang)

    def phrase(self, phrase: Phrase | None) -> str:
        """A phrase in the viewer's language; nothing for None."""
        return self.words.phrase(phrase) if phrase else ""

    def moment(self, at: datetime) -> str:
        """ISO date and time in the viewer's zone, without the zone's name (it stands in the page's foot)."""
        return f"{self.preferences.local(at):%Y-%m-%d %H:%M:%S}"

    def time(self, at: datetime | None, form: str = "full") -> Markup:
        """A `<time>` with UTC on hover; form `clock` leaves out today's date."""
        if at is None:
            return Markup("—")
        local = self.preferences.local(at)
        today = local.date() == self.preferences.local(self.now).date()
        shown = f"{local:%H:%M:%S}" if form == "clock" and today else f"{local:%Y-%m-%d %H:%M:%S}"
        utc = at.astimezone(UTC)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M:%S} UTC", shown
        )

    def instant(self, seconds: float) -> datetime:
        """A time given as Unix seconds."""
        return datetime.fromtimestamp(seconds, UTC)

    def since(self, at: datetime) -> Markup:
        """How long ago, kept current by the page's script."""
        iso = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return Markup('<span data-since="{}">{}</span>').format(iso, self.between(at, self.now))

    def until(self, at: datetime) -> Markup:
        """How long still, kept current by the page's script; a time that has passed is marked."""
        iso = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        class_ = "late" if at <= self.now else ""
        return Markup('<span data-until="{}" class="{}">{}</span>').format(iso, class_, self.between(self.now, at))

    def between(self, start: datetime, end: datetime) -> str:
        """The length of time from start to end."""
        return self.words.duration((end - start).total_seconds())

    def span(self, seconds: float) -> str:
        """A length of time in seconds."""
        return self.words.duration(seconds)

    def value(self, value: JsonValue) -> str:
        """Any JSON value as text."""
        return evidence.plain(value)

    def amount(self, value: JsonValue, unit: str) -> str:
        """A measured value with its unit."""
        return pictures.amount(value, unit)

    def listed(self, names: Iterable[str]) -> str:
        """Names one after the other, as the language writes it."""
        return self.words("list.and").join(names)
