"""Every way in which Kubernetes can fail to answer, as one of Toban's errors. Called by `api` alone.

What decides is whether something may have been written: a refusal or a connection that never came about means no; a
silence or a server error after a write was sent means that nobody knows.
"""

from typing import Any, NamedTuple

import httpx2
import msgspec

from toban.errors import OutcomeUnknownError, UpstreamConflictError, UpstreamError, UpstreamRefusedError
from toban.kit import text

_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.InvalidURL,
)
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


class Asked(NamedTuple):
    """The request that failed, in words; `writes` only when it would have lasted (not for a dry-run)."""

    method: str
    path: str
    place: str
    source: str
    writes: bool


class Answer(NamedTuple):
    """An HTTP answer read to its end; `body` is plain JSON or None where it is none."""

    code: int
    headers: httpx2.Headers
    raw: bytes
    body: Any


def of_status(asked: Asked, answer: Answer) -> UpstreamError:
    """The error for an answer that is not a success."""
    code, words = answer.code, _words(answer)
    details = _details(asked, answer)
    if code >= httpx2.codes.INTERNAL_SERVER_ERROR:
        if asked.writes:
            message = f"Kubernetes failed while writing ({code}: {words}); whether it was written is not known"
            return OutcomeUnknownError(message, **details)
        return UpstreamError(f"Kubernetes at {asked.place} failed ({code}): {words}", **_patience(answer), **details)
    if code == httpx2.codes.TOO_MANY_REQUESTS:
        message = f"Kubernetes at {asked.place} asks to wait: {words}"
        return UpstreamError(message, **_patience(answer), **details)
    if code == httpx2.codes.CONFLICT:
        return UpstreamConflictError(words, **details)
    return UpstreamRefusedError(_refusal(asked, code, words), **details)


def of_transport(asked: Asked, error: Exception) -> UpstreamError:
    """The error for an answer that never came whole."""
    words = text.quoted(str(error)) or type(error).__name__
    details: dict[str, Any] = {"place": asked.place}
    if _UNTRUSTED in words:
        message = f"Kubernetes at {asked.place} shows a certificate that {asked.source} does not vouch for: {words}"
        return UpstreamRefusedError(message, **details)
    if isinstance(error, _NEVER_SENT):
        return UpstreamError(f"Kubernetes at {asked.place} cannot be reached: {words}", **details)
    if asked.writes:
        message = f"{asked.method} {asked.path} was sent to Kubernetes and no answer came ({words})"
        return OutcomeUnknownError(message, **details)
    return UpstreamError(f"Kubernetes at {asked.place} did not answer: {words}", **details)


def of_credentials(asked: Asked, error: Exception) -> UpstreamRefusedError:
    """The error for credentials that could not be got, before anything was sent."""
    message = f"credentials of {asked.source} cannot be had: {text.quoted(str(error)) or type(error).__name__}"
    return UpstreamRefusedError(message, place=asked.place)


def of_form(asked: Asked, why: str) -> UpstreamError:
    """The error for a success whose body makes no sense."""
    if asked.writes:
        return OutcomeUnknownError(f"Kubernetes accepted {asked.method} {asked.path} and answered {why}")
    message = f"Kubernetes at {asked.place} answered {asked.method} {asked.path} with {why}"
    return UpstreamError(message, place=asked.place, retryable=False)


def is_not_found(error: UpstreamError) -> bool:
    return error.details.get("status") == httpx2.codes.NOT_FOUND


def is_forbidden(error: UpstreamError) -> bool:
    return error.details.get("status") == httpx2.codes.FORBIDDEN


def dry_run_unsupported(error: UpstreamError) -> bool:
    """Whether a webhook or an old server said that it cannot do a dry-run."""
    said = error.message.lower().replace("-", " ").replace("dryrun", "dry run")
    return error.details.get("status") == httpx2.codes.BAD_REQUEST and "dry run" in said


def decoded(raw: bytes) -> Any:
    """Plain JSON, or None."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _words(answer: Answer) -> str:
    if isinstance(answer.body, dict) and isinstance(answer.body.get("message"), str) and answer.body["message"]:
        return text.quoted(answer.body["message"], 1000)
    return text.quoted(answer.raw[:1200].decode("utf-8", "replace"), 300) or "no reason given"


def _refusal(asked: Asked, code: int, words: str) -> str:
    if code == httpx2.codes.UNAUTHORIZED:
        return f"Kubernetes at {asked.place} does not accept the credentials of {asked.source}: {words}"
    if code == httpx2.codes.FORBIDDEN:
        return f"{words}; Toban's account needs a role that allows this ({asked.method} {asked.path})"
    if httpx2.codes.is_redirect(code):
        return f"Kubernetes at {asked.place} sends its callers elsewhere ({code}); check the server of {asked.source}"
    return words


def _details(asked: Asked, answer: Answer) -> dict[str, Any]:
    reason = answer.body.get("reason") if isinstance(answer.body, dict) else None
    return {"place": asked.place, "status": answer.code, "reason": reason or ""}


def _patience(answer: Answer) -> dict[str, Any]:
    asked = answer.headers.get("retry-after", "")
    wait_s = float(asked) if asked.isascii() and asked.isdigit() else None
    return {"retry_after": wait_s, "asked_to_wait_s": wait_s}
