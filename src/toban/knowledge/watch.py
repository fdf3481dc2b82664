"""Watches while all is well: learns services and who calls whom, and remembers configuration objects as last seen.

Called again and again by `app.py`. What it remembers is what a change can restore when it is gone. Secrets are never
read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
import structlog

from toban.analysis import topology
from toban.errors import TobanError
from toban.model.environment import Environment
from toban.model.service import ObjectRef, Service
from toban.store import services
from toban.store.database import Database

_CALLS = "sum by (namespace, service, peer) (rate(http_client_requests_total[5m]))"
_SYSTEM = ("kube-", "openshift-")
_ENVIRONMENT_LABELS = ("environment", "env", "app.kubernetes.io/environment")
_GENERATED = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})
_log = structlog.get_logger()


class Reader(Protocol):
    """Reads through the Gate."""

    async def read(self, action: str, params: Mapping[str, Any]) -> Any:
        """What a reading action answers."""
        ...


class Watcher:
    """One look after another, each whole or not at all for a namespace."""

    def __init__(
        self, database: Database, workspace: str, namespaces: tuple[str, ...], environments: Mapping[str, Environment]
    ) -> None:
        self._database = database
        self._workspace = workspace
        self._namespaces = namespaces
        self._environments = environments

    async def look(self, reader: Reader, now: datetime) -> int:
        """Look at every namespace once; how many services are known there. A failing source is logged, not raised."""
        calls = await self._calls(reader)
        count = 0
        for name, environment in await self._places(reader):
            try:
                inventory = await reader.read("kubernetes.inventory", {"namespace": name})
            except TobanError as error:
                _log.warning("namespace cannot be read", namespace=name, problem=error.message)
                continue
            found = topology.services_from(
                inventory, calls, workspace=self._workspace, environment=environment, seen_at=now
            )
            await self._database.write(self._store, found, inventory["configmaps"], now)
            count += len(found)
        return count

    async def _places(self, reader: Reader) -> list[tuple[str, Environment]]:
        try:
            listed = await reader.read("kubernetes.namespaces", {})
        except TobanError as error:
            _log.warning("namespaces cannot be read", problem=error.message)
            return []
        labels = {one["name"]: one.get("labels", {}) for one in listed}
        wanted = self._namespaces or tuple(name for name in labels if not name.startswith(_SYSTEM))
        return [(name, self.environment_of(name, labels.get(name, {}))) for name in wanted]

    def environment_of(self, namespace: str, labels: Mapping[str, str]) -> Environment:
        """Configured, else by the namespace's label, else production: the strictest."""
        if namespace in self._environments:
            return self._environments[namespace]
        return Environment.of(next((labels[key] for key in _ENVIRONMENT_LABELS if key in labels), None))

    async def _calls(self, reader: Reader) -> list[dict[str, str]]:
        try:
            answer = await reader.read("prometheus.query", {"expr": _CALLS})
        except TobanError as error:
            _log.info("calls between services are not known", problem=error.message)
            return []
        return [series["labels"] for series in answer["series"]]

    def _store(
        self, connection: sa.Connection, found: list[Service], configmaps: list[dict[str, Any]], now: datetime
    ) -> None:
        services.save(connection, found)
        for one in configmaps:
            meta = one["metadata"]
            if meta["name"] in _GENERATED:
                continue
            ref = ObjectRef(kind="ConfigMap", namespace=meta["namespace"], name=meta["name"])
            content = {"data": one.get("data", {}), "labels": meta.get("labels", {})}
            services.save_snapshot(connection, self._workspace, ref, content, now)
