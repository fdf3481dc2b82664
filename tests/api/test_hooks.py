"""What a sender is told, and what becomes of what it sent."""

import asyncio
import json
import sqlite3

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.house import alert, payload
from support.web import build, client_of, shut
from toban.store import alerts, incidents, journal

HOOK = "/hooks/alertmanager"


async def read(toban):
    while await toban.reader.read_waiting():
        pass


async def known(toban):
    return await toban.database.read(alerts.newest, "default", 10_000)


async def test_a_delivery_is_durable_before_it_is_answered(toban, client):
    answer = await client.post(HOOK, content=payload(alert()))
    assert answer.status_code == 202
    with sqlite3.connect(toban.settings.home / "toban.db") as other_process:
        assert other_process.execute("select count(*) from journal").fetchone() == (1,)


async def test_an_unknown_source_is_404_and_names_those_there_are(client):
    answer = await client.post("/hooks/nagios", content=b"{}")
    assert answer.status_code == 404
    assert "alertmanager" in answer.json()["detail"]


async def test_ten_mebibytes_are_413_and_nothing_is_stored(toban, client):
    answer = await client.post(HOOK, content=b"x" * (10 * 1024 * 1024))
    assert answer.status_code == 413
    assert await toban.database.read(journal.backlog) == 0


async def test_a_body_that_grows_past_the_limit_without_saying_so_is_413(toban, client):
    async def parts():
        for _ in range(100):
            yield b"x" * 100_000

    assert (await client.post(HOOK, content=parts())).status_code == 413
    assert await toban.database.read(journal.backlog) == 0


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic abc"}])
async def test_a_source_with_a_token_refuses_whoever_does_not_know_it(tmp_path, headers):
    toban = build(tmp_path, INTEGRATIONS__ALERTMANAGER__TOKEN="right-one")
    async with client_of(toban) as client:
        assert (await client.post(HOOK, content=payload(alert()), headers=headers)).status_code == 401
        good = await client.post(HOOK, content=payload(alert()), headers={"authorization": "Bearer right-one"})
        assert good.status_code == 202
    assert await toban.database.read(journal.backlog) == 1
    await shut(toban)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{not json", "body"),
        (b"[]", ""),
        (json.dumps({"version": "4"}).encode(), "alerts"),
        (payload(alert(labels={"alertname": 7})), "alerts[0].labels"),
        (payload(alert() | {"startsAt": "yesterday"}), "alerts[0].startsAt"),
        (payload(alert(), alert() | {"status": "on fire"}), "alerts[1].status"),
    ],
)
async def test_what_cannot_be_read_is_taken_and_becomes_a_dead_letter_that_names_the_field(toban, client, body, field):
    assert (await client.post(HOOK, content=body)).status_code == 202
    await read(toban)
    letters = (await client.get("/api/v1/dead-letters")).json()["items"]
    assert len(letters) == 1
    assert field in letters[0]["field"]
    assert letters[0]["problem"]
    assert await known(toban) == []


async def test_a_dead_letter_can_be_replayed(toban, client):
    source = toban.sources.pop("alertmanager")
    toban.sources["alertmanager"] = source
    await client.post(HOOK, content=payload(alert()))
    del toban.sources["alertmanager"]
    await read(toban)
    letter = (await client.get("/api/v1/dead-letters")).json()["items"][0]
    assert letter["field"] == "source"
    toban.sources["alertmanager"] = source
    assert (await client.post(f"/api/v1/dead-letters/{letter['id']}/replay")).status_code == 202
    await read(toban)
    assert len(await known(toban)) == 1
    assert (await client.post("/api/v1/dead-letters/DLQ-9999/replay")).status_code == 404


async def test_the_same_webhook_a_hundred_times_is_one_alert_and_one_incident(toban, client):
    for _ in range(100):
        await client.post(HOOK, content=payload(alert()))
    await read(toban)
    assert len(await known(toban)) == 1
    assert await toban.database.read(incidents.totals, "default") == (1, 1)


