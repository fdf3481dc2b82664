"""The action provider: one client, three read actions. Built by the registry's factory."""

from collections.abc import Sequence

import httpx2

from toban.integrations.prometheus import Settings, actions
from toban.integrations.prometheus.client import Client
from toban.plugins.action import Action


class PrometheusActions:
    """`transport` is for tests."""

    def __init__(self, settings: Settings, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._client = Client(settings, transport=transport)

    def actions(self) -> Sequence[Action]:
        return (actions.Query(self._client), actions.QueryRange(self._client), actions.RuleState(self._client))

    async def close(self) -> None:
        await self._client.close()
