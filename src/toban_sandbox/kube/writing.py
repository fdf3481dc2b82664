"""Create, update and patch: a client's body is read, completed, checked, marked with its owner, and stored.

Called by `kube.api`. The dry run of every write goes the same way and only leaves out the storing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from toban_sandbox.kube import (
    admission,
    errors,
    kinds,
    objects,
    patch,
    presentation,
    reading,
    requests,
    shapes,
    validation,
)
from toban_sandbox.kube import store as stores
from toban_sandbox.kube.patch import ownership, server_side

Json = dict[str, Any]

Check = Callable[[kinds.Kind, Json, Json | None], None]

OK, CREATED = 200, 201
LARGEST_STORED = 3 * 512 * 1024
# Which part of the stored object a subresource writes, where that is not its own name.
_AS_PART: dict[str, str | None] = {"scale": None, "approval": "status"}
STRICT, WARN = "Strict", "Warn"


def _anything(_kind: kinds.Kind, _new: Json, _old: Json | None) -> None:
    """No further check."""


@dataclass
class Write:
    """One write in hand: what was asked, by which client, and the warnings it has earned so far.

    `check` may refuse an object for reasons of the one who writes it (kind, new, old); `size` is the body's in bytes.
    """

    store: stores.ObjectStore
    request: requests.ResourceRequest
    content_type: str
    body: Any
    user_agent: str
    check: Check = _anything
    size: int = 0
    warnings: list[str] = field(default_factory=list)

    @property
    def kind(self) -> kinds.Kind:
        return self.request.kind

    @property
    def field_manager(self) -> str:
        """The manager the client names, or the first word of its user agent."""
        return self.request.query.get("fieldManager") or self.user_agent.partition("/")[0] or "unknown"

    def manager(self, operation: str) -> ownership.Manager:
        return ownership.Manager(self.field_manager, operation, self.kind.group_version, self.request.subresource)

    @property
    def now(self) -> str:
        return objects.timestamp(self.store.clock.now())


def create(write: Write) -> tuple[int, Json]:
    """Store a new object; ApiError 400, 403, 404, 409, 422."""
    wanted = _read_body(write, write.body)
    check_namespace(write.store, write.kind, write.request.namespace, str(wanted["metadata"].get("name", "")))
    return CREATED, _store_new(write, wanted, managed=None)


def update(write: Write) -> tuple[int, Json]:
    """Replace an object; ApiError 400, 404, 409, 422."""
    live = reading.found(write.store, write.request)
    wanted = _read_body(write, write.body)
    return OK, replace_with(write, live, wanted)


def apply_patch(write: Write) -> tuple[int, Json]:
    """Change an object by one of the four kinds of patch; server-side apply may also create it."""
    if write.content_type == patch.APPLY_PATCH:
        return _apply(write)
    if write.content_type not in patch.CONTENT_TYPES:
        raise errors.unsupported_media_type(write.content_type, patch.CONTENT_TYPES)
    live = reading.found(write.store, write.request)
    shown = presentation.external(write.kind, live)
    patched = patch.apply_patch(write.content_type, shown, write.body, kind=write.kind.kind)
    wanted = _read_body(write, patched)
    return OK, replace_with(write, live, wanted)


def replace_with(write: Write, live: Json, wanted: Json, *, managed: bool = False) -> Json:
    """Put `wanted` in the place of `live` (its status only for the status subresource) once it is found valid."""
    resource, subresource = write.kind.stored_as, write.request.subresource or None
    as_part = _AS_PART.get(subresource or "", subresource)
    old, new = write.store.merged(resource, wanted, subresource=as_part)
    if new is old:
        return old
    if as_part is None:
        validation.check_update(write.kind, new, old)
        write.check(write.kind, new, old)
        admission.check_update(write.store, write.kind, new, old)
    if not managed:
        new = server_side.record_update(live, new, write.manager(ownership.UPDATE), time=write.now)
    if write.size > LARGEST_STORED:
        raise errors.too_large_to_store()
    if write.request.dry_run:
        return new
    return write.store.update(resource, new, subresource=as_part)


def check_namespace(store: stores.ObjectStore, kind: kinds.Kind, namespace: str, name: str) -> None:
    """ApiError 404 when the namespace is not there, 403 when it is going."""
    if not kind.namespaced:
        return
    found = store.get("namespaces", None, namespace)
    if found is None:
        raise errors.not_found(kinds.stored("namespaces").about, namespace)
    if objects.is_terminating(found):
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        refused = errors.forbidden(kind.about, name, why)
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        refused.details = (refused.details or {}) | {"causes": [cause]}
        raise refused


def _store_new(write: Write, wanted: Json, *, managed: list[Json] | None) -> Json:
    resource = write.kind.stored_as
    prepared = write.store.prepare(resource, wanted)
    validation.check_create(write.kind, prepared)
    name = prepared["metadata"]["name"]
    if write.store.get(resource, prepared["metadata"].get("namespace"), name) is not None:
        raise errors.already_exists(write.kind.about, name)
    write.check(write.kind, prepared, None)
    admission.check_create(write.store, write.kind, prepared)
    if managed is None:
        # What the server has filled in belongs to the creator too, as the client let it be so.
        own = {key: value for key, value in prepared.items() if key != "status"}
        owned = server_side.record_update(None, own, write.manager(ownership.UPDATE), time=write.now)
        managed = owned["metadata"].get("managedFields") or []
    prepared["metadata"]["managedFields"] = managed
    if write.size > LARGEST_STORED:
        raise errors.too_large_to_store()
    if write.request.dry_run:
        return prepared
    return write.store.create(resource, prepared)


def _apply(write: Write) -> tuple[int, Json]:
    if not write.request.query.get("fieldManager"):
        cause = errors.Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
        raise errors.invalid(errors.About("patchoptions", "meta.k8s.io", "PatchOptions"), "", [cause])
    if not isinstance(write.body, dict) or not write.body.get("kind") or not write.body.get("apiVersion"):
        raise errors.bad_request("error decoding YAML: Object 'Kind' is missing in the body of an apply patch")
    wanted = _read_body(write, write.body)
    wanted["metadata"].setdefault("name", write.request.name)
    if wanted["metadata"].get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    if write.kind.subresource("status") and write.request.subresource != "status":
        wanted.pop("status", None)
    live = write.store.get(write.kind.stored_as, write.request.namespace or None, write.request.name)
    merged = server_side.apply(
        live, wanted, write.manager(ownership.APPLY), force=write.request.flag("force"), time=write.now
    )
    if live is not None:
        return OK, replace_with(write, live, merged, managed=True)
    check_namespace(write.store, write.kind, write.request.namespace, write.request.name)
    if write.request.subresource:
        raise errors.not_found(write.kind.about, write.request.name)
    return CREATED, _store_new(write, merged, managed=merged["metadata"]["managedFields"])


def _read_body(write: Write, body: Any) -> Json:
    """A body as the object it must be: right kind, known fields, right place."""
    kind = write.kind
    if not isinstance(body, dict):
        message = f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind"
        raise errors.bad_request(message)
    given = body.get("apiVersion", kind.group_version), body.get("kind", kind.kind)
    if given != (kind.group_version, kind.kind):
        raise _wrong_kind(kind, *given)
    if body.get("metadata") is not None and not isinstance(body["metadata"], dict):
        raise shapes.unhandled(kind, "json: cannot unmarshal into Go struct field metadata of type v1.ObjectMeta")
    obj: Json = objects.copy(body) | {"apiVersion": kind.group_version, "kind": kind.kind}
    obj["metadata"] = obj.get("metadata") or {}
    _check_fields(write, obj)
    _check_place(write.request, obj)
    return presentation.internal(kind, _without_nulls(obj))


def _wrong_kind(kind: kinds.Kind, api_version: str, name: str) -> errors.ApiError:
    if api_version != kind.group_version:
        expected = f"the expected API version ({kind.group_version})"
        return errors.bad_request(f"the API version in the data ({api_version}) does not match {expected}")
    return errors.bad_request(f'{name} in version "{kind.version}" cannot be handled as a {kind.kind}')


def _check_fields(write: Write, obj: Json) -> None:
    unknown = shapes.unknown_fields(write.kind, obj)
    if not unknown:
        return
    mode = write.request.query.get("fieldValidation") or WARN
    listed = [f'unknown field "{path}"' for path in unknown]
    if mode == STRICT:
        raise shapes.unhandled(write.kind, "strict decoding error: " + ", ".join(listed))
    if mode == WARN:
        write.warnings += listed
    shapes.drop(obj, unknown)


def _check_place(request: requests.ResourceRequest, obj: Json) -> None:
    meta = obj["metadata"]
    if request.kind.namespaced:
        if not meta.get("namespace"):
            meta["namespace"] = request.namespace
        if meta["namespace"] != request.namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise errors.bad_request(message)
    else:
        meta.pop("namespace", None)
    if request.name:
        name = meta.setdefault("name", request.name)
        if name != request.name:
            message = f"the name of the object ({name}) does not match the name on the URL ({request.name})"
            raise errors.bad_request(message)


def _without_nulls(value: Any) -> Any:
    """A field that is null says the same as one that is not there."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value
