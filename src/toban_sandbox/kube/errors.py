"""Refusals of the API in Kubernetes' own words: one exception, and one constructor for each kind of refusal.

Raised by the store, validation and the request handlers; `kube.api` turns them into `Status` bodies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

Json = dict[str, Any]


class Cause(NamedTuple):
    """One field that validation found wrong; `reason` is `FieldValueInvalid`, `FieldValueRequired` …."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


@dataclass(frozen=True)
class About:
    """The object that a refusal speaks of: plural resource name, API group and, for validation, the kind."""

    resource: str
    group: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


class ApiError(Exception):
    """A request was refused; carries what the `Status` body needs."""

    def __init__(
        self, code: int, reason: str, message: str, *, details: Json | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s
        self.continue_token = ""

    def status(self) -> Json:
        """The refusal as a `Status` object."""
        metadata = {"continue": self.continue_token} if self.continue_token else {}
        body: Json = {"kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure"}
        body["message"] = self.message
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def _details(about: About, name: str, **more: Any) -> Json:
    details: Json = {"name": name} if name else {}
    if about.group:
        details["group"] = about.group
    details["kind"] = about.resource
    return details | more


def not_found(about: About, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{about} "{name}" not found', details=_details(about, name))


def unknown_path() -> ApiError:
    message = "the server could not find the requested resource"
    return ApiError(404, "NotFound", message, details={})


def already_exists(about: About, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{about} "{name}" already exists', details=_details(about, name))


def stale(about: About, name: str) -> ApiError:
    """Optimistic locking failed: the caller's resourceVersion is not the stored one."""
    return conflict(
        about,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def conflict(about: About, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {about} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(about, name))


def apply_conflict(causes: Sequence[Cause], managers: Sequence[str]) -> ApiError:
    """Server-side apply met fields of other managers.

    `managers` are the quoted names that the message says once each; every cause says `conflict with …` about a field.
    """
    count = len(causes)
    noun = "conflict" if count == 1 else "conflicts"
    if len(managers) == 1 and count == 1:
        message = f"Apply failed with 1 {noun}: {causes[0].message}: {causes[0].field}"
    else:
        lines = []
        for manager in managers:
            lines.append(f"conflicts with {manager}:")
            lines += [f"- {cause.field}" for cause in causes if cause.message.endswith(manager)]
        message = f"Apply failed with {count} {noun}: " + "\n".join(lines)
    details = {"causes": [{"reason": "FieldManagerConflict", "message": c.message, "field": c.field} for c in causes]}
    return ApiError(409, "Conflict", message, details=details)


def invalid(about: About, name: str, causes: Sequence[Cause]) -> ApiError:
    """Validation found one or more fields wrong."""
    shown = [f"{cause.field}: {cause.message}" for cause in causes]
    text = shown[0] if len(shown) == 1 else "[" + ", ".join(shown) + "]"
    qualified = f"{about.kind}.{about.group}" if about.group else about.kind
    listed = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    details: Json = {"name": name, "group": about.group, "kind": about.kind, "causes": listed}
    if not about.group:
        del details["group"]
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {text}', details=details)


def rejected_patch() -> ApiError:
    """A patch that cannot be applied to the object at all; the real server says no more than this."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", details={})


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(about: About, name: str, why: str) -> ApiError:
    quoted = f' "{name}"' if name else ""
    return ApiError(403, "Forbidden", f"{about}{quoted} is forbidden: {why}", details=_details(about, name))


def forbidden_path(why: str) -> ApiError:
    """A path that is no resource may not be read by this user."""
    return ApiError(403, "Forbidden", f"forbidden: {why}", details={})


def method_not_supported(about: About) -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, details=_details(about, ""))


def unsupported_media_type(content_type: str, accepted: Sequence[str]) -> ApiError:
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)} (got {content_type})"
    )
    return ApiError(415, "UnsupportedMediaType", message)


def too_large() -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728", details={})


def too_large_to_store() -> ApiError:
    """The object fits into a request but not into the database."""
    return ApiError(500, "", "etcdserver: request is too large")


def page_expired(token: str) -> ApiError:
    """A list's first page is forgotten; `token` goes on with what there is now."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    refused = ApiError(410, "Expired", message)
    refused.continue_token = token
    return refused


def expired(asked: int, oldest: int) -> ApiError:
    """A watch or a page asked for a moment that the log of changes no longer reaches."""
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def internal(what: str) -> ApiError:
    """Something went wrong in the server itself."""
    return ApiError(500, "InternalError", f"Internal error occurred: {what}", details={"causes": [{"message": what}]})


def too_new(asked: int, current: int) -> ApiError:
    """A client knows a moment that this server has not seen yet, as after a restart of the sandbox."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return ApiError(504, "Timeout", message, details=details, retry_after_s=1)


def too_many_requests(retry_after_s: int) -> ApiError:
    message = "the server has received too many requests and has asked us to try again later"
    details = {"retryAfterSeconds": retry_after_s}
    return ApiError(429, "TooManyRequests", message, details=details, retry_after_s=retry_after_s)


def of_status(code: int, *, retry_after_s: int | None = None) -> ApiError:
    """A refusal that a test asked for by its number alone."""
    if code == HTTPStatus.UNAUTHORIZED:
        return unauthorized()
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        return too_many_requests(1 if retry_after_s is None else retry_after_s)
    reasons = {403: "Forbidden", 404: "NotFound", 409: "Conflict", 500: "InternalError", 503: "ServiceUnavailable"}
    messages = {
        403: "forbidden: the request was refused",
        409: "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest "
        "version and try again",
        500: "Internal error occurred: etcdserver: request timed out",
        503: "the server is currently unable to handle the request",
    }
    message = messages.get(code, "the server refused the request")
    return ApiError(code, reasons.get(code, "Unknown"), message, retry_after_s=retry_after_s)
