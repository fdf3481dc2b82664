"""A small world behind the Gate: one deployment that runs out of memory, its rule in Prometheus, and faults on demand."""

from datetime import timedelta
from typing import Any

from support.clock import VirtualClock
from toban.errors import OutcomeUnknownError, UpstreamConflictError, UpstreamError, UpstreamRefusedError
from toban.kit import canonical
from toban.model.action import ActionCall, DryRun, Outcome, Probe, ProbeResult, Target
from toban.model.risk import RiskLevel
from toban.model.service import ObjectRef
from toban.model.verification import Check, CheckResult
from toban.plugins.action import ActionSpec, Parameters, ReadAction, WriteAction

REF = ObjectRef(kind="Deployment", namespace="shop", name="cart")


class World:
    """The truth: the limit, who wrote it how often, and what is broken on the way to it."""

    def __init__(self, clock: VirtualClock, *, need: int = 200) -> None:
        self.clock = clock
        self.limit = 128
        self.need = need
        self.mark = ""
        self.version = 1
        self.effects: list[str] = []
        self.write_fault = ""
        self.probe_blind = False
        self.metrics_down = False
        self.permitted = True
        self.has_rule = True

    @property
    def healthy(self) -> bool:
        return self.limit >= self.need

    def target(self) -> Target:
        spec = canonical.digest({"limit": self.limit})
        return Target(ref=REF, uid="u-1", spec_hash=spec, resource_version=str(self.version))

    def write(self, limit: int, mark: str, precondition: str) -> None:
        if precondition != str(self.version):
            raise UpstreamConflictError("the object has been modified")
        self.limit, self.mark, self.version = limit, mark, self.version + 1
        self.effects.append(mark)

    def actions(self) -> list[Any]:
        return [SetLimit(self), RuleState(self), Inventory(self), Query(self), QueryRange(self), Logs(self)]

    async def close(self) -> None:
        pass


class LimitParameters(Parameters):
    namespace: str
    name: str
    container: str
    limit: str


class SetLimit(WriteAction[LimitParameters]):
    spec = ActionSpec(
        "kubernetes.set_memory_limit",
        "Set a limit",
        "上限を設定",
        "deployments.patch",
        RiskLevel.MEDIUM_RISK,
        reversible=True,
    )
    parameters = LimitParameters

    def __init__(self, world: World) -> None:
        self.world = world

    async def permitted(self, params: LimitParameters) -> tuple[bool, str]:
        return self.world.permitted, "the cluster says no"

    async def targets(self, params: LimitParameters) -> tuple[Target, ...]:
        return (self.world.target(),)

    async def dry_run(self, params: LimitParameters, targets: tuple[Target, ...]) -> DryRun:
        diff = f"--- live\n+++ planned\n-memory: {self.world.limit}Mi\n+memory: {params.limit}\n"
        return DryRun(diff=diff, touched_replicas=0, total_replicas=2)

    async def run(self, params: LimitParameters, targets: tuple[Target, ...], action_id: str) -> Outcome:
        fault, self.world.write_fault = self.world.write_fault, ""
        if fault == "refused":
            raise UpstreamError("429 too many requests")
        if fault == "forbidden":
            raise UpstreamRefusedError("403 forbidden")
        if fault == "lost before":
            raise OutcomeUnknownError("the connection was lost")
        self.world.write(int(params.limit.removesuffix("Mi")), action_id, targets[0].resource_version)
        if fault == "lost after":
            raise OutcomeUnknownError("the connection was lost")
        return Outcome(message="limit set")

    async def probe(self, params: LimitParameters, targets: tuple[Target, ...], action_id: str) -> Probe:
        if self.world.probe_blind:
            raise UpstreamError("the API server does not answer")
        if self.world.mark == action_id:
            return Probe(result=ProbeResult.PRESENT, detail="the mark is there")
        if self.world.target().spec_hash == targets[0].spec_hash:
            return Probe(result=ProbeResult.ABSENT, detail="the object is as it was")
        return Probe(result=ProbeResult.UNKNOWN, detail="somebody else changed it")

    async def check(self, params: LimitParameters, targets: tuple[Target, ...]) -> Check:
        return Check(name="Deployment shop/cart", kind="object", query="", result=CheckResult.PASSED)

    async def undo(self, params: LimitParameters, targets: tuple[Target, ...]) -> ActionCall | None:
        back = params.model_dump() | {"limit": f"{self.world.limit}Mi"}
        return ActionCall(action=self.spec.name, params=back)


