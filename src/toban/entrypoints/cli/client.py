"""The server's API for commands: finds the server, sends, and turns every failure into one clear sentence.

TOBAN_URL names the server, else the one that runs on the state folder, else the usual address. TOBAN_TOKEN or
TOBAN_TOKEN_FILE says who asks; without, the server's local door is tried.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar
from urllib.parse import quote, urlsplit

from toban.entrypoints.cli import exits, running
from toban.entrypoints.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    import httpx2

    from toban.model.casefile import CaseFile, ChangeFile
    from toban.model.record import Record

R = TypeVar("R", bound="Record")
DEFAULT_URL = "http://127.0.0.1:8420"
TIMEOUT_S = 10.0
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_SHOWN = 200


def server_url(variables: Mapping[str, str] | None = None) -> str:
    """Where the server is thought to be. Raises CommandError for a TOBAN_URL that is no address."""
    given = os.environ if variables is None else variables
    url = given.get("TOBAN_URL", "").strip()
    if not url:
        found = running.find(running.home(given))
        return found.url if found else DEFAULT_URL
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        usable = usable and not (parts.username or parts.password) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise CommandError(
            f"TOBAN_URL is {url!r}, which is no address of a server",
            exit_code=Exit.USAGE,
            hint="write it like http://127.0.0.1:8420; a token has its own variable TOBAN_TOKEN",
        )
    return url.rstrip("/")


def token(variables: Mapping[str, str] | None = None) -> str | None:
    """The API token, if there is one. Raises CommandError for a file that cannot be read."""
    given = os.environ if variables is None else variables
    if given.get("TOBAN_TOKEN"):
        return given["TOBAN_TOKEN"].strip()
    name = given.get("TOBAN_TOKEN_FILE")
    return read_secret(Path(name), "TOBAN_TOKEN_FILE") if name else None


def read_secret(file: Path, named: str) -> str:
    """A file's one secret. Raises CommandError that says which option or variable named it."""
    try:
        found = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CommandError(f"{named}: cannot read {file}: {reason}", exit_code=Exit.USAGE) from error
    if not found:
        raise CommandError(f"{named}: {file} is empty", exit_code=Exit.USAGE)
    return found


def segment(text: str) -> str:
    """A text from the command line as one part of a path, whatever is in it."""
    return quote(text.strip(), safe="") or "-"


class Api:
    """One server, as one person. Every method raises CommandError and nothing else."""

    def __init__(self, url: str, bearer: str | None = None) -> None:
        import httpx2

        self.url = url
        headers = {"Accept": "application/json", "User-Agent": "toban-cli"}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        local = urlsplit(url).hostname in _LOCAL
        # No redirects: a token must not follow one. No proxy for this machine's own addresses.
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=not local)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The answer's JSON."""
        return self._json(self._send("GET", f"/api/v1{path}", params=query))

    def wait(self, path: str, seconds: float, **query: Any) -> Any:
        """As `get`, for answers that may take `seconds` to come."""
        return self._json(
            self._send("GET", f"/api/v1{path}", params={**query, "wait_s": seconds}, timeout=TIMEOUT_S + seconds)
        )

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer's JSON, None for an empty one."""
        answer = self._send("POST", f"/api/v1{path}", json=body)
        return self._json(answer) if answer.content else None

    def deliver(self, source: str, body: bytes, secret: str | None) -> None:
        """Post a delivery to a hook, with the hook's own token instead of ours."""
        headers = {"Content-Type": "application/json"}
        self._http.headers.pop("Authorization", None)
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        self._send("POST", f"/hooks/{segment(source)}", content=body, headers=headers)

    @contextmanager
    def lines(self, path: str) -> Iterator[Iterator[str]]:
        """A long answer line by line."""
        import httpx2

        try:
            with self._http.stream("GET", f"/api/v1{path}") as answer:
                if not answer.is_success:
                    answer.read()
                    self._refuse(answer)
                yield answer.iter_lines()
        except httpx2.HTTPError as error:
            self._broken(error)

    def case_file(self, incident: str) -> "CaseFile":
        """All that is known of an incident."""
        from toban.model.casefile import CaseFile

        return self._record(CaseFile, self.get(f"/incidents/{segment(incident)}"))

    def change_file(self, change: str) -> "tuple[ChangeFile, str | None]":
        """A change with votes and verifications, and why this person may not vote on it (None: may)."""
        from toban.model.casefile import ChangeFile

        found = self.get(f"/changes/{segment(change)}")
        reason = found.pop("why_you_may_not_vote", None) if isinstance(found, dict) else None
        return self._record(ChangeFile, found), reason

    def _record(self, kind: type[R], found: Any) -> R:
        from pydantic import ValidationError

        try:
            return kind.model_validate(found)
        except ValidationError as error:
            raise CommandError(
                f"the Toban at {self.url} speaks another version of the API: {error.errors()[0]['loc']}",
                hint="use the `toban` command of the same version as the server",
            ) from error

    def _send(self, method: str, path: str, **options: Any) -> "httpx2.Response":
        import httpx2

        try:
            answer = self._http.request(method, path, **options)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            self._broken(error)
        if not answer.is_success:
            self._refuse(answer)
        return answer

    def _broken(self, error: Exception) -> NoReturn:
        import httpx2

        if isinstance(error, httpx2.TimeoutException):
            told = f"the Toban at {self.url} did not answer in time"
            raise CommandError(told, exit_code=Exit.TIME_OUT, hint="look at its log, then try again") from error
        if isinstance(error, httpx2.ConnectError):
            raise CommandError(
                f"no Toban answers at {self.url}",
                exit_code=Exit.CONNECTION,
                hint="start one with `toban up`, or set TOBAN_URL to where it runs",
            ) from error
        raise CommandError(
            f"the connection to {self.url} broke: {error or type(error).__name__}", exit_code=Exit.CONNECTION
        ) from error

    def _refuse(self, answer: "httpx2.Response") -> NoReturn:
        from toban.entrypoints.cli.speech import safe

        try:
            problem = answer.json()
            code, detail = str(problem["code"]), str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            self._stranger(answer)
        listed = problem.get("problems")
        if isinstance(listed, list) and listed:
            raise CommandError(*map(safe, listed), exit_code=exits.of_code(code))
        raise exits.told(code, safe(detail))

    def _json(self, answer: "httpx2.Response") -> Any:
        try:
            return answer.json()
        except ValueError:
            self._stranger(answer)

    def _stranger(self, answer: "httpx2.Response") -> NoReturn:
        from toban.entrypoints.cli.speech import safe

        raise CommandError(
            f"what answers at {self.url} is not Toban: {answer.status_code} {safe(answer.text[:_SHOWN])}",
            exit_code=Exit.CONNECTION,
            hint="set TOBAN_URL to where Toban runs",
        )


def connect() -> Api:
    """The server that the environment names. Raises CommandError for unusable variables only."""
    return Api(server_url(), token())
