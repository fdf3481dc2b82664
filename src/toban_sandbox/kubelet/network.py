"""What a program reaches over the network: names looked up, services, policies, and who listens behind them.

Used for the needs of programs. The answers are those of the cluster as it is now; errors read as programs log them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from toban_sandbox.kube import objects, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]
Listens = Callable[[Json, int], bool]

DNS_ADDRESS = "10.96.0.10:53"
_SUFFIXES = (".svc.cluster.local", ".svc", ".cluster.local")
_IP = re.compile(r"\d+\.\d+\.\d+\.\d+\Z")


@dataclass(frozen=True)
class Reach:
    """Whether something answers: `error` says why not, `pod` is one that does, None for what lies outside."""

    error: str = ""
    pod: Json | None = None

    @property
    def ok(self) -> bool:
        return not self.error


@dataclass(frozen=True)
class Address:
    host: str
    port: int
    password: str = ""
    user: str = ""
    database: str = ""


def address_in(value: str, default_port: int) -> Address | None:
    """The address in a variable's value: a URL, `host:port`, or a host; None when there is none."""
    text = value.strip()
    if not text:
        return None
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    if port is None:
        port = {"http": 80, "https": 443}.get(parts.scheme, default_port)
    return Address(parts.hostname, port, parts.password or "", parts.username or "", parts.path.strip("/"))


