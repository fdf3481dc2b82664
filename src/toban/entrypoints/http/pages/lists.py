"""What the first page and the lists show. Called by the page routes."""

from datetime import UTC, datetime
from typing import Any

from toban.app import Toban
from toban.entrypoints.http.drawing import lanes
from toban.entrypoints.http.drawing.svg import Picture
from toban.entrypoints.http.i18n.words import Words
from toban.entrypoints.http.pages import story
from toban.entrypoints.http.pages.rendering import Visit
from toban.entrypoints.http.views import pictures
from toban.model.incident import OPEN_STATES, Incident, IncidentState

_SEEN = 200
_RESOLVED = 8
_WIDE, _NARROW = 1320.0, 336.0


async def now(toban: Toban, visit: Visit) -> dict[str, Any]:
    """Approvals, open incidents by severity and newest, what was resolved lately, and the last seven days."""
    overview = await toban.overview(visit.context)
    recent = await toban.incidents(visit.context, open_only=False, limit=_SEEN)
    still_open = await toban.incidents(visit.context, open_only=True, limit=_SEEN)
    waiting = await story.plans(toban, visit, await toban.open_changes(visit.context))
    closed = [incident for incident in recent if incident.state not in OPEN_STATES]
    closed.sort(key=lambda incident: incident.resolved_at or incident.started_at, reverse=True)
    return {
        "overview": overview,
        "open_incidents": sorted(still_open, key=_urgency),
        "resolved": closed[:_RESOLVED],
        "plans": waiting,
        "escalated": [one for one in sorted(still_open, key=_urgency) if one.state is IncidentState.ESCALATED],
        "weeks": [picture for width in (_WIDE, _NARROW) if (picture := _week(recent, visit, width))],
        "week_count": len(recent),
    }


def _urgency(incident: Incident) -> tuple[int, float]:
    return -incident.severity.rank, -incident.started_at.timestamp()


def _week(incidents: list[Incident], visit: Visit, width: float) -> Picture | None:
    words, window = visit.voice.words, pictures.week_window(visit.voice.now, visit.voice.preferences.zone)
    rows = pictures.week_rows(incidents, words, visit.voice.now)
    count = words.count("incidents", sum(len(row.spans) for row in rows))
    ends = {"start": visit.voice.moment(_at(window.start))[:10], "end": visit.voice.moment(_at(window.end))[:10]}
    text = words("now.week_text", count=count, **ends)
    return lanes.draw(rows, window, title=words("now.week"), text=text, width=width)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def matches(incident: Incident, query: str, words: Words) -> bool:
    """Whether every word of the filter stands somewhere in the incident, as it is shown."""
    shown = " ".join(
        (
            incident.id,
            incident.title,
            incident.service or "",
            *incident.services,
            incident.state,
            incident.severity,
            incident.environment,
            words(f"severity.{incident.severity}"),
            words(f"incident_state.{incident.state}"),
        )
    ).casefold()
    return all(word in shown for word in query.casefold().split())
