"""`kubernetes.restart_rollout`: replaces all pods of a Deployment one after another, with nothing else changed."""

import copy

from toban.integrations.kubernetes import documents, paths
from toban.integrations.kubernetes.api import Json
from toban.integrations.kubernetes.deployments import DeploymentAction, Plan
from toban.model.action import ActionCall, Target
from toban.model.risk import RiskLevel
from toban.plugins.action import ActionSpec

RESTARTED = "toban.dev/restarted-from"
_DIGITS = 16


class RestartRollout(DeploymentAction[paths.ObjectParameters]):
    """Writes into the template which spec it restarts, not when: so the plan is the same each time it is worked out,
    and the same plan carried out twice restarts once.
    """

    parameters = paths.ObjectParameters
    spec = ActionSpec(
        name="kubernetes.restart_rollout",
        summary="Restart all pods of a Deployment by a rolling update",
        summary_ja="Deploymentの全Podをローリング更新で再起動する",
        permission="deployments.patch",
        risk=RiskLevel.LOW_RISK,
    )

    async def plan(self, params: paths.ObjectParameters, live: Json) -> Plan:  # noqa: ARG002 - the same for every one
        template = copy.deepcopy(live["spec"]["template"])
        meta = template.get("metadata") or {}
        notes = {**(meta.get("annotations") or {}), RESTARTED: documents.spec_hash(live)[:_DIGITS]}
        template["metadata"] = {**meta, "annotations": notes}
        return Plan(template)

    async def undo(self, params: paths.ObjectParameters, targets: tuple[Target, ...]) -> ActionCall | None:  # noqa: ARG002 - the contract gives them, there is no way back
        """None: a restart cannot be taken back, and leaves nothing to take back."""
        return None