class Network:
    """The cluster's network as one reads it out of its objects; `listens` asks a pod whether it serves a port."""

    def __init__(self, store: stores.ObjectStore, listens: Listens) -> None:
        self._store = store
        self._listens = listens

    def reach(self, source: Json, host: str, port: int) -> Reach:
        """Whether a pod gets an answer from an address."""
        service = self._service(source, host)
        if service is None:
            return self._outside(source, host, port)
        fault = self._dns_fault(source, host)
        if fault:
            return Reach(fault)
        if service["spec"].get("type") == "ExternalName":
            return Reach()
        return self._through(source, service, port)

    def _service(self, source: Json, host: str) -> Json | None:
        name = host
        for suffix in _SUFFIXES:
            name = name.removesuffix(suffix)
        parts = name.split(".")
        namespace = parts[1] if len(parts) > 1 else source["metadata"]["namespace"]
        if len(parts) > 2:  # noqa: PLR2004 -- a pod of a headless service comes before the service's name
            namespace, parts = parts[2], [parts[1]]
        if _IP.match(host):
            return next((one for one in self._store.each("services") if one["spec"].get("clusterIP") == host), None)
        return self._store.get("services", namespace, parts[0])

    def _outside(self, source: Json, host: str, port: int) -> Reach:
        inside = "." not in host or any(host.endswith(suffix) for suffix in _SUFFIXES)
        namespace = host.split(".")[1] if host.count(".") == 1 else ""
        if inside or self._store.get("namespaces", None, namespace) is not None:
            return Reach(self._dns_fault(source, host) or f"lookup {host} on {DNS_ADDRESS}: no such host")
        fault = "" if _IP.match(host) else self._dns_fault(source, host)
        if fault:
            return Reach(fault)
        if not self._may_leave(source, None, port):
            return Reach(f"dial tcp {host}:{port}: i/o timeout")
        return Reach()

    def _dns_fault(self, source: Json, host: str) -> str:
        """Why names cannot be looked up; a cluster without a DNS service of its own has one that never fails."""
        service = self._store.get("services", "kube-system", "kube-dns")
        text = f"lookup {host} on {DNS_ADDRESS}: read udp {source['status'].get('podIP', '')}:41234->{DNS_ADDRESS}"
        if service is not None and not any(self._ready_pods(service)):
            return f"{text}: read: connection refused"
        target = {"metadata": {"namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}}
        if not self._may_leave(source, target, 53):
            return f"{text}: i/o timeout"
        return ""

    def _through(self, source: Json, service: Json, port: int) -> Reach:
        address = service["spec"].get("clusterIP")
        headless = address == "None"
        found = next((one for one in service["spec"].get("ports") or () if one.get("port") == port), None)
        if found is None and not headless:
            return Reach(f"dial tcp {address}:{port}: i/o timeout")
        pods = list(self._ready_pods(service))
        if not pods:
            if headless:
                return Reach(f"lookup {objects.name_of(service)} on {DNS_ADDRESS}: no such host")
            return Reach(f"dial tcp {address}:{port}: connect: connection refused")
        errors = []
        for pod in pods:
            number = port if headless else _target_port(found or {}, pod)
            shown = pod["status"]["podIP"] if headless else address
            if not self._may_leave(source, pod, number or port) or not self._may_enter(source, pod, number or port):
                errors.append(f"dial tcp {shown}:{port}: i/o timeout")
            elif number is None or not self._listens(pod, number):
                errors.append(f"dial tcp {shown}:{port}: connect: connection refused")
            else:
                return Reach(pod=pod)
        return Reach(errors[0])

    def _ready_pods(self, service: Json) -> Iterator[Json]:
        selector = service["spec"].get("selector")
        if not selector:
            return
        wanted = selectors.of_object({"matchLabels": selector})
        unready_too = bool(service["spec"].get("publishNotReadyAddresses"))
        for pod in self._store.list("pods", service["metadata"]["namespace"]):
            if objects.is_terminating(pod) or not selectors.matches_labels(wanted, objects.labels(pod)):
                continue
            if (pod.get("status") or {}).get("podIP") and (unready_too or objects.is_true(pod, "Ready")):
                yield pod

    # -- policies -------------------------------------------------------------------------------------------------
    def _may_leave(self, source: Json, target: Json | None, port: int) -> bool:
        return self._allowed(source, target, port, way="Egress")

    def _may_enter(self, source: Json, target: Json, port: int) -> bool:
        return self._allowed(target, source, port, way="Ingress")

    def _allowed(self, pod: Json, other: Json | None, port: int, *, way: str) -> bool:
        if not self._store.count("networkpolicies"):
            return True
        policies = [
            one["spec"]
            for one in self._store.list("networkpolicies", pod["metadata"]["namespace"])
            if way in (one["spec"].get("policyTypes") or ())
            and selectors.matches_labels(selectors.of_object(one["spec"].get("podSelector") or {}), objects.labels(pod))
        ]
        if not policies:
            return True
        sides = ("from", "ingress") if way == "Ingress" else ("to", "egress")
        rules = [rule for spec in policies for rule in spec.get(sides[1]) or ()]
        return any(self._rule_allows(rule, sides[0], pod, other=other, port=port) for rule in rules)

    def _rule_allows(self, rule: Json, side: str, pod: Json, *, other: Json | None, port: int) -> bool:
        ports = rule.get("ports") or []
        if ports and not any(_covers(one, port, other or {}) for one in ports):
            return False
        peers = rule.get(side) or []
        return not peers or any(self._is_peer(peer, pod, other) for peer in peers)

    def _is_peer(self, peer: Json, pod: Json, other: Json | None) -> bool:
        if peer.get("ipBlock") is not None:
            return other is None or peer["ipBlock"].get("cidr") == "0.0.0.0/0"
        if other is None:
            return False
        if peer.get("namespaceSelector") is not None:
            namespace = self._store.get("namespaces", None, other["metadata"]["namespace"])
            wanted = selectors.of_object(peer["namespaceSelector"])
            if namespace is None or not selectors.matches_labels(wanted, objects.labels(namespace)):
                return False
        elif other["metadata"]["namespace"] != pod["metadata"]["namespace"]:
            return False
        return peer.get("podSelector") is None or selectors.matches_labels(
            selectors.of_object(peer["podSelector"]), objects.labels(other)
        )


def _covers(port: Json, number: int, pod: Json) -> bool:
    wanted = port.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str) and not wanted.isdigit():
        wanted = _named(wanted, pod) or -1
    return int(wanted) <= number <= int(port.get("endPort") or wanted)


def _target_port(port: Json, pod: Json) -> int | None:
    target = port.get("targetPort", port.get("port"))
    if isinstance(target, str) and not target.isdigit():
        return _named(target, pod)
    return None if target is None else int(target)


def _named(name: str, pod: Json) -> int | None:
    for container in (pod.get("spec") or {}).get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == name:
                return int(port["containerPort"])
    return None
