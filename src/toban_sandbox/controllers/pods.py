"""Pods as their owners see them: made from a template, adopted, counted, deleted.

Used by the controllers of StatefulSets, DaemonSets, Jobs and ReplicaSets.
"""

from datetime import datetime
from typing import Any

from toban_sandbox.kube import deletion, kinds, objects, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]


def from_template(owner: Json, template: Json, *, name: str = "") -> Json:
    """A pod to be created out of an owner's template; without a name one is made from the owner's."""
    meta: Json = {
        "namespace": owner["metadata"]["namespace"],
        "labels": dict((template.get("metadata") or {}).get("labels") or {}),
        "ownerReferences": [objects.owner_reference(owner)],
    }
    annotations = (template.get("metadata") or {}).get("annotations")
    if annotations:
        meta["annotations"] = dict(annotations)
    finalizers = (template.get("metadata") or {}).get("finalizers")
    if finalizers:
        meta["finalizers"] = list(finalizers)
    if name:
        meta["name"] = name
    else:
        meta["generateName"] = f"{objects.name_of(owner)}-"
    return {"metadata": meta, "spec": objects.copy(template.get("spec") or {})}


def owned(store: stores.ObjectStore, owner: Json) -> list[Json]:
    """The pods that an object controls, ordered by name; orphans that its selector fits are taken in."""
    namespace, uid = owner["metadata"]["namespace"], owner["metadata"]["uid"]
    wanted = selectors.of_object(owner["spec"].get("selector"))
    found = []
    for pod in store.list("pods", namespace):
        above = objects.controller_of(pod)
        if above is not None:
            if above["uid"] == uid:
                found.append(pod)
        elif wanted and _may_adopt(owner, pod) and selectors.matches_labels(wanted, objects.labels(pod)):
            found.append(_adopt(store, owner, pod))
    return found


def _may_adopt(owner: Json, pod: Json) -> bool:
    return is_active(pod) and not objects.is_terminating(owner)


def _adopt(store: stores.ObjectStore, owner: Json, pod: Json) -> Json:
    references = [*(pod["metadata"].get("ownerReferences") or []), objects.owner_reference(owner)]
    return store.update("pods", pod | {"metadata": pod["metadata"] | {"ownerReferences": references}})


def delete(store: stores.ObjectStore, pod: Json) -> None:
    """Ask a pod to go, with the time it is given."""
    deletion.delete(store, kinds.stored("pods"), pod, deletion.Options())


def is_active(pod: Json) -> bool:
    """Whether a pod counts towards its owner's size."""
    return not objects.is_finished(pod) and not objects.is_terminating(pod)


def is_available(pod: Json, wait_s: float, now: datetime) -> bool:
    """Whether a pod has been ready for so many seconds."""
    ready = objects.condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return False
    if not wait_s:
        return True
    return (now - objects.parse_time(ready["lastTransitionTime"])).total_seconds() >= wait_s


def namespace_is_going(store: stores.ObjectStore, namespace: str) -> bool:
    found = store.get("namespaces", None, namespace)
    return found is not None and objects.is_terminating(found)


def owner_key(pod: Json, kind: str) -> tuple[str, str] | None:
    """Namespace and name of the owner of this kind that controls a pod, or None."""
    owner = objects.controller_of(pod)
    if owner is None or owner["kind"] != kind:
        return None
    return str(pod["metadata"]["namespace"]), str(owner["name"])
