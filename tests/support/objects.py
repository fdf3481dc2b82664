"""Small builders of Kubernetes objects, alerts and incidents for tests of analysis, investigation and diagnosis."""

from datetime import UTC, datetime, timedelta

from toban.analysis import codes, kubernetes
from toban.model import finding
from toban.model.alert import Alert, AlertState, Severity
from toban.model.environment import Environment
from toban.model.finding import FindingKind
from toban.model.incident import Incident, IncidentState
from toban.model.service import ObjectRef, Service

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
NOW = START + timedelta(minutes=1)


def ago(minutes=0.0, seconds=0.0, since=START):
    return (since - timedelta(minutes=minutes, seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def template(name="cart", image="shop/cart:1.0", *, limit="", references=(), env=None, **more):
    container = {"name": name, "image": image}
    if limit:
        container["resources"] = {"limits": {"memory": limit}}
    if references:
        container["envFrom"] = [{"configMapRef": {"name": one}} for one in references]
    if env:
        container["env"] = [{"name": key, "value": value} for key, value in env.items()]
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container | more]}}


def replicaset(owner, revision, form, *, created=None, replicas=0, ready=0, cause=""):
    name = f"{owner}-{'bcdfghjk'[revision] * 9}"
    notes = {"deployment.kubernetes.io/revision": str(revision)}
    if cause:
        notes["kubernetes.io/change-cause"] = cause
    labels = {**form["metadata"]["labels"], "pod-template-hash": name[-9:]}
    form = {**form, "metadata": {**form["metadata"], "labels": labels}}
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"rs-{name}",
            "annotations": notes,
            "creationTimestamp": created or ago(minutes=60 * 24 * (9 - revision)),
            "ownerReferences": [{"kind": "Deployment", "name": owner, "uid": f"d-{owner}", "controller": True}],
        },
        "spec": {"replicas": replicas, "template": form},
        "status": {"replicas": replicas, "readyReplicas": ready},
    }


def deployment(name="cart", form=None, *, revision=1, replicas=2, available=None, updated=None, **status):
    available = replicas if available is None else available
    up = available > 0
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"d-{name}",
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        },
        "spec": {"replicas": replicas, "template": form or template(name, f"shop/{name}:1.0")},
        "status": {
            "replicas": replicas,
            "updatedReplicas": replicas if updated is None else updated,
            "availableReplicas": available,
            "conditions": [
                {"type": "Available", "status": "True" if up else "False", "lastTransitionTime": ago()},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            ],
            **status,
        },
    }


