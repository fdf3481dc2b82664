"""The answers to get and list: one object, or a page of objects that selectors chose."""

import base64
import json
from typing import Any

from toban_sandbox.kube import errors, presentation, requests, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]


def get(store: stores.ObjectStore, request: requests.ResourceRequest, view: presentation.View) -> Json:
    """One object; ApiError 404."""
    return view.one(found(store, request))


def found(store: stores.ObjectStore, request: requests.ResourceRequest) -> Json:
    """The stored object a request names; ApiError 404."""
    obj = store.get(request.kind.stored_as, request.namespace or None, request.name)
    if obj is None:
        raise errors.not_found(request.kind.about, request.name)
    return obj


def chosen(store: stores.ObjectStore, request: requests.ResourceRequest) -> list[Json]:
    """Every stored object that the request's namespace and selectors choose."""
    labels = selectors.parse_labels(request.query.get("labelSelector", ""))
    fields = selectors.parse_fields(request.query.get("fieldSelector", ""), request.kind.stored_as)
    matches = selectors.matcher(labels, fields)
    return [obj for obj in store.list(request.kind.stored_as, request.namespace or None) if matches(obj)]


def asked_revision(store: stores.ObjectStore, request: requests.ResourceRequest) -> int:
    """The resourceVersion of the query, 0 when it names none; ApiError 400, or 504 when it is still to come."""
    text = request.query.get("resourceVersion") or "0"
    if not text.isdigit():
        raise errors.bad_request(f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > store.revision:
        raise errors.too_new(int(text), store.revision)
    return int(text)


def list_page(store: stores.ObjectStore, request: requests.ResourceRequest, view: presentation.View) -> Json:
    """A page of objects with the token of the next one; ApiError 410 for a token that is too old."""
    asked_revision(store, request)
    items = chosen(store, request)
    revision = str(store.revision)
    metadata: Json = {"resourceVersion": revision}
    token = request.query.get("continue", "")
    if token:
        after, revision = _read_token(token)
        metadata["resourceVersion"] = revision
        items = [obj for obj in items if _position(obj) > after]
    limit = request.number("limit")
    if limit and len(items) > limit:
        metadata["continue"] = _token(items[limit - 1], revision)
        if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
            metadata["remainingItemCount"] = len(items) - limit
        items = items[:limit]
    return view.several(items, metadata)


def _position(obj: Json) -> tuple[str, str]:
    return obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


def _token(last: Json, revision: str) -> str:
    content = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "after": _position(last)})
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[tuple[str, str], str]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = content["after"]
        return (str(namespace), str(name)), str(content["rv"])
    except (ValueError, KeyError, TypeError):
        raise errors.bad_request("continue key is not valid: encoded token could not be read") from None
