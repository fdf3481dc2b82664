"""How long the kubelet's steps take, in simulated seconds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Simulated seconds of the steps in a container's life; short by default, so that faults show within seconds."""

    pull_s: float = 0.6
    create_s: float = 0.1
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
    heartbeat_s: float = 10.0
