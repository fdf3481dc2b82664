"""The read actions: a query, a query over time, and the state of an alerting rule. Called by the Gate alone."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from toban.integrations.prometheus import answers
from toban.integrations.prometheus.client import Client
from toban.model.record import JsonValue
from toban.model.risk import RiskLevel
from toban.plugins.action import ActionSpec, Parameters, ReadAction

MOST_POINTS = 11_000
LONGEST_EXPRESSION = 8_000


def _zoned(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("time without a zone; write it with an offset, such as 2026-11-21T03:00:00Z")
    return text


Expression = Annotated[str, Field(min_length=1, max_length=LONGEST_EXPRESSION)]
Time = Annotated[str, Field(max_length=40), AfterValidator(_zoned)]
"""ISO 8601 with an offset, kept as text."""


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class QueryParameters(Parameters):
    """`at` is the time of evaluation; Prometheus's present when left out."""

    expr: Expression
    at: Time | None = None


class QueryRangeParameters(Parameters):
    """From `start` to `end`, both included, every `step_s` seconds; 11,000 points a series at most."""

    expr: Expression
    start: Time
    end: Time
    step_s: float = Field(ge=0.001, le=86_400, allow_inf_nan=False)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        span_s = _unix(self.end) - _unix(self.start)
        if span_s < 0:
            raise ValueError("end is before start")
        if span_s / self.step_s >= MOST_POINTS:
            raise ValueError(f"more than {MOST_POINTS} points; take a longer step_s or a shorter time")
        return self


class RuleStateParameters(Parameters):
    """`alert_name` is the rule's `alert:`, matched exactly."""

    alert_name: str = Field(min_length=1, max_length=500)


class Query(ReadAction[QueryParameters]):
    """`prometheus.query`."""

    parameters = QueryParameters
    spec = ActionSpec(
        name="prometheus.query",
        summary="Evaluate a PromQL expression at one time",
        summary_ja="PromQL式をある時点で評価する",
        permission="metrics.read",
        risk=RiskLevel.READ_ONLY,
    )

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, params: QueryParameters) -> JsonValue:
        form = {"query": params.expr}
        if params.at is not None:
            form["time"] = f"{_unix(params.at):.3f}"
        return answers.series(*await self._client.post("query", form))


class QueryRange(ReadAction[QueryRangeParameters]):
    """`prometheus.query_range`."""

    parameters = QueryRangeParameters
    spec = ActionSpec(
        name="prometheus.query_range",
        summary="Evaluate a PromQL expression over a span of time",
        summary_ja="PromQL式をある期間にわたって評価する",
        permission="metrics.read",
        risk=RiskLevel.READ_ONLY,
    )

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, params: QueryRangeParameters) -> JsonValue:
        form = {
            "query": params.expr,
            "start": f"{_unix(params.start):.3f}",
            "end": f"{_unix(params.end):.3f}",
            "step": f"{params.step_s:.3f}",
        }
        return answers.series(*await self._client.post("query_range", form))


class RuleState(ReadAction[RuleStateParameters]):
    """`prometheus.rule_state`."""

    parameters = RuleStateParameters
    spec = ActionSpec(
        name="prometheus.rule_state",
        summary="Read an alerting rule and the alerts that it has now",
        summary_ja="アラートルールと現在のアラートを読む",
        permission="metrics.read",
        risk=RiskLevel.READ_ONLY,
    )

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, params: RuleStateParameters) -> JsonValue:
        # Servers before 2.45 know no filter by name and ignore it, so the answer is filtered here as well.
        data, _ = await self._client.get("rules", {"type": "alert", "rule_name[]": params.alert_name})
        return answers.rules(data, params.alert_name)
