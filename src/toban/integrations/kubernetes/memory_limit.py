"""`kubernetes.set_memory_limit`: another memory limit for one container, within bounds that the cluster can carry."""

import copy
from typing import Annotated

from pydantic import AfterValidator, Field

from toban.errors import InvalidInputError
from toban.integrations.kubernetes import paths, quantity
from toban.integrations.kubernetes.api import Json
from toban.integrations.kubernetes.deployments import DeploymentAction, Plan
from toban.integrations.kubernetes.rollback import revision_call
from toban.model.action import ActionCall, Target
from toban.model.risk import RiskLevel
from toban.plugins.action import ActionSpec

LARGEST_FACTOR = 4
_SMALLEST_BYTES = 4 * 1024 * 1024


def _quantity(text: str) -> str:
    if quantity.in_bytes(text) < _SMALLEST_BYTES:
        raise ValueError(f"{text} is less than 4Mi; no container runs with that")
    return text


class MemoryLimitParameters(paths.ObjectParameters):
    """`limit` is a quantity such as 512Mi: a quarter to four times the present one, and no more than a node has."""

    container: paths.ContainerName
    limit: Annotated[str, Field(max_length=40), AfterValidator(_quantity)]


class SetMemoryLimit(DeploymentAction[MemoryLimitParameters]):
    """Sets the limit; the request is lowered with it where it would be more than the limit."""

    parameters = MemoryLimitParameters
    spec = ActionSpec(
        name="kubernetes.set_memory_limit",
        summary="Set the memory limit of a container of a Deployment",
        summary_ja="Deploymentのコンテナのメモリ上限を変更する",
        permission="deployments.patch",
        risk=RiskLevel.MEDIUM_RISK,
        reversible=True,
    )
    behind = (*DeploymentAction.behind, quantity)

    async def plan(self, params: MemoryLimitParameters, live: Json) -> Plan:
        template = copy.deepcopy(live["spec"]["template"])
        container = _container(params, template)
        resources = container.setdefault("resources", {})
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        await self._bounded(params, limits.get("memory"), requests.get("memory"))
        resources["limits"] = {**limits, "memory": params.limit}
        if "memory" in requests and _size(requests["memory"]) > quantity.in_bytes(params.limit):
            resources["requests"] = {**requests, "memory": params.limit}
        return Plan(template)

    async def undo(self, params: MemoryLimitParameters, targets: tuple[Target, ...]) -> ActionCall | None:
        """The old limit; the present revision where a limit alone would not bring back what is there now."""
        live = await self.live(params, targets)
        resources = _container(params, live["spec"]["template"]).get("resources") or {}
        old, request = (resources.get("limits") or {}).get("memory"), (resources.get("requests") or {}).get("memory")
        lowers_request = request is not None and _size(request) > quantity.in_bytes(params.limit)
        if old is None or lowers_request:
            return revision_call(params, live)
        return ActionCall(action=self.spec.name, params={**params.model_dump(), "limit": old})

    def wanted(self, params: MemoryLimitParameters, live: Json) -> str:
        try:
            resources = _container(params, live["spec"]["template"]).get("resources") or {}
            found = (resources.get("limits") or {}).get("memory")
            if found is not None and _size(found) == quantity.in_bytes(params.limit):
                return ""
        except InvalidInputError as error:
            return error.message
        return f"the memory limit of container {params.container} is {found or 'not set'}, not {params.limit}"

    async def _bounded(self, params: MemoryLimitParameters, old: str | None, request: str | None) -> None:
        new = quantity.in_bytes(params.limit)
        if old is not None:
            present = _size(old)
            if new == present:
                raise InvalidInputError(f"the memory limit of container {params.container} is {old} already")
            if not present <= new * LARGEST_FACTOR <= present * LARGEST_FACTOR**2:
                message = f"{params.limit} is not within a quarter and four times the present limit of {old}"
                raise InvalidInputError(message)
        elif request is not None and new < _size(request):
            raise InvalidInputError(f"{params.limit} is less than the request of {request}")
        largest = await self._largest_node()
        if new > largest:
            message = f"{params.limit} is more than the largest node can give ({largest // 1024 // 1024}Mi)"
            raise InvalidInputError(message)

    async def _largest_node(self) -> int:
        """Allocatable memory of the largest node, in bytes."""
        nodes = (await self._api.collect(paths.NODES)).items
        given = [(node.get("status") or {}).get("allocatable", {}).get("memory", "0") for node in nodes]
        return max((_size(text) for text in given), default=0)


def _size(text: str) -> int:
    """A quantity that came from the cluster, in bytes."""
    try:
        return quantity.in_bytes(text)
    except ValueError as error:
        raise InvalidInputError(str(error)) from error


def _container(params: MemoryLimitParameters, template: Json) -> Json:
    found: list[Json] = template["spec"]["containers"]
    for one in found:
        if one["name"] == params.container:
            return one
    names = ", ".join(one["name"] for one in found)
    raise InvalidInputError(f"{params.namespace}/{params.name} has no container {params.container}; it has {names}")
