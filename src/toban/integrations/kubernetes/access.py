"""Asks Kubernetes itself whether Toban may do something (SelfSubjectAccessReview). Called by the write actions."""

from typing import NamedTuple

from toban.integrations.kubernetes import paths
from toban.integrations.kubernetes.api import Api


class Question(NamedTuple):
    """A verb on a resource; `name` empty means any name, as for creating."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {resource}{f'/{self.name}' if self.name else ''} in namespace {self.namespace}"


async def review(api: Api, question: Question) -> tuple[bool, str]:
    """Kubernetes' answer and its reason. Whatever is not a clear yes is a no."""
    attributes = {key: value for key, value in question._asdict().items() if value}
    asked = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    status = (await api.review(paths.ACCESS_REVIEWS, asked)).get("status") or {}
    allowed = status.get("allowed") is True and not status.get("denied")
    said = status.get("reason") or status.get("evaluationError") or ""
    verdict = "Kubernetes allows" if allowed else "Kubernetes does not allow"
    return allowed, f"{verdict} Toban's account to {question}" + (f": {said}" if said else "")
