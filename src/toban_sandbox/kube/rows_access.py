"""Table rows of roles, bindings and signing requests, as `kubectl get` prints them."""

from datetime import datetime
from typing import Any

from toban_sandbox.kube import rows

Json = dict[str, Any]


def role(obj: Json, _now: datetime) -> list[Any]:
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp", "")]


def binding(obj: Json, now: datetime) -> list[Any]:
    reference = obj.get("roleRef") or {}
    named = f"{reference.get('kind', '')}/{reference.get('name', '')}"
    by_kind: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        name = str(subject.get("name", ""))
        if subject.get("kind") == "ServiceAccount":
            name = f"{subject.get('namespace', '')}/{name}"
        by_kind.setdefault(str(subject.get("kind")), []).append(name)
    listed = [", ".join(by_kind[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [obj["metadata"]["name"], named, rows.born(obj, now), *listed]


def signing_request(obj: Json, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    found = [str(one.get("type")) for one in status.get("conditions") or ()]
    words = ",".join(found) or "Pending"
    if status.get("certificate"):
        words += ",Issued"
    seconds = spec.get("expirationSeconds")
    lasting = "<none>" if seconds is None else rows.duration(int(seconds))
    name, signer = obj["metadata"]["name"], spec.get("signerName", "")
    return [name, rows.born(obj, now), signer, spec.get("username", ""), lasting, words]