class _Anything(Parameters):
    model_config = {"extra": "allow"}


class _Reading(ReadAction[_Anything]):
    parameters = _Anything

    def __init__(self, world: World) -> None:
        self.world = world


def _spec(name: str, permission: str) -> ActionSpec:
    return ActionSpec(name, name, name, permission, RiskLevel.READ_ONLY)


class RuleState(_Reading):
    spec = _spec("prometheus.rule_state", "metrics.read")

    async def read(self, params: _Anything) -> Any:
        if self.world.metrics_down:
            raise UpstreamError("connection refused")
        if not self.world.has_rule:
            return {"rules": []}
        name = params.model_dump()["alert_name"]
        active = [] if self.world.healthy else [
            {"labels": {"namespace": "shop", "deployment": "cart"}, "state": "firing", "active_at": None, "value": 1.0}
        ]  # fmt: skip
        evaluated = (self.world.clock.now() + timedelta(seconds=1)).isoformat()
        rule = {"name": name, "query": "up", "health": "ok", "last_evaluation": evaluated, "alerts": active}
        return {"rules": [rule]}


class Query(_Reading):
    spec = _spec("prometheus.query", "metrics.read")

    async def read(self, params: _Anything) -> Any:
        return {"series": [], "warnings": []}


class QueryRange(Query):
    spec = _spec("prometheus.query_range", "metrics.read")


class Logs(_Reading):
    spec = _spec("kubernetes.pod_logs", "logs.read")

    async def read(self, params: _Anything) -> Any:
        return {"lines": []}


class Inventory(_Reading):
    spec = _spec("kubernetes.inventory", "objects.read")

    async def read(self, params: _Anything) -> Any:
        return inventory(self.world)


def inventory(world: World) -> dict[str, Any]:
    """The namespace as the Kubernetes API would show it."""
    now = world.clock.now()
    started = (now - timedelta(days=3)).isoformat()
    template = {
        "metadata": {"labels": {"app": "cart"}},
        "spec": {"containers": [{"name": "cart", "image": "shop/cart:2.0",
                                 "resources": {"limits": {"memory": f"{world.limit}Mi"}}}]},
    }  # fmt: skip
    owner = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart", "uid": "u-1", "controller": True}]
    status: dict[str, Any] = {"name": "cart", "image": "shop/cart:2.0", "restartCount": 0, "ready": True,
                              "state": {"running": {"startedAt": started}}}  # fmt: skip
    if not world.healthy:
        died = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": now.isoformat(), "startedAt": started}
        status |= {"restartCount": 4, "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                   "lastState": {"terminated": died}}  # fmt: skip
    pod = {
        "metadata": {"name": "cart-5d4f8c7b9-x2x4z", "namespace": "shop", "uid": "p-1", "creationTimestamp": started,
                     "labels": {"app": "cart", "pod-template-hash": "5d4f8c7b9"},
                     "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-5d4f8c7b9",
                                          "uid": "r-1", "controller": True}]},
        "spec": template["spec"],
        "status": {"phase": "Running", "containerStatuses": [status], "conditions": []},
    }  # fmt: skip
    annotations = {"deployment.kubernetes.io/revision": "1"}
    deployment = {
        "metadata": {"name": "cart", "namespace": "shop", "uid": "u-1", "generation": 1, "creationTimestamp": started,
                     "annotations": annotations},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "cart"}}, "template": template},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1,
                   "availableReplicas": int(world.healthy), "conditions": []},
    }  # fmt: skip
    replicaset = {
        "metadata": {"name": "cart-5d4f8c7b9", "namespace": "shop", "uid": "r-1", "creationTimestamp": started,
                     "annotations": annotations, "ownerReferences": owner,
                     "labels": {"app": "cart", "pod-template-hash": "5d4f8c7b9"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "cart"}}, "template": template},
        "status": {"replicas": 1},
    }  # fmt: skip
    service = {
        "metadata": {"name": "cart", "namespace": "shop", "uid": "s-1", "creationTimestamp": started},
        "spec": {"selector": {"app": "cart"}, "ports": [{"port": 80}]},
    }
    return {
        "namespace": {"metadata": {"name": "shop", "labels": {"environment": "staging"}}},
        "pods": [pod], "deployments": [deployment], "replicasets": [replicaset], "services": [service],
        "configmaps": [], "events": [], "nodes": [], "read_at": now.isoformat(),
    }  # fmt: skip
