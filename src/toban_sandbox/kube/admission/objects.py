"""What admission needs to see of the store."""

from collections.abc import Iterator
from typing import Any, Protocol

Json = dict[str, Any]


class Objects(Protocol):
    """The stored objects, for reading."""

    def get(self, resource: str, namespace: str | None, name: str) -> Json | None: ...

    def list(self, resource: str, namespace: str | None = None) -> list[Json]: ...

    def each(self, resource: str) -> Iterator[Json]: ...

    def count(self, resource: str) -> int: ...
