"""Requests to Kubernetes: which failure becomes which error, and what is tried again. By a mock transport."""

import asyncio
import socket

import httpx2
import pytest

from toban.errors import OutcomeUnknownError, UpstreamConflictError, UpstreamError, UpstreamRefusedError
from toban.integrations.kubernetes import Settings, api
from toban.integrations.kubernetes.api import Api

POD = "api/v1/namespaces/shop/pods/a"


@pytest.fixture
def ask(kubeconfig):
    """`ask(answers, call)`: the call's result and the number of requests; answers are responses, errors or sleeps."""

    async def ask(answers, call, timeout_s=1.0):
        left, count = list(answers), 0

        async def answer(request):
            nonlocal count
            count += 1
            now = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(now, Exception):
                raise now
            if isinstance(now, float):
                await asyncio.sleep(now)
            return now

        found = Api(Settings(kubeconfig=kubeconfig, timeout_s=timeout_s), transport=httpx2.MockTransport(answer))
        try:
            return await call(found), count
        except UpstreamError as error:
            error.requests = count
            raise
        finally:
            await found.close()

    return ask


def reading(found):
    return found.get(POD)


def writing(found):
    return found.patch(POD, [], dry_run=False)


def practising(found):
    return found.patch(POD, [], dry_run=True)


@pytest.mark.parametrize(
    ("code", "read", "dry", "write"),
    [
        (302, UpstreamRefusedError, UpstreamRefusedError, UpstreamRefusedError),
        (400, UpstreamRefusedError, UpstreamRefusedError, UpstreamRefusedError),
        (401, UpstreamRefusedError, UpstreamRefusedError, UpstreamRefusedError),
        (403, UpstreamRefusedError, UpstreamRefusedError, UpstreamRefusedError),
        (404, UpstreamRefusedError, UpstreamRefusedError, UpstreamRefusedError),
        (409, UpstreamConflictError, UpstreamConflictError, UpstreamConflictError),
        (415, UpstreamRefusedError, UpstreamRefusedError, UpstreamRefusedError),
        (422, UpstreamRefusedError, UpstreamRefusedError, UpstreamRefusedError),
        (429, UpstreamError, UpstreamError, UpstreamError),
        (500, UpstreamError, UpstreamError, OutcomeUnknownError),
        (503, UpstreamError, UpstreamError, OutcomeUnknownError),
        (504, UpstreamError, UpstreamError, OutcomeUnknownError),
    ],
)
async def test_each_refusal_is_told_by_whether_something_may_have_been_written(ask, refusal, code, read, dry, write):
    for call, kind in ((reading, read), (practising, dry), (writing, write)):
        with pytest.raises(UpstreamError) as caught:
            await ask([refusal(code, "these words")], call)
        if code != 302:
            assert "these words" in caught.value.message
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("trouble", "write"),
    [
        (httpx2.ConnectError("connection refused"), UpstreamError),
        (httpx2.ConnectTimeout("no route"), UpstreamError),
        (httpx2.PoolTimeout("all busy"), UpstreamError),
        (httpx2.ReadTimeout("silent"), OutcomeUnknownError),
        (httpx2.ReadError("reset"), OutcomeUnknownError),
        (httpx2.WriteError("broken pipe"), OutcomeUnknownError),
        (httpx2.RemoteProtocolError("server disconnected"), OutcomeUnknownError),
        (OSError("tls"), OutcomeUnknownError),
        (5.0, OutcomeUnknownError),
    ],
)
async def test_a_lost_connection_leaves_a_write_unknown_only_if_it_was_sent(ask, trouble, write):
    for call, kind in ((reading, UpstreamError), (practising, UpstreamError), (writing, write)):
        with pytest.raises(UpstreamError) as caught:
            await ask([trouble], call, timeout_s=0.4)
        assert type(caught.value) is kind


async def test_an_unknown_outcome_is_not_to_be_tried_again(ask):
    with pytest.raises(OutcomeUnknownError) as caught:
        await ask([httpx2.ReadError("reset")], writing)
    assert caught.value.retry_after is None
    assert caught.value.requests == 1


async def test_a_certificate_that_is_not_trusted_is_a_refusal(ask):
    error = httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    with pytest.raises(UpstreamRefusedError, match=r"kubeconfig\.yaml"):
        await ask([error], reading)


@pytest.mark.parametrize("trouble", [503, 429, httpx2.ConnectError("x"), httpx2.RemoteProtocolError("x")])
async def test_a_read_is_tried_twice_more(ask, refusal, trouble):
    first = refusal(trouble, "busy") if isinstance(trouble, int) else trouble
    result, count = await ask([first, first, httpx2.Response(200, json={"kind": "Pod"})], reading)
    assert (result, count) == ({"kind": "Pod"}, 3)


async def test_a_read_that_keeps_failing_is_given_up(ask, refusal):
    with pytest.raises(UpstreamError, match="busy") as caught:
        await ask([refusal(500, "busy")], reading, timeout_s=5)
    assert caught.value.requests == 3


async def test_a_write_is_never_sent_twice(ask, refusal):
    for trouble in (refusal(429, "busy"), refusal(500, "busy"), httpx2.ConnectError("x")):
        with pytest.raises(UpstreamError) as caught:
            await ask([trouble], writing)
        assert caught.value.requests == 1


