"""Templates to answers: one environment, autoescaped, that shows hidden characters of every text from outside.

Called by the page routes. What every page needs (navigation, preferences, form token) is gathered here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from markupsafe import Markup
from starlette.responses import HTMLResponse

from toban import __version__
from toban.app import Toban
from toban.entrypoints.http import asking, events, preferences, problems
from toban.entrypoints.http.assets import assets
from toban.entrypoints.http.i18n.words import LANGUAGES
from toban.entrypoints.http.pages.voice import Voice
from toban.entrypoints.http.views import diff, evidence
from toban.errors import TobanError, UnauthenticatedError
from toban.kit import text
from toban.model.security import SecurityContext

_TEMPLATES = Path(__file__).parent.parent / "templates"
_FRAGMENT = "fragment"


def _shown(value: object) -> object:
    """What a template writes: every plain text with its control, bidirectional and zero-width characters shown."""
    return text.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def environment() -> jinja2.Environment:
    """The templates' environment."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {"version": __version__, "languages": LANGUAGES, "diff_lines": diff.lines}
    made.filters |= {"web_link": evidence.web_link, "facts": evidence.plain_facts}
    return made


@dataclass(frozen=True)
class Visit:
    """One request of a page: who, in which language and zone, and where its live part starts to listen."""

    request: Request
    context: SecurityContext
    voice: Voice
    seq: int
    approvals_open: int
    csrf: str

    @property
    def is_fragment(self) -> bool:
        """Whether only the live part is asked for."""
        return self.request.query_params.get(_FRAGMENT) == "1" or self.request.url.path.endswith("/live")


class Pages:
    """Renders pages for one running Toban."""

    def __init__(self, toban: Toban) -> None:
        self._toban = toban
        self._environment = environment()

    async def visit(self, request: Request) -> Visit:
        """Who visits, with what each page shows of them. Raises UnauthenticatedError."""
        session = asking.session_of(request)
        context = await self._toban.context_for(
            bearer=asking.bearer_of(request), session=session, request_id=request.state.request_id
        )
        # The number is read before the records: what is written in between is told again, never missed.
        seq = await events.newest(self._toban)
        overview = await self._toban.overview(context)
        return Visit(
            request=request,
            context=context,
            voice=self._voice(request),
            seq=seq,
            approvals_open=overview.approvals_open,
            csrf=await self._toban.csrf_for(session),
        )

    def _voice(self, request: Request) -> Voice:
        return Voice(preferences.read(request), self._toban.clock.now())

    def page(self, visit: Visit, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page, or its live part alone where only that is asked for."""
        template = f"{name}_live.html.j2" if visit.is_fragment else f"{name}.html.j2"
        signed_in = visit.context.session_id != "" and asking.session_of(visit.request) is not None
        frame = {
            "visit": visit,
            "user": visit.context.user_id,
            "signed_in": signed_in,
            "seq": visit.seq,
            "approvals_open": visit.approvals_open,
            "csrf": visit.csrf,
            "fragment": visit.is_fragment,
        }
        return self._answer(visit.request, visit.voice, template, {**frame, **values}, status)

    def bare(self, request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page for somebody who is not known: sign-in and errors."""
        frame = {"visit": None, "signed_in": False, "approvals_open": 0, "fragment": False, "seq": 0}
        return self._answer(request, self._voice(request), f"{name}.html.j2", {**frame, **values}, status)

    def error(self, request: Request, error: TobanError) -> HTMLResponse:
        """An error as a page a person can read."""
        words = Voice(preferences.read(request), self._toban.clock.now()).words
        told = words.known(f"error.{error.code}", words("error.INTERNAL"))
        response = self.bare(
            request,
            "error",
            status=problems.status_of(error),
            told=told,
            detail=words.reason(error.message),
            request_id=request.scope.get("state", {}).get("request_id", ""),
        )
        response.headers.update(problems.headers_of(error))
        return response

    def _answer(
        self, request: Request, voice: Voice, template: str, values: Mapping[str, Any], status: int
    ) -> HTMLResponse:
        shared = {
            "t": voice.words,
            "v": voice,
            "prefs": voice.preferences,
            "assets": assets(),
            "path": request.url.path,
            "query": request.query_params.get("q", ""),
            "address_with": lambda **changes: preferences.address_with(request, **changes),
        }
        body = self._environment.get_template(template).render({**shared, **values})
        response = HTMLResponse(body, status)
        response.headers["vary"] = "Accept-Language, Cookie"
        preferences.remember(request, response)
        return response


def needs_sign_in(error: Exception) -> bool:
    """Whether the answer to a browser is the sign-in page."""
    return isinstance(error, UnauthenticatedError) and error.retry_after is None
