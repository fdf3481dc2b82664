"""Events about objects, as controllers and kubelets report them: a repeated one counts up instead of piling up.

Used by every controller and the kubelet. Old events are `controllers.event_expiry`'s matter.
"""

import itertools
from typing import Any

from toban_sandbox.kube import errors, objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

NORMAL, WARNING = "Normal", "Warning"
REMEMBERED = 4096
_order = itertools.count(1)


class Recorder:
    """Reports events in the name of one component, on one host if it has one."""

    def __init__(self, store: stores.ObjectStore, component: str, *, host: str = "") -> None:
        self._store = store
        self._component = component
        self._host = host
        self._known: dict[tuple[str, ...], str] = {}

    def normal(self, obj: Json, reason: str, message: str, *, field_path: str = "") -> None:
        self._record(obj, NORMAL, reason, message, field_path=field_path)

    def warning(self, obj: Json, reason: str, message: str, *, field_path: str = "") -> None:
        self._record(obj, WARNING, reason, message, field_path=field_path)

    def _record(self, obj: Json, kind: str, reason: str, message: str, *, field_path: str) -> None:
        key = (str(obj["metadata"].get("uid")), kind, reason, message, field_path)
        namespace = obj["metadata"].get("namespace") or "default"
        known = self._store.get("events", namespace, self._known.get(key, ""))
        if known is not None:
            self._store.update("events", self._again(known))
            return
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        event = self._first(obj, kind, reason, message, field_path=field_path)
        try:
            self._known[key] = objects.name_of(self._store.create("events", event))
        except errors.ApiError:
            self._known.pop(key, None)

    def _first(self, obj: Json, kind: str, reason: str, message: str, *, field_path: str) -> Json:
        now = self._store.clock.now()
        stamp = int(now.timestamp() * 1e9) + next(_order)
        source = {"component": self._component} | ({"host": self._host} if self._host else {})
        return {
            "metadata": {
                "name": f"{objects.name_of(obj)}.{stamp:x}",
                "namespace": obj["metadata"].get("namespace") or "default",
            },
            "involvedObject": objects.object_reference(obj, field_path=field_path),
            "reason": reason,
            "message": message,
            "type": kind,
            "count": 1,
            "firstTimestamp": objects.timestamp(now),
            "lastTimestamp": objects.timestamp(now),
            "eventTime": None,
            "source": source,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }

    def _again(self, known: Json) -> Json:
        return known | {
            "count": int(known.get("count") or 1) + 1,
            "lastTimestamp": objects.timestamp(self._store.clock.now()),
        }


class SchedulerRecorder(Recorder):
    """The scheduler reports in the newer form: one moment, an action, and a series when it happens again."""

    def _first(self, obj: Json, kind: str, reason: str, message: str, *, field_path: str) -> Json:
        event = super()._first(obj, kind, reason, message, field_path=field_path)
        del event["count"]
        return event | {
            "action": "Binding" if reason == "Scheduled" else "Scheduling",
            "eventTime": objects.micro_timestamp(self._store.clock.now()),
            "firstTimestamp": None,
            "lastTimestamp": None,
            "source": {},
            "reportingInstance": f"{self._component}-control-plane",
        }

    def _again(self, known: Json) -> Json:
        count = int((known.get("series") or {}).get("count") or 1) + 1
        seen = objects.micro_timestamp(self._store.clock.now())
        return known | {"series": {"count": count, "lastObservedTime": seen}}
