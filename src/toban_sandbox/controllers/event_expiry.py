"""Events are forgotten after an hour, as a real cluster does, and when there are far too many."""

from toban_sandbox.controllers import loop
from toban_sandbox.kube import objects
from toban_sandbox.kube import store as stores

KEPT_S = 3600.0
KEPT_COUNT = 5000
SWEEP_S = 300.0


class EventExpiry(loop.Controller):
    """Removes old events now and then."""

    resources = ("events",)

    def observe(self, change: stores.Change) -> None:
        if change.type == stores.ADDED:
            crowded = self.store.count("events") > KEPT_COUNT
            if crowded:
                self.queue.add("sweep")
            else:
                self.queue.add_after("sweep", SWEEP_S)

    def sync(self, key: str) -> None:
        kept = sorted(self.store.each("events"), key=_last_seen)
        surplus = max(0, len(kept) - KEPT_COUNT)
        oldest = objects.timestamp(self.clock.now())
        limit = self.clock.time() - KEPT_S
        for index, event in enumerate(kept):
            seen = objects.parse_time(_last_seen(event) or oldest).timestamp()
            if index >= surplus and seen >= limit:
                break
            self.store.delete("events", event["metadata"]["namespace"], event["metadata"]["name"])
        if self.store.count("events"):
            self.queue.add_after(key, SWEEP_S)


def _last_seen(event: dict[str, object]) -> str:
    series = event.get("series")
    latest = series.get("lastObservedTime") if isinstance(series, dict) else None
    return str(latest or event.get("lastTimestamp") or event.get("eventTime") or "")
