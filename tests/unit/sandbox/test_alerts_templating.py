"""Annotations: Go's templates as Prometheus's rules use them."""

import math

import pytest

from toban_sandbox.alerts import templating
from toban_sandbox.alerts.templating import TemplateError


def render(text, value=0.0, **labels):
    return templating.parse(text).render(labels=labels, value=value)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("{{ $labels.pod }} is down", 1, "cart-1 is down"),
        ("{{.Labels.pod}}={{.Value}}", 2.5, "cart-1=2.5"),
        ("{{ $labels.missing }}|", 0, "|"),
        ("{{ $value | humanizePercentage }}", 0.12345, "12.35%"),
        ("{{ humanizePercentage $value }}", 0.3, "30%"),
        ("{{ $value | humanize }}", 1234567, "1.235M"),
        ("{{ $value | humanize }}", 0.0123, "12.3m"),
        ("{{ $value | humanize1024 }}", 134217728, "128Mi"),
        ("{{ $value | humanizeDuration }}", 0.975, "975ms"),
        ("{{ $value | humanizeDuration }}", 3725, "1h 2m 5s"),
        ('{{ printf "%.1f of %s (%d%%)" $value $labels.pod 7 }}', 2.25, "2.2 of cart-1 (7%)"),
        ('{{ $value | printf "%.2f" }}', 1 / 3, "0.33"),
        ('a {{- " b " -}} c', 0, "a b c"),
        ("{{ $value }}", math.inf, "+Inf"),
        ("{{ $labels.pod | toUpper }}", 0, "CART-1"),
    ],
)
def test_a_template_is_filled_in_as_prometheus_does(text, value, expected):
    assert render(text, value, pod="cart-1") == expected


@pytest.mark.parametrize(
    "text",
    [
        "{{ $value",
        "{{ if $value }}x{{ end }}",
        '{{ query "up" }}',
        "{{ }}",
        "{{ $labels.a | nothing }}",
        "{{ $other }}",
    ],
)
def test_a_template_outside_the_subset_is_refused_when_it_is_parsed(text):
    with pytest.raises(TemplateError):
        templating.parse(text)
