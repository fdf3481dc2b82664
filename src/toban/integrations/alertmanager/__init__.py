"""Alertmanager: takes the alerts that it posts to `/hooks/alertmanager`. Declared here, loaded by the registry."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from toban.plugins.registry import Integration

if TYPE_CHECKING:
    from typing import Self

    from toban.plugins.roles import AlertSource


class Settings(BaseModel):
    """`token_previous` is accepted beside `token` while a sender is moved from the old one to the new one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: SecretStr | None = Field(default=None, min_length=1)
    token_previous: SecretStr | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _previous_needs_present(self) -> "Self":
        if self.token_previous is not None and self.token is None:
            raise ValueError("token_previous is set without token; set token to the one that senders should use")
        return self


def _alert_source(settings: Settings) -> "AlertSource":
    from toban.integrations.alertmanager.source import AlertmanagerSource

    return AlertmanagerSource(settings)


INTEGRATION = Integration("alertmanager", Settings, {"alert_source": _alert_source}, on_by_default=True)
