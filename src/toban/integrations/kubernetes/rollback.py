"""`kubernetes.rollback_deployment`: the pod template of an earlier revision, as `kubectl rollout undo` does."""

from typing import Annotated

from pydantic import Field

from toban.errors import InvalidInputError
from toban.integrations.kubernetes import documents, paths, rollouts
from toban.integrations.kubernetes.api import Json
from toban.integrations.kubernetes.deployments import DeploymentAction, Plan
from toban.model.action import ActionCall, Target
from toban.model.risk import RiskLevel
from toban.plugins.action import ActionSpec


class RollbackParameters(paths.ObjectParameters):
    """`to_revision` None means the one before the present one."""

    to_revision: Annotated[int, Field(ge=1)] | None = None


class RollbackDeployment(DeploymentAction[RollbackParameters]):
    """Brings back a revision whose ReplicaSet is still kept."""

    parameters = RollbackParameters
    spec = ActionSpec(
        name="kubernetes.rollback_deployment",
        summary="Roll a Deployment back to an earlier revision",
        summary_ja="Deploymentを以前のリビジョンに戻す",
        permission="deployments.patch",
        risk=RiskLevel.MEDIUM_RISK,
        reversible=True,
    )

    async def plan(self, params: RollbackParameters, live: Json) -> Plan:
        place = f"Deployment {params.namespace}/{params.name}"
        present = rollouts.revision(live)
        if present is None:
            raise InvalidInputError(f"{place} has no revision number yet")
        found = await self._api.collect(
            paths.apps(params.namespace, "replicasets"), labelSelector=rollouts.selector(live)
        )
        revisions = {rollouts.revision(one): one for one in rollouts.owned(found.items, live)}
        earlier = sorted(number for number in revisions if number is not None and number < present)
        wanted = params.to_revision or (earlier[-1] if earlier else None)
        if wanted is None:
            raise InvalidInputError(f"{place} has no revision before {present}")
        if wanted == present or wanted not in revisions:
            kept = ", ".join(str(number) for number in earlier) or "none"
            reason = "is the present one" if wanted == present else "is not kept"
            raise InvalidInputError(f"revision {wanted} of {place} {reason}; earlier ones that are kept: {kept}")
        source = revisions[wanted]
        # The change cause belongs to the revision; left alone, the bad release's words would be put on the good one.
        cause = documents.annotations(source).get(rollouts.CHANGE_CAUSE)
        return Plan(rollouts.template_of(source), {rollouts.CHANGE_CAUSE: cause})

    async def undo(self, params: RollbackParameters, targets: tuple[Target, ...]) -> ActionCall | None:
        """Back to the revision that is the present one now."""
        live = await self.live(params, targets)
        return revision_call(params, live)


def revision_call(params: paths.ObjectParameters, live: Json) -> ActionCall | None:
    """The call that brings back the Deployment's present revision later; None when it has no number yet."""
    present = rollouts.revision(live)
    if present is None:
        return None
    name = RollbackDeployment.spec.name
    wanted = {"namespace": params.namespace, "name": params.name, "to_revision": present}
    return ActionCall(action=name, params=wanted)
