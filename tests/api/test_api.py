"""The JSON API: who may ask what, and what is answered to wrong questions."""

import pytest

from support.house import alert, payload
from support.web import build, client_of, shut

NAMES = ["/api/v1/incidents/INC-9999", "/api/v1/changes/CHG-9999", "/api/v1/incidents/INC-9999/timeline"]


async def posted(toban, client):
    await client.post("/hooks/alertmanager", content=payload(alert()))
    await toban.reader.read_waiting()


async def test_incidents_are_listed_and_shown(toban, client):
    await posted(toban, client)
    listed = (await client.get("/api/v1/incidents")).json()
    assert [item["id"] for item in listed["items"]] == ["INC-0001"]
    assert listed["next"] is None
    shown = (await client.get("/api/v1/incidents/inc-0001")).json()
    assert shown["alerts"][0]["name"] == "CartUnavailable"
    assert [entry["kind"] for entry in shown["timeline"]] == ["incident.opened"]


@pytest.mark.parametrize("path", NAMES)
async def test_what_is_not_there_is_404_in_words(client, path):
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "9999" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [{}, {"decision": "maybe", "digest": "0" * 64}, {"decision": "approve", "digest": "short"},
     {"decision": "approve", "digest": "0" * 64, "extra": 1}],
)  # fmt: skip
async def test_a_malformed_vote_is_422_and_names_the_field(client, body):
    answer = await client.post("/api/v1/changes/CHG-0001/votes", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


async def test_a_foreign_host_name_is_refused(client):
    answer = await client.get("/api/v1/incidents", headers={"host": "rebound.example"})
    assert answer.status_code == 421


async def test_the_first_account_shuts_the_local_door_and_tokens_open_it(tmp_path):
    toban = build(tmp_path)
    async with client_of(toban) as client:
        made = {"name": "aki", "roles": ["administrator"], "password": "correct horse battery"}
        assert (await client.post("/api/v1/users", json=made)).status_code == 201
        assert (await client.get("/api/v1/incidents")).status_code == 401
        wrong = {"user": "aki", "password": "wrong", "label": "cli"}
        assert (await client.post("/api/v1/tokens", json=wrong)).status_code == 401
        issued = await client.post("/api/v1/tokens", json=wrong | {"password": made["password"]})
        assert issued.status_code == 201
        bearer = {"authorization": f"Bearer {issued.json()['secret']}"}
        assert (await client.get("/api/v1/incidents", headers=bearer)).status_code == 200
        assert (await client.get("/api/v1/incidents", headers={"authorization": "Bearer tbn_x"})).status_code == 401
        assert (await client.get("/api/v1/incidents", headers={"authorization": "Basic YTpi"})).status_code == 401
        viewer = {"name": "mei", "roles": ["viewer"], "password": "another long password"}
        assert (await client.post("/api/v1/users", json=viewer, headers=bearer)).status_code == 201
        theirs = await client.post(
            "/api/v1/tokens", json={"user": "mei", "password": viewer["password"], "label": "cli"}
        )
        reading = {"authorization": f"Bearer {theirs.json()['secret']}"}
        assert (await client.get("/api/v1/incidents", headers=reading)).status_code == 200
        assert (await client.get("/api/v1/audit", headers=reading)).status_code == 403
        assert (await client.post("/api/v1/users", json=viewer, headers=reading)).status_code == 403
    await shut(toban)


async def test_no_secret_is_in_any_answer_or_in_the_audit_trail(tmp_path):
    toban = build(tmp_path)
    async with client_of(toban) as client:
        password = "correct horse battery"
        await client.post("/api/v1/users", json={"name": "aki", "roles": ["administrator"], "password": password})
        issued = await client.post("/api/v1/tokens", json={"user": "aki", "password": password, "label": "cli"})
        secret = issued.json()["secret"]
        bearer = {"authorization": f"Bearer {secret}"}
        for path in ("/api/v1/users", "/api/v1/audit", "/api/v1/audit/export", "/api/v1/info"):
            text = (await client.get(path, headers=bearer)).text
            assert password not in text
            assert secret not in text
            assert "argon2" not in text
    await shut(toban)


async def test_health_needs_no_sign_in_and_tells_what_is_wrong(client):
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/metrics")).status_code == 200
    ready = await client.get("/readyz?verbose")
    assert ready.status_code in {200, 503}
    assert "database" in ready.text
