"""An inventory made easy to ask: who owns a pod, which service it serves, what its containers and events say.

Every Kubernetes analyzer gets one. It judges nothing. Missing fields read as empty, as the API leaves them out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from toban.model import finding
from toban.model.finding import Finding, FindingKind
from toban.model.service import ObjectRef, Service

Object = Mapping[str, Any]

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"


@dataclass(frozen=True)
class Scope:
    """The times that matter: when it was read, since when trouble and since when changes count, when it started."""

    observed_at: datetime
    since: datetime
    changes_since: datetime
    started_at: datetime | None = None


@dataclass(frozen=True)
class Container:
    """One container of a pod: its spec, its status (empty before the kubelet reports) and its path in the status."""

    name: str
    spec: Object
    status: Object
    path: str

    @property
    def waiting(self) -> Object:
        return at(self.status, "state", "waiting")

    @property
    def memory_limit(self) -> str:
        """As written; empty without one."""
        return str(at(self.spec, "resources", "limits").get("memory", ""))

    @property
    def restarts(self) -> int:
        return int(self.status.get("restartCount") or 0)

    def endings(self) -> Iterator[tuple[str, Object]]:
        """Terminated states with their field path: the present one first, then the last one."""
        for key in ("state", "lastState"):
            ended = at(self.status, key, "terminated")
            if ended:
                yield f"{self.path}.{key}.terminated", ended

    def recent_ending(self, since: datetime) -> tuple[str, Object] | None:
        """The latest end, if it is news: the container is not ready now, or it ended at or after `since`."""
        for path, ended in self.endings():
            ended_at = instant(ended.get("finishedAt"))
            if not self.status.get("ready") or (ended_at and ended_at >= since):
                return path, ended
        return None


class Cluster:
    """One namespace as `kubernetes.inventory` returned it, with the nodes."""

    def __init__(self, inventory: Mapping[str, Any], services: Iterable[Service] = ()) -> None:
        self.created_at = instant(at(inventory, "namespace", "metadata").get("creationTimestamp"))
        self.deployments = _objects(inventory, "deployments")
        self.replicasets = _objects(inventory, "replicasets")
        self.services = _objects(inventory, "services")
        self.configmaps = _objects(inventory, "configmaps")
        self.events = _objects(inventory, "events")
        self.nodes = _objects(inventory, "nodes")
        pods = _objects(inventory, "pods")
        self.pods = [pod for pod in pods if not at(pod, "metadata").get("deletionTimestamp")]
        self.namespace = name_of(inventory.get("namespace") or {}) or _namespace_in([*self.deployments, *pods])
        self._events: dict[tuple[str, str], list[Object]] = {}
        for event in sorted(self.events, key=_event_order):
            about = at(event, "involvedObject")
            self._events.setdefault((str(about.get("kind")), str(about.get("name"))), []).append(event)
        self._sets = {name_of(replicaset): replicaset for replicaset in self.replicasets}
        self._owned: dict[str, list[Object]] = {}
        for replicaset in self.replicasets:
            self._owned.setdefault(str(_controller(replicaset).get("name", "")), []).append(replicaset)
        self._named: dict[str, str | None] = {}
        self._known = {
            (service.workload.kind, service.workload.namespace, service.workload.name): service.name
            for service in services
            if service.workload
        }

    @property
    def query(self) -> str:
        """The read that can be made again by hand."""
        return f"kubernetes.inventory {json.dumps({'namespace': self.namespace})}"

    def workload_of(self, pod: Object) -> ObjectRef:
        """What runs the pod: Deployment, StatefulSet, DaemonSet, Job …; the pod itself when nobody does."""
        owner = _controller(pod)
        if not owner:
            return self.ref("Pod", name_of(pod))
        if owner["kind"] == "ReplicaSet":
            above = _controller(self._sets.get(owner["name"], {}))
            if above:
                return self.ref(above["kind"], above["name"])
        return self.ref(owner["kind"], owner["name"])

    def service_of(self, workload: ObjectRef) -> str | None:
        """The service that the workload runs: as known, else by the Services' selectors, else the workload's name."""
        if str(workload) not in self._named:
            self._named[str(workload)] = self._service_of(workload)
        return self._named[str(workload)]

    def _service_of(self, workload: ObjectRef) -> str | None:
        known = self._known.get((workload.kind, workload.namespace, workload.name))
        if known or workload.kind not in {"Deployment", "StatefulSet", "DaemonSet"}:
            return known
        labels = self._template_labels(workload)
        names = sorted(name_of(service) for service in self.services if selects(service, labels))
        return workload.name if not names or workload.name in names else names[0]

    def ref(self, kind: str, name: str, container: str = "") -> ObjectRef:
        return ObjectRef(kind=kind, namespace=self.namespace, name=name, container=container)

    def sets_of(self, deployment: Object) -> list[Object]:
        """The Deployment's ReplicaSets, oldest revision first."""
        uid = at(deployment, "metadata").get("uid")
        own = [one for one in self._owned.get(name_of(deployment), ()) if _controller(one).get("uid", uid) == uid]
        return sorted(own, key=lambda replicaset: (revision_of(replicaset), name_of(replicaset)))

    def pods_of(self, workload: ObjectRef) -> list[Object]:
        return [pod for pod in self.pods if self.workload_of(pod) == workload]

    def events_of(self, kind: str, name: str, *reasons: str) -> list[Object]:
        """Events about one object, oldest first; of the given reasons only, if any are given."""
        own = self._events.get((kind, name), [])
        return [event for event in own if not reasons or event.get("reason") in reasons]

    def _template_labels(self, workload: ObjectRef) -> Object:
        for deployment in self.deployments:
            if workload.kind == "Deployment" and name_of(deployment) == workload.name:
                return at(deployment, "spec", "template", "metadata", "labels")
        pods = self.pods_of(workload)
        return at(pods[0], "metadata", "labels") if pods else {}


