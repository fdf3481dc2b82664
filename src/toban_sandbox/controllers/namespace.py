"""Namespaces: what every new one gets, and the emptying of one that is going."""

from typing import Any

from toban_sandbox.controllers import loop
from toban_sandbox.kube import defaults, deletion, errors, kinds, objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

_NAMESPACED = tuple(dict.fromkeys(kind.stored_as for kind in kinds.KINDS if kind.namespaced))
_FURNITURE = {("serviceaccounts", "default"), ("configmaps", defaults.ROOT_CA)}


class NamespaceController(loop.Controller):
    """Furnishes new namespaces and clears out deleted ones."""

    resources = ("namespaces", *_NAMESPACED)

    def observe(self, change: stores.Change) -> None:
        if change.resource == "namespaces":
            if change.type != stores.DELETED:
                self.queue.add(objects.name_of(change.obj))
            return
        if change.type == stores.DELETED:
            namespace = self.store.get("namespaces", None, change.obj["metadata"].get("namespace") or "")
            furniture = (change.resource, objects.name_of(change.obj)) in _FURNITURE
            if namespace is not None and (furniture or objects.is_terminating(namespace)):
                self.queue.add(objects.name_of(namespace))

    def sync(self, key: str) -> None:
        namespace = self.store.get("namespaces", None, key)
        if namespace is None:
            return
        if objects.is_terminating(namespace):
            self._clear(namespace)
        else:
            self._furnish(key)

    def _furnish(self, name: str) -> None:
        self._ensure("serviceaccounts", {"metadata": {"name": "default", "namespace": name}})
        note = {"kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver."}
        meta = {"name": defaults.ROOT_CA, "namespace": name, "annotations": note}
        self._ensure("configmaps", {"metadata": meta, "data": {"ca.crt": "the sandbox's own authority\n"}})

    def _ensure(self, resource: str, obj: Json) -> None:
        if self.store.get(resource, obj["metadata"]["namespace"], obj["metadata"]["name"]) is None:
            self.store.create(resource, obj)

    def _clear(self, namespace: Json) -> None:
        name = objects.name_of(namespace)
        if (namespace.get("status") or {}).get("phase") != "Terminating":
            going = namespace | {"status": {"phase": "Terminating"}}
            namespace = self.store.update("namespaces", going, subresource="status")
        for resource in _NAMESPACED:
            for obj in self.store.list(resource, name):
                if not objects.is_terminating(obj):
                    self._delete(resource, obj)
        if not any(self.store.list(resource, name) for resource in _NAMESPACED):
            self.store.update("namespaces", namespace | {"spec": {"finalizers": []}})

    def _delete(self, resource: str, obj: Json) -> None:
        try:
            deletion.delete(self.store, kinds.stored(resource), obj, deletion.Options(policy="Background"))
        except errors.ApiError:
            # Somebody else was faster; what is left is seen on the next round.
            return