def pod(owner, number=1, *, state=None, last=None, ready=None, restarts=0, form=None, created=None, **status):
    """A pod of a ReplicaSet; `state` and `last` as the API writes them, running when left out."""
    state = state or {"running": {"startedAt": ago(minutes=60)}}
    ready = "running" in state if ready is None else ready
    form = form or owner["spec"]["template"]
    spec = form["spec"]
    return {
        "metadata": {
            "name": f"{owner['metadata']['name']}-{'bcdfg'[number] * 5}",
            "namespace": "shop",
            "labels": form["metadata"]["labels"],
            "creationTimestamp": created or ago(minutes=1),
            "ownerReferences": [
                {
                    "kind": "ReplicaSet",
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": spec,
        "status": {
            "phase": "Running" if "running" in state else "Pending",
            "conditions": [
                {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": ago()},
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "ready": ready,
                    "restartCount": restarts,
                    "state": state,
                    "lastState": last or {},
                }
                for container in spec["containers"]
            ],
            **status,
        },
    }


def terminated(reason="Error", code=1, finished=None, **more):
    ended = {"reason": reason, "exitCode": code, "finishedAt": finished or ago(seconds=10)}
    return {"terminated": {**ended, **more}}


def waiting(reason, message=""):
    return {"waiting": {"reason": reason, "message": message}}


def service(name="cart", **selector):
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": selector or {"app": name}, "clusterIP": f"10.0.0.{len(name)}"},
    }


def event(kind, name, reason, message="", *, first=None, last=None):
    return {
        "involvedObject": {"kind": kind, "name": name, "namespace": "shop"},
        "reason": reason,
        "message": message,
        "firstTimestamp": first or ago(seconds=20),
        "lastTimestamp": last or ago(seconds=5),
    }


def node(name="node-1", **conditions):
    kinds = {"Ready": "True", "MemoryPressure": "False", **conditions}
    return {
        "metadata": {"name": name},
        "status": {
            "conditions": [
                {"type": kind, "status": status, "reason": f"Kubelet{kind}", "lastTransitionTime": ago()}
                for kind, status in kinds.items()
            ]
        },
    }


def inventory(**objects):
    namespace = {"metadata": {"name": "shop", "creationTimestamp": ago(minutes=60 * 24 * 30)}}
    kinds = ("pods", "deployments", "replicasets", "services", "configmaps", "events", "nodes")
    return {"namespace": namespace, **{kind: objects.get(kind, []) for kind in kinds}, "read_at": NOW.isoformat()}


def healthy(name="cart", **form):
    """A healthy deployment of two pods with its service, as an inventory."""
    pattern = template(name, **{"image": f"shop/{name}:1.0", **form})
    owner = replicaset(name, 1, pattern, replicas=2, ready=2)
    return inventory(
        deployments=[deployment(name, pattern)],
        replicasets=[owner],
        pods=[pod(owner, 1), pod(owner, 2)],
        services=[service(name)],
        nodes=[node()],
    )


def analyze(*parts, services=(), started_at=START, since_minutes=30):
    """Findings of one or more inventories taken as one."""
    whole = inventory()
    for part in parts:
        whole["namespace"] = part["namespace"]
        for kind, found in part.items():
            if isinstance(found, list):
                whole[kind] = [*whole[kind], *found]
    found = kubernetes.analyze(
        whole,
        observed_at=NOW,
        since=START - timedelta(minutes=since_minutes),
        changes_since=START - timedelta(hours=2),
        started_at=started_at,
        services=services,
    )
    for one in found:  # whatever a test is about, pages can translate what comes out
        assert set(one.facts) == set(codes.FINDINGS[one.code]), one.code
    return found


def known(name, *calls, namespace="shop"):
    """A service as learnt, run by a deployment of its name."""
    return Service(
        workspace="default",
        name=name,
        namespace=namespace,
        environment=Environment.STAGING,
        workload=ObjectRef(kind="Deployment", namespace=namespace, name=name),
        calls=calls,
        seen_at=START,
    )


SHOP = (
    known("frontend", "cart", "catalog", "checkout"),
    known("checkout", "cart", "payment"),
    known("payment"),
    known("cart", "cart-db"),
    known("cart-db"),
    known("catalog"),
)


def alert(name="ServiceHighErrorRate", service_name="cart", *, number=1, at=START, ended=None, **labels):
    return Alert(
        id=f"ALR-{number:04d}",
        workspace="default",
        source="alertmanager",
        fingerprint=f"{number:016x}",
        name=name,
        state=AlertState.RESOLVED if ended else AlertState.FIRING,
        severity=Severity.CRITICAL,
        service=service_name,
        started_at=at,
        ended_at=ended,
        received_at=at,
        labels={"alertname": name, "namespace": "shop", **labels},
    )


def incident(service_name="cart", *, number=1, at=START, last=None, services=(), **more):
    return Incident(
        id=f"INC-{number:04d}",
        workspace="default",
        title="Something is wrong",
        severity=Severity.CRITICAL,
        environment=Environment.STAGING,
        service=service_name,
        services=services or ((service_name,) if service_name else ()),
        started_at=at,
        opened_at=at,
        last_alert_at=last or at,
        **{"state": IncidentState.INVESTIGATING, **more},
    )


def metric(name, service_name, *, onset=START, direction="up", score=12.0, **facts):
    """A metric finding as the investigation makes it."""
    return finding.make(
        kind=FindingKind.METRIC,
        code=f"metric.{name}",
        subject=ObjectRef(kind="Deployment", namespace="shop", name=service_name),
        service=service_name,
        statement=f"{name} of {service_name} moved.",
        facts={"service": service_name, "direction": direction, "score": score, "now": 0.3, "unit": "share", **facts},
        source="prometheus",
        query=f"{name}({service_name})",
        happened_at=onset,
        observed_at=NOW,
    )
