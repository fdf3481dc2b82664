"""What a request asks for: its path and query read as a resource request, and its body by content type.

Used by `kube.api` before anything is decided. It looks at no stored object.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from toban_sandbox.kube import auth, errors, kinds, patch, protobuf, selectors

Json = dict[str, Any]

LARGEST_BODY = 3 * 1024 * 1024
JSON_TYPE, YAML_TYPE = "application/json", "application/yaml"
_TRUE = {"true", "1"}
_COLLECTION_VERBS = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
_OBJECT_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
_GROUPED = 3
_SUMMARY_BYTES = 30


@dataclass(frozen=True)
class ResourceRequest:
    """A request for objects: the kind, where, which, and what to do (`verb` as permissions name it)."""

    kind: kinds.Kind
    verb: str
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]

    @property
    def attributes(self) -> auth.Attributes:
        name = self.name
        if not name and self.verb in {"list", "watch"}:
            name = _single_name(self.query.get("fieldSelector", ""))
        # A namespace counts as standing in itself, so that rights in it are rights to see it.
        place = self.namespace or (self.name if (self.kind.group, self.kind.resource) == ("", "namespaces") else "")
        return auth.Attributes(
            self.verb, self.kind.group, self.kind.resource, self.subresource, namespace=place, name=name
        )

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in _TRUE

    def number(self, name: str) -> int | None:
        """A whole number of the query, or None; ApiError 400 when it is none."""
        text = self.query.get(name)
        if text is None or not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise errors.bad_request(f"invalid value for parameter {name}: {text}") from None

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be stored; ApiError 422 for a value that is not `All`."""
        value = self.query.get("dryRun", "")
        if value not in {"", "All"}:
            cause = errors.Cause("dryRun", f'Unsupported value: "{value}": supported values: "All"')
            raise errors.invalid(errors.About("options", "meta.k8s.io", "PatchOptions"), "", [cause])
        return value == "All"


def parse(method: str, path: str, query: Mapping[str, str]) -> ResourceRequest | None:
    """The resource request behind a method and path; None when the path is no resource."""
    parts = [part for part in path.split("/") if part]
    if parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > _GROUPED:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[:1] == ["namespaces"] and kinds.at_path(group, version, (rest[2:] or [""])[0]):
        namespace, rest = rest[1], rest[2:]
    if not rest or len(rest) > _GROUPED:
        return None
    kind = kinds.at_path(group, version, rest[0])
    if kind is None or (namespace and not kind.namespaced):
        return None
    name, subresource = [*rest[1:], "", ""][:2]
    verb = (_OBJECT_VERBS if name else _COLLECTION_VERBS).get(method, "")
    if verb == "list" and query.get("watch", "").lower() in _TRUE:
        verb = "watch"
    return ResourceRequest(kind, verb, namespace, name, subresource, query)


def check_supported(request: ResourceRequest) -> None:
    """ApiError 404 or 405 when the resource has no such subresource or verb."""
    kind = request.kind
    if request.subresource:
        found = kind.subresource(request.subresource)
        if found is None:
            raise errors.unknown_path()
        verbs: tuple[str, ...] = found.verbs
    else:
        verbs = kind.verbs
    creates_named = request.verb == "create" and bool(request.name) and not request.subresource
    creates_everywhere = request.verb == "create" and kind.namespaced and not request.namespace
    if request.verb not in verbs or creates_named or creates_everywhere:
        raise errors.method_not_supported(kind.about)


def decode_body(content_type: str, body: bytes, kind: kinds.Kind) -> Any:
    """A body as JSON values, in any encoding that clients use; ApiError 413, 415 or 400."""
    if len(body) > LARGEST_BODY:
        raise errors.too_large()
    media = content_type.partition(";")[0].strip().lower() or JSON_TYPE
    try:
        if media in {YAML_TYPE, patch.APPLY_PATCH}:
            return yaml.load(body, Loader=_Yaml)  # noqa: S506 -- a safe loader, with plain dates
        if media == protobuf.MEDIA_TYPE:
            return protobuf.decode(body)
        if media == JSON_TYPE or media.endswith("+json"):
            return json.loads(body)
    except (ValueError, RecursionError, yaml.YAMLError) as wrong:
        raise _unreadable(kind, media, body, wrong) from None
    raise errors.unsupported_media_type(media, [JSON_TYPE, YAML_TYPE, protobuf.MEDIA_TYPE])


def _unreadable(kind: kinds.Kind, media: str, body: bytes, wrong: Exception) -> errors.ApiError:
    if media.endswith("-patch+json"):
        return errors.bad_request(f"error decoding patch: {_as_go_says(wrong, body)}")
    if media == patch.APPLY_PATCH:
        return errors.bad_request(f"error decoding YAML: {_as_go_says(wrong, body)}")
    why = _as_go_says(wrong, body)
    if media == JSON_TYPE:
        why = f"couldn't get version/kind; json parse error: {why}"
    elif media == YAML_TYPE:
        why = f"error converting YAML to JSON: yaml: {why}"
    about = f"the object provided is unrecognized (must be of type {kind.kind}): {why} ({_summary(body)})"
    return errors.bad_request(about)


def _as_go_says(wrong: Exception, body: bytes) -> str:
    """What Go's JSON reader would say of the same mistake."""
    if not isinstance(wrong, json.JSONDecodeError):
        return str(wrong).replace("\n", " ")
    text = wrong.doc if isinstance(wrong.doc, str) else body.decode(errors="replace")
    if wrong.pos >= len(text):
        return "unexpected end of JSON input"
    expected = next(
        (said for found, said in _GO_WORDS.items() if wrong.msg.startswith(found)), "looking for beginning of value"
    )
    return f"invalid character '{text[wrong.pos]}' {expected}"


_GO_WORDS = {
    "Expecting property name": "looking for beginning of object key string",
    "Expecting ':'": "after object key",
    "Expecting ','": "after object key:value pair",
    "Extra data": "after top-level value",
    "Invalid control character": "in string literal",
}


def _summary(body: bytes) -> str:
    shown = body[:_SUMMARY_BYTES]
    text = shown.decode(errors="replace") if body[:1] == b"{" else shown.hex()
    return f"{text} ..." if len(body) > len(shown) else text


class _Yaml(yaml.SafeLoader):
    """A safe loader that leaves dates as text, as JSON has none."""


_Yaml.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _single_name(field_selector: str) -> str:
    if "metadata.name" not in field_selector:
        return ""
    tests = [part for part in field_selector.split(",") if part.startswith("metadata.name")]
    return selectors.name_in(selectors.parse_fields(",".join(tests), ""))
