"""Questions about permissions: who am I, may I do this, what may I do, may somebody else."""

from typing import Any

from toban_sandbox.kube import auth, errors, kinds, rbac, shapes

Json = dict[str, Any]


def answer(kind: kinds.Kind, body: Any, user: auth.User, authorizer: rbac.Authorizer) -> Json:
    """The answered review; ApiError 400 or 422 for a question that is none."""
    shapes.unknown_fields(kind, body)
    spec = body.get("spec") or {}
    shown: Json = {"kind": kind.kind, "apiVersion": kind.group_version, "metadata": {"creationTimestamp": None}}
    if kind.kind == "SelfSubjectReview":
        about: Json = {"username": user.name, "groups": list(user.all_groups)} | ({"uid": user.uid} if user.uid else {})
        return shown | {"status": {"userInfo": about}}
    if kind.kind == "SelfSubjectRulesReview":
        return shown | {"spec": {}, "status": _rules(user, str(spec.get("namespace") or ""), authorizer)}
    if bool(spec.get("resourceAttributes")) == bool(spec.get("nonResourceAttributes")):
        text = "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise errors.invalid(kind.about, "", [errors.Cause("spec.resourceAttributes", text)])
    if not kind.kind.startswith("Self"):
        user = _somebody(kind, spec)
    decision = authorizer.decide(user, _attributes(spec))
    status: Json = {"allowed": decision.allowed} | ({"reason": decision.reason} if decision.reason else {})
    return shown | {"spec": spec, "status": status}


def _somebody(kind: kinds.Kind, spec: Json) -> auth.User:
    """The user that a review of another names."""
    name, groups = str(spec.get("user") or ""), tuple(spec.get("groups") or ())
    if not name and not groups:
        text = "Invalid value: null: at least one of user or group must be specified"
        raise errors.invalid(kind.about, "", [errors.Cause("spec.user", text)])
    return auth.User(name, groups=groups)


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


def _rules(user: auth.User, namespace: str, authorizer: rbac.Authorizer) -> Json:
    held = [grant.rule for grant in authorizer.grants(user, namespace)]
    fields = ("verbs", "apiGroups", "resources", "resourceNames")
    resources = [{field: rule[field] for field in fields if rule.get(field)} for rule in held if rule.get("resources")]
    paths = [
        {"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}
        for rule in held
        if rule.get("nonResourceURLs")
    ]
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}