def make(cluster: Cluster, scope: Scope, *, subject: ObjectRef, code: str, statement: str, **said: Any) -> Finding:
    """A finding of the Kubernetes source; `said` are the other fields of Finding."""
    said.setdefault("kind", FindingKind.KUBERNETES)
    workload = ObjectRef(kind=subject.kind, namespace=subject.namespace, name=subject.name)
    said.setdefault("service", cluster.service_of(workload))
    return finding.make(
        code=code,
        subject=subject,
        statement=statement,
        source="kubernetes",
        query=cluster.query,
        observed_at=scope.observed_at,
        **said,
    )


def containers_of(pod: Object) -> Iterator[Container]:
    """Init containers first, as they run."""
    for specs, statuses in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        known = {status.get("name"): status for status in at(pod, "status").get(statuses) or []}
        for spec in at(pod, "spec").get(specs) or []:
            name = str(spec.get("name", ""))
            yield Container(name, spec, known.get(name, {}), f"status.{statuses}[name={name}]")


def at(value: Any, *keys: str) -> Object:
    """The object at a path of keys; an empty one where the path ends early."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def name_of(value: Object) -> str:
    return str(at(value, "metadata").get("name", ""))


def revision_of(value: Object) -> int:
    """The revision number of a Deployment or ReplicaSet; 0 where none is written."""
    text = str(at(value, "metadata", "annotations").get(REVISION, ""))
    return int(text) if text.isdigit() else 0


def condition(value: Object, kind: str) -> Object:
    """The status condition of a type; empty when there is none."""
    for entry in at(value, "status").get("conditions") or []:
        if entry.get("type") == kind:
            return entry if isinstance(entry, Mapping) else {}
    return {}


def selects(service: Object, labels: Object) -> bool:
    """Whether a Service's selector matches; a Service without a selector matches nothing."""
    selector = at(service, "spec", "selector")
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def instant(text: Any) -> datetime | None:
    """An API time as an aware time in UTC; None for what is not one."""
    if not isinstance(text, str) or not text:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)


def first_seen(event: Object) -> datetime | None:
    return (
        instant(event.get("firstTimestamp"))
        or instant(event.get("eventTime"))
        or instant(at(event, "metadata").get("creationTimestamp"))
    )


def last_seen(event: Object) -> datetime | None:
    return (
        instant(event.get("lastTimestamp")) or instant(at(event, "series").get("lastObservedTime")) or first_seen(event)
    )


def earliest(times: Iterable[datetime | None]) -> datetime | None:
    return min((time for time in times if time), default=None)


def counted(number: int, noun: str) -> str:
    """`counted(2, "pod")` is `2 pods`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _objects(inventory: Mapping[str, Any], key: str) -> list[Object]:
    found: Sequence[Any] = inventory.get(key) or []
    return sorted((entry for entry in found if isinstance(entry, Mapping)), key=name_of)


def _namespace_in(objects: Iterable[Object]) -> str:
    """For accounts that may not read the namespace itself."""
    return next((str(name) for entry in objects if (name := at(entry, "metadata").get("namespace"))), "")


def _event_order(event: Object) -> tuple[str, str]:
    return str(first_seen(event) or ""), str(event.get("message"))


def _controller(value: Object) -> Object:
    owners: list[Object] = at(value, "metadata").get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), owners[0] if owners else {})
