"""The settings of the stages."""

from pydantic import BaseModel, ConfigDict, Field


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IntakeSettings(_Group):
    """How much the intake holds before it refuses."""

    queue_limit: int = Field(5_000, ge=1, description="deliveries that may wait for the disk before 503")
    queue_limit_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="bytes that may wait for the disk before 503")
    batch_limit: int = Field(500, ge=1, description="deliveries in one commit")


class CorrelateSettings(_Group):
    """When alerts belong together."""

    window_s: float = Field(300.0, gt=0, description="alerts further apart than this do not join by service")


class InvestigateSettings(_Group):
    """How far an investigation looks."""

    settle_s: float = Field(1.0, ge=0, description="pause before the first look, so that the symptoms can show")
    lookback_s: float = Field(1800.0, gt=0, description="how far before the start metrics are read")
    timeout_s: float = Field(30.0, gt=0, description="an investigation goes on with what it has after this")
    retry_s: float = Field(10.0, gt=0, description="pause before another look when the first was inconclusive")
    attempts: int = Field(3, ge=1, le=10, description="looks at an incident before a person is asked")


class VerifySettings(_Group):
    """When a fix counts as proved."""

    samples: int = Field(3, ge=1, description="fresh good samples in a row that each check needs")
    interval_s: float = Field(2.0, gt=0, description="pause between two samples")
    timeout_s: float = Field(180.0, gt=0, description="a check that is not good by then has failed, or could not tell")


class FlowSettings(_Group):
    """Settings of the way from alert to lesson."""

    intake: IntakeSettings = IntakeSettings()
    correlate: CorrelateSettings = CorrelateSettings()
    investigate: InvestigateSettings = InvestigateSettings()
    verify: VerifySettings = VerifySettings()
    resolve_after_s: float = Field(
        5.0, ge=0, description="an incident whose alerts are all resolved this long is resolved"
    )
