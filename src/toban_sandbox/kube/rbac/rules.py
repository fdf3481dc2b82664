"""One rule of a role: what it allows, whether others cover it, and how a refusal shows it. Pure questions of JSON."""

import json
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from toban_sandbox.kube import auth

Json = dict[str, Any]
ALL = "*"


def allows(rule: Json, wanted: auth.Attributes) -> bool:
    """Whether a rule allows what a request wants to do."""
    if not _has(rule.get("verbs"), wanted.verb):
        return False
    if wanted.path:
        return any(_covers_path(one, wanted.path) for one in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("apiGroups"), wanted.group)
        and any(_covers_resource(one, wanted.resource, wanted.subresource) for one in rule.get("resources") or ())
        and (not names or wanted.name in names)
    )


def not_covered(wanted: Iterable[Json], held: Iterable[Json]) -> list[Json]:
    """The parts of the `wanted` rules that no rule in `held` allows, with verbs of the same thing put together."""
    held = list(held)
    missing: dict[tuple[str, ...], list[str]] = {}
    for part in (one for rule in wanted for one in _parts(rule)):
        if not any(_covers(rule, part) for rule in held):
            verbs = missing.setdefault((part["group"], part["resource"], part["name"], part["path"]), [])
            if part["verb"] not in verbs:
                verbs.append(part["verb"])
    return [_as_rule(*key, verbs=verbs) for key, verbs in missing.items()]


def compact(rule: Json) -> str:
    """A rule as a refusal shows it."""
    shown = [
        f"{label}:[{' '.join(json.dumps(one) for one in rule[field])}]"
        for label, field in (
            ("APIGroups", "apiGroups"),
            ("Resources", "resources"),
            ("NonResourceURLs", "nonResourceURLs"),
            ("ResourceNames", "resourceNames"),
            ("Verbs", "verbs"),
        )
        if rule.get(field)
    ]
    return "{" + ", ".join(shown) + "}"


def _parts(rule: Json) -> Iterator[dict[str, str]]:
    """A rule taken apart: one verb on one resource, name or path each."""
    names = rule.get("resourceNames") or [""]
    for verb, group, resource, name in product(
        rule.get("verbs") or (), rule.get("apiGroups") or (), rule.get("resources") or (), names
    ):
        yield {"verb": verb, "group": group, "resource": resource, "name": name, "path": ""}
    for verb, path in product(rule.get("verbs") or (), rule.get("nonResourceURLs") or ()):
        yield {"verb": verb, "group": "", "resource": "", "name": "", "path": path}


def _covers(rule: Json, part: dict[str, str]) -> bool:
    if not _has(rule.get("verbs"), part["verb"]):
        return False
    if part["path"]:
        return any(_covers_path(one, part["path"]) for one in rule.get("nonResourceURLs") or ())
    resource, _, subresource = part["resource"].partition("/")
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("apiGroups"), part["group"])
        and any(_covers_resource(one, resource, subresource) for one in rule.get("resources") or ())
        and (not names or part["name"] in names)
    )


def _as_rule(group: str, resource: str, name: str, path: str, *, verbs: list[str]) -> Json:
    if path:
        return {"nonResourceURLs": [path], "verbs": verbs}
    rule: Json = {"apiGroups": [group], "resources": [resource]}
    return rule | ({"resourceNames": [name]} if name else {}) | {"verbs": verbs}


def _has(allowed: Iterable[str] | None, wanted: str) -> bool:
    given = allowed or ()
    return ALL in given or wanted in given


def _covers_resource(allowed: str, resource: str, subresource: str) -> bool:
    if not subresource:
        return allowed in {ALL, resource}
    return allowed in {ALL, f"{resource}/{subresource}", f"{ALL}/{subresource}"}


def _covers_path(allowed: str, path: str) -> bool:
    return allowed in {ALL, path} or (allowed.endswith(ALL) and path.startswith(allowed[:-1]))
