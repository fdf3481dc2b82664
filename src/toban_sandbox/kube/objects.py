"""Small questions that everybody asks of a JSON object: copies, owners, conditions, timestamps.

Used by the store, the controllers and the kubelet. It knows no resource kind.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


def copy(value: Any) -> Any:
    """A deep copy of plain JSON; several times as fast as `copy.deepcopy`."""
    if isinstance(value, dict):
        return {key: copy(one) for key, one in value.items()}
    if isinstance(value, list):
        return [copy(one) for one in value]
    return value


def timestamp(moment: datetime) -> str:
    """A moment in the API's form, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime) -> str:
    """A moment in the API's form with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """A moment out of the API's form; ValueError when it is none."""
    return datetime.fromisoformat(text)


def name_of(obj: Json) -> str:
    return str(obj["metadata"]["name"])


def namespace_of(obj: Json) -> str | None:
    namespace = obj["metadata"].get("namespace")
    return None if namespace is None else str(namespace)


def controller_of(obj: Json) -> Json | None:
    """The owner reference that says it controls the object, or None; not to be written to."""
    found: Json
    for found in obj["metadata"].get("ownerReferences") or ():
        if found.get("controller"):
            return found
    return None


def owner_reference(owner: Json, *, controller: bool = True) -> Json:
    """A reference by which a new object names its owner."""
    return {
        "apiVersion": owner["apiVersion"],
        "blockOwnerDeletion": True,
        "controller": controller,
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }


def object_reference(obj: Json, *, field_path: str = "") -> Json:
    """A reference to the object as events carry it."""
    meta = obj["metadata"]
    reference: Json = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": meta["name"]}
    if meta.get("namespace"):
        reference["namespace"] = meta["namespace"]
    reference["resourceVersion"] = meta.get("resourceVersion", "")
    reference["uid"] = meta.get("uid", "")
    if field_path:
        reference["fieldPath"] = field_path
    return reference


def condition(obj: Json, kind: str) -> Json | None:
    """The condition of this type in the object's status, or None."""
    for one in (obj.get("status") or {}).get("conditions") or ():
        if one.get("type") == kind:
            return dict(one)
    return None


def is_true(obj: Json, kind: str) -> bool:
    """Whether the condition of this type is there and True."""
    found = condition(obj, kind)
    return found is not None and found.get("status") == "True"


def is_terminating(obj: Json) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_finished(pod: Json) -> bool:
    """Whether a pod has ended for good, by success or failure."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def labels(obj: Json) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations(obj: Json) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def all_containers(spec: Json) -> Iterator[Json]:
    """A pod specification's initialising containers, then the others."""
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def by_name(items: Iterable[Json], name: str) -> Json | None:
    """The item with this name, or None."""
    return next((item for item in items if item.get("name") == name), None)
