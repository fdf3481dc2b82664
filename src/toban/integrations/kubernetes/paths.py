"""Paths of the Kubernetes API, and the forms that names in them may take. Used by the actions."""

from typing import Annotated

from pydantic import Field

from toban.plugins.action import Parameters

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"

NamespaceName = Annotated[str, Field(max_length=63, pattern=rf"^{_LABEL}$")]
ContainerName = Annotated[str, Field(max_length=63, pattern=rf"^{_LABEL}$")]
ObjectName = Annotated[str, Field(max_length=253, pattern=rf"^{_LABEL}(\.{_LABEL})*$")]
"""Names as Kubernetes takes them; nothing else ever becomes a part of a path."""

NAMESPACES = "api/v1/namespaces"
NODES = "api/v1/nodes"
ACCESS_REVIEWS = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class ObjectParameters(Parameters):
    """One object by namespace and name."""

    namespace: NamespaceName
    name: ObjectName


def core(namespace: str, resource: str, name: str = "") -> str:
    """A collection of the core group in a namespace, or one object of it."""
    return f"{NAMESPACES}/{namespace}/{resource}" + (f"/{name}" if name else "")


def apps(namespace: str, resource: str, name: str = "") -> str:
    """The same for the group apps."""
    return f"apis/apps/v1/namespaces/{namespace}/{resource}" + (f"/{name}" if name else "")


def pod_log(namespace: str, name: str) -> str:
    return f"{core(namespace, 'pods', name)}/log"
