"""The roles that an integration can fill."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from toban.model.alert import AlertEvent
from toban.plugins.action import Action


class AlertSource(Protocol):
    """Turns a vendor's payload into Toban's normal form."""

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the sender proved itself, in constant time. Header names are lower case."""
        ...

    def parse(self, body: bytes) -> tuple[AlertEvent, ...]:
        """The alerts of one delivery. Raises MappingError naming the wrong field."""
        ...


class ActionProvider(Protocol):
    """Brings actions for the catalogue."""

    def actions(self) -> Sequence[Action]:
        """The actions, each with a name of its own such as `kubernetes.list_pods`."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
