"""StatefulSets: pods with names that stay, one after the other, each with volumes of its own, updated from the end."""

from typing import Any

from toban_sandbox.controllers import loop, pods, revisions
from toban_sandbox.kube import errors, events, objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


class StatefulSetController(loop.Controller):
    """Moves every StatefulSet one step further."""

    resources = ("statefulsets", "pods")

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.Recorder(store, "statefulset-controller")

    def observe(self, change: stores.Change) -> None:
        if change.resource == "statefulsets":
            self.queue.add(loop.key_of(change.obj))
            return
        key = pods.owner_key(change.obj, "StatefulSet")
        if key is not None:
            self.queue.add(key)

    def sync(self, key: loop.ObjectKey) -> None:
        owner = self.store.get("statefulsets", *key)
        if owner is None:
            return
        update = revisions.current(self.store, owner)
        known = {objects.name_of(one): one for one in revisions.of_owner(self.store, owner)}
        current = known.get((owner.get("status") or {}).get("currentRevision", ""), update)
        try:
            if not objects.is_terminating(owner) and not pods.namespace_is_going(self.store, key[0]):
                self._step(owner, current, update)
        finally:
            self._report(key, current, update)

    def _step(self, owner: Json, current: Json, update: Json) -> None:
        found = {ordinal_of(pod, owner): pod for pod in pods.owned(self.store, owner)}
        found.pop(-1, None)
        first = int((owner["spec"].get("ordinals") or {}).get("start", 0))
        wanted = range(first, first + int(owner["spec"]["replicas"]))
        ordered = owner["spec"]["podManagementPolicy"] == "OrderedReady"
        for ordinal in wanted:
            if self._bring_up(owner, ordinal, found, current=current, update=update) and ordered:
                return
        condemned = sorted((number for number in found if number not in wanted), reverse=True)
        if self._shrink(owner, found, condemned, ordered=ordered):
            return
        self._update(owner, {number: found[number] for number in wanted if number in found}, update)

    def _bring_up(self, owner: Json, ordinal: int, found: dict[int, Json], *, current: Json, update: Json) -> bool:
        """See to one pod that is wanted; returns whether the next one has to wait for it."""
        pod = found.get(ordinal)
        if pod is not None and objects.is_finished(pod):
            if not objects.is_terminating(pod):
                text = f"StatefulSet {owner['metadata']['namespace']}/{objects.name_of(owner)} is recreating failed Pod"
                self._events.warning(owner, "RecreatingFailedPod", f"{text} {objects.name_of(pod)}")
                self._delete(owner, pod)
            return True
        if pod is None:
            self._create(owner, ordinal, self._revision_for(owner, ordinal, current=current, update=update))
            return True
        self._ensure_claims(owner, ordinal)
        return objects.is_terminating(pod) or not self._is_healthy(owner, pod)

    def _revision_for(self, owner: Json, ordinal: int, *, current: Json, update: Json) -> Json:
        strategy = owner["spec"]["updateStrategy"]
        if strategy["type"] == "OnDelete":
            return update
        partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
        return current if ordinal < partition else update

    def _shrink(self, owner: Json, found: dict[int, Json], condemned: list[int], *, ordered: bool) -> bool:
        """Take away pods that are too many, the last first; returns whether that goes on."""
        for ordinal in condemned:
            pod = found[ordinal]
            if not objects.is_terminating(pod):
                self._delete(owner, pod)
            if ordered:
                return True
        return bool(condemned)

    def _update(self, owner: Json, found: dict[int, Json], update: Json) -> None:
        strategy = owner["spec"]["updateStrategy"]
        if strategy["type"] != "RollingUpdate":
            return
        rolling = strategy.get("rollingUpdate") or {}
        for ordinal in sorted(found, reverse=True):
            if ordinal < int(rolling.get("partition") or 0):
                return
            pod = found[ordinal]
            if objects.labels(pod).get(revisions.HASH_LABEL) != objects.name_of(update):
                if not objects.is_terminating(pod):
                    self._delete(owner, pod)
                return
            if not self._is_healthy(owner, pod):
                return

    def _is_healthy(self, owner: Json, pod: Json) -> bool:
        if objects.is_terminating(pod) or (pod.get("status") or {}).get("phase") != "Running":
            return False
        wait_s = float(owner["spec"].get("minReadySeconds") or 0)
        if pods.is_available(pod, wait_s, self.clock.now()):
            return True
        if objects.is_true(pod, "Ready"):
            self.queue.add_after(loop.key_of(owner), wait_s)
        return False

    def _create(self, owner: Json, ordinal: int, revision: Json) -> None:
        name = f"{objects.name_of(owner)}-{ordinal}"
        self._ensure_claims(owner, ordinal)
        pod = pods.from_template(owner, revisions.template_of(revision), name=name)
        marks = {POD_NAME: name, POD_INDEX: str(ordinal), revisions.HASH_LABEL: objects.name_of(revision)}
        pod["metadata"]["labels"] |= marks
        pod["metadata"]["generateName"] = f"{objects.name_of(owner)}-"
        pod["spec"] |= {"hostname": name}
        if owner["spec"].get("serviceName"):
            pod["spec"]["subdomain"] = owner["spec"]["serviceName"]
        self._use_claims(owner, ordinal, pod)
        about = f"Create Pod {name} in StatefulSet {objects.name_of(owner)}"
        try:
            self.store.create("pods", pod)
        except errors.ApiError as refused:
            self._events.warning(owner, "FailedCreate", f"{about} failed error: {refused}")
            raise
        self._events.normal(owner, "SuccessfulCreate", f"{about} successful")

    def _use_claims(self, owner: Json, ordinal: int, pod: Json) -> None:
        templates = owner["spec"].get("volumeClaimTemplates") or ()
        names = {objects.name_of(one) for one in templates}
        kept = [volume for volume in pod["spec"].get("volumes") or () if volume["name"] not in names]
        own = [
            {"name": objects.name_of(one), "persistentVolumeClaim": {"claimName": claim_name(owner, one, ordinal)}}
            for one in templates
        ]
        if kept or own:
            pod["spec"]["volumes"] = [*own, *kept]

    def _ensure_claims(self, owner: Json, ordinal: int) -> None:
        namespace = owner["metadata"]["namespace"]
        for template in owner["spec"].get("volumeClaimTemplates") or ():
            name = claim_name(owner, template, ordinal)
            if self.store.get("persistentvolumeclaims", namespace, name) is not None:
                continue
            labels = (owner["spec"].get("selector") or {}).get("matchLabels") or {}
            meta = {**template["metadata"], "name": name, "namespace": namespace, "labels": dict(labels)}
            if owner["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete":
                meta["ownerReferences"] = [objects.owner_reference(owner)]
            pod = f"{objects.name_of(owner)}-{ordinal}"
            about = f"Create Claim {name} Pod {pod} in StatefulSet {objects.name_of(owner)}"
            try:
                self.store.create("persistentvolumeclaims", {"metadata": meta, "spec": objects.copy(template["spec"])})
            except errors.ApiError as refused:
                self._events.warning(owner, "FailedCreate", f"{about} failed error: {refused}")
                raise
            self._events.normal(owner, "SuccessfulCreate", f"{about} success")

    def _delete(self, owner: Json, pod: Json) -> None:
        pods.delete(self.store, pod)
        text = f"Delete Pod {objects.name_of(pod)} in StatefulSet {objects.name_of(owner)} successful"
        self._events.normal(owner, "SuccessfulDelete", text)

    def _report(self, key: loop.ObjectKey, current: Json, update: Json) -> None:
        owner = self.store.get("statefulsets", *key)
        if owner is None:
            return
        found = [pod for pod in pods.owned(self.store, owner) if not objects.is_finished(pod)]
        status = self._status(owner, found, current=current, update=update)
        self.store.update("statefulsets", owner | {"status": status}, subresource="status")
        revisions.forget(self.store, owner, in_use={status["currentRevision"], status["updateRevision"]})

    def _status(self, owner: Json, found: list[Json], *, current: Json, update: Json) -> Json:
        wait_s, now = float(owner["spec"].get("minReadySeconds") or 0), self.clock.now()
        ready = [pod for pod in found if objects.is_true(pod, "Ready")]

        def of(revision: Json) -> int:
            name = objects.name_of(revision)
            staying = (pod for pod in found if not objects.is_terminating(pod))
            return sum(1 for pod in staying if objects.labels(pod).get(revisions.HASH_LABEL) == name)

        updated, wanted = of(update), int(owner["spec"]["replicas"])
        done = updated == wanted == len(ready) == len(found)
        shown = update if done else current
        status: Json = {
            "availableReplicas": sum(1 for pod in ready if pods.is_available(pod, wait_s, now)),
            "collisionCount": 0,
            "currentReplicas": of(shown),
            "currentRevision": objects.name_of(shown),
            "observedGeneration": owner["metadata"].get("generation", 1),
            "readyReplicas": len(ready),
            "replicas": len(found),
            "updateRevision": objects.name_of(update),
            "updatedReplicas": updated,
        }
        unset = {name for name in ("currentReplicas", "readyReplicas", "updatedReplicas") if not status[name]}
        return {name: value for name, value in status.items() if name not in unset}


def ordinal_of(pod: Json, owner: Json) -> int:
    """The number in a pod's name, -1 when it is none of the set's."""
    tail = objects.name_of(pod).removeprefix(f"{objects.name_of(owner)}-")
    return int(tail) if tail.isdigit() else -1


def claim_name(owner: Json, template: Json, ordinal: int) -> str:
    return f"{objects.name_of(template)}-{objects.name_of(owner)}-{ordinal}"
