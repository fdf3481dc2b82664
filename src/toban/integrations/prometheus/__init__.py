"""Prometheus: reads metrics and the state of alerting rules. Declared here, loaded by the registry."""

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from toban.plugins.registry import Integration

if TYPE_CHECKING:
    from toban.plugins.roles import ActionProvider


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("not an address; write it like http://prometheus.monitoring:9090")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "an address without user, password, query or fragment is expected; the token has its own setting"
        )
    return url.rstrip("/")


class Settings(BaseModel):
    """`url` may have a path, as behind a proxy; `timeout_s` holds for one read with its retries, in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, AfterValidator(_base_url)]
    token: SecretStr | None = Field(default=None, min_length=1)
    timeout_s: float = Field(default=10, gt=0, le=120)


def _action_provider(settings: Settings) -> "ActionProvider":
    from toban.integrations.prometheus.provider import PrometheusActions

    return PrometheusActions(settings)


INTEGRATION = Integration("prometheus", Settings, {"action_provider": _action_provider})
