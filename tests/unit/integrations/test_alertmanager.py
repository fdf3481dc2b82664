"""Alertmanager's webhook: what is taken in, and which words refuse the rest."""

import copy
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toban.errors import MappingError
from toban.integrations.alertmanager import Settings, fingerprint, payload
from toban.integrations.alertmanager.source import AlertmanagerSource
from toban.model.alert import AlertState, Severity

ALERT = {
    "status": "firing",
    "labels": {"alertname": "KubePodCrashLooping", "severity": "critical", "namespace": "shop"},
    "annotations": {"summary": "down", "runbook_url": "https://wiki.example/crash"},
    "startsAt": "2026-11-21T03:33:46.123456789+09:00",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus.example/graph?g0.expr=up",
    "fingerprint": "ABCDEF0123456789",
}
PAYLOAD = {
    "version": "4",
    "groupKey": '{}:{alertname="KubePodCrashLooping"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "toban",
    "groupLabels": {},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager.example",
    "alerts": [ALERT],
}


def body(*edits, **fields):
    """PAYLOAD with one alert for each edit, an edit being the fields that differ."""
    alerts = [{**copy.deepcopy(ALERT), **edit} for edit in edits] or [ALERT]
    alerts = [{key: value for key, value in alert.items() if value is not ...} for alert in alerts]
    return json.dumps({**PAYLOAD, "alerts": alerts, **fields}).encode()


def parse_one(**edit):
    (alert,) = payload.parse(body(edit))
    return alert


def refusal(raw):
    with pytest.raises(MappingError) as caught:
        payload.parse(raw)
    return caught.value


def test_a_firing_alert_is_taken_over_as_it_is():
    alert = parse_one()
    assert (alert.source, alert.name, alert.state) == ("alertmanager", "KubePodCrashLooping", AlertState.FIRING)
    assert alert.started_at == datetime(2026, 11, 20, 18, 33, 46, 123457, tzinfo=UTC)
    assert alert.ended_at is None
    assert alert.fingerprint == "abcdef0123456789"
    assert alert.labels == ALERT["labels"]
    assert alert.annotations == ALERT["annotations"]


def test_links_are_taken_from_generator_runbook_and_dashboard_when_they_are_http():
    notes = {
        "runbook_url": "javascript:alert(1)",
        "dashboard": "https://grafana.example/d/1",
        "runbook": "see https://x.example",
    }
    links = parse_one(annotations=notes).links
    assert [(link.title, link.url) for link in links] == [
        ("Source", ALERT["generatorURL"]),
        ("Dashboard", "https://grafana.example/d/1"),
    ]


def test_a_resolved_alert_has_the_time_when_it_ended():
    alert = parse_one(status="resolved", endsAt="2026-11-21T04:00:00Z")
    assert (alert.state, alert.ended_at) == (AlertState.RESOLVED, datetime(2026, 11, 21, 4, tzinfo=UTC))


def test_a_firing_alert_has_no_end_even_if_one_is_sent():
    assert parse_one(endsAt="2026-11-21T04:00:00Z").ended_at is None


@pytest.mark.parametrize(
    ("label", "severity"),
    [
        ("critical", Severity.CRITICAL),
        ("page", Severity.CRITICAL),
        ("High", Severity.HIGH),
        ("error", Severity.HIGH),
        ("major", Severity.HIGH),
        (" warning ", Severity.WARNING),
        ("warn", Severity.WARNING),
        ("minor", Severity.WARNING),
        ("info", Severity.INFO),
        ("informational", Severity.INFO),
        ("none", Severity.INFO),
        ("purple", Severity.UNKNOWN),
        ("", Severity.UNKNOWN),
    ],
)
def test_the_severity_label_is_understood_and_never_guessed(label, severity):
    assert parse_one(labels={"alertname": "A", "severity": label}).severity is severity


def test_a_missing_severity_is_unknown():
    assert parse_one(labels={"alertname": "A"}).severity is Severity.UNKNOWN


def test_truncated_alerts_are_counted_on_every_alert():
    assert [alert.truncated for alert in payload.parse(body({}, {}, truncatedAlerts=7))] == [7, 7]


def test_unknown_fields_are_ignored_at_every_level():
    assert payload.parse(body({"later": {"a": 1}}, newField=[1]))


def test_several_alerts_keep_their_order():
    named = [{"labels": {"alertname": name}} for name in "CAB"]
    assert [alert.name for alert in payload.parse(body(*named))] == ["C", "A", "B"]


@pytest.mark.parametrize("sent", ["", "short", "zzzzzzzzzzzzzzzz", ...])
def test_a_fingerprint_that_is_none_is_worked_out_from_the_labels(sent):
    assert parse_one(fingerprint=sent).fingerprint == fingerprint.of_labels(ALERT["labels"])


