"""The services' request counters: http_server_requests_total, durations, http_client_requests_total.

Fed with flows by `metrics.sampler`; counts in fractions and shows whole requests, as counters do.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from toban_sandbox.metrics.traffic import Flow
from toban_sandbox.promql.labels import NAME, Labels, canonical

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SHAPE = 3.5  # of the log-logistic durations: the 99th percentile is about 3.7 times the median
_MEAN_OVER_MEDIAN = (math.pi / _SHAPE) / math.sin(math.pi / _SHAPE)

Sample = tuple[Labels, float]


class RequestCounters:
    """Counters of one namespace's services; `noise` is the share by which traffic wavers from tick to tick."""

    def __init__(self, namespace: str, *, noise: float, seed: int) -> None:
        self._namespace = namespace
        self._noise = noise
        self._random = random.Random(f"traffic {seed}")  # noqa: S311 - simulated traffic, not a secret
        self._counts: dict[Labels, float] = {}
        self._keys: dict[tuple[str, ...], Labels] = {}

    def add(self, flows: Mapping[str, Flow], seconds: float) -> None:
        """Counts the requests of a span of time."""
        for service, flow in flows.items():
            requests = flow.offered_rps * seconds * (1 + self._random.gauss(0, self._noise))
            if flow.served and requests > 0:
                self._answered(service, flow, requests)
            for peer, call in flow.calls.items():
                self._called(service, peer, call.rps * seconds, (call.failed, "503" if call.unreachable else "500"))

    def _answered(self, service: str, flow: Flow, requests: float) -> None:
        for code, share in flow.codes.items():
            self._count(("http_server_requests_total", "service", service, "code", code), requests * share)
        median = flow.latency_ms / 1000 / _MEAN_OVER_MEDIAN
        for bound in BOUNDS_S:
            share = 1 / (1 + (bound / median) ** -_SHAPE)
            key = ("http_server_request_duration_seconds_bucket", "service", service, "le", f"{bound:g}")
            self._count(key, requests * share)
        self._count(("http_server_request_duration_seconds_bucket", "service", service, "le", "+Inf"), requests)
        self._count(("http_server_request_duration_seconds_count", "service", service), requests)
        total = requests * flow.latency_ms / 1000
        self._count(("http_server_request_duration_seconds_sum", "service", service), total)

    def _called(self, service: str, peer: str, requests: float, failure: tuple[float, str]) -> None:
        failed, code = failure
        key = ("http_client_requests_total", "service", service, "peer", peer, "code")
        self._count((*key, "200"), requests * (1 - failed))
        self._count((*key, code), requests * failed)

    def _count(self, key: tuple[str, ...], amount: float) -> None:
        labels = self._keys.get(key)
        if labels is None:
            pairs = dict(zip(key[1::2], key[2::2], strict=True))
            labels = canonical({NAME: key[0], "namespace": self._namespace, **pairs})
            self._keys[key] = labels
            self._counts[labels] = 0.0
        self._counts[labels] += amount

    def samples(self) -> list[Sample]:
        """The counters as they stand."""
        return [
            (labels, count if labels[0][1].endswith("_sum") else float(int(count)))
            for labels, count in self._counts.items()
        ]
