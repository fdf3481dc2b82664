"""Alert rules: their file, and how alerts become pending, fire and resolve."""

import pytest

from toban_sandbox.alerts import rules
from toban_sandbox.alerts.evaluation import RuleEvaluator, generator_url
from toban_sandbox.documents import DocumentError
from toban_sandbox.metrics.series import SeriesStore
from toban_sandbox.promql.labels import canonical

RULES = """
groups:
  - name: test
    interval: 1s
    rules:
      - alert: TooHot
        expr: temperature > 30
        for: 3s
        labels: {severity: "{{ $labels.room }}-bad"}
        annotations: {summary: "{{ $labels.room }} has {{ $value }} degrees"}
"""


@pytest.fixture
def evaluator(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return RuleEvaluator(rules.load(path))


@pytest.fixture
def step(evaluator):
    store = SeriesStore()

    def at(second, **rooms):
        samples = [(canonical({"__name__": "temperature", "room": room}), value) for room, value in rooms.items()]
        store.scrape(second * 1000, samples)
        evaluator.evaluate(store, float(second))
        return {dict(alert.labels)["room"]: alert.state for alert in evaluator.alerts()}

    return at


def test_an_alert_fires_only_after_it_was_pending_long_enough(step):
    assert step(1, kitchen=40) == {"kitchen": "pending"}
    assert step(3, kitchen=41) == {"kitchen": "pending"}
    assert step(4, kitchen=41) == {"kitchen": "firing"}


def test_a_pending_alert_whose_cause_goes_away_is_forgotten(step):
    step(1, kitchen=40)
    assert step(2, kitchen=20) == {}
    assert step(4, kitchen=40) == {"kitchen": "pending"}


def test_a_firing_alert_resolves_and_may_fire_anew(step, evaluator):
    for second in (1, 4):
        step(second, kitchen=40)
    assert step(5) == {"kitchen": "inactive"}
    alert = evaluator.alerts()[0]
    assert (alert.fired_at, alert.resolved_at) == (4.0, 5.0)
    assert step(6, kitchen=50) == {"kitchen": "pending"}
    assert evaluator.alerts()[0].active_at == 6.0


def test_a_resolved_alert_is_kept_for_fifteen_minutes(step):
    for second in (1, 4):
        step(second, kitchen=40)
    step(5)
    assert step(900) == {"kitchen": "inactive"}
    assert step(906) == {}


def test_labels_and_annotations_are_templates_over_the_series(step, evaluator):
    step(1, kitchen=40.5)
    alert = evaluator.alerts()[0]
    assert dict(alert.labels) == {"alertname": "TooHot", "room": "kitchen", "severity": "kitchen-bad"}
    assert alert.annotations == {"summary": "kitchen has 40.5 degrees"}


def test_the_series_of_alerts_exist_while_they_are_active(step, evaluator):
    step(1, kitchen=40)
    named = {dict(labels)["__name__"]: (dict(labels).get("alertstate"), value) for labels, value in evaluator.series()}
    assert named == {"ALERTS": ("pending", 1.0), "ALERTS_FOR_STATE": (None, 1.0)}


def test_the_api_lists_rules_with_their_alerts(step, evaluator):
    step(1, kitchen=40)
    rule = evaluator.api_groups()[0]["rules"][0]
    assert (rule["state"], rule["query"], rule["duration"], rule["health"]) == (
        "pending",
        "temperature > 30",
        3.0,
        "ok",
    )
    assert rule["alerts"][0]["activeAt"] == "1970-01-01T00:00:01.000Z"
    assert evaluator.api_alerts()[0]["value"] == "40"


def test_the_generator_url_leads_to_the_expression(evaluator):
    url = generator_url("http://127.0.0.1:1", evaluator._groups[0][0].rules[0])
    assert url == "http://127.0.0.1:1/graph?g0.expr=temperature+%3E+30&g0.tab=1"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("temperature > 30", "temperature >", 7, "cannot be parsed: 1:14"),
        ("for: 3s", "for: soon", 8, "duration"),
        ("{{ $value }}", "{{ $valeu }}", 10, "template of `summary`"),
        ("for: 3s", "fro: 3s", 8, "`fro` is not known"),
        ("alert: TooHot", "record: too_hot", 6, "recording rules are not supported"),
    ],
)
def test_a_mistake_in_a_rule_file_is_reported_with_its_line(tmp_path, old, new, line, words):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES.replace(old, new))
    with pytest.raises(DocumentError, match=words) as caught:
        rules.load(path)
    assert str(caught.value).startswith(f"{path}:{line}:")


def test_the_shipped_rules_load_and_have_what_people_need():
    found = [rule for group in rules.load() for rule in group.rules]
    assert {rule.name for rule in found} >= {"KubePodCrashLooping", "ServiceHighErrorRate", "NodeNotReady", "CpuBurst"}
    for rule in found:
        assert {"summary", "description", "runbook_url"} <= rule.annotations.keys()
        assert "severity" in rule.labels
