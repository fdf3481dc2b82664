"""The error tree: every error a user can meet, with a stable code.

The class docstring is the message shown when none is given. `retry_after` is in seconds; None means that trying again
cannot help. HTTP statuses are given in `entrypoints/http/problems.py` alone, exit codes in `entrypoints/cli/exits.py`.
Expected bad news (a refusal by policy, a failed verification, an inconclusive diagnosis) is a value, not an error.
"""

from typing import ClassVar


class TobanError(Exception):
    """Something failed inside Toban."""

    code: ClassVar[str] = "INTERNAL"
    retry_after: float | None = None

    def __init__(self, message: str | None = None, *, retry_after: float | None = None, **details: object) -> None:
        self.message = message or (self.__doc__ or "").strip().splitlines()[0]
        self.details = details
        if retry_after is not None:
            self.retry_after = retry_after
        super().__init__(self.message)


class InvalidInputError(TobanError):
    """The input is not valid."""

    code = "INVALID_INPUT"


class MappingError(InvalidInputError):
    """A payload does not have the form that its source promises."""

    code = "MAPPING_FAILED"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message, field=field)
        self.field = field


class ConfigurationError(InvalidInputError):
    """The configuration is not valid."""

    code = "CONFIGURATION"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NotFoundError(TobanError):
    """There is no such record."""

    code = "NOT_FOUND"


class ConflictError(TobanError):
    """The record changed in the meantime; read it again."""

    code = "CONFLICT"


class InvalidTransitionError(ConflictError):
    """The record is in a state that does not allow this."""

    code = "INVALID_TRANSITION"


class UnauthenticatedError(TobanError):
    """Sign in first, or send a valid token."""

    code = "UNAUTHENTICATED"


class PermissionDeniedError(TobanError):
    """You are not permitted to do this."""

    code = "PERMISSION_DENIED"


class RefusedError(TobanError):
    """Policy refuses this."""

    code = "REFUSED"


class TooLargeError(InvalidInputError):
    """The body is larger than allowed."""

    code = "TOO_LARGE"


class OverloadedError(TobanError):
    """Toban cannot take more at the moment; nothing was stored, send it again."""

    code = "OVERLOADED"
    retry_after: float | None = 1.0


class StorageError(TobanError):
    """The database or its disk is not available; nothing was stored."""

    code = "STORAGE_UNAVAILABLE"
    retry_after: float | None = 2.0


class UpstreamError(TobanError):
    """A system that Toban talks to failed."""

    code = "UPSTREAM_FAILED"
    retry_after: float | None = 5.0


class UpstreamRefusedError(UpstreamError):
    """A system that Toban talks to refused the request."""

    code = "UPSTREAM_REFUSED"
    retry_after = None


class UpstreamConflictError(UpstreamRefusedError):
    """The object changed in the target system since it was read; nothing was written."""

    code = "UPSTREAM_CONFLICT"


class OutcomeUnknownError(UpstreamError):
    """A write was sent and its outcome is not known."""

    code = "OUTCOME_UNKNOWN"
    retry_after = None


class UnknownActionError(InvalidInputError):
    """There is no action of this name in the catalogue."""

    code = "UNKNOWN_ACTION"


class OutsideGateError(TobanError):
    """An action was called from outside the Gate."""

    code = "OUTSIDE_GATE"
