"""What all controllers share: a queue of keys without repeats, and the loop that brings each key's object to its goal.

A controller learns of changes by the store's call-back, puts keys into its queue and does its work in `sync`.
Nothing polls.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from toban_sandbox import clock as clocks
from toban_sandbox.kube import errors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]
Key = TypeVar("Key", bound=Hashable)
ObjectKey = tuple[str, str]

RETRY_S = 0.05
LONGEST_RETRY_S = 30.0
_log = logging.getLogger(__name__)


class WorkQueue(Generic[Key]):
    """Keys in order of arrival, each at most once; also later, by the simulated clock."""

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._keys: deque[Key] = deque()
        self._waiting: set[Key] = set()
        self._later: dict[Key, clocks.Timer] = {}
        self._failures: dict[Key, int] = {}
        self._wake = asyncio.Event()

    def add(self, key: Key) -> None:
        if key not in self._waiting:
            self._waiting.add(key)
            self._keys.append(key)
            self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Add a key after simulated seconds; an earlier appointment of the same key stands."""
        known = self._later.get(key)
        if known is not None and known.callback is not None:
            if known.when <= self._clock.time() + seconds:
                return
            known.cancel()
        self._later[key] = self._clock.call_later(seconds, lambda: self._due(key))

    def _due(self, key: Key) -> None:
        self._later.pop(key, None)
        self.add(key)

    def retry(self, key: Key) -> None:
        """Add a key again after a failure, later each time."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self.add_after(key, min(RETRY_S * 2**failures, LONGEST_RETRY_S))

    def done(self, key: Key) -> None:
        self._failures.pop(key, None)

    async def next(self) -> Key:
        while not self._keys:
            self._wake.clear()
            await self._wake.wait()
        key = self._keys.popleft()
        self._waiting.discard(key)
        return key


class Controller(ABC):
    """One control loop; `resources` are the plural names whose changes it wants to hear of."""

    resources: tuple[str, ...] = ()

    def __init__(self, store: stores.ObjectStore) -> None:
        self.store = store
        self.clock = store.clock
        self.queue: WorkQueue[Any] = WorkQueue(store.clock)
        store.subscribe_changes(self._hear)

    def _hear(self, change: stores.Change) -> None:
        if change.resource in self.resources:
            self.observe(change)

    @abstractmethod
    def observe(self, change: stores.Change) -> None:
        """Put the keys that a change concerns into the queue."""

    @abstractmethod
    def sync(self, key: Any) -> None:
        """Bring what the key names one step to its goal; called again until nothing is left to do."""

    async def run(self) -> None:
        """Work until cancelled, beginning with everything that exists."""
        for resource in self.resources:
            for obj in self.store.list(resource):
                self.observe(stores.Change(self.store.revision, stores.ADDED, resource, obj, None))
        while True:
            key = await self.queue.next()
            self._work(key)
            await asyncio.sleep(0)

    def _work(self, key: Any) -> None:
        try:
            self.sync(key)
        except errors.ApiError as refused:
            _log.debug("%s: %r refused: %s", type(self).__name__, key, refused)
            self.queue.retry(key)
        except Exception:  # noqa: BLE001 -- the border between the loop and one object
            # One object that cannot be handled must not stop the loop for all others.
            _log.exception("%s failed on %r", type(self).__name__, key)
            self.queue.retry(key)
        else:
            self.queue.done(key)


def key_of(obj: Json) -> ObjectKey:
    """Namespace and name, by which controllers remember objects."""
    return obj["metadata"].get("namespace") or "", obj["metadata"]["name"]
