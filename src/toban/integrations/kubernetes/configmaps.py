"""`kubernetes.restore_configmap`: makes a ConfigMap that is missing, with the content that it had.

Pods that wait with CreateContainerConfigError start by themselves once it is there. It never overwrites, and it has no
inverse: deleting an object is an action of its own, with a higher risk.
"""

import hashlib
import inspect
import sys
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from toban.errors import InvalidInputError, UpstreamError, UpstreamRefusedError
from toban.integrations.kubernetes import access, documents, failures, paths, rollouts
from toban.integrations.kubernetes.api import Api, Json
from toban.model.action import ActionCall, DryRun, Outcome, Probe, ProbeResult, Target
from toban.model.risk import RiskLevel
from toban.model.service import ObjectRef
from toban.model.verification import Check, CheckResult
from toban.plugins.action import ActionSpec, WriteAction

MOST_BYTES = 1024 * 1024
_SAMPLE = "dry-run"

Key = Annotated[str, Field(max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
LabelKey = Annotated[str, Field(max_length=317, pattern=r"^([-.a-z0-9]+/)?[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$")]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$")]


def _bounded(data: dict[str, str]) -> dict[str, str]:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in data.items())
    if size > MOST_BYTES:
        raise ValueError(f"{size} bytes; a ConfigMap holds {MOST_BYTES} at most")
    return data


class RestoreParameters(paths.ObjectParameters):
    """`data` and `labels` as they were; 1 MiB at most, the same as Kubernetes allows."""

    data: Annotated[dict[Key, str], Field(min_length=1), AfterValidator(_bounded)]
    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=64)] = {}


