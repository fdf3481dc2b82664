"""The arithmetic of a Deployment's rollout: which ReplicaSet is to have how many replicas next.

Pure functions over objects, used by the deployment controller only.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

from toban_sandbox.kube import objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OWN_ANNOTATIONS = frozenset({REVISION, REVISION_HISTORY, DESIRED, MAXIMUM, LAST_APPLIED})
_HASH_LENGTH = 10


def limits(deployment: Json) -> tuple[int, int]:
    """How many replicas may be too many (surge) and how many may be missing during a rollout."""
    spec = deployment["spec"]
    if spec["strategy"]["type"] != "RollingUpdate":
        return 0, 0
    rolling = spec["strategy"].get("rollingUpdate") or {}
    surge = share(rolling.get("maxSurge", "25%"), spec["replicas"], up=True)
    missing = share(rolling.get("maxUnavailable", "25%"), spec["replicas"], up=False)
    if surge == 0 and missing == 0:
        missing = 1
    return surge, min(missing, spec["replicas"])


def share(value: Any, total: int, *, up: bool) -> int:
    """A number, or a percentage of `total` rounded up or down."""
    if isinstance(value, str) and value.endswith("%"):
        exact = total * int(value[:-1]) / 100
        return math.ceil(exact) if up else math.floor(exact)
    return int(value)


def template_hash(template: Json, collisions: int) -> str:
    """The name part that tells one template's ReplicaSet from another's."""
    text = repr(_sorted(template)) + str(collisions)
    digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    letters = []
    for _ in range(_HASH_LENGTH):
        digest, letter = divmod(digest, len(stores.SUFFIX_LETTERS))
        letters.append(stores.SUFFIX_LETTERS[letter])
    return "".join(letters)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, _sorted(value[key])) for key in sorted(value)]
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def same_template(replicaset: Json, deployment: Json) -> bool:
    """Whether a ReplicaSet runs what the Deployment asks for."""
    return _bare(replicaset["spec"]["template"]) == _bare(deployment["spec"]["template"])


def _bare(template: Json) -> Json:
    meta = dict(template.get("metadata") or {})
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**meta, "labels": labels}}


def revision(obj: Json) -> int:
    """An object's rollout revision, 0 when it has none."""
    text = objects.annotations(obj).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def size(replicaset: Json | None) -> int:
    return 0 if replicaset is None else int(replicaset["spec"].get("replicas") or 0)


def counted(replicasets: Sequence[Json], field: str) -> int:
    """The sum of one status count over ReplicaSets."""
    return sum(int((one.get("status") or {}).get(field) or 0) for one in replicasets)


def available(replicaset: Json) -> int:
    return counted([replicaset], "availableReplicas")


def age_order(replicaset: Json) -> tuple[str, str]:
    """Oldest first."""
    return replicaset["metadata"]["creationTimestamp"], replicaset["metadata"]["name"]


def new_size(deployment: Json, everyone: Sequence[Json], new: Json | None) -> int:
    """How many replicas the new ReplicaSet may have now."""
    wanted = int(deployment["spec"]["replicas"])
    if deployment["spec"]["strategy"]["type"] == "Recreate":
        return wanted
    surge, _ = limits(deployment)
    total = sum(size(one) for one in everyone)
    room = wanted + surge - total
    if room <= 0:
        return size(new)
    return size(new) + min(room, wanted - size(new))


def old_sizes(deployment: Json, new: Json, olds: Sequence[Json]) -> list[tuple[Json, int]]:
    """The old ReplicaSets that are to shrink now, with their new sizes: first pods that never got well, then others."""
    _, missing = limits(deployment)
    least = int(deployment["spec"]["replicas"]) - missing
    everyone = [*olds, new]
    removable = sum(size(one) for one in everyone) - least - (size(new) - available(new))
    if removable <= 0:
        return []
    sizes = {objects.name_of(one): size(one) for one in olds}
    for one in sorted(olds, key=age_order):
        ill = min(max(0, size(one) - available(one)), removable)
        sizes[objects.name_of(one)] -= ill
        removable -= ill
    healthy = counted(everyone, "availableReplicas") - least
    for one in sorted(olds, key=age_order):
        left = sizes[objects.name_of(one)]
        taken = min(left, max(0, healthy))
        sizes[objects.name_of(one)] -= taken
        healthy -= taken
    return [(one, sizes[objects.name_of(one)]) for one in olds if sizes[objects.name_of(one)] != size(one)]


def proportional_sizes(deployment: Json, new: Json | None, olds: Sequence[Json]) -> list[tuple[Json, int]]:
    """New sizes after the Deployment itself was resized in the middle of a rollout."""
    wanted = int(deployment["spec"]["replicas"])
    everyone = [*olds, *([new] if new else [])]
    active = [one for one in everyone if size(one) > 0]
    if len(active) <= 1:
        target = active[0] if active else (new or (max(olds, key=age_order) if olds else None))
        return [(target, wanted)] if target is not None else []
    if new is not None and size(new) == wanted and available(new) == wanted:
        return [(one, 0) for one in olds if size(one)]
    surge, _ = limits(deployment)
    total = sum(size(one) for one in active)
    allowed = wanted + surge if wanted else 0
    left = allowed - total
    result = []
    for one in sorted(active, key=lambda rs: (size(rs), age_order(rs)), reverse=True):
        basis = int(objects.annotations(one).get(MAXIMUM) or wanted) or 1
        change = round(size(one) * allowed / basis) - size(one)
        change = max(0, min(change, left)) if left > 0 else min(0, max(change, left))
        left -= change
        result.append((one, max(0, size(one) + change)))
    if result and left:
        first, number = result[0]
        result[0] = (first, max(0, number + left))
    return result


def was_resized(deployment: Json, replicasets: Sequence[Json]) -> bool:
    """Whether the Deployment's size differs from what its active ReplicaSets were told last."""
    wanted = str(deployment["spec"]["replicas"])
    return any(size(one) > 0 and objects.annotations(one).get(DESIRED, wanted) != wanted for one in replicasets)