async def test_the_wait_that_kubernetes_asks_for_is_kept_or_passed_on(ask, refusal):
    short = refusal(429, "busy", **{"retry-after": "0"})
    _, count = await ask([short, httpx2.Response(200, json={})], reading)
    assert count == 2
    with pytest.raises(UpstreamError) as caught:
        await ask([refusal(429, "busy", **{"retry-after": "30"})], reading)
    assert (caught.value.retry_after, caught.value.requests) == (30, 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7"])
async def test_a_success_that_makes_no_sense_is_an_error(ask, body):
    answer = httpx2.Response(200, content=body)
    for call, kind in ((reading, UpstreamError), (writing, OutcomeUnknownError)):
        with pytest.raises(UpstreamError) as caught:
            await ask([answer], call)
        assert type(caught.value) is kind


async def test_an_error_page_of_a_proxy_is_shown_in_one_short_line(ask):
    page = httpx2.Response(403, content=b"<html>\n<h1>\x1b[31mno</h1>" + b"x" * 5000)
    with pytest.raises(UpstreamRefusedError) as caught:
        await ask([page], reading)
    assert len(caught.value.message) < 600
    assert "<U+001B>" in caught.value.message


async def test_refused_credentials_name_the_kubeconfig_and_a_missing_role_the_request(ask, refusal):
    with pytest.raises(UpstreamRefusedError, match=r"kubeconfig\.yaml"):
        await ask([refusal(401, "Unauthorized")], reading)
    words = 'pods "a" is forbidden: User "reader" cannot get resource "pods"'
    with pytest.raises(UpstreamRefusedError) as caught:
        await ask([refusal(403, words)], reading)
    assert words in caught.value.message
    assert f"GET /{POD}" in caught.value.message


async def test_what_is_not_there_is_found_to_be_none(ask, refusal):
    assert (await ask([refusal(404, 'pods "a" not found')], lambda found: found.find(POD)))[0] is None


async def test_an_answer_beyond_the_cap_is_not_read_to_its_end(ask, monkeypatch):
    monkeypatch.setattr(api, "MOST_BYTES", 100)
    with pytest.raises(UpstreamError, match="more than"):
        await ask([httpx2.Response(200, json={"a": "x" * 200})], reading)


async def test_a_collection_is_read_page_by_page_without_managed_fields(ask):
    pages = [
        {"metadata": {"continue": "next"}, "items": [{"metadata": {"name": "a", "managedFields": [1]}}]},
        {"metadata": {}, "items": [{"metadata": {"name": "b"}}]},
    ]
    result, count = await ask(
        [httpx2.Response(200, json=page) for page in pages], lambda found: found.collect("api/v1/nodes")
    )
    assert result == ([{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}], True)
    assert count == 2


async def test_a_collection_that_is_too_long_is_cut_and_says_so(ask):
    page = {"metadata": {"continue": "next"}, "items": [{"metadata": {}}] * 2}
    result, count = await ask([httpx2.Response(200, json=page)], lambda found: found.collect("api/v1/nodes", most=3))
    assert (len(result.items), result.complete, count) == (3, False, 2)


async def test_warnings_of_the_server_are_kept(ask):
    headers = {"warning": '299 - "unknown field \\"spec.x\\"", 299 - "old"'}
    written, _ = await ask([httpx2.Response(200, json={}, headers=headers)], practising)
    assert written.warnings == ('unknown field "spec.x"', "old")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        "{unclosed: [",
        "current-context: gone\nclusters: []\ncontexts: []\n",
        "clusters: []\ncontexts: []\n",
        "current-context: a\nclusters: [{name: a}]\ncontexts: [{name: a, context: {cluster: a}}]\n",
        (
            "current-context: a\nclusters: [{name: a, cluster: {server: 'https://x', certificate-authority: /none}}]\n"
            "contexts: [{name: a, context: {cluster: a}}]\n"
        ),
    ],
)
async def test_a_kubeconfig_that_is_missing_or_broken_is_named(tmp_path, content):
    path = tmp_path / "config-of-mine"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UpstreamRefusedError, match="config-of-mine"):
        await Api(Settings(kubeconfig=path)).get(POD)


async def test_a_broken_kubeconfig_does_not_show_its_lines(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text("users:\n- token: very-secret\n  x: [\n")
    with pytest.raises(UpstreamRefusedError, match="line") as caught:
        await Api(Settings(kubeconfig=path)).get(POD)
    assert "very-secret" not in caught.value.message


async def test_a_context_that_is_not_there_is_named(kubeconfig):
    with pytest.raises(UpstreamRefusedError, match="elsewhere"):
        await Api(Settings(kubeconfig=kubeconfig, context="elsewhere")).get(POD)


async def test_a_credential_program_that_is_missing_is_a_refusal_even_for_a_write(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text(
        "current-context: a\nclusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "users: [{name: a, user: {exec: {command: no-such-program,\n"
        "  apiVersion: client.authentication.k8s.io/v1beta1}}}]\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\n"
    )
    found = Api(Settings(kubeconfig=path))
    for call in (reading, writing):
        with pytest.raises(UpstreamRefusedError, match="no-such-program"):
            await call(found)
    await found.close()


async def test_a_port_without_a_listener_means_that_nothing_was_written(tmp_path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{held.getsockname()[1]}"
        path = tmp_path / "kubeconfig"
        path.write_text(
            f"current-context: a\nclusters: [{{name: a, cluster: {{server: 'http://{place}'}}}}]\n"
            "contexts: [{name: a, context: {cluster: a}}]\n"
        )
        found = Api(Settings(kubeconfig=path))
        for call in (reading, writing):
            with pytest.raises(UpstreamError, match=place) as caught:
                await call(found)
            assert type(caught.value) is UpstreamError
        await found.close()


def test_in_cluster_and_a_kubeconfig_exclude_each_other(kubeconfig):
    with pytest.raises(ValueError, match="in_cluster"):
        Settings(in_cluster=True, kubeconfig=kubeconfig)
