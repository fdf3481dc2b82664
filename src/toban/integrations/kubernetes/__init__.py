"""Kubernetes: reads objects and logs, and mends Deployments and ConfigMaps. Declared here, loaded by the registry."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, model_validator

from toban.plugins.registry import Integration

if TYPE_CHECKING:
    from typing import Self

    from toban.plugins.roles import ActionProvider


class Settings(BaseModel):
    """Which cluster, as whom.

    Without `kubeconfig` the variable KUBECONFIG and then `~/.kube/config` are looked at; `in_cluster` takes the pod's
    service account instead. `timeout_s` holds for one request with its retries, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kubeconfig: Path | None = None
    context: str | None = None
    timeout_s: float = Field(default=10, gt=0, le=120)
    in_cluster: bool = False

    @model_validator(mode="after")
    def _one_way_in(self) -> "Self":
        if self.in_cluster and (self.kubeconfig is not None or self.context is not None):
            raise ValueError("in_cluster takes neither kubeconfig nor context; leave one or the other out")
        return self


def _action_provider(settings: Settings) -> "ActionProvider":
    from toban.integrations.kubernetes.provider import KubernetesActions

    return KubernetesActions(settings)


INTEGRATION = Integration("kubernetes", Settings, {"action_provider": _action_provider})
