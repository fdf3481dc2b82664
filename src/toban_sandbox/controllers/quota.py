"""ResourceQuotas: what each one's namespace uses, shown in its status. Refusing is admission's work."""

from toban_sandbox.controllers import loop
from toban_sandbox.kube import admission, kinds, objects
from toban_sandbox.kube import store as stores
from toban_sandbox.kube.admission import quotas


class ResourceQuotaController(loop.Controller):
    """Counts what namespaces with quotas use."""

    resources = tuple(sorted({kind.stored_as for kind in kinds.KINDS if kind.namespaced} - {"events", "leases"}))

    def observe(self, change: stores.Change) -> None:
        if change.resource == "resourcequotas":
            if change.type != stores.DELETED:
                self.queue.add(loop.key_of(change.obj))
            return
        if not self.store.count("resourcequotas"):
            return
        if change.type == stores.MODIFIED and not _counts_differently(change):
            return
        for quota in self.store.list("resourcequotas", change.obj["metadata"].get("namespace")):
            self.queue.add(loop.key_of(quota))

    def sync(self, key: loop.ObjectKey) -> None:
        quota = self.store.get("resourcequotas", *key)
        if quota is None:
            return
        store: admission.Objects = self.store
        used = {name: quotas.shown(name, amount) for name, amount in quotas.usage(store, quota).items()}
        status = {"hard": dict((quota.get("spec") or {}).get("hard") or {}), "used": used}
        self.store.update("resourcequotas", quota | {"status": status}, subresource="status")


def _counts_differently(change: stores.Change) -> bool:
    """Whether a changed object may use another amount than before."""
    if change.resource != "pods" or change.old is None:
        return True
    return objects.is_finished(change.obj) != objects.is_finished(change.old)