class RestoreConfigMap(WriteAction[RestoreParameters]):
    """Only adds: `DryRun.touched_replicas` is 0, the total is the number of pods that refer to the ConfigMap."""

    parameters = RestoreParameters
    spec = ActionSpec(
        name="kubernetes.restore_configmap",
        summary="Create a missing ConfigMap again with the content that it had",
        summary_ja="失われたConfigMapを以前の内容で作り直す",
        permission="configmaps.create",
        risk=RiskLevel.MEDIUM_RISK,
        reversible=False,
    )

    def __init__(self, api: Api) -> None:
        self._api = api

    def handler_digest(self) -> str:
        source = "\n".join(inspect.getsource(sys.modules[name]) for name in (__name__, documents.__name__))
        return hashlib.sha256(source.encode()).hexdigest()

    async def permitted(self, params: RestoreParameters) -> tuple[bool, str]:
        return await access.review(self._api, access.Question("create", "", "configmaps", params.namespace))

    async def targets(self, params: RestoreParameters) -> tuple[Target, ...]:
        if await self._api.find(_path(params)) is not None:
            place = f"ConfigMap {params.namespace}/{params.name}"
            raise InvalidInputError(f"{place} exists already; nothing to restore")
        ref = ObjectRef(kind="ConfigMap", namespace=params.namespace, name=params.name)
        return (Target(ref=ref, exists=False),)

    async def dry_run(self, params: RestoreParameters, targets: tuple[Target, ...]) -> DryRun:
        possible, origin, warnings = True, "server-side dry-run", tuple[str, ...]()
        planned = _object(params, _SAMPLE)
        try:
            planned, warnings = await self._api.create(_collection(params), planned, dry_run=True)
        except UpstreamRefusedError as error:
            if not failures.dry_run_unsupported(error):
                raise
            possible, origin, warnings = False, "worked out by Toban; the server cannot dry-run this", (error.message,)
        users = await self._users(params)
        return DryRun(
            possible=possible,
            diff=documents.diff(None, planned, title=f"v1 {targets[0].ref}", origin=origin),
            touched_replicas=0,
            total_replicas=len(users),
            warnings=warnings,
        )

    async def run(self, params: RestoreParameters, targets: tuple[Target, ...], action_id: str) -> Outcome:
        made = (await self._api.create(_collection(params), _object(params, action_id), dry_run=False)).obj
        details = {"resource_version": documents.metadata(made).get("resourceVersion")}
        return Outcome(message=f"{targets[0].ref} was created", details=details)

    async def probe(self, params: RestoreParameters, targets: tuple[Target, ...], action_id: str) -> Probe:
        ref = targets[0].ref
        try:
            live = await self._api.find(_path(params))
        except UpstreamError as error:
            return Probe(result=ProbeResult.UNKNOWN, detail=error.message)
        if live is None:
            return Probe(result=ProbeResult.ABSENT, detail=f"{ref} does not exist")
        if documents.mark(live) == action_id:
            return Probe(result=ProbeResult.PRESENT, detail=f"{ref} carries the mark of {action_id}")
        return Probe(result=ProbeResult.UNKNOWN, detail=f"{ref} exists, and was not made by {action_id}")

    async def check(self, params: RestoreParameters, targets: tuple[Target, ...]) -> Check:
        result, detail = await self._standing(params)
        return Check(
            name=f"{targets[0].ref} and the pods that use it",
            kind="object",
            query=f"kubectl -n {params.namespace} get configmap/{params.name} pods",
            result=result,
            good_samples=int(result is CheckResult.PASSED),
            needed_samples=1,
            last_seen=detail,
            detail=detail,
        )

    async def undo(self, params: RestoreParameters, targets: tuple[Target, ...]) -> ActionCall | None:  # noqa: ARG002 - the contract gives them, there is no way back
        """None: the inverse would be a deletion."""
        return None

    async def _standing(self, params: RestoreParameters) -> tuple[CheckResult, str]:
        try:
            live = await self._api.find(_path(params))
            users = await self._users(params)
        except UpstreamError as error:
            return CheckResult.INCONCLUSIVE, error.message
        if live is None:
            return CheckResult.FAILED, "the ConfigMap does not exist"
        if (live.get("data") or {}) != params.data:
            return CheckResult.FAILED, "the ConfigMap has other content"
        waiting = [documents.metadata(pod).get("name", "") for pod in users if not rollouts.is_ready(pod)]
        if waiting:
            return CheckResult.INCONCLUSIVE, f"{len(waiting)} of {len(users)} pods that use it are not ready yet"
        return CheckResult.PASSED, f"all {len(users)} pods that use it are ready" if users else "no pod uses it"

    async def _users(self, params: RestoreParameters) -> list[Json]:
        pods = (await self._api.collect(paths.core(params.namespace, "pods"))).items
        finished = {"Succeeded", "Failed"}
        living = [pod for pod in pods if (pod.get("status") or {}).get("phase") not in finished]
        living = [pod for pod in living if not documents.metadata(pod).get("deletionTimestamp")]
        return [pod for pod in living if uses(pod.get("spec") or {}, params.name)]


def uses(spec: dict[str, Any], name: str) -> bool:
    """Whether a pod's spec refers to the ConfigMap `name`: by variables or by volumes, projected ones included."""
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        whole = [one.get("configMapRef") or {} for one in container.get("envFrom") or ()]
        keys = [(one.get("valueFrom") or {}).get("configMapKeyRef") or {} for one in container.get("env") or ()]
        sources = whole + keys
        if any(source.get("name") == name for source in sources):
            return True
    for volume in spec.get("volumes") or ():
        projected = (volume.get("projected") or {}).get("sources") or ()
        sources = [volume.get("configMap") or {}, *(one.get("configMap") or {} for one in projected)]
        if any(source.get("name") == name for source in sources):
            return True
    return False


def _collection(params: RestoreParameters) -> str:
    return paths.core(params.namespace, "configmaps")


def _path(params: RestoreParameters) -> str:
    return paths.core(params.namespace, "configmaps", params.name)


def _object(params: RestoreParameters, action_id: str) -> Json:
    meta: Json = {"namespace": params.namespace, "name": params.name, "annotations": {documents.MARK: action_id}}
    if params.labels:
        meta["labels"] = dict(params.labels)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(params.data)}
