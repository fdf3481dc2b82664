"""Which services there are, who calls whom, and which service a set of labels is about.

`services_from` is called by `knowledge.topology`, `service_of` wherever an alert comes in. Pure; it reads nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from toban.analysis.kubernetes.cluster import Cluster, at, name_of, selects
from toban.model.environment import Environment
from toban.model.service import ObjectRef, Service

_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"  # the letters that Kubernetes makes random names from
_POD_NAMES = (
    re.compile(rf"(?P<workload>.+)-{_SAFE}{{5,10}}-{_SAFE}{{5}}"),  # Deployment, by way of its ReplicaSet
    re.compile(r"(?P<workload>.+)-\d{1,5}"),  # StatefulSet
    re.compile(rf"(?P<workload>.+)-{_SAFE}{{5}}"),  # DaemonSet, Job, ReplicaSet
)
_SERVICE_LABELS = ("service", "service_name", "app_kubernetes_io_name", "app", "k8s_app")
_WORKLOAD_LABELS = ("deployment", "statefulset", "daemonset", "workload")
_LAST_LABELS = ("container", "job")


def services_from(
    inventory: Mapping[str, Any],
    client_series: Iterable[Mapping[str, str]],
    *,
    workspace: str,
    environment: Environment,
    seen_at: datetime,
) -> list[Service]:
    """Services of one namespace, sorted by name.

    Each Kubernetes Service that selects something is one, and so is each Deployment that no Service selects.
    `client_series` are label sets of `http_client_requests_total`: `service`, `peer` and, if known, `namespace`.
    """
    cluster = Cluster(inventory)
    calls = _calls(client_series, cluster.namespace)
    found: dict[str, Service] = {}
    for name, workload in (*_from_services(cluster), *_from_deployments(cluster)):
        if name not in found:
            found[name] = Service(
                workspace=workspace,
                name=name,
                namespace=cluster.namespace,
                environment=environment,
                workload=workload,
                calls=tuple(sorted(calls.get(name, set()) - {name})),
                source="kubernetes",
                seen_at=seen_at,
            )
    return [found[name] for name in sorted(found)]


def _from_services(cluster: Cluster) -> Iterator[tuple[str, ObjectRef | None]]:
    for service in cluster.services:
        name = name_of(service)
        chosen = [
            cluster.ref("Deployment", name_of(deployment))
            for deployment in cluster.deployments
            if selects(service, at(deployment, "spec", "template", "metadata", "labels"))
        ]
        pods = (pod for pod in cluster.pods if selects(service, at(pod, "metadata", "labels")))
        chosen = chosen or sorted({cluster.workload_of(pod) for pod in pods}, key=str)
        if chosen:
            yield name, next((workload for workload in chosen if workload.name == name), chosen[0])


def _from_deployments(cluster: Cluster) -> Iterator[tuple[str, ObjectRef]]:
    for deployment in cluster.deployments:
        labels = at(deployment, "spec", "template", "metadata", "labels")
        if not any(selects(service, labels) for service in cluster.services):
            yield name_of(deployment), cluster.ref("Deployment", name_of(deployment))


def _calls(series: Iterable[Mapping[str, str]], namespace: str) -> dict[str, set[str]]:
    calls: dict[str, set[str]] = {}
    for labels in series:
        caller, peer = labels.get("service", ""), _short(labels.get("peer", ""))
        if caller and peer and labels.get("namespace", namespace) == namespace:
            calls.setdefault(caller, set()).add(peer)
    return calls


def _short(peer: str) -> str:
    """A peer's service name: `cart.shop.svc.cluster.local:8080` is `cart`; an address stays whole."""
    host = peer.rpartition("//")[2].partition("/")[0].partition(":")[0]
    return host if host.replace(".", "").isdigit() else host.partition(".")[0]


def service_of(labels: Mapping[str, str], services: Sequence[Service]) -> str | None:
    """The known service that an alert's labels are about; None when none fits or several do.

    Labels that name a service come first, then those that name a workload, a pod, and last a container or a job. A
    `namespace` label, where there is one, has to be the service's.
    """
    namespace = labels.get("namespace") or labels.get("exported_namespace") or ""
    near = [service for service in services if not namespace or service.namespace in {"", namespace}]
    for candidates in (
        _named(labels, _SERVICE_LABELS),
        _named(labels, _WORKLOAD_LABELS),
        _workloads_of_pod(labels.get("pod", "")),
        _named(labels, _LAST_LABELS),
    ):
        for candidate in candidates:
            name = _one(candidate, near)
            if name:
                return name
    return None


def _named(labels: Mapping[str, str], keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        value = labels.get(key, "") or labels.get(f"exported_{key}", "")
        if value:
            yield value
            yield value.rpartition("/")[2]


def _workloads_of_pod(pod: str) -> Iterator[str]:
    for form in _POD_NAMES:
        found = form.fullmatch(pod)
        if found:
            yield found["workload"]
    if pod:
        yield pod


def _one(candidate: str, services: Sequence[Service]) -> str | None:
    exact = {service.name for service in services if service.name == candidate}
    running = {service.name for service in services if service.workload and service.workload.name == candidate}
    plain = {service.name for service in services if service.name == f"{candidate}.{service.namespace}"}
    for names in (exact, running, plain):
        if len(names) == 1:
            return names.pop()
    return None


def hosts(services: Iterable[Service], inventories: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Host names and cluster addresses by which a service is called, each with the service's name."""
    known = {(service.namespace, service.name): service.name for service in services}
    found: dict[str, str] = {}
    for (namespace, plain), name in known.items():
        for host in (plain, f"{plain}.{namespace}", f"{plain}.{namespace}.svc"):
            found[host] = name
        found[f"{plain}.{namespace}.svc.cluster.local"] = name
    for inventory in inventories:
        for entry in inventory.get("services") or []:
            address = str(at(entry, "spec").get("clusterIP") or "")
            name = known.get((str(at(entry, "metadata").get("namespace", "")), name_of(entry)), "")
            if name and address not in {"", "None"}:
                found[address] = name
    return found


def callees(services: Mapping[str, Service], name: str) -> list[str]:
    """All services that `name` calls, directly or not, nearest first; `name` itself is not among them."""
    return reach(name, {one.name: one.calls for one in services.values()})


def called_by(services: Mapping[str, Service]) -> dict[str, list[str]]:
    """Direct callers of each service, sorted."""
    found: dict[str, list[str]] = {}
    for caller in sorted(services.values(), key=lambda one: one.name):
        for callee in caller.calls:
            found.setdefault(callee, []).append(caller.name)
    return found


def reach(name: str, steps: Mapping[str, Sequence[str]]) -> list[str]:
    """What can be reached from `name` by `steps`, nearest first, without `name`."""
    seen, queue = {name}, [name]
    for current in queue:
        for other in steps.get(current, ()):
            if other not in seen:
                seen.add(other)
                queue.append(other)
    return queue[1:]
