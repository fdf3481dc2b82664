"""The answers to get and list: one object, or a page of objects that selectors chose."""

import base64
import json
import secrets
import weakref
from typing import Any

from toban_sandbox.kube import errors, presentation, requests, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

_REMEMBERED = 64  # lists that are being paged through; stored objects never change, so this keeps references only
_SNAPSHOTS: weakref.WeakKeyDictionary[stores.ObjectStore, dict[str, list[Json]]] = weakref.WeakKeyDictionary()


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
    """A page of objects with the token of the next one; ApiError 410 for a token that is too old.

    All pages of one list show the moment of its first page, as long as that is remembered.
    """
    asked_revision(store, request)
    limit, token = request.number("limit"), request.query.get("continue", "")
    if token:
        items, revision = _continued(store, request, token, limit)
    else:
        items, revision = chosen(store, request), str(store.revision)
    metadata: Json = {"resourceVersion": revision}
    if limit and len(items) > limit:
        metadata["continue"] = _next_token(store, items[limit - 1], items[limit:], revision)
        if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
            metadata["remainingItemCount"] = len(items) - limit
        items = items[:limit]
    return view.several(items, metadata)


def _continued(
    store: stores.ObjectStore, request: requests.ResourceRequest, token: str, limit: int | None
) -> tuple[list[Json], str]:
    """What is still to be shown, and the moment it is of."""
    after, revision, mark = _read_token(token)
    left = _snapshots(store).get(mark)
    if left is not None:
        return left, revision
    items = [obj for obj in chosen(store, request) if _position(obj) > after]
    if mark:
        raise errors.page_expired(_token(after, str(store.revision), "") if items or limit else "")
    return items, str(store.revision)


def _position(obj: Json) -> tuple[str, str]:
    return obj["metadata"].get("namespace") or "", obj["metadata"]["name"]


def _snapshots(store: stores.ObjectStore) -> dict[str, list[Json]]:
    return _SNAPSHOTS.setdefault(store, {})


def _next_token(store: stores.ObjectStore, last: Json, left: list[Json], revision: str) -> str:
    """Remember what is left of a list, and return the token that shows it."""
    kept = _snapshots(store)
    while len(kept) >= _REMEMBERED:
        del kept[next(iter(kept))]
    mark = secrets.token_hex(8)
    kept[mark] = left
    return _token(_position(last), revision, mark)


def _token(after: tuple[str, str], revision: str, mark: str) -> str:
    content = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "after": after, "of": mark})
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[tuple[str, str], str, str]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = content["after"]
        return (str(namespace), str(name)), str(content["rv"]), str(content["of"])
    except (ValueError, KeyError, TypeError):
        raise errors.bad_request("continue key is not valid: encoded token could not be read") from None
