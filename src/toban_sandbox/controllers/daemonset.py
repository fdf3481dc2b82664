"""DaemonSets: one pod on every node that takes it, replaced node by node when the template changes."""

from typing import Any

from toban_sandbox.controllers import loop, pods, revisions, rollout
from toban_sandbox.controllers.scheduling import nodes as node_rules
from toban_sandbox.kube import errors, events, objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

_NODE_TAINTS = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)
GENERATION = "pod-template-generation"


class DaemonSetController(loop.Controller):
    """Keeps every DaemonSet's pods on the nodes they belong to."""

    resources = ("daemonsets", "pods", "nodes")

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.Recorder(store, "daemonset-controller")

    def observe(self, change: stores.Change) -> None:
        if change.resource == "daemonsets":
            self.queue.add(loop.key_of(change.obj))
        elif change.resource == "nodes":
            if change.old is None or node_rules.placement(change.old) != node_rules.placement(change.obj):
                for one in self.store.each("daemonsets"):
                    self.queue.add(loop.key_of(one))
        else:
            key = pods.owner_key(change.obj, "DaemonSet")
            if key is not None:
                self.queue.add(key)

    def sync(self, key: loop.ObjectKey) -> None:
        owner = self.store.get("daemonsets", *key)
        if owner is None:
            return
        update = revisions.current(self.store, owner)
        if not objects.is_terminating(owner) and not pods.namespace_is_going(self.store, key[0]):
            self._place(owner, update)
            self._roll(owner, update)
        self._report(key, update)

    def _by_node(self, owner: Json) -> dict[str, list[Json]]:
        found: dict[str, list[Json]] = {}
        for pod in pods.owned(self.store, owner):
            found.setdefault(node_of(pod), []).append(pod)
        return found

    def _place(self, owner: Json, update: Json) -> None:
        by_node = self._by_node(owner)
        names = set()
        for node in self.store.list("nodes"):
            name = objects.name_of(node)
            names.add(name)
            placed = [pod for pod in by_node.get(name, ()) if not objects.is_terminating(pod)]
            starts, stays = fits(owner, node)
            failed = [pod for pod in placed if (pod.get("status") or {}).get("phase") == "Failed"]
            for pod in failed:
                about = f"{pod['metadata']['namespace']}/{objects.name_of(pod)} on node {name}"
                self._events.warning(owner, "FailedDaemonPod", f"Found failed daemon pod {about}, will try to kill it")
                self._delete(owner, pod)
            if starts and not by_node.get(name):
                self._create(owner, name, update)
            elif not stays:
                for pod in placed:
                    self._delete(owner, pod)
        for name in set(by_node) - names:
            for pod in by_node[name]:
                if not objects.is_terminating(pod):
                    self._delete(owner, pod)

    def _roll(self, owner: Json, update: Json) -> None:
        strategy = owner["spec"]["updateStrategy"]
        if strategy["type"] != "RollingUpdate":
            return
        found = [pod for group in self._by_node(owner).values() for pod in group]
        desired = sum(1 for node in self.store.each("nodes") if fits(owner, node)[0])
        rolling = strategy.get("rollingUpdate") or {}
        allowed = max(1, rollout.share(rolling.get("maxUnavailable", 1), desired, up=True))
        now, wait_s = self.clock.now(), float(owner["spec"].get("minReadySeconds") or 0)
        available = [pod for pod in found if pods.is_active(pod) and pods.is_available(pod, wait_s, now)]
        missing = desired - len(available)
        for pod in found:
            old = objects.labels(pod).get(revisions.HASH_LABEL) != revisions.short_mark(update)
            if not old or objects.is_terminating(pod):
                continue
            if pod not in available:
                self._delete(owner, pod)
            elif missing < allowed:
                missing += 1
                self._delete(owner, pod)

    def _create(self, owner: Json, node: str, update: Json) -> None:
        pod = pods.from_template(owner, owner["spec"]["template"])
        labels = {revisions.HASH_LABEL: revisions.short_mark(update)}
        pod["metadata"]["labels"] |= labels | {GENERATION: str(owner["metadata"].get("generation", 1))}
        pod["spec"]["affinity"] = _on_node(pod["spec"].get("affinity") or {}, node)
        pod["spec"]["tolerations"] = [*(pod["spec"].get("tolerations") or []), *_own_tolerations()]
        try:
            created = self.store.create("pods", pod)
        except errors.ApiError as refused:
            self._events.warning(owner, "FailedCreate", f"Error creating: {refused}")
            raise
        self._events.normal(owner, "SuccessfulCreate", f"Created pod: {objects.name_of(created)}")

    def _delete(self, owner: Json, pod: Json) -> None:
        pods.delete(self.store, pod)
        self._events.normal(owner, "SuccessfulDelete", f"Deleted pod: {objects.name_of(pod)}")

    def _report(self, key: loop.ObjectKey, update: Json) -> None:
        owner = self.store.get("daemonsets", *key)
        if owner is None:
            return
        by_node = self._by_node(owner)
        now, wait_s = self.clock.now(), float(owner["spec"].get("minReadySeconds") or 0)
        names = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
        status: Json = dict.fromkeys(names, 0)
        updated = available = 0
        for node in self.store.each("nodes"):
            placed = [pod for pod in by_node.get(objects.name_of(node), ()) if not objects.is_terminating(pod)]
            starts, _ = fits(owner, node)
            status["desiredNumberScheduled"] += int(starts)
            status["currentNumberScheduled"] += int(starts and bool(placed))
            status["numberMisscheduled"] += int(not starts and bool(placed))
            if starts and placed:
                status["numberReady"] += int(objects.is_true(placed[0], "Ready"))
                available += int(pods.is_available(placed[0], wait_s, now))
                updated += int(objects.labels(placed[0]).get(revisions.HASH_LABEL) == revisions.short_mark(update))
        counts = {"updatedNumberScheduled": updated, "numberAvailable": available}
        counts["numberUnavailable"] = status["desiredNumberScheduled"] - available
        status |= {name: count for name, count in counts.items() if count}
        status["observedGeneration"] = owner["metadata"].get("generation", 1)
        self.store.update("daemonsets", owner | {"status": status}, subresource="status")
        revisions.forget(self.store, owner, in_use={objects.name_of(update)})
        if status["numberReady"] > available:
            self.queue.add_after(key, wait_s)


