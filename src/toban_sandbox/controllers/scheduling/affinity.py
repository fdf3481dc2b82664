"""Pods that want others near them or far away, and pods that want to be spread."""

from collections.abc import Iterable, Iterator
from typing import Any

from toban_sandbox.controllers.scheduling import nodes
from toban_sandbox.controllers.scheduling.room import Placed, Room, Rooms
from toban_sandbox.kube import objects, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]


class Neighbours:
    """What the pods that are placed already mean for one that is to be."""

    def __init__(self, store: stores.ObjectStore, rooms: Rooms, pod: Json) -> None:
        self._store = store
        self._rooms = rooms
        self._pod = pod
        affinity = pod["spec"].get("affinity") or {}
        self._near: list[Json] = (affinity.get("podAffinity") or {}).get(nodes.REQUIRED) or []
        self._far: list[Json] = (affinity.get("podAntiAffinity") or {}).get(nodes.REQUIRED) or []
        self._spread = [
            one
            for one in pod["spec"].get("topologySpreadConstraints") or ()
            if one.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
        ]
        self._near_domains = [self._domains(pod, term) for term in self._near]
        self._far_domains = [self._domains(pod, term) for term in self._far]
        self._repelled = list(self._repelling_domains())
        self._counts = [self._domain_counts(one) for one in self._spread]

    def spread_fault(self, room: Room) -> tuple[str, bool] | None:
        """Why a node breaks the pod's spread, and whether making room there could help."""
        for constraint, counts in zip(self._spread, self._counts, strict=True):
            domain = room.topology(constraint["topologyKey"])
            if domain is None:
                return "node(s) didn't match pod topology spread constraints (missing required label)", False
            own = int(selectors.matches_labels(self._selector(constraint), objects.labels(self._pod)))
            skew = counts.get(domain, 0) + own - min(counts.values(), default=0)
            if skew > int(constraint.get("maxSkew", 1)):
                return "node(s) didn't match pod topology spread constraints", True
        return None

    def affinity_fault(self, room: Room) -> tuple[str, bool] | None:
        """Why the pods near a node speak against it, and whether making room there could help."""
        for term, domains in zip(self._near, self._near_domains, strict=True):
            domain = room.topology(term["topologyKey"])
            alone = not domains and self._is_meant(self._pod, term, self._pod)
            if domain is None or (domain not in domains and not alone):
                return "node(s) didn't match pod affinity rules", False
        for term, domains in zip(self._far, self._far_domains, strict=True):
            if room.topology(term["topologyKey"]) in domains:
                return "node(s) didn't match pod anti-affinity rules", True
        for key, domain in self._repelled:
            if room.topology(key) == domain:
                return "node(s) didn't satisfy existing pods anti-affinity rules", True
        return None

    def preference(self, room: Room) -> float:
        """How much the pod's soft wishes about its neighbours speak for a node."""
        affinity = self._pod["spec"].get("affinity") or {}
        total = 0.0
        for name, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
            for one in (affinity.get(name) or {}).get(nodes.PREFERRED) or ():
                term = one.get("podAffinityTerm") or {}
                if room.topology(term.get("topologyKey", "")) in self._domains(self._pod, term):
                    total += sign * int(one.get("weight", 1))
        return total

    def _domains(self, pod: Json, term: Json) -> set[str]:
        """The parts of the topology where some pod is that a term means."""
        found = set()
        for one in self._rooms.placed():
            if self._is_meant(pod, term, one.pod):
                domain = self._domain_of(one, term["topologyKey"])
                if domain is not None:
                    found.add(domain)
        return found

    def _repelling_domains(self) -> Iterator[tuple[str, str]]:
        for one in self._rooms.repelling():
            terms: Iterable[Json] = one.pod["spec"]["affinity"]["podAntiAffinity"][nodes.REQUIRED]
            for term in terms:
                domain = self._domain_of(one, term["topologyKey"])
                if domain is not None and self._is_meant(one.pod, term, self._pod):
                    yield term["topologyKey"], domain

    def _domain_of(self, one: Placed, key: str) -> str | None:
        room = self._rooms.of(one.node)
        return None if room is None else room.topology(key)

    def _is_meant(self, pod: Json, term: Json, other: Json) -> bool:
        """Whether the term of `pod` means another pod."""
        wanted = selectors.of_object(term.get("labelSelector"))
        if not selectors.matches_labels(wanted, objects.labels(other)):
            return False
        namespace = other["metadata"].get("namespace")
        names = term.get("namespaces") or []
        if term.get("namespaceSelector") is not None:
            found = self._store.get("namespaces", None, namespace or "")
            inside = selectors.of_object(term["namespaceSelector"])
            if found is not None and selectors.matches_labels(inside, objects.labels(found)):
                return True
            return namespace in names
        return namespace in names if names else namespace == pod["metadata"].get("namespace")

    def _selector(self, constraint: Json) -> list[selectors.Requirement] | None:
        found = selectors.of_object(constraint.get("labelSelector"))
        for key in constraint.get("matchLabelKeys") or ():
            value = objects.labels(self._pod).get(key)
            if found is not None and value is not None:
                found.append(selectors.Requirement(key, "in", frozenset({value})))
        return found

    def _domain_counts(self, constraint: Json) -> dict[str, int]:
        """How many of the meant pods each part of the topology has; only nodes that the pod may use count."""
        wanted = self._selector(constraint)
        counts: dict[str, int] = {}
        for room in self._rooms:
            domain = room.topology(constraint["topologyKey"])
            if domain is None or not nodes.selects(self._pod, room.node):
                continue
            counts.setdefault(domain, 0)
            for one in room.pods.values():
                same = one.pod["metadata"].get("namespace") == self._pod["metadata"].get("namespace")
                staying = not objects.is_terminating(one.pod)
                if same and staying and selectors.matches_labels(wanted, objects.labels(one.pod)):
                    counts[domain] += 1
        return counts
