"""The control API: who may use it, what it does, what it answers to nonsense."""

import asyncio
import json

import pytest
from starlette.applications import Starlette

from toban_sandbox import control, world
from toban_sandbox.alerts.notifications import Policy
from toban_sandbox.audit import AuditLog
from toban_sandbox.sandbox import Sandbox, Switch

TOKEN = "t0ken"


class Client:
    """Calls an ASGI application without a socket."""

    def __init__(self, app: Starlette):
        self.app = app

    async def __call__(self, method, path, body=None, *, token=TOKEN, host="127.0.0.1:8423"):
        headers = [(b"host", host.encode())]
        if token is not None:
            headers.append((b"authorization", f"Bearer {token}".encode()))
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": headers,
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "root_path": "",
        }
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        sent = []

        async def receive():
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message):
            sent.append(message)

        await self.app(scope, receive, send)
        text = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], json.loads(text) if text else None


@pytest.fixture
async def sandbox(tmp_path):
    sandbox = Sandbox(
        world.load("shop"), seed=1, speed=0.0, users={}, audit=AuditLog(tmp_path / "audit.jsonl"), policy=Policy()
    )
    await sandbox.start(metrics_url="http://127.0.0.1:1", now=lambda: 1_795_000_000.0)
    yield sandbox
    await sandbox.close()


@pytest.fixture
def call(sandbox):
    return Client(control.build_app(sandbox, token=TOKEN))


ENDPOINTS = [
    ("GET", "/state"),
    ("GET", "/scenarios"),
    ("POST", "/scenarios/noise/start"),
    ("POST", "/reset"),
    ("GET", "/receivers"),
    ("POST", "/receivers"),
    ("DELETE", "/receivers/a"),
    ("PUT", "/speed"),
    ("GET", "/faults"),
    ("POST", "/faults"),
    ("DELETE", "/faults"),
    ("GET", "/audit"),
]


async def test_everything_but_the_health_check_needs_the_token(call):
    assert await call("GET", "/healthz", token=None) == (200, {"status": "ok"})
    for method, path in ENDPOINTS:
        for token in (None, "", "wrong", TOKEN + "x"):
            status, answer = await call(method, path, token=token)
            assert status == 401
            assert "control-token" in answer["error"]


async def test_a_host_header_of_another_machine_is_refused(call):
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:8423", ""):
        assert (await call("GET", "/state", host=host))[0] == 403
    for host in ("localhost:8423", "127.0.0.1", "[::1]:8423", "LOCALHOST"):
        assert (await call("GET", "/healthz", host=host))[0] == 200


async def test_the_state_tells_of_the_world_and_its_scenario(call, sandbox):
    status, before = await call("GET", "/state")
    assert (status, before["healthy"], before["scenario"], before["seed"], before["firing"]) == (200, True, None, 1, [])
    status, started = await call("POST", "/scenarios/bad-release/start")
    assert (status, started["name"]) == (202, "bad-release")
    assert (await call("POST", "/scenarios/noise/start"))[0] == 409
    for _ in range(60):
        sandbox.clock().advance(0.25)
        for _ in range(10):
            await asyncio.sleep(0)
    _, after = await call("GET", "/state")
    assert (after["healthy"], after["scenario"]["status"]) == (False, "active")
    assert {"alertname", "labels", "since"} == after["firing"][0].keys()
    status, reset = await call("POST", "/reset")
    assert (status, reset["healthy"], reset["scenario"]) == (200, True, None)


async def test_an_unknown_scenario_is_answered_with_the_known_names(call):
    status, answer = await call("POST", "/scenarios/nothing/start")
    assert status == 404
    assert "memory-limit" in answer["known"]
    _, listed = await call("GET", "/scenarios")
    assert [item["name"] for item in listed["items"]] == answer["known"]


async def test_receivers_are_added_listed_and_removed_without_showing_tokens(call):
    assert (await call("POST", "/receivers", {"name": "a", "url": "http://127.0.0.1:9/x", "token": "s"}))[0] == 201
    assert await call("GET", "/receivers") == (200, {"items": [{"name": "a", "url": "http://127.0.0.1:9/x"}]})
    assert (await call("DELETE", "/receivers/a"))[0] == 204
    status, answer = await call("DELETE", "/receivers/a")
    assert status == 404
    assert "known are: none" in answer["error"]


async def test_the_speed_can_be_changed_within_bounds(call, sandbox):
    assert await call("PUT", "/speed", {"speed": 2.5}) == (200, {"speed": 2.5})
    assert sandbox.clock().speed == 2.5
    for wrong in (-1, 1001, "fast", None, True):
        assert (await call("PUT", "/speed", {"speed": wrong}))[0] == 400
    await call("PUT", "/speed", {"speed": 0})


async def test_faults_of_the_api_server_are_switched_on_and_off(call, sandbox):
    rule = {"verb": "patch", "resource": "deployments", "kind": "status", "status": 429, "times": 2, "retry_after": 3}
    assert (await call("POST", "/faults", rule))[0] == 201
    assert (await call("GET", "/faults"))[1]["items"] == [rule]
    assert sandbox.faults.take("patch", "deployments").status == 429
    assert (await call("DELETE", "/faults"))[0] == 204
    assert (await call("GET", "/faults"))[1]["items"] == []


async def test_nonsense_is_refused_with_a_sentence(call):
    for method, path, body in [
        ("POST", "/receivers", b"not json"),
        ("POST", "/receivers", [1]),
        ("POST", "/receivers", {"name": "a"}),
        ("POST", "/receivers", {"url": "ftp://x"}),
        ("POST", "/receivers", b'{"a":' * 20_000),
        ("POST", "/faults", {"kind": "explode"}),
        ("POST", "/faults", {"status": 200}),
        ("POST", "/faults", {"times": 0}),
        ("POST", "/faults", {"verbs": "get"}),
        ("POST", "/faults", {"verb": 5}),
        ("GET", "/audit?since=-1", None),
        ("GET", "/audit?since=%C2%B2", None),
    ]:
        status, answer = await call(method, path, body)
        assert status in (400, 413), (path, body, answer)
        assert answer["error"]


async def test_the_record_of_requests_is_read_from_a_number_on(call, sandbox):
    actor = sandbox.simulation.actor("developer")
    path = "/apis/apps/v1/namespaces/shop/deployments/cart"
    for replicas in (3, 2):
        await actor.patch(path, {"spec": {"replicas": replicas}})
    _, first = await call("GET", "/audit")
    assert [item["seq"] for item in first["items"]] == [1, 2]
    assert (
        first["items"][0].items()
        >= {
            "user": "developer",
            "verb": "patch",
            "resource": "deployments",
            "name": "cart",
            "changed": True,
        }.items()
    )
    _, rest = await call("GET", "/audit?since=1")
    assert [item["seq"] for item in rest["items"]] == [2]
    assert await call("GET", "/audit?since=2") == (200, {"items": [], "next": 2})


async def test_a_change_of_worlds_cuts_off_the_requests_under_way():
    switch, begun = Switch(), asyncio.Event()

    async def endless(scope, receive, send):
        begun.set()
        await asyncio.Event().wait()

    async def other(scope, receive, send):
        await send("other")

    await switch.change(endless)
    request = asyncio.create_task(switch({}, None, None))
    await begun.wait()
    await switch.change(other)
    async with asyncio.timeout(2):
        await request
    sent = []

    async def send(message):
        sent.append(message)

    await switch({}, None, send)
    assert sent == ["other"]