def node_of(pod: Json) -> str:
    """The node that a daemon's pod runs on or is meant for."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(node_rules.REQUIRED) or {}
    for term in required.get("nodeSelectorTerms") or ():
        for one in term.get("matchFields") or ():
            if one.get("key") == "metadata.name" and one.get("values"):
                return str(one["values"][0])
    return ""


def fits(owner: Json, node: Json) -> tuple[bool, bool]:
    """Whether a daemon's pod starts on a node, and whether one that is there may stay."""
    spec = dict(owner["spec"]["template"].get("spec") or {})
    spec["tolerations"] = [*(spec.get("tolerations") or []), *_own_tolerations()]
    pod = {"metadata": {}, "spec": spec}
    if not node_rules.selects(pod, node):
        return False, False
    open_taints = [taint for taint in node_rules.taints(node) if not node_rules.tolerates(pod, taint)]
    return not open_taints, not any(taint["effect"] == "NoExecute" for taint in open_taints)


def _own_tolerations() -> list[Json]:
    return [
        {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": effect} for name, effect in _NODE_TAINTS
    ]


def _on_node(affinity: Json, node: str) -> Json:
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    inside = affinity.get("nodeAffinity") or {}
    terms = (inside.get(node_rules.REQUIRED) or {}).get("nodeSelectorTerms") or [{}]
    bound = {"nodeSelectorTerms": [{**term, "matchFields": [field]} for term in terms]}
    return {**affinity, "nodeAffinity": {**inside, node_rules.REQUIRED: bound}}
