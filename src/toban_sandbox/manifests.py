"""Writes a world's Kubernetes objects: nodes, namespaces, and for each service its Deployment, Service and settings.

Called by `past` when a world begins. It returns plain manifests and applies nothing.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from toban_sandbox.kubelet import nodes
from toban_sandbox.world import Node, Revision, Service, World

Json = dict[str, Any]
CHANGE_CAUSE = "kubernetes.io/change-cause"
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_STUCK_AFTER_S = 30


def namespace(name: str, labels: dict[str, str] | None = None) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**(labels or {}), "kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def node(spec: Node, *, index: int, since: datetime) -> Json:
    """A node that is ready since a moment."""
    return nodes.node(spec.name, index, now=since, size=nodes.Size(cpu=spec.cpu, memory=spec.memory), zone=spec.zone)


def labels(world: World, service: Service) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": service.name,
        "app.kubernetes.io/component": service.component,
        "app.kubernetes.io/part-of": world.name,
    }


def settings(world: World, service: Service) -> list[Json]:
    """The ConfigMap and the Secret of a service, as far as it has them."""
    found: list[Json] = []
    meta = {"namespace": world.namespace, "labels": labels(world, service)}
    if service.config:
        metadata = {**meta, "name": service.config.name}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": service.config.data})
    if service.secret:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in service.secret.data.items()}
        metadata = {**meta, "name": service.secret.name}
        found.append({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": encoded})
    return found


def service(world: World, spec: Service) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": spec.name, "namespace": world.namespace, "labels": labels(world, spec)},
        "spec": {
            "selector": {"app.kubernetes.io/name": spec.name},
            "ports": [{"name": "main", "port": spec.port, "targetPort": "main", "protocol": "TCP"}],
        },
    }


def deployment(world: World, spec: Service, revision: Revision) -> Json:
    """The Deployment as it was released in a revision."""
    own = labels(world, spec)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": spec.name,
            "namespace": world.namespace,
            "labels": own,
            "annotations": {CHANGE_CAUSE: revision.cause} if revision.cause else {},
        },
        "spec": {
            "replicas": spec.replicas,
            "progressDeadlineSeconds": _STUCK_AFTER_S,
            "selector": {"matchLabels": {"app.kubernetes.io/name": spec.name}},
            "template": {"metadata": {"labels": own}, "spec": {"containers": [_container(spec, revision.image)]}},
        },
    }


def _container(spec: Service, image: str) -> Json:
    container: Json = {
        "name": spec.name,
        "image": image,
        "ports": [{"name": "main", "containerPort": spec.port}],
        "resources": {"requests": spec.requests, "limits": spec.limits},
    }
    if spec.env:
        container["env"] = [{"name": name, "value": value} for name, value in spec.env.items()]
    sources: list[Json] = []
    if spec.config:
        sources.append({"configMapRef": {"name": spec.config.name}})
    if spec.secret:
        sources.append({"secretRef": {"name": spec.secret.name}})
    if sources:
        container["envFrom"] = sources
    if spec.component == "database":
        container["readinessProbe"] = {"tcpSocket": {"port": "main"}, "periodSeconds": 1}
    else:
        container["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": "main"}, "periodSeconds": 1}
        container["livenessProbe"] = {"httpGet": {"path": "/livez", "port": "main"}, "periodSeconds": 10}
    return container
