"""Is Toban alive, is it ready, its counters: `/livez`, `/readyz?verbose`, `/metrics`. Open to probes, no secrets."""

from collections.abc import Iterator
from dataclasses import asdict

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse, Response

from toban.app import Toban


class _Intake(Collector):
    """The intake's counts, read when they are asked for."""

    def __init__(self, toban: Toban) -> None:
        self._toban = toban

    def collect(self) -> Iterator[Metric]:
        for name, value in asdict(self._toban.intake.counts).items():
            yield CounterMetricFamily(f"toban_intake_{name}", f"Intake: {name} since the start", value=float(value))


def router(toban: Toban) -> APIRouter:
    """The probes' routes."""
    routes = APIRouter(include_in_schema=False)
    registry = CollectorRegistry()
    for collector in (_Intake(toban), ProcessCollector(registry=None), PlatformCollector(registry=None)):
        registry.register(collector)

    @routes.get("/livez")
    async def alive() -> Response:
        return PlainTextResponse("ok\n")

    @routes.get("/readyz")
    async def ready(request: Request) -> Response:
        found = await toban.readiness()
        wrong = {name: state for name, state in found.items() if state != "ok"}
        lines = [f"[{'-' if name in wrong else '+'}] {name}: {state}" for name, state in sorted(found.items())]
        shown = lines if "verbose" in request.query_params else []
        shown.append("not ready" if wrong else "ready")
        return PlainTextResponse("\n".join(shown) + "\n", 503 if wrong else 200)

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return routes
