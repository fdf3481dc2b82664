"""LimitRanges: what containers and claims get by default, and what they may not be below or above."""

from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import errors, kinds, quantity
from toban_sandbox.kube.admission.objects import Objects

Json = dict[str, Any]

_CHECKED = {"Pod", "PersistentVolumeClaim"}


def _items(store: Objects, namespace: str | None, kind: str) -> Iterator[Json]:
    if not store.count("limitranges"):
        return
    for one in store.list("limitranges", namespace):
        yield from (item for item in (one.get("spec") or {}).get("limits") or () if item.get("type") == kind)


def complete(store: Objects, pod: Json) -> None:
    """Give containers the limits and requests they do not name, in place."""
    for item in _items(store, pod["metadata"].get("namespace"), "Container"):
        for group in ("initContainers", "containers"):
            for container in pod["spec"].get(group) or ():
                resources = container.setdefault("resources", {})
                for field, given in (("limits", item.get("default")), ("requests", item.get("defaultRequest"))):
                    if given:
                        resources[field] = {**given, **(resources.get(field) or {})}


def check(store: Objects, kind: kinds.Kind, obj: Json) -> None:
    """ApiError 403 with every limit that an object does not keep."""
    if kind.kind not in _CHECKED or not store.count("limitranges"):
        return
    namespace = obj["metadata"].get("namespace")
    found: list[str] = []
    if kind.kind == "PersistentVolumeClaim":
        for item in _items(store, namespace, "PersistentVolumeClaim"):
            found += _faults(item, obj["spec"].get("resources") or {})
    else:
        for item in _items(store, namespace, "Container"):
            for group in ("containers", "initContainers"):
                for container in obj["spec"].get(group) or ():
                    found += _faults(item, container.get("resources") or {})
        for item in _items(store, namespace, "Pod"):
            found += _faults(item, _sum(obj["spec"].get("containers") or []))
    found = list(dict.fromkeys(found))
    if found:
        why = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
        raise errors.forbidden(kind.about, obj["metadata"].get("name", ""), why)


def _sum(containers: list[Json]) -> Json:
    totals: dict[str, dict[str, float]] = {"limits": {}, "requests": {}}
    for field, total in totals.items():
        named = [(one.get("resources") or {}).get(field) or {} for one in containers]
        for name in {name for one in named for name in one}:
            if field == "requests" or all(name in one for one in named):
                total[name] = sum(quantity.parse(one.get(name, "0")) for one in named)
    shown = {
        field: {name: quantity.text(value, binary=name != "cpu") for name, value in total.items()}
        for field, total in totals.items()
    }
    return dict(shown)


def _faults(item: Json, resources: Json) -> Iterator[str]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    kind = item["type"]
    for name, least in (item.get("min") or {}).items():
        yield from _below(f"minimum {name} usage per {kind} is {least}", least, requests.get(name), limits.get(name))
    for name, most in (item.get("max") or {}).items():
        text = f"maximum {name} usage per {kind} is {most}"
        if kind == "PersistentVolumeClaim":
            asked = requests.get(name)
            if asked is not None and quantity.parse(asked) > quantity.parse(most):
                yield f"{text}, but request is {asked}"
        else:
            yield from _above(text, most, requests.get(name), limits.get(name))
    for name, most in (item.get("maxLimitRequestRatio") or {}).items():
        asked, limit = requests.get(name), limits.get(name)
        if asked and limit and quantity.parse(limit) / quantity.parse(asked) > quantity.parse(most):
            ratio = quantity.parse(limit) / quantity.parse(asked)
            yield f"{name} max limit to request ratio per {kind} is {most}, but provided ratio is {ratio:.6f}"


def _below(text: str, least: str, request: str | None, limit: str | None) -> Iterator[str]:
    if request is None:
        yield f"{text}.  No request is specified"
    elif quantity.parse(request) < quantity.parse(least):
        yield f"{text}, but request is {request}"
    if limit is not None and quantity.parse(limit) < quantity.parse(least):
        yield f"{text}, but limit is {limit}"


def _above(text: str, most: str, request: str | None, limit: str | None) -> Iterator[str]:
    if limit is None:
        yield f"{text}.  No limit is specified"
    elif quantity.parse(limit) > quantity.parse(most):
        yield f"{text}, but limit is {limit}"
    if request is not None and quantity.parse(request) > quantity.parse(most):
        yield f"{text}, but request is {request}"
