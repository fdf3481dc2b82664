"""Deployments: one ReplicaSet per pod template, rolled out within limits, with revisions, history and a deadline."""

from collections.abc import Sequence
from typing import Any

from toban_sandbox.controllers import loop, progress, rollout
from toban_sandbox.kube import deletion, errors, events, kinds, objects, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]


class DeploymentController(loop.Controller):
    """Moves every Deployment towards its template and size."""

    resources = ("deployments", "replicasets", "pods")

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.Recorder(store, "deployment-controller")

    def observe(self, change: stores.Change) -> None:
        if change.resource == "deployments":
            self.queue.add(loop.key_of(change.obj))
        elif change.resource == "replicasets":
            owner = objects.controller_of(change.obj)
            if owner is not None and owner["kind"] == "Deployment":
                self.queue.add((change.obj["metadata"]["namespace"], owner["name"]))
        elif change.type == stores.DELETED:
            self._observe_gone_pod(change.obj)

    def _observe_gone_pod(self, pod: Json) -> None:
        # Only a Recreate waits for the last old pod to be gone.
        owner = objects.controller_of(pod)
        owned = self.store.get("replicasets", pod["metadata"]["namespace"], owner["name"]) if owner else None
        above = objects.controller_of(owned) if owned else None
        if above is not None:
            self.queue.add((pod["metadata"]["namespace"], above["name"]))

    def sync(self, key: loop.ObjectKey) -> None:
        deployment = self.store.get("deployments", *key)
        if deployment is None:
            return
        replicasets = self._replicasets(deployment)
        if objects.is_terminating(deployment) or self._namespace_is_going(key[0]):
            self._report(deployment, None, replicasets)
            return
        new = next((one for one in replicasets if rollout.same_template(one, deployment)), None)
        olds = [one for one in replicasets if one is not new]
        if deployment["spec"].get("paused") or rollout.was_resized(deployment, replicasets):
            self._resize(deployment, new, olds)
        elif deployment["spec"]["strategy"]["type"] == "Recreate":
            self._recreate(deployment, new, olds)
        else:
            self._roll(deployment, new, olds)
        self._finish(key)

    def _namespace_is_going(self, namespace: str) -> bool:
        found = self.store.get("namespaces", None, namespace)
        return found is not None and objects.is_terminating(found)

    def _finish(self, key: loop.ObjectKey) -> None:
        deployment = self.store.get("deployments", *key)
        if deployment is None:
            return
        replicasets = self._replicasets(deployment)
        new = next((one for one in replicasets if rollout.same_template(one, deployment)), None)
        if new is not None and not deployment["spec"].get("paused"):
            deployment = self._publish_revision(deployment, new)
        self._report(deployment, new, replicasets)
        if new is not None and progress.is_complete(deployment, progress.counts(deployment, new, replicasets)):
            self._forget_history(deployment, [one for one in replicasets if one is not new])

    def _replicasets(self, deployment: Json) -> list[Json]:
        """The Deployment's own ReplicaSets, oldest first; orphans that fit are taken in."""
        wanted = selectors.of_object(deployment["spec"].get("selector"))
        found = []
        for one in self.store.list("replicasets", deployment["metadata"]["namespace"]):
            owner = objects.controller_of(one)
            if owner is not None and owner["uid"] == deployment["metadata"]["uid"]:
                found.append(one)
            elif owner is None and selectors.matches_labels(wanted, objects.labels(one)):
                found.append(self._adopt(deployment, one))
        return sorted((one for one in found if not objects.is_terminating(one)), key=rollout.age_order)

    def _adopt(self, deployment: Json, one: Json) -> Json:
        references = [*(one["metadata"].get("ownerReferences") or []), objects.owner_reference(deployment)]
        return self.store.update("replicasets", one | {"metadata": one["metadata"] | {"ownerReferences": references}})

    def _roll(self, deployment: Json, new: Json | None, olds: list[Json]) -> None:
        if new is None:
            new = self._create_new(deployment, olds)
        else:
            wanted = rollout.new_size(deployment, [*olds, new], new)
            if rollout.size(new) > deployment["spec"]["replicas"]:
                wanted = deployment["spec"]["replicas"]
            if self._scale(deployment, self._describe_new(deployment, new, olds), wanted):
                return
        for one, wanted in rollout.old_sizes(deployment, new, olds):
            self._scale(deployment, one, wanted)

    def _recreate(self, deployment: Json, new: Json | None, olds: list[Json]) -> None:
        shrunk = [self._scale(deployment, one, 0) for one in olds]
        if any(shrunk) or self._has_pods(olds):
            return
        if new is None:
            self._create_new(deployment, olds)
        else:
            self._scale(deployment, self._describe_new(deployment, new, olds), deployment["spec"]["replicas"])

    def _has_pods(self, replicasets: Sequence[Json]) -> bool:
        owners = {one["metadata"]["uid"] for one in replicasets}
        if not owners:
            return False
        pods = self.store.list("pods", replicasets[0]["metadata"]["namespace"])
        return any(
            owner["uid"] in owners
            for pod in pods
            if (owner := objects.controller_of(pod)) is not None and not objects.is_finished(pod)
        )

    def _resize(self, deployment: Json, new: Json | None, olds: list[Json]) -> None:
        for one, wanted in rollout.proportional_sizes(deployment, new, olds):
            self._scale(deployment, one, wanted)

    def _create_new(self, deployment: Json, olds: list[Json]) -> Json:
        collisions = int((deployment.get("status") or {}).get("collisionCount") or 0)
        template = objects.copy(deployment["spec"]["template"])
        mark = rollout.template_hash(template, collisions)
        labels = {**(template.setdefault("metadata", {}).get("labels") or {}), rollout.HASH_LABEL: mark}
        template["metadata"]["labels"] = labels
        selector = objects.copy(deployment["spec"]["selector"])
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), rollout.HASH_LABEL: mark}
        wanted = rollout.new_size(deployment, olds, None)
        obj = {
            "metadata": {
                "name": f"{objects.name_of(deployment)}-{mark}",
                "namespace": deployment["metadata"]["namespace"],
                "labels": dict(labels),
                "annotations": self._annotations(deployment, None, olds),
                "ownerReferences": [objects.owner_reference(deployment)],
            },
            "spec": {"replicas": wanted, "selector": selector, "template": template},
        }
        if deployment["spec"].get("minReadySeconds"):
            obj["spec"]["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
        try:
            created = self.store.create("replicasets", obj)
        except errors.ApiError:
            status = {**(deployment.get("status") or {}), "collisionCount": collisions + 1}
            self.store.update("deployments", deployment | {"status": status}, subresource="status")
            raise
        if wanted:
            self._tell_scaled(deployment, created, 0, wanted)
        return created

    def _annotations(self, deployment: Json, new: Json | None, olds: Sequence[Json]) -> dict[str, str]:
        """What a new ReplicaSet is annotated with: the Deployment's own notes, its revision and its sizes."""
        surge, _ = rollout.limits(deployment)
        wanted = deployment["spec"]["replicas"]
        found = dict(objects.annotations(new)) if new is not None else {}
        for key, value in objects.annotations(deployment).items():
            if key not in rollout.OWN_ANNOTATIONS:
                found[key] = value
        latest = max((rollout.revision(one) for one in olds), default=0)
        before = rollout.revision(new) if new is not None else 0
        if before <= latest:
            found[rollout.REVISION] = str(latest + 1)
            if before:
                history = [*filter(None, found.get(rollout.REVISION_HISTORY, "").split(",")), str(before)]
                found[rollout.REVISION_HISTORY] = ",".join(history)
        found[rollout.DESIRED] = str(wanted)
        found[rollout.MAXIMUM] = str(wanted + surge)
        return found

    def _describe_new(self, deployment: Json, new: Json, olds: Sequence[Json]) -> Json:
        wanted = self._annotations(deployment, new, olds)
        if wanted == objects.annotations(new):
            return new
        changed = new | {"metadata": new["metadata"] | {"annotations": wanted}}
        if deployment["spec"].get("minReadySeconds"):
            changed["spec"] = changed["spec"] | {"minReadySeconds": deployment["spec"]["minReadySeconds"]}
        return self.store.update("replicasets", changed)

    def _scale(self, deployment: Json, one: Json, wanted: int) -> bool:
        """Resize a ReplicaSet; returns whether its size changed."""
        surge, _ = rollout.limits(deployment)
        before = rollout.size(one)
        desired = deployment["spec"]["replicas"]
        notes = {rollout.DESIRED: str(desired), rollout.MAXIMUM: str(desired + surge)}
        annotations = {**objects.annotations(one), **notes}
        if before == wanted and annotations == objects.annotations(one):
            return False
        meta = one["metadata"] | {"annotations": annotations}
        self.store.update("replicasets", one | {"metadata": meta, "spec": one["spec"] | {"replicas": wanted}})
        if before != wanted:
            self._tell_scaled(deployment, one, before, wanted)
        return before != wanted

    def _tell_scaled(self, deployment: Json, one: Json, before: int, wanted: int) -> None:
        way = "up" if wanted > before else "down"
        text = f"Scaled {way} replica set {objects.name_of(one)} from {before} to {wanted}"
        self._events.normal(deployment, "ScalingReplicaSet", text)

    def _publish_revision(self, deployment: Json, new: Json) -> Json:
        revision = objects.annotations(new).get(rollout.REVISION)
        if not revision or objects.annotations(deployment).get(rollout.REVISION) == revision:
            return deployment
        annotations = {**objects.annotations(deployment), rollout.REVISION: revision}
        return self.store.update(
            "deployments", deployment | {"metadata": deployment["metadata"] | {"annotations": annotations}}
        )

    def _report(self, deployment: Json, new: Json | None, replicasets: list[Json]) -> None:
        status = progress.status(deployment, new, replicasets, now=self.clock.now())
        updated = self.store.update("deployments", deployment | {"status": status}, subresource="status")
        wait = progress.seconds_to_deadline(updated, now=self.clock.now())
        if wait is not None:
            self.queue.add_after(loop.key_of(deployment), wait)

    def _forget_history(self, deployment: Json, olds: list[Json]) -> None:
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        idle = [one for one in olds if not rollout.size(one) and not rollout.counted([one], "replicas")]
        for one in sorted(idle, key=rollout.revision)[: max(0, len(idle) - limit)]:
            deletion.delete(self.store, kinds.stored("replicasets"), one, deletion.Options())