async def test_a_resolve_before_its_firing_is_kept_and_joined(toban, client):
    await client.post(HOOK, content=payload(alert("resolved")))
    await read(toban)
    assert await toban.database.read(incidents.totals, "default") == (0, 0)
    await client.post(HOOK, content=payload(alert()))
    await read(toban)
    stored = await known(toban)
    assert [one.state for one in stored] == ["resolved"]
    found = await toban.database.read(incidents.get, "default", stored[0].incident_id)
    assert found.firing_count == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(["firing", "firing", "resolved", "resolved"]))
async def test_the_order_of_deliveries_does_not_change_what_is_known_in_the_end(tmp_path_factory, order):
    toban = build(tmp_path_factory.mktemp("order"))
    async with client_of(toban) as client:
        for status in order:
            await client.post(HOOK, content=payload(alert(status)))
        await read(toban)
    stored = await known(toban)
    assert [(one.state, one.ended_at is not None) for one in stored] == [("resolved", True)]
    assert await toban.database.read(incidents.totals, "default") == (1, 1)
    await shut(toban)


async def test_a_later_firing_of_the_same_fingerprint_is_another_alert(toban, client):
    await client.post(HOOK, content=payload(alert()))
    await client.post(HOOK, content=payload(alert("resolved")))
    await client.post(HOOK, content=payload(alert() | {"startsAt": "2026-11-21T03:06:00Z"}))
    await read(toban)
    assert sorted(one.state for one in await known(toban)) == ["firing", "resolved"]


async def test_a_locked_database_is_503_with_retry_after_and_nothing_is_lost(tmp_path):
    toban = build(tmp_path, DATABASE__BUSY_TIMEOUT_S="0.2")
    blocker = sqlite3.connect(tmp_path / "toban.db", isolation_level=None)
    async with client_of(toban) as client:
        blocker.execute("BEGIN EXCLUSIVE")
        refused = await client.post(HOOK, content=payload(alert()))
        blocker.execute("ROLLBACK")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert "locked" in refused.json()["detail"]
        assert (await client.post(HOOK, content=payload(alert()))).status_code == 202
    blocker.close()
    assert await toban.database.read(journal.backlog) == 1
    await shut(toban)


async def test_overload_is_503_and_what_was_accepted_is_stored(tmp_path):
    toban = build(tmp_path, FLOW__INTAKE__QUEUE_LIMIT="5")
    async with client_of(toban) as client:
        answers = await asyncio.gather(*(client.post(HOOK, content=payload(alert())) for _ in range(60)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {202, 503}
    assert 503 in statuses
    assert await toban.database.read(journal.backlog) == statuses.count(202)
    await shut(toban)


async def test_a_page_of_another_site_cannot_post_alerts_through_a_browser(client):
    headers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert (await client.post(HOOK, content=payload(alert()), headers=headers)).status_code == 403


async def test_another_method_is_405(client):
    assert (await client.get(HOOK)).status_code == 405


async def test_a_poisonous_message_is_set_aside_after_three_tries_and_the_next_one_is_read(toban, client):
    class Broken:
        def authenticate(self, headers, body):
            return True

        def parse(self, body):
            raise ZeroDivisionError("a bug in the integration")

    toban.sources["broken"] = Broken()
    await client.post("/hooks/broken", content=b"{}")
    await client.post(HOOK, content=payload(alert()))
    for _ in range(4):
        await toban.reader.read_waiting()
    letters = (await client.get("/api/v1/dead-letters")).json()["items"]
    assert len(letters) == 1
    assert "ZeroDivisionError" in letters[0]["problem"]
    assert len(await known(toban)) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
async def test_no_body_brings_the_intake_down(toban, body):
    async with client_of(toban) as client:
        assert isinstance(client, httpx2.AsyncClient)
        assert (await client.post(HOOK, content=body)).status_code == 202
    await read(toban)
    assert await toban.database.read(journal.backlog) == 0
