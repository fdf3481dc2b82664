"""HorizontalPodAutoscalers: workloads made larger or smaller after what their pods use, in steps and with patience."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from toban_sandbox.controllers import loop, pods
from toban_sandbox.kube import errors, events, kinds, objects, quantity, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

PERIOD_S = 15.0
TOLERANCE = 0.1
_DOWN_PATIENCE_S = 300.0
_FAILED = "FailedGetResourceMetric"


class Usage(Protocol):
    """What one container uses."""

    @property
    def memory_bytes(self) -> int: ...

    @property
    def cpu_cores(self) -> float: ...


UsageOf = Callable[[str, str], Mapping[str, Usage]]


class MetricError(Exception):
    """A metric cannot be had; `reason` is the condition's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Proposal(NamedTuple):
    """What one metric asks for: replicas, how the status shows it, and its name for the event."""

    replicas: int
    current: Json
    about: str


class AutoscalerController(loop.Controller):
    """Looks at every autoscaler each 15 seconds."""

    resources = ("horizontalpodautoscalers",)

    def __init__(self, store: stores.ObjectStore, usage_of: UsageOf | None) -> None:
        super().__init__(store)
        self._usage_of = usage_of
        self._events = events.Recorder(store, "horizontal-pod-autoscaler")
        self._recommended: dict[str, list[tuple[float, int]]] = {}

    def observe(self, change: stores.Change) -> None:
        if change.type == stores.DELETED:
            self._recommended.pop(change.obj["metadata"]["uid"], None)
        elif change.old is None or change.old["spec"] != change.obj["spec"]:
            self.queue.add(loop.key_of(change.obj))

    def sync(self, key: loop.ObjectKey) -> None:
        scaler = self.store.get("horizontalpodautoscalers", *key)
        if scaler is None:
            return
        self.queue.add_after(key, PERIOD_S)
        target = self._target(scaler)
        if target is None:
            self._cannot_scale(scaler)
            return
        resource, obj = target
        conditions = _Conditions(scaler, objects.timestamp(self.clock.now()))
        conditions.set(
            "AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale"
        )
        size = int(obj["spec"].get("replicas") or 0)
        if size == 0:
            conditions.set(
                "ScalingActive",
                "False",
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            )
            self._report(scaler, conditions, current=0, desired=0, metrics=[])
            return
        try:
            proposals = [self._propose(scaler, obj, metric, size) for metric in scaler["spec"].get("metrics") or ()]
        except MetricError as missing:
            self._tell_failed(scaler, conditions, missing, size)
            return
        best = max(proposals, key=lambda one: one.replicas)
        text = f"the HPA was able to successfully calculate a replica count from {best.about}"
        conditions.set("ScalingActive", "True", "ValidMetricFound", text)
        desired = self._limited(scaler, conditions, best.replicas, size)
        self._scale(scaler, conditions, resource, obj, desired=desired, about=best.about)
        metrics = [one.current for one in proposals]
        self._report(scaler, conditions, current=size, desired=desired, metrics=metrics)

    def _target(self, scaler: Json) -> tuple[str, Json] | None:
        reference = scaler["spec"]["scaleTargetRef"]
        kind = kinds.of_object(reference.get("apiVersion", ""), reference.get("kind", ""))
        if kind is None or kind.subresource("scale") is None:
            return None
        found = self.store.get(kind.stored_as, scaler["metadata"]["namespace"], reference.get("name", ""))
        return None if found is None else (kind.stored_as, found)

    def _cannot_scale(self, scaler: Json) -> None:
        reference = scaler["spec"]["scaleTargetRef"]
        kind = kinds.of_object(reference.get("apiVersion", ""), reference.get("kind", ""))
        if kind is not None:
            why = str(errors.not_found(kind.about, reference.get("name", "")))
        else:
            group = str(reference.get("apiVersion", "")).rpartition("/")
            why = f'no matches for kind "{reference.get("kind")}" in group "{group[0]}"'
        conditions = _Conditions(scaler, objects.timestamp(self.clock.now()))
        text = f"the HPA controller was unable to get the target's current scale: {why}"
        conditions.set("AbleToScale", "False", "FailedGetScale", text)
        self._events.warning(scaler, "FailedGetScale", why)
        status = scaler.get("status") or {}
        self._report(
            scaler,
            conditions,
            current=status.get("currentReplicas", 0),
            desired=status.get("desiredReplicas", 0),
            metrics=[],
        )

    def _tell_failed(self, scaler: Json, conditions: "_Conditions", missing: MetricError, size: int) -> None:
        text = f"the HPA was unable to compute the replica count: {missing}"
        conditions.set("ScalingActive", "False", missing.reason, text)
        self._events.warning(scaler, missing.reason, str(missing))
        number = len(scaler["spec"].get("metrics") or ())
        about = f"invalid metrics ({number} invalid out of {number}), first error is: {missing}"
        self._events.warning(scaler, "FailedComputeMetricsReplicas", about)
        self._report(scaler, conditions, current=size, desired=0, metrics=[])

    # -- metrics --------------------------------------------------------------------------------------------------
    def _propose(self, scaler: Json, obj: Json, metric: Json, size: int) -> Proposal:
        source = metric.get("resource") or metric.get("containerResource")
        if source is None:
            kind = str(metric.get("type", ""))
            why = f"unable to get {kind.lower()} metric: no metrics returned from custom metrics API"
            raise MetricError(f"FailedGet{kind}Metric", why)
        name, target = str(source["name"]), source.get("target") or {}
        only = source.get("container", "") if metric.get("containerResource") else ""
        chosen = self._pods(scaler, obj)
        used, asked, ready = self._measure(
            scaler, chosen, name, only=only, share=target.get("averageUtilization") is not None
        )
        average = used / max(1, ready)
        if target.get("averageUtilization") is not None:
            now = round(100 * used / asked) if asked else 0
            ratio = now / float(target["averageUtilization"])
            about = f"{name} resource utilization (percentage of request)"
            shown: Json = {"averageUtilization": now, "averageValue": _value(name, average)}
        else:
            wanted = quantity.parse(target.get("averageValue", "1"))
            ratio = average / wanted
            about = f"{name} resource"
            shown = {"averageValue": _value(name, average)}
        replicas = size if abs(ratio - 1.0) <= TOLERANCE else math.ceil(ratio * ready)
        if len(chosen) > ready and ratio > 1.0:
            # Pods that are not ready yet count as using nothing, so that a start does not lead to more and more pods.
            diluted = ratio * ready / len(chosen)
            replicas = size if diluted <= 1.0 + TOLERANCE else max(size, math.ceil(ratio * ready))
        return Proposal(replicas, {"type": "Resource", "resource": {"name": name, "current": shown}}, about)

    def _pods(self, scaler: Json, obj: Json) -> list[Json]:
        wanted = selectors.of_object(obj["spec"].get("selector"))
        return [
            pod
            for pod in self.store.list("pods", scaler["metadata"]["namespace"])
            if pods.is_active(pod) and selectors.matches_labels(wanted, objects.labels(pod))
        ]

    def _measure(
        self, scaler: Json, chosen: list[Json], name: str, *, only: str, share: bool
    ) -> tuple[float, float, int]:
        """What the ready pods use and ask for together, and how many they are."""
        namespace = scaler["metadata"]["namespace"]
        used = asked = 0.0
        ready = 0
        for pod in chosen:
            found = self._usage_of(namespace, objects.name_of(pod)) if self._usage_of is not None else {}
            if share:
                asked_here = _requests(pod, name, only)
            if not found or not objects.is_true(pod, "Ready"):
                continue
            ready += 1
            asked += asked_here if share else 0.0
            for container, usage in found.items():
                if not only or container == only:
                    used += usage.cpu_cores if name == "cpu" else float(usage.memory_bytes)
        if not ready:
            why = f"unable to get metrics for resource {name}: no metrics returned from resource metrics API"
            if chosen and self._usage_of is not None:
                why = "did not receive metrics for targeted pods (pods might be unready)"
            raise MetricError(_FAILED, f"failed to get {name} utilization: {why}")
        return used, asked, ready

    # -- decisions ------------------------------------------------------------------------------------------------
    def _limited(self, scaler: Json, conditions: "_Conditions", wanted: int, size: int) -> int:
        """What the metrics ask for, within the limits and with patience on the way down."""
        spec = scaler["spec"]
        least, most = int(spec.get("minReplicas") or 1), int(spec["maxReplicas"])
        wanted = self._patient(scaler, conditions, wanted, size)
        if wanted > size:
            wanted = min(wanted, max(2 * size, size + 4))
        if wanted > most:
            conditions.set(
                "ScalingLimited",
                "True",
                "TooManyReplicas",
                "the desired replica count is more than the maximum replica count",
            )
        elif wanted < least:
            conditions.set(
                "ScalingLimited",
                "True",
                "TooFewReplicas",
                "the desired replica count is less than the minimum replica count",
            )
        else:
            conditions.set(
                "ScalingLimited", "False", "DesiredWithinRange", "the desired count is within the acceptable range"
            )
        return max(least, min(most, wanted))

    def _patient(self, scaler: Json, conditions: "_Conditions", wanted: int, size: int) -> int:
        down = ((scaler["spec"].get("behavior") or {}).get("scaleDown") or {}).get("stabilizationWindowSeconds")
        window, now = _DOWN_PATIENCE_S if down is None else float(down), self.clock.time()
        uid = scaler["metadata"]["uid"]
        known = [one for one in self._recommended.get(uid, []) if one[0] > now - window]
        self._recommended[uid] = [*known, (now, wanted)]
        if not known and wanted < size and window:
            # Nothing is known of the time before: what is there counts as what was asked for.
            self._recommended[uid].insert(0, (now, size))
        kept = min(size, max(number for _, number in self._recommended[uid])) if wanted < size else wanted
        if kept > wanted:
            text = "recent recommendations were higher than current one, applying the highest recent recommendation"
            conditions.set("AbleToScale", "True", "ScaleDownStabilized", text)
        else:
            conditions.set("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size")
        return kept

    def _scale(
        self, scaler: Json, conditions: "_Conditions", resource: str, obj: Json, *, desired: int, about: str
    ) -> None:
        size = int(obj["spec"].get("replicas") or 0)
        if desired == size:
            return
        spec = obj["spec"] | {"replicas": desired}
        self.store.update(resource, obj | {"spec": spec})
        least, most = int(scaler["spec"].get("minReplicas") or 1), int(scaler["spec"]["maxReplicas"])
        if size > most:
            why = "Current number of replicas above Spec.MaxReplicas"
        elif size < least:
            why = "Current number of replicas below Spec.MinReplicas"
        else:
            why = f"{about} above target" if desired > size else "All metrics below target"
        self._events.normal(scaler, "SuccessfulRescale", f"New size: {desired}; reason: {why}")
        text = f"the HPA controller was able to update the target scale to {desired}"
        conditions.set("AbleToScale", "True", "SucceededRescale", text)
        conditions.rescaled = True

    def _report(
        self, scaler: Json, conditions: "_Conditions", *, current: int, desired: int, metrics: list[Json]
    ) -> None:
        known = self.store.get("horizontalpodautoscalers", *loop.key_of(scaler))
        if known is None:
            return
        before = known.get("status") or {}
        status: Json = {
            "conditions": conditions.listed(),
            "currentReplicas": current,
            "desiredReplicas": desired,
        }
        if metrics:
            status["currentMetrics"] = metrics
        if conditions.rescaled:
            status["lastScaleTime"] = objects.timestamp(self.clock.now())
        elif before.get("lastScaleTime"):
            status["lastScaleTime"] = before["lastScaleTime"]
        self.store.update("horizontalpodautoscalers", known | {"status": status}, subresource="status")


class _Conditions:
    """The conditions of one autoscaler while it is looked at."""

    def __init__(self, scaler: Json, now: str) -> None:
        self._found = {one["type"]: dict(one) for one in (scaler.get("status") or {}).get("conditions") or ()}
        self._now = now
        self.rescaled = False

    def set(self, kind: str, state: str, reason: str, message: str) -> None:
        known = self._found.get(kind)
        since = known["lastTransitionTime"] if known is not None and known["status"] == state else self._now
        self._found[kind] = {
            "lastTransitionTime": since,
            "message": message,
            "reason": reason,
            "status": state,
            "type": kind,
        }

    def listed(self) -> list[Json]:
        return list(self._found.values())


def _requests(pod: Json, name: str, only: str) -> float:
    total = 0.0
    for container in pod["spec"].get("containers") or ():
        if only and container["name"] != only:
            continue
        text = ((container.get("resources") or {}).get("requests") or {}).get(name)
        if text is None:
            why = f"missing request for {name} in container {container['name']} of Pod {objects.name_of(pod)}"
            raise MetricError(_FAILED, f"failed to get {name} utilization: {why}")
        total += quantity.parse(text)
    return total


def _value(name: str, amount: float) -> str:
    return quantity.text(amount, binary=name != "cpu")
