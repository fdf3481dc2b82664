"""Volumes: claims bound to volumes that suit them, volumes provisioned by classes, released and kept or deleted."""

from typing import Any

from toban_sandbox.controllers import loop
from toban_sandbox.controllers.scheduling import volumes as rules
from toban_sandbox.kube import defaults_storage, deletion, events, kinds, objects, quantity
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

BIND_COMPLETED, BOUND_BY = "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
PROVISION_S = 0.5
_ZONE, _HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
_NODE_LOCAL = ("local-path", "hostpath", "kubernetes.io/no-provisioner")
_NOTHING_FITS = "no persistent volumes available for this claim and no storage class is set"
_WAITS = "waiting for first consumer to be created before binding"


class VolumeController(loop.Controller):
    """Binds claims and volumes; keys are the resource, the namespace and the name."""

    resources = ("persistentvolumeclaims", "persistentvolumes", "storageclasses", "pods")

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.Recorder(store, "persistentvolume-controller")
        self._provisioners: dict[str, events.Recorder] = {}
        self._provisioning: set[str] = set()

    def observe(self, change: stores.Change) -> None:
        namespace, name = loop.key_of(change.obj)
        if change.resource == "pods":
            gone = change.type == stores.DELETED or objects.is_finished(change.obj)
            if gone or (change.old or {}).get("spec") is not change.obj["spec"]:
                for used in rules.claim_names(change.obj):
                    self.queue.add(("persistentvolumeclaims", namespace, used))
            return
        if change.resource != "storageclasses":
            self.queue.add((change.resource, namespace, name))
        if change.resource == "persistentvolumeclaims":
            volume = change.obj["spec"].get("volumeName")
            if volume:
                self.queue.add(("persistentvolumes", "", volume))
        elif change.type != stores.DELETED or change.resource == "persistentvolumes":
            for claim in self.store.each("persistentvolumeclaims"):
                open_claim = (claim.get("status") or {}).get("phase") != "Bound"
                if open_claim or claim["spec"].get("volumeName") == name:
                    self.queue.add(("persistentvolumeclaims", *loop.key_of(claim)))

    def sync(self, key: tuple[str, str, str]) -> None:
        obj = self.store.get(*key)
        if obj is None:
            return
        if key[0] == "persistentvolumeclaims":
            self._sync_claim(obj)
        else:
            self._sync_volume(obj)

    # -- claims ---------------------------------------------------------------------------------------------------
    def _sync_claim(self, claim: Json) -> None:
        if objects.is_terminating(claim):
            if not self._users(claim):
                self._release(claim, "persistentvolumeclaims", defaults_storage.CLAIM_PROTECTION)
        elif objects.annotations(claim).get(BIND_COMPLETED) == "yes":
            self._check_bound(claim)
        else:
            self._find_volume(claim)

    def _users(self, claim: Json) -> list[Json]:
        return [
            pod
            for pod in self.store.list("pods", claim["metadata"]["namespace"])
            if not objects.is_finished(pod) and objects.name_of(claim) in rules.claim_names(pod)
        ]

    def _release(self, obj: Json, resource: str, finalizer: str) -> None:
        kept = [one for one in obj["metadata"].get("finalizers") or () if one != finalizer]
        self.store.update(resource, obj | {"metadata": obj["metadata"] | {"finalizers": kept}})

    def _check_bound(self, claim: Json) -> None:
        volume = self.store.get("persistentvolumes", None, claim["spec"].get("volumeName", ""))
        if volume is None:
            if (claim.get("status") or {}).get("phase") != "Lost":
                self._claim_status(claim, {"phase": "Lost"})
                text = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
                self._events.warning(claim, "ClaimLost", text)
            return
        asked, given = _storage(claim["spec"].get("resources")), (volume["spec"].get("capacity") or {}).get("storage")
        if quantity.parse(asked) > quantity.parse(given or "0"):
            self._grow(claim, volume, asked)
        elif (claim.get("status") or {}).get("phase") != "Bound":
            self._mark_bound(claim, volume)

    def _grow(self, claim: Json, volume: Json, asked: str) -> None:
        capacity = {**(volume["spec"].get("capacity") or {}), "storage": asked}
        self.store.update("persistentvolumes", volume | {"spec": volume["spec"] | {"capacity": capacity}})
        self._claim_status(claim, {**(claim.get("status") or {}), "capacity": {"storage": asked}})
        about = f'MountVolume.NodeExpandVolume succeeded for volume "{objects.name_of(volume)}"'
        self._events.normal(claim, "FileSystemResizeSuccessful", about)

    def _find_volume(self, claim: Json) -> None:
        named = claim["spec"].get("volumeName")
        waits = rules.waits_for_pod(self.store, claim) and not named
        selected = objects.annotations(claim).get(rules.SELECTED_NODE)
        if waits and not selected:
            self._tell_waiting(claim)
            return
        node = self.store.get("nodes", None, selected or "") if waits else None
        fitting = [
            one
            for one in self.store.list("persistentvolumes")
            if rules.suits(one, claim) and (node is None or rules.reaches(one, node))
        ]
        if fitting:
            fitting.sort(key=lambda one: (not one["spec"].get("claimRef"), quantity.parse(_capacity(one))))
            self._bind(claim, fitting[0])
        elif named:
            self._explain_named(claim, str(named))
        else:
            self._provision(claim)

    def _explain_named(self, claim: Json, name: str) -> None:
        volume = self.store.get("persistentvolumes", None, name)
        if volume is None:
            return
        reference = volume["spec"].get("claimRef")
        if reference and reference.get("uid") != claim["metadata"]["uid"]:
            why = f'volume "{name}" already bound to a different claim.'
            self._events.warning(claim, "FailedBinding", why)
            return
        asked = quantity.parse(_storage(claim["spec"].get("resources")))
        if quantity.parse(_capacity(volume)) < asked:
            why = "requested PV is too small"
        elif (volume["spec"].get("storageClassName") or "") != (claim["spec"].get("storageClassName") or ""):
            why = "storageClassName does not match"
        elif not set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ()):
            why = "incompatible accessMode"
        else:
            why = "incompatible volumeMode"
        text = f'Cannot bind to requested volume "{name}": {why}'
        self._events.warning(claim, "VolumeMismatch", text)

    def _tell_waiting(self, claim: Json) -> None:
        users = [objects.name_of(pod) for pod in self._users(claim) if not pod["spec"].get("nodeName")]
        if users:
            many = "pod" if len(users) == 1 else "pods"
            self._events.normal(claim, "WaitForPodScheduled", f"waiting for {many} {','.join(users)} to be scheduled")
        else:
            self._events.normal(claim, "WaitForFirstConsumer", _WAITS)

    def _provision(self, claim: Json) -> None:
        name = claim["spec"].get("storageClassName")
        if not name:
            self._events.normal(claim, "FailedBinding", _NOTHING_FITS)
            return
        found = self.store.get("storageclasses", None, name)
        if found is None:
            text = f'storageclass.storage.k8s.io "{name}" not found'
            self._events.warning(claim, "ProvisioningFailed", text)
            return
        provisioner = str(found.get("provisioner", ""))
        uid = claim["metadata"]["uid"]
        if provisioner == rules.NO_PROVISIONER:
            text = f"no volume plugin matched name: {rules.NO_PROVISIONER}"
            self._events.warning(claim, "ProvisioningFailed", text)
            return
        if uid in self._provisioning:
            return
        self._provisioning.add(uid)
        notes = {**objects.annotations(claim), PROVISIONER: provisioner}
        self.store.update("persistentvolumeclaims", claim | {"metadata": claim["metadata"] | {"annotations": notes}})
        text = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        self._events.normal(claim, "ExternalProvisioning", text)
        key = loop.key_of(claim)
        about = f'External provisioner is provisioning volume for claim "{key[0]}/{key[1]}"'
        self._recorder(provisioner).normal(claim, "Provisioning", about)
        self.clock.call_later(PROVISION_S, lambda: self._provisioned(key, uid, found))

    def _recorder(self, provisioner: str) -> events.Recorder:
        known = self._provisioners.get(provisioner)
        if known is None:
            known = self._provisioners[provisioner] = events.Recorder(self.store, provisioner)
        return known

    def _provisioned(self, key: loop.ObjectKey, uid: str, found: Json) -> None:
        self._provisioning.discard(uid)
        claim = self.store.get("persistentvolumeclaims", *key)
        if claim is None or claim["metadata"]["uid"] != uid or claim["spec"].get("volumeName"):
            return
        modes = set(claim["spec"].get("accessModes") or ())
        provisioner = str(found["provisioner"])
        recorder = self._recorder(provisioner)
        if _is_node_local(provisioner) and modes & {"ReadWriteMany", "ReadOnlyMany"}:
            text = (
                f'failed to provision volume with StorageClass "{objects.name_of(found)}": NodePath only supports '
                "ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
            )
            recorder.warning(claim, "ProvisioningFailed", text)
            return
        volume = self.store.create("persistentvolumes", self._new_volume(claim, found))
        recorder.normal(claim, "ProvisioningSucceeded", f"Successfully provisioned volume {objects.name_of(volume)}")

    def _new_volume(self, claim: Json, found: Json) -> Json:
        uid, provisioner = claim["metadata"]["uid"], str(found["provisioner"])
        name = f"pvc-{uid}"
        spec: Json = {
            "capacity": {"storage": _storage(claim["spec"].get("resources"))},
            "accessModes": list(claim["spec"].get("accessModes") or ()),
            "persistentVolumeReclaimPolicy": found.get("reclaimPolicy", "Delete"),
            "storageClassName": objects.name_of(found),
            "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
            "claimRef": _reference(claim),
        }
        node = self.store.get("nodes", None, objects.annotations(claim).get(rules.SELECTED_NODE, ""))
        if _is_node_local(provisioner):
            spec["hostPath"] = {"path": f"/var/local-path-provisioner/{name}", "type": "DirectoryOrCreate"}
        else:
            spec["csi"] = {"driver": provisioner, "fsType": "ext4", "volumeHandle": name}
        if node is not None:
            key = _HOST if _is_node_local(provisioner) else _ZONE
            if objects.labels(node).get(key):
                one = {"key": key, "operator": "In", "values": [objects.labels(node)[key]]}
                spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [one]}]}}
        return {"metadata": {"name": name, "annotations": {PROVISIONED_BY: provisioner}}, "spec": spec}

    def _bind(self, claim: Json, volume: Json) -> None:
        spec = volume["spec"] | {"claimRef": _reference(claim)}
        notes = {**objects.annotations(volume)}
        if not volume["spec"].get("claimRef"):
            notes[BOUND_BY] = "yes"
        meta = volume["metadata"] | ({"annotations": notes} if notes else {})
        volume = self.store.update("persistentvolumes", volume | {"metadata": meta, "spec": spec})
        self._volume_status(volume, "Bound")
        notes = {**objects.annotations(claim), BIND_COMPLETED: "yes"}
        if not claim["spec"].get("volumeName"):
            notes[BOUND_BY] = "yes"
        bound = claim["spec"] | {"volumeName": objects.name_of(volume)}
        current = claim | {"metadata": claim["metadata"] | {"annotations": notes}, "spec": bound}
        self._mark_bound(self.store.update("persistentvolumeclaims", current), volume)

    def _mark_bound(self, claim: Json, volume: Json) -> None:
        status = {"phase": "Bound", "accessModes": list(volume["spec"].get("accessModes") or ())}
        self._claim_status(claim, status | {"capacity": dict(volume["spec"].get("capacity") or {})})

    def _claim_status(self, claim: Json, status: Json) -> None:
        self.store.update("persistentvolumeclaims", claim | {"status": status}, subresource="status")

    # -- volumes --------------------------------------------------------------------------------------------------
    def _sync_volume(self, volume: Json) -> None:
        reference = volume["spec"].get("claimRef")
        claim = self._claim_of(reference)
        if objects.is_terminating(volume):
            if claim is None:
                self._release(volume, "persistentvolumes", defaults_storage.VOLUME_PROTECTION)
            return
        if not reference:
            self._volume_status(volume, "Available")
        elif claim is not None:
            if claim["spec"].get("volumeName") == objects.name_of(volume):
                self._volume_status(volume, "Bound")
        elif not reference.get("uid"):
            self._volume_status(volume, "Available")
        else:
            self._give_back(volume)

    def _claim_of(self, reference: Json | None) -> Json | None:
        if not reference:
            return None
        claim = self.store.get("persistentvolumeclaims", reference.get("namespace"), reference.get("name", ""))
        if claim is None or (reference.get("uid") and reference["uid"] != claim["metadata"]["uid"]):
            return None
        return claim

    def _give_back(self, volume: Json) -> None:
        """The claim is gone: keep the volume with its data, or delete it."""
        if (volume.get("status") or {}).get("phase") != "Released":
            volume = self._volume_status(volume, "Released")
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            deletion.delete(self.store, kinds.stored("persistentvolumes"), volume, deletion.Options())

    def _volume_status(self, volume: Json, phase: str) -> Json:
        known = volume.get("status") or {}
        if known.get("phase") == phase:
            return volume
        status = {"phase": phase, "lastPhaseTransitionTime": objects.timestamp(self.clock.now())}
        return self.store.update("persistentvolumes", volume | {"status": status}, subresource="status")


def _storage(resources: Json | None) -> str:
    return str(((resources or {}).get("requests") or {}).get("storage", "0"))


def _capacity(volume: Json) -> str:
    return str((volume["spec"].get("capacity") or {}).get("storage", "0"))


def _is_node_local(provisioner: str) -> bool:
    return any(part in provisioner for part in _NODE_LOCAL)


def _reference(claim: Json) -> Json:
    meta = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": meta["name"],
        "namespace": meta["namespace"],
        "resourceVersion": meta.get("resourceVersion", ""),
        "uid": meta["uid"],
    }
