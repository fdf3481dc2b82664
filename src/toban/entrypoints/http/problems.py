"""Errors as HTTP: the only place where a status is given to an error's code. RFC 9457 for programs, pages for people.

Called by the application's error handlers and by the hooks.
"""

import math
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from toban.errors import ConfigurationError, InvalidInputError, MappingError, NotFoundError, TobanError, TooLargeError

STATUSES: dict[str, int] = {
    "INTERNAL": 500,
    "INVALID_INPUT": 422,
    "MAPPING_FAILED": 422,
    "CONFIGURATION": 500,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "INVALID_TRANSITION": 409,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "REFUSED": 403,
    "TOO_LARGE": 413,
    "OVERLOADED": 503,
    "STORAGE_UNAVAILABLE": 503,
    "UPSTREAM_FAILED": 502,
    "UPSTREAM_REFUSED": 502,
    "UPSTREAM_CONFLICT": 409,
    "OUTCOME_UNKNOWN": 504,
    "UNKNOWN_ACTION": 422,
    "OUTSIDE_GATE": 500,
    "FORBIDDEN_ORIGIN": 403,
    "MISDIRECTED": 421,
    "METHOD_NOT_ALLOWED": 405,
}
_log = structlog.get_logger()


class ForbiddenOriginError(TobanError):
    """The request did not come from Toban's own pages."""

    code = "FORBIDDEN_ORIGIN"


class MisdirectedError(TobanError):
    """Toban is not reached under this host name."""

    code = "MISDIRECTED"


class MethodNotAllowedError(TobanError):
    """The address does not take that method."""

    code = "METHOD_NOT_ALLOWED"


def status_of(error: TobanError) -> int:
    """The HTTP status of an error; 500 for a code that a plugin brought."""
    return STATUSES.get(error.code, 500)


def headers_of(error: TobanError) -> dict[str, str]:
    """Retry-After where trying again can help, and how to sign in where that is asked for."""
    headers = {"Cache-Control": "no-store"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if status_of(error) == STATUSES["UNAUTHENTICATED"]:
        headers["WWW-Authenticate"] = 'Bearer realm="toban"'
    return headers


def response(error: TobanError, *, instance: str, request_id: str = "") -> Response:
    """The error as `application/problem+json`."""
    status = status_of(error)
    body: dict[str, Any] = {
        "type": f"urn:toban:error:{error.code.lower().replace('_', '-')}",
        "title": (type(error).__doc__ or "").strip().splitlines()[0],
        "status": status,
        "detail": error.message,
        "instance": instance,
        "code": error.code,
    }
    if error.retry_after is not None:
        body["retry_after"] = error.retry_after
    if request_id:
        body["request_id"] = request_id
    if isinstance(error, MappingError):
        body["field"] = error.field
    if isinstance(error, ConfigurationError):
        body["problems"] = error.problems
    invalid = error.details.get("errors")
    if isinstance(invalid, list):
        body["errors"] = invalid
    return JSONResponse(body, status, headers_of(error), media_type="application/problem+json")


def of(error: Exception) -> TobanError:
    """Any error as one of ours. What is not expected is logged and told without its details."""
    if isinstance(error, TobanError):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return _http(error)
    _log.error("unexpected", exc_info=error)
    return TobanError()


def _invalid(error: RequestValidationError) -> TobanError:
    found = [
        {"field": ".".join(str(part) for part in one["loc"]), "problem": str(one["msg"])} for one in error.errors()
    ]
    told = "; ".join(f"{one['field']}: {one['problem']}" for one in found[:5])
    return InvalidInputError(told or None, errors=found)


def _http(error: HTTPException) -> TobanError:
    known: dict[int, type[TobanError]] = {
        404: NotFoundError,
        405: MethodNotAllowedError,
        413: TooLargeError,
    }
    kind = known.get(error.status_code)
    if kind is not None:
        return kind()
    return InvalidInputError(str(error.detail)) if error.status_code < STATUSES["INTERNAL"] else TobanError()
