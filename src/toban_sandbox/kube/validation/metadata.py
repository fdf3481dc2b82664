"""What holds for every object: name, labels, annotations, and fields that never change."""

from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import errors, kinds
from toban_sandbox.kube.validation import causes, names

Json = dict[str, Any]

ANNOTATIONS_LIMIT = 256 * 1024
_LABEL_NAMED = {"Namespace"}
_IMMUTABLE = ("uid", "creationTimestamp")


def check(kind: kinds.Kind, obj: Json) -> Iterator[errors.Cause]:
    """What is wrong with a new object's metadata."""
    meta = obj["metadata"]
    name = meta.get("name")
    if not name:
        yield causes.required("metadata.name", "name or generateName is required")
    else:
        fault = name_fault(kind, str(name))
        if fault:
            yield causes.invalid("metadata.name", name, fault)
    if kind.namespaced and not meta.get("namespace"):
        yield causes.required("metadata.namespace")
    yield from labels(meta.get("labels"), "metadata.labels")
    yield from annotations(meta.get("annotations"), "metadata.annotations")


def check_update(new: Json, old: Json) -> Iterator[errors.Cause]:
    """What is wrong with metadata that is to replace the stored one."""
    meta, before = new["metadata"], old["metadata"]
    for field in ("name", "namespace", *_IMMUTABLE):
        if meta.get(field) not in {None, before.get(field)}:
            yield causes.invalid(f"metadata.{field}", meta[field], "field is immutable")
    if meta.get("labels") != before.get("labels"):
        yield from labels(meta.get("labels"), "metadata.labels")
    if meta.get("annotations") != before.get("annotations"):
        yield from annotations(meta.get("annotations"), "metadata.annotations")
    if before.get("deletionTimestamp"):
        added = sorted(set(meta.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if added:
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {added}"
            yield causes.forbidden("metadata.finalizers", text)


def name_fault(kind: kinds.Kind, name: str) -> str | None:
    """Why an object of this kind may not be called that, or None."""
    if kind.kind in _LABEL_NAMED:
        return names.label_fault(name)
    if kind.kind == "Service":
        return names.label_1035_fault(name)
    return names.subdomain_fault(name)


def labels(found: Any, field: str) -> Iterator[errors.Cause]:
    """What is wrong with labels."""
    for key, value in (found or {}).items():
        if fault := names.key_fault(key):
            yield causes.invalid(field, key, fault)
        if fault := names.label_value_fault(str(value)):
            yield causes.invalid(field, value, fault)


def annotations(found: Any, field: str) -> Iterator[errors.Cause]:
    """What is wrong with annotations."""
    size = 0
    for key, value in (found or {}).items():
        size += len(key) + len(str(value))
        if fault := names.key_fault(key.lower()):
            yield causes.invalid(field, key, fault)
    if size > ANNOTATIONS_LIMIT:
        yield errors.Cause(field, f"Too long: may not be more than {ANNOTATIONS_LIMIT} bytes", "FieldValueTooLong")
