"""Who may come in: host names, origins, sizes, request ids; and the headers that every answer carries."""

import re

import pytest
import structlog

from toban import errors
from toban.entrypoints.http import door, problems

_JSON = {"Accept": "application/json"}
_DIGEST = "a" * 64


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8420", "localhost", "[::1]:8420", "toban.localhost", "ops.example", "OPS.example:443"]
)
async def test_loopback_and_configured_names_are_served(client, host):
    assert (await client.get("/", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.5", "", "[", "a b"]
)
async def test_any_other_host_name_is_refused(client, host):
    for path in ("/", "/incidents/INC-0001", "/api/v1/overview", "/events"):
        response = await client.get(path, headers={"Host": host, **_JSON})
        assert response.status_code == 421, path
    assert "http.public_hosts" in response.json()["detail"]


async def test_probes_come_under_any_name(client):
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await client.get(path, headers={"Host": "10.1.2.3:8420"})).status_code == 200


async def test_a_hook_with_a_token_comes_under_any_name_and_one_without_does_not(client, toban):
    headers = {"Host": "toban.monitoring.svc:8420"}
    refused = await client.post("/hooks/alertmanager", content=b"{}", headers=headers)
    taken = await client.post("/hooks/alertmanager", content=b"{}", headers={**headers, "Authorization": "Bearer x"})
    assert (refused.status_code, taken.status_code) == (421, 202)
    assert toban.accepted == [b"{}"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8420"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:8420", "Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize(
    "path", ["/changes/CHG-0001/vote", "/login", "/logout", "/api/v1/changes/CHG-0001/vote", "/hooks/alertmanager"]
)
async def test_a_write_from_another_origin_is_refused(client, toban, headers, path):
    response = await client.post(path, headers={**headers, **_JSON})
    assert response.status_code == 403
    assert response.json()["code"] == "FORBIDDEN_ORIGIN"
    assert toban.accepted == []


async def test_a_read_from_another_site_is_served_so_that_links_work(client):
    assert (await client.get("/", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200


async def test_a_bearer_request_needs_no_origin(client):
    headers = {"Authorization": "Bearer tbn_good", "Origin": "https://elsewhere.example", **_JSON}
    response = await client.post(
        "/api/v1/changes/CHG-9999/vote", json={"decision": "approve", "digest": _DIGEST}, headers=headers
    )
    assert response.status_code == 404


async def test_every_answer_carries_the_safety_headers(client):
    for path in ("/", "/incidents/INC-0001", "/nope", "/livez", "/static/manifest.json", "/api/v1/overview"):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert headers["x-request-id"]


async def test_pages_are_not_stored_and_hashed_files_are_kept(client):
    page = await client.get("/")
    assert page.headers["cache-control"] == "no-store"
    script = re.search(r'src="(/static/toban-[A-Z0-9]+\.js)"', page.text)[1]
    assert "immutable" in (await client.get(script)).headers["cache-control"]


@pytest.mark.parametrize("given", ["abcdefgh", "0af76519-16cd-43dd-8448-eb211c80319c", "A" * 64])
async def test_a_request_id_of_the_right_form_is_kept(client, given):
    assert (await client.get("/livez", headers={"X-Request-ID": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["short", "A" * 65, "has space", "new\tline-aaaa", "<script>aaaa"])
async def test_any_other_request_id_is_replaced(client, given):
    response = await client.get("/livez", headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] != given
    assert len(response.headers["x-request-id"]) == 36


async def test_two_requests_have_two_ids(client):
    first, second = [(await client.get("/livez")).headers["x-request-id"] for _ in range(2)]
    assert first != second


async def test_a_body_above_the_limit_is_refused_whether_its_length_is_told_or_not(client):
    async def stream():
        for _ in range(17):
            yield b"x" * 65536

    told = await client.post("/login", content=b"x" * (door.BODY_LIMIT + 1), headers=_JSON)
    untold = await client.post("/login", content=stream(), headers=_JSON)
    assert (told.status_code, untold.status_code) == (413, 413)


async def test_a_hook_may_be_larger_than_a_form(client, toban):
    body = b"x" * (2 * door.BODY_LIMIT)
    assert (await client.post("/hooks/alertmanager", content=body)).status_code == 202
    assert toban.accepted == [body]


async def test_an_unexpected_error_tells_nothing_but_its_request_id(client, toban):
    async def broken(*_args, **_more):
        raise RuntimeError("the word is swordfish")

    toban.overview = broken
    with structlog.testing.capture_logs() as logged:
        page, document = await client.get("/"), await client.get("/api/v1/overview", headers=_JSON)
    assert [entry["event"] for entry in logged] == ["unexpected", "unexpected"]
    for response in (page, document):
        assert response.status_code == 500
        assert "swordfish" not in response.text
        assert response.headers["x-request-id"] in response.text
        assert response.headers["content-security-policy"]
    assert page.headers["content-type"].startswith("text/html")
    assert document.headers["content-type"] == "application/problem+json"


def _all_errors(kind=errors.TobanError):
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == "toban.errors":
            yield from _all_errors(child)


@pytest.mark.parametrize("kind", sorted(set(_all_errors()), key=lambda kind: kind.__name__))
def test_every_error_has_a_status(kind):
    assert kind.code in problems.STATUSES


def test_an_error_that_can_be_tried_again_says_when():
    response = problems.response(errors.OverloadedError(retry_after=2.2), instance="/hooks/x")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "3"


def test_an_error_that_cannot_be_tried_again_says_nothing_of_it():
    assert "retry-after" not in problems.response(errors.NotFoundError(), instance="/x").headers


def test_a_mapping_error_names_its_field():
    error = errors.MappingError("not a time", field="alerts[2].startsAt")
    response = problems.response(error, instance="/hooks/x", request_id="r-12345678")
    assert b'"field":"alerts[2].startsAt"' in response.body
    assert b'"request_id":"r-12345678"' in response.body


async def test_a_missing_token_is_asked_for(client, toban):
    toban.users["sato"] = "secret"
    response = await client.get("/api/v1/overview", headers=_JSON)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_invalid_parameters_are_named(client):
    response = await client.get("/api/v1/incidents?limit=0", headers=_JSON)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "query.limit"


async def test_readiness_says_what_is_wrong(client, toban):
    assert (await client.get("/readyz")).text == "ready\n"
    toban.ready["database"] = "disk full"
    response = await client.get("/readyz?verbose")
    assert response.status_code == 503
    assert "[-] database: disk full" in response.text
    assert "[+] engine: ok" in response.text


async def test_metrics_tell_the_intake(client):
    text = (await client.get("/metrics")).text
    assert "toban_intake_accepted_total 7.0" in text
