"""What every node has left: kept up to date with each change, so that placing a pod costs little."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from toban_sandbox.kube import objects, quantity
from toban_sandbox.kube import store as stores

Json = dict[str, Any]
Key = tuple[str, str]
Port = tuple[str, str, int]


@dataclass
class Placed:
    """One pod on a node: what it asks for and what others must know of it."""

    pod: Json
    node: str
    asked: dict[str, float]
    ports: frozenset[Port]
    owner: str
    repels: bool


@dataclass
class Room:
    """One node: what it offers, what is taken, and which pods it runs."""

    node: Json
    allocatable: dict[str, float]
    used: Counter[str] = field(default_factory=Counter)
    pods: dict[Key, Placed] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return objects.name_of(self.node)

    def free(self, resource: str) -> float:
        return self.allocatable.get(resource, 0.0) - self.used[resource]

    def siblings(self, owner: str) -> int:
        return sum(1 for one in self.pods.values() if one.owner == owner) if owner else 0

    def topology(self, key: str) -> str | None:
        return objects.labels(self.node).get(key)


class Rooms:
    """All nodes with what is left on them."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._placed: dict[Key, Placed] = {}

    def __iter__(self) -> Iterator[Room]:
        return iter([self._rooms[name] for name in sorted(self._rooms)])

    def __len__(self) -> int:
        return len(self._rooms)

    def placed(self) -> Iterator[Placed]:
        return iter(self._placed.values())

    def repelling(self) -> Iterator[Placed]:
        """Pods that do not bear some others near them."""
        return (one for one in self._placed.values() if one.repels)

    def of(self, node: str) -> Room | None:
        return self._rooms.get(node)

    def observe_node(self, change: stores.Change) -> None:
        name = objects.name_of(change.obj)
        if change.type == stores.DELETED:
            self._rooms.pop(name, None)
            return
        offered = (change.obj.get("status") or {}).get("allocatable") or {}
        amounts = {resource: quantity.parse(value) for resource, value in offered.items()}
        known = self._rooms.get(name)
        if known is not None:
            known.node, known.allocatable = change.obj, amounts
            return
        room = self._rooms[name] = Room(change.obj, amounts)
        for key, one in self._placed.items():
            if one.node == name:
                _take(room, key, one)

    def observe_pod(self, change: stores.Change) -> None:
        pod = change.obj
        key = (str(pod["metadata"].get("namespace") or ""), objects.name_of(pod))
        node = pod["spec"].get("nodeName") or ""
        gone = change.type == stores.DELETED or objects.is_finished(pod) or not node
        known = self._placed.get(key)
        if known is not None and not gone and known.pod["spec"] is pod["spec"]:
            known.pod = pod
            return
        if known is not None:
            del self._placed[key]
            room = self._rooms.get(known.node)
            if room is not None and room.pods.pop(key, None) is not None:
                room.used.subtract(known.asked)
        if not gone:
            one = self._placed[key] = describe(pod, node)
            room = self._rooms.get(node)
            if room is not None:
                _take(room, key, one)


def _take(room: Room, key: Key, one: Placed) -> None:
    room.pods[key] = one
    room.used.update(one.asked)


def describe(pod: Json, node: str) -> Placed:
    """What placing a pod means for its node."""
    owner = objects.controller_of(pod)
    anti = ((pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    return Placed(pod, node, requested(pod), host_ports(pod), owner["uid"] if owner else "", bool(anti))


def requested(pod: Json) -> dict[str, float]:
    """What a pod asks of its node: cores, bytes, other resources."""
    total: dict[str, float] = {}
    for container in pod["spec"].get("containers") or ():
        _add(total, container)
    sidecars: dict[str, float] = {}
    for container in pod["spec"].get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            _add(total, container)
            _add(sidecars, container)
        else:
            for name, value in ((container.get("resources") or {}).get("requests") or {}).items():
                total[name] = max(total.get(name, 0.0), quantity.parse(value) + sidecars.get(name, 0.0))
    for name, value in (pod["spec"].get("overhead") or {}).items():
        total[name] = total.get(name, 0.0) + quantity.parse(value)
    return total


def _add(total: dict[str, float], container: Json) -> None:
    for name, value in ((container.get("resources") or {}).get("requests") or {}).items():
        total[name] = total.get(name, 0.0) + quantity.parse(value)


def host_ports(pod: Json) -> frozenset[Port]:
    """The ports of the node that a pod takes for itself."""
    found = set()
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort") if pod["spec"].get("hostNetwork") else None)
            if number:
                found.add((port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), int(number)))  # noqa: S104 -- the API's word for every address
    return frozenset(found)


def ports_clash(wanted: frozenset[Port], taken: frozenset[Port]) -> bool:
    """Whether two pods would listen on the same port of one node."""
    everywhere = "0.0.0.0"  # noqa: S104 -- the API's word for every address
    return any(
        (protocol, number) == (other_protocol, other) and (host == other_host or everywhere in {host, other_host})
        for host, protocol, number in wanted
        for other_host, other_protocol, other in taken
    )
