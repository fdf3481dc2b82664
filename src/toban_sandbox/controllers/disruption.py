"""PodDisruptionBudgets: each one's status says how many of its pods may be taken away now."""

from toban_sandbox.controllers import loop
from toban_sandbox.kube import objects
from toban_sandbox.kube import store as stores
from toban_sandbox.kube.admission import budgets


class DisruptionController(loop.Controller):
    """Keeps every budget's count."""

    resources = ("poddisruptionbudgets", "pods", "replicasets", "statefulsets")

    def observe(self, change: stores.Change) -> None:
        if change.resource == "poddisruptionbudgets":
            if change.type != stores.DELETED:
                self.queue.add(loop.key_of(change.obj))
        elif not self.store.count("poddisruptionbudgets"):
            return
        elif change.resource == "pods":
            for budget in budgets.of_pod(self.store, change.obj):
                self.queue.add(loop.key_of(budget))
        elif change.old is not None and change.old["spec"] is not change.obj["spec"]:
            for budget in self.store.list("poddisruptionbudgets", change.obj["metadata"]["namespace"]):
                self.queue.add(loop.key_of(budget))

    def sync(self, key: loop.ObjectKey) -> None:
        budget = self.store.get("poddisruptionbudgets", *key)
        if budget is not None:
            now = objects.timestamp(self.clock.now())
            found = budgets.status(self.store, budget, now=now)
            self.store.update("poddisruptionbudgets", budget | {"status": found}, subresource="status")
