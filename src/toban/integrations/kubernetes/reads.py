"""The read actions: what is in a namespace, which namespaces there are, what a container said. Called by the Gate.

Objects come as the API gives them, without managedFields. Secrets are never asked for.
"""

import asyncio
from typing import Annotated, Any

from pydantic import Field

from toban.errors import UpstreamError, UpstreamRefusedError
from toban.integrations.kubernetes import failures, paths
from toban.integrations.kubernetes.api import Api, Json
from toban.kit.clock import Clock
from toban.kit.text import shorten
from toban.model.record import JsonValue
from toban.model.risk import RiskLevel
from toban.plugins.action import ActionSpec, Parameters, ReadAction

MOST_LINES = 500
LONGEST_LINE = 4_000
MOST_LOG_BYTES = 2 * 1024 * 1024
MOST_CONFIGMAPS = 500
MOST_EVENTS = 2_000
MOST = 2_000

# Accounts of one namespace often may not read these; the rest is of use without them.
_OPTIONAL = frozenset({"namespace", "nodes", "events", "configmaps"})
_NO_LOG_YET = ("previous terminated container", "is waiting to start", "is not available", "ContainerCreating")


class InventoryParameters(Parameters):
    """One namespace."""

    namespace: paths.NamespaceName


class NoParameters(Parameters):
    """Nothing to say."""


class LogParameters(Parameters):
    """The last `tail` lines of a container; `previous` is the one that ran before it."""

    namespace: paths.NamespaceName
    pod: paths.ObjectName
    container: paths.ContainerName
    previous: bool = False
    tail: Annotated[int, Field(ge=1, le=MOST_LINES)] = 100


class Inventory(ReadAction[InventoryParameters]):
    """`kubernetes.inventory`."""

    parameters = InventoryParameters
    spec = ActionSpec(
        name="kubernetes.inventory",
        summary="Read the objects of a namespace, and the nodes",
        summary_ja="名前空間のオブジェクトとノードを読む",
        permission="objects.read",
        risk=RiskLevel.READ_ONLY,
    )

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    async def read(self, params: InventoryParameters) -> JsonValue:
        """Lists by kind, `namespace` (None if it may not be read), `read_at`, and in `missing` what is not whole."""
        namespace = params.namespace
        collections = {
            "pods": (paths.core(namespace, "pods"), MOST),
            "deployments": (paths.apps(namespace, "deployments"), MOST),
            "replicasets": (paths.apps(namespace, "replicasets"), MOST),
            "services": (paths.core(namespace, "services"), MOST),
            "configmaps": (paths.core(namespace, "configmaps"), MOST_CONFIGMAPS),
            "events": (paths.core(namespace, "events"), MOST_EVENTS),
            "nodes": (paths.NODES, MOST),
        }
        read_at = self._clock.now()
        reads = [self._api.get(f"{paths.NAMESPACES}/{namespace}")]
        lists = [self._api.collect(path, most=most) for path, most in collections.values()]
        # All are let run to their end, so that no request is left behind when one of them fails.
        answers: list[Any] = await asyncio.gather(*reads, *lists, return_exceptions=True)
        found: Json = {"namespace": None, **{kind: [] for kind in collections}}
        missing: list[str] = []
        for kind, answer in zip(found, answers, strict=True):
            if isinstance(answer, BaseException):
                missing.append(_excused(kind, answer))
            elif isinstance(answer, dict):
                found[kind] = answer
            else:
                found[kind] = answer.items
                missing += [] if answer.complete else [f"{kind}: only the first {len(answer.items)} were read"]
        return {**found, "missing": missing, "read_at": read_at.isoformat()}


class Namespaces(ReadAction[NoParameters]):
    """`kubernetes.namespaces`."""

    parameters = NoParameters
    spec = ActionSpec(
        name="kubernetes.namespaces",
        summary="List the namespaces with their labels",
        summary_ja="名前空間とそのラベルを一覧する",
        permission="objects.read",
        risk=RiskLevel.READ_ONLY,
    )

    def __init__(self, api: Api) -> None:
        self._api = api

    async def read(self, params: NoParameters) -> JsonValue:  # noqa: ARG002 - there are none
        """`[{"name": …, "labels": {…}, "phase": …}]`."""
        found = await self._api.collect(paths.NAMESPACES)
        return [
            {
                "name": one["metadata"]["name"],
                "labels": one["metadata"].get("labels") or {},
                "phase": (one.get("status") or {}).get("phase", ""),
            }
            for one in found.items
        ]


class PodLogs(ReadAction[LogParameters]):
    """`kubernetes.pod_logs`."""

    parameters = LogParameters
    spec = ActionSpec(
        name="kubernetes.pod_logs",
        summary="Read the last lines that a container wrote",
        summary_ja="コンテナのログの末尾を読む",
        permission="logs.read",
        risk=RiskLevel.READ_ONLY,
    )

    def __init__(self, api: Api) -> None:
        self._api = api

    async def read(self, params: LogParameters) -> JsonValue:
        """`{"lines": […]}`; none, with a `reason`, where the container has not run."""
        query = {
            "container": params.container,
            "previous": str(params.previous).lower(),
            "tailLines": str(params.tail),
            "limitBytes": str(MOST_LOG_BYTES),
        }
        try:
            found = await self._api.text(paths.pod_log(params.namespace, params.pod), **query)
        except UpstreamRefusedError as error:
            # The kubelet has no code of its own for "it has not run": only its words tell.
            if error.details.get("status") == 400 and any(words in error.message for words in _NO_LOG_YET):  # noqa: PLR2004 - an HTTP status
                return {"lines": [], "reason": error.message}
            raise
        lines = found.split("\n")
        kept = lines[:-1] if lines[-1] == "" else lines
        return {"lines": [shorten(line.rstrip("\r"), LONGEST_LINE) for line in kept[-params.tail :]]}


def _excused(kind: str, error: BaseException) -> str:
    if kind in _OPTIONAL and isinstance(error, UpstreamError) and failures.is_forbidden(error):
        return f"{kind}: {error.message}"
    raise error
