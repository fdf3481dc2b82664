"""From a kubeconfig to an HTTP client with TLS and credentials, by lightkube. Called by `api`, once.

lightkube's own objects are not used for the answers: its typed models drop fields that they do not know, and a pod
template that lost a field on its way through Toban would be written back without it.
"""

import ipaddress
import os
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2
import msgspec
import yaml
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from toban.errors import UpstreamRefusedError
from toban.integrations.kubernetes import Settings

_LONGEST_CONNECT_S = 5.0


class Connection(NamedTuple):
    """`place` is host and port for messages; `source` says where the credentials come from."""

    client: httpx2.AsyncClient
    place: str
    source: str


def connect(settings: Settings, *, transport: httpx2.AsyncBaseTransport | None = None) -> Connection:
    """Nothing is sent yet. Raises UpstreamRefusedError naming the file when the configuration is of no use."""
    source = _source(settings)
    try:
        chosen = _chosen(settings, source)
        parts = urlsplit(chosen.cluster.server)
        params = client_adapter.ConnectionParams(
            timeout=httpx2.Timeout(settings.timeout_s, connect=min(_LONGEST_CONNECT_S, settings.timeout_s / 2)),
            trust_env=not _is_loopback(parts.hostname or ""),
            transport=transport,  # type: ignore[arg-type] # lightkube writes the synchronous base's name for both
        )
        client = client_adapter.AsyncClient(chosen, params)
    except (
        ConfigError, OSError, ssl.SSLError, yaml.YAMLError, msgspec.MsgspecError, LookupError, TypeError, ValueError,
        AttributeError,
    ) as error:  # fmt: skip
        message = f"the Kubernetes configuration {source} cannot be used: {_words(error)}"
        raise UpstreamRefusedError(message, file=source) from error
    return Connection(
        client, parts.netloc, source if not settings.context else f"{source} (context {settings.context})"
    )


def _chosen(settings: Settings, source: str) -> SingleConfig:
    config = KubeConfig.from_service_account() if settings.in_cluster else KubeConfig.from_file(source)
    chosen = config.get(settings.context)
    if chosen is None or not chosen.cluster.server:
        raise ConfigError("no cluster with an address is chosen")
    return chosen._replace(user=chosen.user or User())


def _source(settings: Settings) -> str:
    if settings.in_cluster:
        return "of the pod's service account"
    found = settings.kubeconfig or Path(os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG)
    return str(found.expanduser())


def _words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        # The error's own text would show the line, and the line may hold a token.
        return f"not YAML at line {error.problem_mark.line + 1}"
    return str(error) or type(error).__name__


def _is_loopback(host: str) -> bool:
    # A proxy named by the environment cannot reach this machine's own loopback.
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
