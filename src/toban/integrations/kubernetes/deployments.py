"""What all actions on one Deployment share: its target, dry-run, marked write, read-back and check.

A concrete action only says which pod template it plans, and how to get back. Called by the Gate alone, through those.
"""

import hashlib
import inspect
import sys
from abc import abstractmethod
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, TypeVar

from toban.errors import InvalidInputError, UpstreamConflictError, UpstreamError, UpstreamRefusedError
from toban.integrations.kubernetes import access, documents, failures, paths, rollouts
from toban.integrations.kubernetes.api import Api, Json
from toban.model.action import DryRun, Outcome, Probe, ProbeResult, Target
from toban.model.service import ObjectRef
from toban.model.verification import Check, CheckResult
from toban.plugins.action import WriteAction

P = TypeVar("P", bound=paths.ObjectParameters)

_SERVER = "server-side dry-run"
_LOCAL = "worked out by Toban; the server cannot dry-run this"
_SAMPLE = "dry-run"
TRIES = 4


class Plan(NamedTuple):
    """The pod template that is wanted, and annotations to set beside it (None takes one away)."""

    template: Json
    notes: Mapping[str, str | None] = {}


class DeploymentAction(WriteAction[P]):
    """One Deployment gets another pod template, in one patch that holds for exactly one version of it.

    `DryRun.touched_replicas` is how many replicas the rollout may take away at the same time.
    """

    behind: ClassVar[tuple[ModuleType, ...]] = (documents, rollouts)

    def __init__(self, api: Api) -> None:
        self._api = api

    @abstractmethod
    async def plan(self, params: P, live: Json) -> Plan:
        """The plan for the Deployment as it is. Raises InvalidInputError when it makes no sense for this one."""

    def wanted(self, params: P, live: Json) -> str:  # noqa: ARG002 - for actions that can tell
        """Why the live Deployment is not what the action wanted; nothing when it is, or when that cannot be told."""
        return ""

    def handler_digest(self) -> str:
        """SHA-256 over the source of every class of this action, and of the modules `behind` it."""
        modules = {one.__module__ for one in type(self).__mro__ if one.__module__.startswith(f"{__package__}.")}
        modules |= {module.__name__ for module in self.behind}
        source = "\n".join(inspect.getsource(sys.modules[name]) for name in sorted(modules))
        return hashlib.sha256(f"{type(self).__qualname__}\n{source}".encode()).hexdigest()

    async def permitted(self, params: P) -> tuple[bool, str]:
        asked = access.Question("patch", "apps", "deployments", params.namespace, params.name)
        return await access.review(self._api, asked)

    async def targets(self, params: P) -> tuple[Target, ...]:
        live = await self._api.find(_path(params))
        if live is None:
            raise InvalidInputError(f"there is no Deployment {params.namespace}/{params.name}")
        return (_target(params, live),)

    async def dry_run(self, params: P, targets: tuple[Target, ...]) -> DryRun:
        live = await self.live(params, targets)
        planned = await self._planned(params, live)
        version = documents.metadata(live).get("resourceVersion", "")
        patch = documents.patch(planned, resource_version=version, action_id=_SAMPLE)
        possible, origin, warnings = True, _SERVER, tuple[str, ...]()
        try:
            planned, warnings = await self._api.patch(_path(params), patch, dry_run=True)
        except UpstreamRefusedError as error:
            if not failures.dry_run_unsupported(error):
                raise
            possible, origin, warnings = False, _LOCAL, (error.message,)
        return DryRun(
            possible=possible,
            diff=documents.diff(live, planned, title=f"apps/v1 {targets[0].ref}", origin=origin),
            touched_replicas=rollouts.at_once(live),
            total_replicas=rollouts.replicas(live),
            warnings=warnings,
        )

    async def run(self, params: P, targets: tuple[Target, ...], action_id: str) -> Outcome:
        """The patch holds for the version read here, whose spec and labels are the target's.

        Status moves on all the time while pods crash. A conflict means that nothing was written, so the patch is made
        anew as long as spec and labels are what was approved; UpstreamConflictError when they are not.
        """
        written = await self._write_anew(params, targets, action_id, tries=TRIES)
        meta = documents.metadata(written)
        details = {"generation": meta.get("generation"), "resource_version": meta.get("resourceVersion")}
        return Outcome(message=f"{targets[0].ref} was changed; its pods are being replaced", details=details)

    async def _write_anew(self, params: P, targets: tuple[Target, ...], action_id: str, *, tries: int) -> Json:
        live = await self.live(params, targets)
        try:
            planned = await self._planned(params, live)
        except InvalidInputError as error:
            raise UpstreamRefusedError(error.message) from error
        version = documents.metadata(live).get("resourceVersion", "")
        patch = documents.patch(planned, resource_version=version, action_id=action_id)
        try:
            return (await self._api.patch(_path(params), patch, dry_run=False)).obj
        except UpstreamConflictError:
            if tries <= 1:
                raise
        return await self._write_anew(params, targets, action_id, tries=tries - 1)

    async def probe(self, params: P, targets: tuple[Target, ...], action_id: str) -> Probe:
        try:
            live = await self._api.find(_path(params))
        except UpstreamError as error:
            return Probe(result=ProbeResult.UNKNOWN, detail=error.message)
        ref, target = targets[0].ref, targets[0]
        if live is None:
            return Probe(result=ProbeResult.UNKNOWN, detail=f"{ref} is gone")
        if documents.metadata(live).get("uid") != target.uid:
            return Probe(result=ProbeResult.UNKNOWN, detail=f"{ref} was deleted and made anew")
        if documents.mark(live) == action_id:
            return Probe(result=ProbeResult.PRESENT, detail=f"{ref} carries the mark of {action_id}")
        if documents.spec_hash(live) == target.spec_hash:
            return Probe(result=ProbeResult.ABSENT, detail=f"{ref} is as it was planned upon")
        return Probe(result=ProbeResult.UNKNOWN, detail=f"{ref} was changed, and not by {action_id}")

    async def check(self, params: P, targets: tuple[Target, ...]) -> Check:
        standing, seen = await self._standing(params, targets[0])
        return Check(
            name=f"Rollout of {targets[0].ref}",
            kind="object",
            query=f"kubectl -n {params.namespace} rollout status deployment/{params.name}",
            result=standing.result,
            good_samples=int(standing.result is CheckResult.PASSED),
            needed_samples=1,
            last_seen=seen,
            detail=standing.detail,
        )

    async def _standing(self, params: P, target: Target) -> tuple[rollouts.Standing, Json]:
        try:
            live = await self._api.find(_path(params))
            if live is None:
                return rollouts.Standing(CheckResult.FAILED, f"{target.ref} is gone"), {}
            pods = await self._newest_pods(params, live)
        except UpstreamError as error:
            return rollouts.Standing(CheckResult.INCONCLUSIVE, error.message), {}
        counts = ("replicas", "updatedReplicas", "availableReplicas", "unavailableReplicas", "observedGeneration")
        status = live.get("status") or {}
        seen = {"generation": documents.metadata(live).get("generation"), **{key: status.get(key, 0) for key in counts}}
        if documents.spec_hash(live) == target.spec_hash:
            return rollouts.Standing(CheckResult.FAILED, f"{target.ref} is as it was before the change"), seen
        missing = self.wanted(params, live)
        if missing:
            return rollouts.Standing(CheckResult.FAILED, missing), seen
        return rollouts.standing(live, pods), seen

    async def _newest_pods(self, params: P, live: Json) -> list[Json]:
        query = rollouts.selector(live)
        sets = await self._api.collect(paths.apps(params.namespace, "replicasets"), labelSelector=query)
        pods = await self._api.collect(paths.core(params.namespace, "pods"), labelSelector=query)
        newest = [one for one in rollouts.owned(sets.items, live) if rollouts.revision(one) == rollouts.revision(live)]
        found = rollouts.owned(pods.items, newest[0]) if newest else []
        return [pod for pod in found if not documents.metadata(pod).get("deletionTimestamp")]

    async def live(self, params: P, targets: tuple[Target, ...]) -> Json:
        """The Deployment, if spec and labels are still the target's; its status may have moved on.

        Raises UpstreamConflictError if they are not.
        """
        live, target = await self._api.get(_path(params)), targets[0]
        if (documents.metadata(live).get("uid"), documents.spec_hash(live)) != (target.uid, target.spec_hash):
            raise UpstreamConflictError(f"{target.ref} changed since it was read; nothing was written")
        return live

    async def _planned(self, params: P, live: Json) -> Json:
        if live["spec"].get("paused"):
            raise InvalidInputError(f"the rollout of {params.namespace}/{params.name} is paused; resume it first")
        plan = await self.plan(params, live)
        planned = documents.changed(live, template=plan.template, notes=plan.notes)
        if planned["spec"]["template"] == live["spec"]["template"]:
            raise InvalidInputError(f"Deployment {params.namespace}/{params.name} is like that already")
        return planned


def _path(params: paths.ObjectParameters) -> str:
    return paths.apps(params.namespace, "deployments", params.name)


def _target(params: paths.ObjectParameters, live: Mapping[str, Any]) -> Target:
    meta = documents.metadata(live)
    return Target(
        ref=ObjectRef(kind="Deployment", namespace=params.namespace, name=params.name),
        uid=meta.get("uid", ""),
        spec_hash=documents.spec_hash(live),
        resource_version=meta.get("resourceVersion", ""),
    )
