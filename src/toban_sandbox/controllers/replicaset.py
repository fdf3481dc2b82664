"""ReplicaSets: as many pods as were asked for, and a status that counts them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from toban_sandbox.controllers import loop
from toban_sandbox.controllers import pods as pods_
from toban_sandbox.kube import deletion, errors, events, kinds, objects, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

LARGEST_BURST = 500
# What may have kept pods from being created.
_LIMITING = ("limitranges", "resourcequotas", "serviceaccounts")


class ReplicaSetController(loop.Controller):
    """Creates and deletes the pods of every ReplicaSet."""

    resources = ("replicasets", "pods", *_LIMITING)

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.Recorder(store, "replicaset-controller")

    def observe(self, change: stores.Change) -> None:
        if change.resource == "replicasets":
            # Its own report about a creation that failed is no reason to try again at once.
            if (
                change.old is None
                or change.old["spec"] is not change.obj["spec"]
                or _marks(change.old) != _marks(change.obj)
            ):
                self.queue.add(loop.key_of(change.obj))
            return
        if change.resource in _LIMITING:
            self._try_again(change.obj["metadata"].get("namespace"))
            return
        owner = objects.controller_of(change.obj)
        if owner is not None and owner["kind"] == "ReplicaSet":
            self.queue.add((change.obj["metadata"]["namespace"], owner["name"]))
        elif owner is None and change.type != stores.DELETED:
            for replicaset in self._could_adopt(change.obj):
                self.queue.add(loop.key_of(replicaset))

    def _try_again(self, namespace: str | None) -> None:
        for replicaset in self.store.list("replicasets", namespace):
            if objects.is_true(replicaset, "ReplicaFailure"):
                self.queue.add(loop.key_of(replicaset))

    def sync(self, key: loop.ObjectKey) -> None:
        replicaset = self.store.get("replicasets", *key)
        if replicaset is None:
            return
        pods = self._pods(replicaset)
        failure = None
        if not objects.is_terminating(replicaset) and not self._namespace_is_going(key[0]):
            failure = self._bring_to_size(replicaset, [pod for pod in pods if pods_.is_active(pod)])
        current = self.store.get("replicasets", *key)
        if current is not None:
            self._report(current, self._pods(current), str(failure) if failure is not None else None)
        if failure is not None:
            raise failure

    def _namespace_is_going(self, namespace: str) -> bool:
        found = self.store.get("namespaces", None, namespace)
        return found is not None and objects.is_terminating(found)

    def _pods(self, replicaset: Json) -> list[Json]:
        namespace, uid = replicaset["metadata"]["namespace"], replicaset["metadata"]["uid"]
        wanted = selectors.of_object(replicaset["spec"].get("selector"))
        owned = []
        for pod in self.store.list("pods", namespace):
            owner = objects.controller_of(pod)
            if owner is not None and owner["uid"] == uid:
                owned.append(pod)
            elif owner is None and pods_.is_active(pod) and selectors.matches_labels(wanted, objects.labels(pod)):
                owned.append(self._adopt(replicaset, pod))
        return owned

    def _could_adopt(self, pod: Json) -> Iterator[Json]:
        for replicaset in self.store.list("replicasets", pod["metadata"]["namespace"]):
            wanted = selectors.of_object(replicaset["spec"].get("selector"))
            if selectors.matches_labels(wanted, objects.labels(pod)):
                yield replicaset

    def _adopt(self, replicaset: Json, pod: Json) -> Json:
        references = [*(pod["metadata"].get("ownerReferences") or []), objects.owner_reference(replicaset)]
        return self.store.update("pods", pod | {"metadata": pod["metadata"] | {"ownerReferences": references}})

    def _bring_to_size(self, replicaset: Json, active: list[Json]) -> errors.ApiError | None:
        """Create or delete pods; returns why a creation failed."""
        missing = replicaset["spec"]["replicas"] - len(active)
        if missing > 0:
            return self._create(replicaset, min(missing, LARGEST_BURST))
        if missing == 0:
            return None
        now = self.clock.now()
        for pod in sorted(active, key=lambda one: _worth(one, now))[:-missing]:
            deletion.delete(self.store, kinds.stored("pods"), pod, deletion.Options())
            self._events.normal(replicaset, "SuccessfulDelete", f"Deleted pod: {objects.name_of(pod)}")
        return None

    def _create(self, replicaset: Json, count: int) -> errors.ApiError | None:
        template = replicaset["spec"]["template"]
        for _ in range(count):
            pod = {
                "metadata": {
                    "generateName": f"{objects.name_of(replicaset)}-",
                    "namespace": replicaset["metadata"]["namespace"],
                    "labels": objects.copy((template.get("metadata") or {}).get("labels") or {}),
                    "ownerReferences": [objects.owner_reference(replicaset)],
                },
                "spec": template["spec"],
            }
            annotations = (template.get("metadata") or {}).get("annotations")
            if annotations:
                pod["metadata"]["annotations"] = objects.copy(annotations)
            try:
                created = self.store.create("pods", pod)
            except errors.ApiError as refused:
                self._events.warning(replicaset, "FailedCreate", f"Error creating: {refused}")
                return refused
            self._events.normal(replicaset, "SuccessfulCreate", f"Created pod: {objects.name_of(created)}")
        return None

    def _report(self, replicaset: Json, pods: list[Json], failure: str | None) -> None:
        active = [pod for pod in pods if pods_.is_active(pod)]
        wait_s = replicaset["spec"].get("minReadySeconds") or 0
        labels = (replicaset["spec"]["template"].get("metadata") or {}).get("labels") or {}
        now = self.clock.now()
        counts = {
            "fullyLabeledReplicas": sum(1 for pod in active if labels.items() <= objects.labels(pod).items()),
            "readyReplicas": sum(1 for pod in active if objects.is_true(pod, "Ready")),
            "availableReplicas": sum(1 for pod in active if pods_.is_available(pod, wait_s, now)),
        }
        status: Json = {
            "replicas": len(active),
            "observedGeneration": replicaset["metadata"].get("generation", 1),
            "terminatingReplicas": sum(1 for pod in pods if objects.is_terminating(pod)),
        }
        status |= {name: count for name, count in counts.items() if count}
        if failure is not None:
            status["conditions"] = [_failure_condition(failure, objects.timestamp(now))]
        self.store.update("replicasets", replicaset | {"status": status}, subresource="status")
        if counts["readyReplicas"] > counts["availableReplicas"]:
            self.queue.add_after(loop.key_of(replicaset), float(wait_s))


def _worth(pod: Json, now: datetime) -> tuple[bool, bool, bool, int, float]:
    """Pods that are worth least come first: not placed, not running, not ready, often restarted, young."""
    status = pod.get("status") or {}
    restarts = sum(int(one.get("restartCount") or 0) for one in status.get("containerStatuses") or ())
    born = objects.parse_time(pod["metadata"]["creationTimestamp"])
    return (
        bool(pod["spec"].get("nodeName")),
        status.get("phase") == "Running",
        objects.is_true(pod, "Ready"),
        -restarts,
        (now - born).total_seconds(),
    )


def _marks(obj: Json) -> tuple[Any, ...]:
    meta = obj["metadata"]
    return meta.get("labels"), meta.get("ownerReferences"), meta.get("deletionTimestamp")


def _failure_condition(message: str, now: str) -> Json:
    return {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": message,
        "lastTransitionTime": now,
    }
