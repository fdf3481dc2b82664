"""Service accounts of new pods: they must exist, and lend the pod their secrets for pulling images."""

from typing import Any

from toban_sandbox.kube import errors, kinds
from toban_sandbox.kube.admission.objects import Objects

Json = dict[str, Any]

DEFAULT = "default"


def complete(store: Objects, pod: Json) -> None:
    """Take over the account's image pull secrets, in place."""
    spec = pod["spec"]
    account = store.get("serviceaccounts", pod["metadata"].get("namespace"), spec.get("serviceAccountName") or DEFAULT)
    if account is not None and account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(one) for one in account["imagePullSecrets"]]


def check(store: Objects, kind: kinds.Kind, pod: Json) -> None:
    """ApiError 403 when the account is not there; every namespace gets its default one sooner or later."""
    namespace, name = pod["metadata"].get("namespace"), pod["spec"].get("serviceAccountName") or DEFAULT
    if name == DEFAULT or store.get("serviceaccounts", namespace, name) is not None:
        return
    why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
    raise errors.forbidden(kind.about, pod["metadata"].get("name", ""), why)
