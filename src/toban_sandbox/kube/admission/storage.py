"""Claims: the default storage class of new ones, and which may grow."""

from typing import Any

from toban_sandbox.kube import errors, kinds, objects, quantity
from toban_sandbox.kube.admission.objects import Objects

Json = dict[str, Any]

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_CANNOT_GROW = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


def default_class(store: Objects) -> str | None:
    """The name of the newest default storage class, or None."""
    found = [one for one in store.each("storageclasses") if objects.annotations(one).get(DEFAULT_CLASS) == "true"]
    found.sort(key=lambda one: (one["metadata"]["creationTimestamp"], objects.name_of(one)))
    return objects.name_of(found[-1]) if found else None


def complete(store: Objects, claim: Json) -> None:
    """Name the default class where a claim names none, in place."""
    spec = claim["spec"]
    if spec.get("storageClassName") is None:
        name = default_class(store)
        if name is not None:
            spec["storageClassName"] = name


def check_resize(store: Objects, kind: kinds.Kind, new: Json, old: Json) -> None:
    """ApiError 403 when a claim is to grow and its class does not allow it."""
    before, after = requested(old), requested(new)
    if after <= before:
        return
    name = objects.name_of(new)
    if (old.get("status") or {}).get("phase") != "Bound":
        raise errors.forbidden(kind.about, name, "Only bound persistent volume claims can be expanded")
    found = store.get("storageclasses", None, old["spec"].get("storageClassName") or "")
    if found is None or not found.get("allowVolumeExpansion"):
        raise errors.forbidden(kind.about, name, _CANNOT_GROW)


def requested(claim: Json) -> float:
    """Bytes that a claim asks for."""
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return quantity.parse(requests.get("storage", "0"))
