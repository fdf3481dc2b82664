"""The settings of governance."""

from pydantic import BaseModel, ConfigDict

from toban.governance.policy import PolicySettings


class GovernanceSettings(BaseModel):
    """Who decides what: the workspace's own rules beside the built-in table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: PolicySettings = PolicySettings()
