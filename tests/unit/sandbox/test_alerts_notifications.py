"""Grouping, timing and delivery of notifications: Alertmanager's behaviour."""

import asyncio
import json

import pytest

from toban_sandbox.alerts import payload, rules
from toban_sandbox.alerts.delivery import AlertSender, Receiver
from toban_sandbox.alerts.evaluation import Alert
from toban_sandbox.alerts.notifications import Dispatcher, Policy
from toban_sandbox.clock import Clock
from toban_sandbox.promql.labels import canonical

RULE = rules.load()[0].rules[0]
POLICY = Policy(group_wait_s=1, group_interval_s=5, repeat_interval_s=60)


def alert(pod="a", *, fired=100.0, resolved=None):
    labels = canonical({"alertname": "X", "namespace": "shop", "pod": pod})
    state = "firing" if resolved is None else "inactive"
    return Alert(RULE, labels, {"summary": pod}, 1.0, state, fired - 3, fired, resolved)


class Told:
    """A dispatcher with a receiver that always takes everything."""

    def __init__(self):
        self.dispatcher = Dispatcher(POLICY, graph_url="http://x")

    def at(self, now, *alerts, success=True):
        self.dispatcher.take_in(list(alerts), now)
        flushes = self.dispatcher.due(now)
        for flush in flushes:
            self.dispatcher.delivered(flush, success=success, now=now)
        return [sorted((dict(n.labels)["pod"], n.status) for n in flush.notices) for flush in flushes]


def test_the_first_message_waits_for_others_of_its_group():
    told = Told()
    assert told.at(100, alert("a")) == []
    assert told.at(101, alert("a"), alert("b")) == [[("a", "firing"), ("b", "firing")]]


def test_nothing_is_repeated_before_the_repeat_interval():
    told = Told()
    told.at(100, alert())
    assert told.at(101, alert()) == [[("a", "firing")]]
    assert [told.at(now, alert()) for now in range(102, 161)] == [[]] * 59
    assert told.at(166, alert()) == [[("a", "firing")]]


def test_a_new_alert_of_a_group_is_told_at_the_next_interval():
    told = Told()
    told.at(100, alert())
    told.at(101, alert())
    assert told.at(103, alert(), alert("b")) == []
    assert told.at(106, alert(), alert("b")) == [[("a", "firing"), ("b", "firing")]]


def test_a_resolution_is_told_once_with_its_real_end():
    told = Told()
    told.at(100, alert())
    told.at(101, alert())
    assert told.at(106, alert(resolved=104.0)) == [[("a", "resolved")]]
    assert [told.at(now, alert(resolved=104.0)) for now in range(107, 130)] == [[]] * 23


def test_an_alert_that_fires_again_after_its_resolution_is_told_again():
    told = Told()
    told.at(100, alert())
    told.at(101, alert())
    told.at(106, alert(resolved=104.0))
    told.at(120, alert(fired=120.0))
    assert told.at(121, alert(fired=120.0)) == [[("a", "firing")]]


def test_an_alert_that_resolves_before_anybody_was_told_is_not_told():
    told = Told()
    told.at(100, alert())
    assert told.at(101, alert(resolved=100.5)) == []


def test_a_message_that_failed_is_tried_again_at_the_next_interval():
    told = Told()
    told.at(100, alert())
    assert told.at(101, alert(), success=False) == [[("a", "firing")]]
    assert told.at(106, alert()) == [[("a", "firing")]]


def test_alerts_of_different_names_go_in_different_messages():
    told = Told()
    other = Alert(RULE, canonical({"alertname": "Y", "namespace": "shop", "pod": "a"}), {}, 1.0, "firing", 97, 100.0)
    told.at(100, alert(), other)
    assert len(told.at(101, alert(), other)) == 2


def test_the_message_has_alertmanagers_shape():
    told = Dispatcher(POLICY, graph_url="http://127.0.0.1:1")
    told.take_in([alert("a"), alert("b", resolved=101.0)], 101.5)
    told.take_in([alert("a"), alert("b")], 101.5)
    (flush,) = told.due(103)
    body = payload.message("default", flush.group, flush.notices, external_url="http://x")
    assert body.keys() == {
        "receiver",
        "status",
        "alerts",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "version",
        "groupKey",
        "truncatedAlerts",
    }
    assert (body["version"], body["status"], body["groupKey"]) == (
        "4",
        "firing",
        '{}:{alertname="X", namespace="shop"}',
    )
    assert body["commonLabels"] == body["groupLabels"] == {"alertname": "X", "namespace": "shop"}
    first = body["alerts"][0]
    assert first.keys() == {
        "status",
        "labels",
        "annotations",
        "startsAt",
        "endsAt",
        "generatorURL",
        "fingerprint",
    }
    assert (first["startsAt"], first["endsAt"]) == ("1970-01-01T00:01:40.000Z", "0001-01-01T00:00:00Z")


def test_fingerprints_are_those_of_alertmanager():
    assert payload.fingerprint(()) == "cbf29ce484222325"
    # What Go's fnv.New64a gives for "a\xff1\xff".
    state = 0xCBF29CE484222325
    for byte in b"a\xff1\xff":
        state = (state ^ byte) * 0x100000001B3 % 2**64
    assert payload.fingerprint((("a", "1"),)) == f"{state:016x}"
    assert payload.fingerprint((("b", "2"), ("a", "1"))) == payload.fingerprint((("a", "1"), ("b", "2")))


class FakePost:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []

    async def __call__(self, url, body, headers):
        self.calls.append((url, json.loads(body), headers))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def clock():
    return Clock(speed=200)


async def _until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the sender has no event to wait on
            await asyncio.sleep(0.005)


async def _send(clock, post, *, token=""):
    sender = AlertSender(Policy(group_wait_s=0), clock=lambda: clock, metrics_url="http://m", post=post)
    sender.add(Receiver("default", "http://127.0.0.1:9/hook", token))
    sender.tick([alert(fired=clock.time() - 10)])
    return sender


async def test_a_receiver_gets_the_bearer_token(clock):
    post = FakePost()
    sender = await _send(clock, post, token="s3cret")
    await _until(lambda: post.calls)
    assert post.calls[0][2]["Authorization"] == "Bearer s3cret"
    await sender.close()


async def test_server_errors_and_lost_connections_are_tried_again_soon(clock):
    post = FakePost(503, OSError("refused"), 200)
    sender = await _send(clock, post)
    await _until(lambda: len(post.calls) == 3)
    await asyncio.sleep(0.05)
    assert len(post.calls) == 3
    await sender.close()


async def test_a_refusal_by_the_receiver_is_not_tried_again_at_once(clock):
    post = FakePost(400)
    sender = await _send(clock, post)
    await _until(lambda: post.calls)
    await asyncio.sleep(0.05)
    assert len(post.calls) == 1
    await sender.close()


async def test_a_receiver_that_was_removed_is_not_bothered_any_more(clock):
    post = FakePost(*[503] * 50)
    sender = await _send(clock, post)
    await _until(lambda: post.calls)
    assert sender.remove("default")
    assert not sender.remove("default")
    await asyncio.sleep(0.05)
    count = len(post.calls)
    await asyncio.sleep(0.05)
    assert len(post.calls) <= count + 1
    await sender.close()


def test_a_receivers_token_is_not_shown():
    assert "s3cret" not in repr(Receiver("a", "http://x", "s3cret"))


@pytest.mark.parametrize("url", ["ftp://x", "nothing", "http://"])
def test_a_receiver_needs_an_http_url(url):
    with pytest.raises(ValueError, match="URL"):
        Receiver("a", url)
