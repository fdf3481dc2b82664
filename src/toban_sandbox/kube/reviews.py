"""Questions that a user asks about itself: who am I, may I do this, what may I do."""

from typing import Any

from toban_sandbox.kube import auth, errors, kinds, shapes

Json = dict[str, Any]


def answer(kind: kinds.Kind, body: Any, user: auth.User) -> Json:
    """The answered review; ApiError 400 or 422 for a question that is none."""
    shapes.unknown_fields(kind, body)
    spec = body.get("spec") or {}
    shown: Json = {"kind": kind.kind, "apiVersion": kind.group_version, "metadata": {"creationTimestamp": None}}
    if kind.kind == "SelfSubjectReview":
        return shown | {"status": {"userInfo": {"username": user.name, "groups": list(user.all_groups)}}}
    if kind.kind == "SelfSubjectRulesReview":
        return shown | {"spec": {}, "status": _rules(user)}
    if not spec.get("resourceAttributes") and not spec.get("nonResourceAttributes"):
        text = "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise errors.invalid(kind.about, "", [errors.Cause("spec.resourceAttributes", text)])
    wanted = _attributes(spec)
    allowed = auth.authorize(user, wanted)
    status: Json = {"allowed": allowed}
    if not allowed:
        status["reason"] = str(auth.refusal(user, wanted))
    return shown | {"spec": spec, "status": status}


def _attributes(spec: Json) -> auth.Attributes:
    outside = spec.get("nonResourceAttributes")
    if outside:
        return auth.Attributes(outside.get("verb", ""), path=outside.get("path", ""))
    given = spec["resourceAttributes"]
    return auth.Attributes(
        given.get("verb", ""),
        given.get("group", ""),
        given.get("resource", ""),
        given.get("subresource", ""),
        namespace=given.get("namespace", ""),
        name=given.get("name", ""),
    )


def _rules(user: auth.User) -> Json:
    rules = [
        {"verbs": sorted(rule.verbs), "apiGroups": sorted(rule.groups), "resources": sorted(rule.resources)}
        for rule in auth.rules_of(user)
    ]
    outside = [{"verbs": ["*"] if user.role == auth.ADMIN else ["get"], "nonResourceURLs": ["*"]}]
    return {"resourceRules": rules, "nonResourceRules": outside, "incomplete": False}
