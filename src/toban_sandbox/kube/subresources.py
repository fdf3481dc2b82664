"""Subresources with answers of their own: scale, eviction, binding and a namespace's finalizers."""

from typing import Any

from toban_sandbox.kube import deletion, errors, objects, patch, reading, selectors, shapes, writing
from toban_sandbox.kube import store as stores
from toban_sandbox.kube.admission import budgets

Json = dict[str, Any]

SUCCESS: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def scale_of(obj: Json) -> Json:
    """A workload's size as a `Scale` object."""
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    kept = {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": {"replicas": status.get("replicas", 0), "selector": selectors.text_of(spec.get("selector"))},
    }


def write_scale(write: writing.Write) -> tuple[int, Json]:
    """Set a workload's size by a whole `Scale` or a patch of it; ApiError 404, 409, 422."""
    live = reading.found(write.store, write.request)
    shown = scale_of(live)
    body = write.body
    if write.request.verb == "patch":
        if write.content_type == patch.APPLY_PATCH:
            body = patch.apply_patch(patch.MERGE_PATCH, shown, write.body, kind="Scale")
        elif write.content_type in patch.CONTENT_TYPES:
            body = patch.apply_patch(write.content_type, shown, write.body, kind="Scale")
        else:
            raise errors.unsupported_media_type(write.content_type, patch.CONTENT_TYPES)
    body = shapes.check_options(body, "autoscaling_v1", "Scale")
    replicas = (body.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        about = errors.About("scales", "autoscaling", "Scale")
        raise errors.invalid(about, write.request.name, [errors.Cause("spec.replicas", why)])
    meta = dict(live["metadata"])
    for field in ("resourceVersion", "uid"):
        meta[field] = (body.get("metadata") or {}).get(field) or ""
    wanted = live | {"metadata": meta, "spec": live["spec"] | {"replicas": replicas}}
    return writing.OK, scale_of(writing.replace_with(write, live, wanted))


def evict(write: writing.Write) -> tuple[int, Json]:
    """Ask a pod to go."""
    pod = reading.found(write.store, write.request)
    given = shapes.check_options(write.body, "policy_v1", "Eviction")
    options = deletion.read_options(
        given.get("deleteOptions"), dict(write.request.query), dry_run=write.request.dry_run
    )
    budgets.check_eviction(write.store, pod, now=write.now)
    deletion.delete(write.store, write.kind, pod, options)
    return writing.CREATED, SUCCESS


def bind(write: writing.Write) -> tuple[int, Json]:
    """Put a pod on a node."""
    pod = reading.found(write.store, write.request)
    target = shapes.check_options(write.body, "core_v1", "Binding").get("target") or {}
    if not target.get("name"):
        why = [errors.Cause("target.name", "Required value", "FieldValueRequired")]
        raise errors.invalid(errors.About("bindings", "", "Binding"), write.request.name, why)
    if not write.request.dry_run:
        assign(write.store, pod, str(target["name"]))
    return writing.CREATED, SUCCESS


def assign(store: stores.ObjectStore, pod: Json, node: str) -> Json:
    """Store that a pod runs on a node; ApiError 409 when it is on one already."""
    name = objects.name_of(pod)
    about = errors.About("pods/binding")
    if pod["spec"].get("nodeName"):
        raise errors.conflict(about, name, f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"')
    return store.update("pods", pod | {"spec": pod["spec"] | {"nodeName": node}}, subresource="binding")


def finalize(write: writing.Write) -> tuple[int, Json]:
    """Set the finalizers of a namespace's specification."""
    live = reading.found(write.store, write.request)
    given = shapes.check_options(write.body, "core_v1", "Namespace")
    wanted = live | {"spec": {"finalizers": (given.get("spec") or {}).get("finalizers") or []}}
    if write.request.dry_run:
        return writing.OK, wanted
    return writing.OK, write.store.update("namespaces", wanted)
