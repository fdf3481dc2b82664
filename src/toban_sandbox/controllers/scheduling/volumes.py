"""What a pod's claims mean for its place: unbound ones, volumes that hang on a node or zone, volumes to be bound."""

from typing import Any

from toban_sandbox.controllers.scheduling import nodes
from toban_sandbox.kube import objects, quantity
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

SELECTED_NODE = "volume.kubernetes.io/selected-node"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


def claim_names(pod: Json) -> list[str]:
    """The names of the claims that a pod's volumes use."""
    found = []
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found.append(str(volume["persistentVolumeClaim"].get("claimName", "")))
        elif volume.get("ephemeral"):
            found.append(f"{objects.name_of(pod)}-{volume['name']}")
    return found


class Claims:
    """The claims of one pod, and what they say about nodes."""

    def __init__(self, store: stores.ObjectStore, pod: Json) -> None:
        self._store = store
        self._pod = pod
        self.fault = ""
        self._volumes: list[Json | None] = []
        self.waiting: list[Json] = []
        for name in claim_names(pod):
            self._look_at(name)

    def _look_at(self, name: str) -> None:
        claim = self._store.get("persistentvolumeclaims", self._pod["metadata"]["namespace"], name)
        if claim is None:
            self.fault = self.fault or f'persistentvolumeclaim "{name}" not found'
        elif objects.is_terminating(claim):
            self.fault = self.fault or f'persistentvolumeclaim "{name}" is being deleted'
        elif (claim.get("status") or {}).get("phase") == "Lost":
            volume = claim["spec"].get("volumeName", "")
            text = f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
            self.fault = self.fault or text
        elif claim["spec"].get("volumeName") and (claim.get("status") or {}).get("phase") == "Bound":
            self._volumes.append(self._store.get("persistentvolumes", None, claim["spec"]["volumeName"]))
        elif waits_for_pod(self._store, claim):
            self.waiting.append(claim)
        else:
            self.fault = self.fault or "pod has unbound immediate PersistentVolumeClaims"

    def node_fault(self, node: Json) -> str:
        """Why a node cannot have the pod's volumes, or nothing."""
        for volume in self._volumes:
            if volume is None:
                return "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
            if not reaches(volume, node):
                return "node(s) had volume node affinity conflict"
        for claim in self.waiting:
            if not self._can_be_bound(claim, node):
                return "node(s) didn't find available persistent volumes to bind"
        return ""

    def _can_be_bound(self, claim: Json, node: Json) -> bool:
        if any(reaches(one, node) for one in self._store.each("persistentvolumes") if suits(one, claim)):
            return True
        found = self._store.get("storageclasses", None, claim["spec"].get("storageClassName") or "")
        if found is None or found.get("provisioner") == NO_PROVISIONER:
            return False
        topologies = found.get("allowedTopologies") or []
        return not topologies or any(_in_topology(one, node) for one in topologies)

    def choose(self, node: str) -> bool:
        """Tell where the waiting claims are to be bound; returns whether the pod has to wait for that."""
        for claim in self.waiting:
            notes = objects.annotations(claim)
            if notes.get(SELECTED_NODE) != node:
                meta = claim["metadata"] | {"annotations": {**notes, SELECTED_NODE: node}}
                self._store.update("persistentvolumeclaims", claim | {"metadata": meta})
        return bool(self.waiting)


def waits_for_pod(store: stores.ObjectStore, claim: Json) -> bool:
    """Whether a claim is bound only when a pod that uses it has been given a node."""
    found = store.get("storageclasses", None, claim["spec"].get("storageClassName") or "")
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"


def suits(volume: Json, claim: Json) -> bool:
    """Whether a volume is free, and big and open enough for a claim."""
    spec, wanted = volume["spec"], claim["spec"]
    reference = spec.get("claimRef")
    own = (claim["metadata"].get("namespace"), claim["metadata"]["name"])
    if reference and (reference.get("namespace"), reference.get("name")) != own:
        return False
    if reference and reference.get("uid") and reference["uid"] != claim["metadata"]["uid"]:
        return False
    if wanted.get("volumeName") and wanted["volumeName"] != objects.name_of(volume):
        return False
    if not reference and (volume.get("status") or {}).get("phase") not in {"Available", "Pending"}:
        return False
    if objects.is_terminating(volume) or (spec.get("storageClassName") or "") != (wanted.get("storageClassName") or ""):
        return False
    return _is_enough(volume, claim)


def _is_enough(volume: Json, claim: Json) -> bool:
    spec, wanted = volume["spec"], claim["spec"]
    asked = ((wanted.get("resources") or {}).get("requests") or {}).get("storage", "0")
    if quantity.parse((spec.get("capacity") or {}).get("storage", "0")) < quantity.parse(asked):
        return False
    if spec.get("volumeMode", "Filesystem") != wanted.get("volumeMode", "Filesystem"):
        return False
    chosen = (wanted.get("selector") or {}).get("matchLabels") or {}
    labels = objects.labels(volume)
    return (
        set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ()) and chosen.items() <= labels.items()
    )


def reaches(volume: Json, node: Json) -> bool:
    """Whether a volume can be used on a node."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return required is None or nodes.matches_any(required.get("nodeSelectorTerms") or (), node)


def _in_topology(term: Json, node: Json) -> bool:
    labels = objects.labels(node)
    return all(
        labels.get(one.get("key")) in (one.get("values") or ()) for one in term.get("matchLabelExpressions") or ()
    )
