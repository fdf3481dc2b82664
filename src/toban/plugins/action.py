"""Actions: the only way to touch the world.

An integration subclasses `ReadAction` or `WriteAction` and hands instances to its `ActionProvider`. Only
`governance/gate.py` calls them; every method is wrapped so that a call from elsewhere raises OutsideGateError.
"""

import functools
import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from toban.errors import OutsideGateError
from toban.model.action import ActionCall, DryRun, Outcome, Probe, Target
from toban.model.record import JsonValue
from toban.model.risk import RiskLevel
from toban.model.verification import Check

_inside: ContextVar[bool] = ContextVar("inside_gate", default=False)


@contextmanager
def gate_open() -> Iterator[None]:
    """For `governance/gate.py` alone: within this block, and in what it awaits, actions may be called."""
    mark = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(mark)


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _inside.get():
            raise OutsideGateError(f"{type(self).__name__}.{method.__name__} was called from outside the Gate")
        return await method(self, *args, **kwargs)

    return call


class Parameters(BaseModel):
    """Base of every action's parameters: strict, nothing unknown, frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True)
class ActionSpec:
    """What the catalogue says of an action.

    `permission` is `resource.verb`; the Gate adds the scope that `Action.scope` gives. `bounds` says in words what the
    parameters' limits are for.
    """

    name: str
    summary: str
    summary_ja: str
    permission: str
    risk: RiskLevel
    version: int = 1
    reversible: bool = False


class _Guarded(ABC):  # noqa: B024 - its children declare the abstract methods
    _methods: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls._methods & set(vars(cls)):
            method = vars(cls)[name]
            if inspect.iscoroutinefunction(method) and not getattr(method, "__isabstractmethod__", False):
                setattr(cls, name, _guarded(method))


class ReadAction(_Guarded, Generic[P]):
    """Reads and changes nothing; risk READ_ONLY."""

    _methods = frozenset({"read"})
    spec: ActionSpec
    parameters: type[P]

    def scope(self, params: P) -> str:
        """The permission's scope: a path ending in the namespace; `cluster` where there is none."""
        return getattr(params, "namespace", "") or "cluster"

    @abstractmethod
    async def read(self, params: P) -> JsonValue:
        """Plain JSON, bounded in size. Raises UpstreamError and its children only."""


class WriteAction(_Guarded, Generic[P]):
    """Changes something, and can say beforehand what, and afterwards whether."""

    _methods = frozenset({"targets", "dry_run", "run", "probe", "check", "undo", "permitted"})
    spec: ActionSpec
    parameters: type[P]

    def scope(self, params: P) -> str:
        """The permission's scope: a path ending in the namespace."""
        return getattr(params, "namespace", "") or "cluster"

    def handler_digest(self) -> str:
        """SHA-256 of the handler's source: other code is another action, and makes approvals obsolete."""
        return hashlib.sha256(inspect.getsource(type(self)).encode()).hexdigest()

    @abstractmethod
    async def permitted(self, params: P) -> tuple[bool, str]:
        """The target system's own answer to "may Toban do this", with its reason."""

    @abstractmethod
    async def targets(self, params: P) -> tuple[Target, ...]:
        """The objects it would touch, read now. None at all is InvalidInputError: an empty selection is an error."""

    @abstractmethod
    async def dry_run(self, params: P, targets: tuple[Target, ...]) -> DryRun:
        """What would happen, by the target system's own dry-run where it has one; no effect."""

    @abstractmethod
    async def run(self, params: P, targets: tuple[Target, ...], action_id: str) -> Outcome:
        """Do it, once, marked with `action_id`, with each target's `resource_version` as precondition.

        Raises UpstreamRefusedError (nothing was written), UpstreamConflictError (the same: it moved on) or
        OutcomeUnknownError (sent, no answer).
        """

    @abstractmethod
    async def probe(self, params: P, targets: tuple[Target, ...], action_id: str) -> Probe:
        """Read back whether the effect of `action_id` is there. `targets` are as planned."""

    @abstractmethod
    async def check(self, params: P, targets: tuple[Target, ...]) -> Check:
        """One sample of whether the objects are in the state that the action wanted (kind `object`)."""

    @abstractmethod
    async def undo(self, params: P, targets: tuple[Target, ...]) -> ActionCall | None:
        """The call that would bring back the present state, worked out before the run; None if there is none."""


Action = ReadAction[Any] | WriteAction[Any]
