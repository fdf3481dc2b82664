"""The HTTPS face of the simulated cluster (being filled in)."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette

from toban_sandbox import clock as clocks
from toban_sandbox.kube import auth
from toban_sandbox.kube import faults as fault_switches
from toban_sandbox.kube import store as stores


def build_app(
    store: stores.ObjectStore,
    kubelet: Any,
    *,
    users: Mapping[str, auth.User],
    audit: Callable[[dict[str, Any]], None],
    clock: clocks.Clock,
    faults: fault_switches.Faults | None = None,
) -> Starlette:
    raise NotImplementedError
