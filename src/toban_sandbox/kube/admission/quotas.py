"""ResourceQuotas: what the objects of a namespace use, and whether one more still fits.

`usage` is also what the quota controller shows in the status.
"""

from typing import Any

from toban_sandbox.kube import defaults, errors, kinds, objects, quantity
from toban_sandbox.kube.admission.objects import Objects

Json = dict[str, Any]
Amounts = dict[str, float]

MEASURED_KINDS = {"PersistentVolumeClaim", "Service"}
_COUNTED = {
    "configmaps": "configmaps",
    "persistentvolumeclaims": "persistentvolumeclaims",
    "resourcequotas": "resourcequotas",
    "secrets": "secrets",
    "services": "services",
}
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_STORAGE_CLASS = ".storageclass.storage.k8s.io/"


def check(store: Objects, kind: kinds.Kind, obj: Json, old: Json | None = None) -> None:
    """ApiError 403 when an object would use more than a quota of its namespace leaves."""
    if not kind.namespaced or not store.count("resourcequotas"):
        return
    name = obj["metadata"].get("name", "")
    for quota in store.list("resourcequotas", obj["metadata"].get("namespace")):
        hard = _hard(quota)
        wanted = measure(kind, obj, quota)
        if not wanted:
            continue
        unsaid = _unsaid(kind, obj, hard)
        if unsaid:
            why = f"failed quota: {objects.name_of(quota)}: must specify {unsaid}"
            raise errors.forbidden(kind.about, name, why)
        used = usage(store, quota)
        before = measure(kind, old, quota) if old is not None else {}
        more = {key: amount - before.get(key, 0.0) for key, amount in wanted.items() if key in hard}
        over = sorted(key for key, amount in more.items() if amount > 0 and used[key] + amount > hard[key] + 1e-9)
        if over:
            raise errors.forbidden(kind.about, name, _exceeded(quota, over, more=more, used=used))


def _exceeded(quota: Json, over: list[str], *, more: Amounts, used: Amounts) -> str:
    asked, taken = (",".join(f"{key}={shown(key, found[key])}" for key in over) for found in (more, used))
    limited = ",".join(f"{key}={quota['spec']['hard'][key]}" for key in over)
    return f"exceeded quota: {objects.name_of(quota)}, requested: {asked}, used: {taken}, limited: {limited}"


def usage(store: Objects, quota: Json) -> Amounts:
    """What the namespace uses of everything that the quota limits."""
    hard = _hard(quota)
    total = dict.fromkeys(hard, 0.0)
    namespace = quota["metadata"]["namespace"]
    for resource in resources_of(quota):
        kind = kinds.stored(resource)
        for obj in store.list(resource, namespace):
            for key, amount in measure(kind, obj, quota).items():
                if key in total:
                    total[key] += amount
    return total


def resources_of(quota: Json) -> set[str]:
    """The resources whose objects a quota counts."""
    found: set[str] = set()
    for key in _hard(quota):
        if key.startswith("count/"):
            found.add(key.removeprefix("count/").partition(".")[0])
        elif key in _COUNTED:
            found.add(_COUNTED[key])
        elif key.startswith("services."):
            found.add("services")
        elif key == "requests.storage" or _STORAGE_CLASS in key:
            found.add("persistentvolumeclaims")
        else:
            found.add("pods")
    return {resource for resource in found if _known(resource)}


def _known(resource: str) -> bool:
    try:
        kinds.stored(resource)
    except KeyError:
        return False
    return True


def shown(key: str, amount: float) -> str:
    """An amount as the quota's status shows it."""
    return quantity.text(amount, binary=key.endswith(("memory", "storage")))


def _hard(quota: Json) -> Amounts:
    return {key: quantity.parse(value) for key, value in ((quota.get("spec") or {}).get("hard") or {}).items()}


def measure(kind: kinds.Kind, obj: Json, quota: Json) -> Amounts:
    """What one object counts for in a quota; nothing when the quota's scopes leave it out."""
    if kind.kind == "Pod":
        return _pod(obj) if not objects.is_finished(obj) and _in_scope(quota, obj) else {}
    group = f".{kind.group}" if kind.group else ""
    found: Amounts = {f"count/{kind.resource}{group}": 1.0}
    if kind.resource in _COUNTED:
        found[kind.resource] = 1.0
    if kind.kind == "PersistentVolumeClaim":
        asked = ((obj["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0")
        found["requests.storage"] = quantity.parse(asked)
        storage_class = obj["spec"].get("storageClassName")
        if storage_class:
            found[f"{storage_class}{_STORAGE_CLASS}requests.storage"] = quantity.parse(asked)
            found[f"{storage_class}{_STORAGE_CLASS}persistentvolumeclaims"] = 1.0
    elif kind.kind == "Service":
        kind_of = obj["spec"].get("type")
        found["services.loadbalancers"] = float(kind_of == "LoadBalancer")
        found["services.nodeports"] = float(
            len(obj["spec"].get("ports") or ()) if kind_of in {"NodePort", "LoadBalancer"} else 0
        )
    return found


def _pod(pod: Json) -> Amounts:
    found: Amounts = {"pods": 1.0, "count/pods": 1.0}
    for field in ("requests", "limits"):
        for name in _COMPUTE:
            total, known = _total(pod["spec"], field, name)
            if known:
                found[f"{field}.{name}"] = total
                if field == "requests":
                    found[name] = total
    return found


def _total(spec: Json, field: str, name: str) -> tuple[float, bool]:
    main = [((one.get("resources") or {}).get(field) or {}).get(name) for one in spec.get("containers") or ()]
    first = [((one.get("resources") or {}).get(field) or {}).get(name) for one in spec.get("initContainers") or ()]
    total = sum(quantity.parse(one) for one in main if one is not None)
    largest = max((quantity.parse(one) for one in first if one is not None), default=0.0)
    return max(total, largest), any(one is not None for one in (*main, *first))


def _unsaid(kind: kinds.Kind, pod: Json, hard: Amounts) -> str:
    """What a pod must say because the quota limits it, in the words of the refusal."""
    if kind.kind != "Pod":
        return ""
    missing = []
    for key in sorted(hard):
        field, _, name = key.rpartition(".")
        if name not in _COMPUTE or field not in {"", "requests", "limits"}:
            continue
        silent = [
            one["name"]
            for one in objects.all_containers(pod["spec"])
            if name not in ((one.get("resources") or {}).get(field or "requests") or {})
        ]
        if silent:
            missing.append(f"{key} for: {','.join(sorted(silent))}")
    return "; ".join(missing)


def _in_scope(quota: Json, pod: Json) -> bool:
    spec = quota.get("spec") or {}
    best_effort = defaults.qos_class(pod["spec"]) == "BestEffort"
    ends = pod["spec"].get("activeDeadlineSeconds") is not None
    holds = {
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
        "Terminating": ends,
        "NotTerminating": not ends,
    }
    if not all(holds.get(scope, True) for scope in spec.get("scopes") or ()):
        return False
    for one in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
        name = one.get("scopeName")
        if name == "PriorityClass":
            if not _matches(one, pod["spec"].get("priorityClassName") or ""):
                return False
        elif not holds.get(name, True):
            return False
    return True


def _matches(expression: Json, value: str) -> bool:
    values = expression.get("values") or ()
    operator = expression.get("operator")
    if operator in {"Exists", "DoesNotExist"}:
        return bool(value) is (operator == "Exists")
    return (value in values) is (operator == "In")
