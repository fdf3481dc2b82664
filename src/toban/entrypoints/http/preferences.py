"""What a viewer prefers: language, light or dark, time zone. Read from address, cookies and headers; never trusted.

Called for each page. `?lang=` and `?theme=` win and are remembered in cookies; the zone is told by the page's script.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from urllib.parse import unquote, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Request
from starlette.responses import Response

from toban.entrypoints.http.i18n import words

_ZONE = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9_+\-]{0,30}(?:/[A-Za-z0-9_+\-]{1,30}){0,2})(?:~(?P<minutes>-?\d{1,3}))?"
)
_YEAR_S = 31_536_000
_THEMES = ("light", "dark")


@dataclass(frozen=True)
class Preferences:
    """One viewer's choices; `theme` is empty where the system decides."""

    lang: str = "en"
    theme: str = ""
    zone: tzinfo = UTC
    zone_name: str = "UTC"

    def local(self, at: datetime) -> datetime:
        """The time in the viewer's zone."""
        return at.astimezone(self.zone)


def read(request: Request) -> Preferences:
    """The preferences of this request."""
    zone, name = _zone(unquote(request.cookies.get("toban_zone", "")))
    theme = request.query_params.get("theme") or request.cookies.get("toban_theme", "")
    return Preferences(_lang(request), theme if theme in _THEMES else "", zone, name)


def remember(request: Request, response: Response) -> None:
    """Keep what the address chose for the pages after this one."""
    chosen = {"lang": words.LANGUAGES, "theme": _THEMES}
    for name, known in chosen.items():
        value = request.query_params.get(name, "")
        if value in known:
            secure = request.url.scheme == "https"
            response.set_cookie(f"toban_{name}", value, max_age=_YEAR_S, samesite="lax", secure=secure)


def address_with(request: Request, **changes: str) -> str:
    """The page's own address with other query parameters, without a host."""
    query = {key: value for key, value in request.query_params.items() if key not in changes}
    return f"{request.url.path}?{urlencode({**query, **changes})}"


def _lang(request: Request) -> str:
    for wish in (request.query_params.get("lang"), request.cookies.get("toban_lang")):
        if wish in words.LANGUAGES:
            return str(wish)
    accepted: list[tuple[float, int, str]] = []
    for part in request.headers.get("accept-language", "").split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            accepted.append((-float(weight or 1), len(accepted), tag[:2].lower()))
        except ValueError:
            continue
    return next((tag for _, _, tag in sorted(accepted) if tag in words.LANGUAGES), "en")


def _zone(told: str) -> tuple[tzinfo, str]:
    found = _ZONE.fullmatch(told)
    if not found:
        return UTC, "UTC"
    name = found["name"]
    try:
        return ZoneInfo(name), name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A machine without a zone database still knows how far the viewer's clock is off.
        minutes = int(found["minutes"] or 0)
        return (timezone(timedelta(minutes=minutes)), name) if abs(minutes) <= 14 * 60 else (UTC, "UTC")
