"""Services: what people own, and what alerts, incidents and changes are about."""

from toban.model.environment import Environment
from toban.model.record import Instant, Record


class ObjectRef(Record):
    """One object of a target system; `container` only where a part of a pod is meant."""

    kind: str
    namespace: str = ""
    name: str
    container: str = ""

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}" + (f" [{self.container}]" if self.container else "")


class Service(Record):
    """A service: its name, where it runs, what runs it and what it calls."""

    workspace: str
    name: str
    namespace: str = ""
    environment: Environment = Environment.PRODUCTION
    workload: ObjectRef | None = None
    calls: tuple[str, ...] = ()
    source: str = ""
    seen_at: Instant


def neighbours(services: dict[str, Service], name: str) -> set[str]:
    """Services that `name` calls or that call it, directly."""
    own = services.get(name)
    callees = set(own.calls) if own else set()
    return callees | {other.name for other in services.values() if name in other.calls}
