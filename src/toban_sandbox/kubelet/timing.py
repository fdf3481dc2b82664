"""How long the kubelet's steps take, in simulated seconds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Simulated seconds of the steps in a container's life; short by default, so that faults show within seconds."""

    pull_s: float = 0.6
    start_s: float = 0.8
    backoff_base_s: float = 2.0
    backoff_max_s: float = 20.0
    backoff_reset_s: float = 600.0
    image_backoff_base_s: float = 2.0
    image_backoff_max_s: float = 20.0
    retry_s: float = 2.0
    termination_s: float = 0.5
    memory_ramp_s: float = 1.0
    request_log_s: float = 10.0


REALISTIC = Timing(
    pull_s=2.0,
    start_s=1.0,
    backoff_base_s=10.0,
    backoff_max_s=300.0,
    image_backoff_base_s=10.0,
    image_backoff_max_s=300.0,
    retry_s=15.0,
    termination_s=2.0,
    memory_ramp_s=10.0,
    request_log_s=30.0,
)
