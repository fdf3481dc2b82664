"""The action provider: one connection, all actions on Kubernetes. Built by the registry's factory."""

from collections.abc import Sequence

import httpx2

from toban.integrations.kubernetes import Settings, reads
from toban.integrations.kubernetes.api import Api
from toban.integrations.kubernetes.configmaps import RestoreConfigMap
from toban.integrations.kubernetes.memory_limit import SetMemoryLimit
from toban.integrations.kubernetes.restart import RestartRollout
from toban.integrations.kubernetes.rollback import RollbackDeployment
from toban.kit.clock import Clock, SystemClock
from toban.plugins.action import Action


class KubernetesActions:
    """Nothing is connected until an action is called. `transport` and `clock` are for tests."""

    def __init__(
        self, settings: Settings, *, transport: httpx2.AsyncBaseTransport | None = None, clock: Clock | None = None
    ) -> None:
        self._api = Api(settings, transport=transport)
        self._clock = clock or SystemClock()

    def actions(self) -> Sequence[Action]:
        return (
            reads.Inventory(self._api, self._clock),
            reads.Namespaces(self._api),
            reads.PodLogs(self._api),
            RollbackDeployment(self._api),
            SetMemoryLimit(self._api),
            RestoreConfigMap(self._api),
            RestartRollout(self._api),
        )

    async def close(self) -> None:
        await self._api.close()