def test_the_fingerprint_is_fnv_1a_over_sorted_names_and_values_with_separators():
    assert fingerprint.of_labels({}) == "cbf29ce484222325"
    assert fingerprint.of_labels({"b": "2", "a": "1"}) == fingerprint.of_labels({"a": "1", "b": "2"})
    assert fingerprint.of_labels({"ab": "c"}) != fingerprint.of_labels({"a": "bc"})
    value = 0xCBF29CE484222325
    for byte in b"a\xff1\xff":
        value = (value ^ byte) * 0x100000001B3 % 2**64
    assert fingerprint.of_labels({"a": "1"}) == f"{value:016x}"


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"startsAt": "yesterday"}, "alerts[2].startsAt"),
        ({"startsAt": "2026-11-21T03:00:00"}, "alerts[2].startsAt"),
        ({"startsAt": "0001-01-01T00:00:00Z"}, "alerts[2].startsAt"),
        ({"startsAt": "9999-12-31T23:59:59-09:00"}, "alerts[2].startsAt"),
        ({"startsAt": 5}, "alerts[2].startsAt"),
        ({"startsAt": ...}, "alerts[2].startsAt"),
        ({"status": "resolved"}, "alerts[2].endsAt"),
        ({"status": "resolved", "endsAt": None}, "alerts[2].endsAt"),
        ({"status": "broken"}, "alerts[2].status"),
        ({"labels": {"severity": "high"}}, "alerts[2].labels.alertname"),
        ({"labels": {"alertname": ""}}, "alerts[2].labels.alertname"),
        ({"labels": {"alertname": 5}}, "alerts[2].labels.alertname"),
        ({"labels": []}, "alerts[2].labels"),
        ({"labels": {"alertname": "A", **{f"l{n}": "" for n in range(128)}}}, "alerts[2].labels"),
        ({"annotations": {"summary": "あ" * 3000}}, "alerts[2].annotations.summary"),
        ({"annotations": {"n" * 2000: ""}}, f"alerts[2].annotations.{'n' * 99}…"),
    ],
)
def test_a_wrong_field_of_an_alert_is_named_with_its_place(edit, field):
    error = refusal(body({}, {}, edit))
    assert error.field == field
    assert field in error.message


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "body"),
        (b"\xff\xfe", "body"),
        (b"[]", "body"),
        (b"[" * 100_000, "body"),
        (b'{"version": "4"}', "alerts"),
        (b'{"version": "4", "alerts": {}}', "alerts"),
        (b'{"version": "4", "alerts": [7]}', "alerts[0]"),
        (b'{"version": "1", "alerts": []}', "version"),
        (b'{"version": "4", "alerts": [], "truncatedAlerts": -1}', "truncatedAlerts"),
    ],
)
def test_a_wrong_payload_is_refused_by_the_field_that_is_wrong(raw, field):
    assert refusal(raw).field == field


def test_a_refusal_says_what_was_found():
    assert "'yesterday'" in refusal(body({"startsAt": "yesterday"})).message
    assert "a number" in refusal(body({"labels": {"alertname": 5}})).message


def test_a_refusal_shows_hidden_characters_instead_of_writing_them():
    assert "<U+202E>" in refusal(body({"status": "fir\u202eing"})).message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


# The first text that Hypothesis draws on a machine builds its table of characters, which takes a second.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(list(ALERT)), JSON), st.dictionaries(st.sampled_from(list(PAYLOAD)), JSON))
def test_whatever_is_sent_gives_alerts_or_a_mapping_error(alert, whole):
    raw = json.dumps({**PAYLOAD, "alerts": [{**ALERT, **alert}], **whole}).encode()
    try:
        found = payload.parse(raw)
    except MappingError as error:
        found = error.field
    assert isinstance(found, tuple) or found


def source(**tokens):
    return AlertmanagerSource(Settings(**tokens))


def test_the_configured_token_lets_in_and_others_do_not():
    both = source(token="new-token", token_previous="old-token")
    assert both.authenticate({"authorization": "Bearer new-token"}, b"")
    assert both.authenticate({"authorization": "bearer  old-token "}, b"")
    for sent in ("Bearer other", "Bearer ", "Bearer", "", "Basic new-token", "new-token", "Bearer \udce9", "Bearer é"):
        assert not both.authenticate({"authorization": sent}, b"")
    assert not both.authenticate({}, b"")


def test_without_a_configured_token_everybody_is_let_in():
    assert source().authenticate({}, b"")


def test_an_empty_token_or_only_a_previous_one_is_a_mistake_in_the_settings():
    for wrong in ({"token": ""}, {"token_previous": "old"}, {"tokens": "x"}):
        with pytest.raises(ValueError, match="token"):
            Settings(**wrong)


def test_the_settings_do_not_show_the_token():
    assert "new-token" not in repr(Settings(token="new-token"))
