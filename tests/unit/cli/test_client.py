"""How a server is found, and what a command says when it is not there, slow, strange, or says no."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from toban.entrypoints.cli import client
from toban.entrypoints.cli.exits import CommandError


class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        if self.server.answer is None:
            self.server.release.wait(5)
            return
        status, kind, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A stranger at a free port; `answer` is what it says, None: nothing for five seconds."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as found:
        found.answer = (200, "application/json", b'{"items": []}')
        found.seen, found.release = [], threading.Event()
        found.url = f"http://127.0.0.1:{found.server_address[1]}"
        thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield found
        found.release.set()
        found.shutdown()


def failure(server, path="/x"):
    with client.Api(server.url) as api, pytest.raises(CommandError) as raised:
        api.get(path)
    return raised.value


def problem(code, status, **more):
    body = {"code": code, "detail": "the words of the server", **more}
    return status, "application/problem+json", json.dumps(body).encode()


def test_the_variable_wins_over_what_runs_here_over_the_usual_address(tmp_path):
    assert client.server_url({"TOBAN_HOME": str(tmp_path)}) == "http://127.0.0.1:8420"
    assert client.server_url({"TOBAN_HOME": str(tmp_path), "TOBAN_URL": "https://ops:1/t/"}) == "https://ops:1/t"


@pytest.mark.parametrize("url", ["nope", "ftp://x", "http://", "http://u:p@host", "http://host:99999", "http://[::1"])
def test_an_address_that_is_none_is_told_before_anything_is_sent(url):
    with pytest.raises(CommandError) as raised:
        client.server_url({"TOBAN_URL": url})
    assert raised.value.exit_code == 2


def test_the_token_comes_from_variable_or_file(tmp_path, server):
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert client.token({}) is None
    assert client.token({"TOBAN_TOKEN_FILE": str(file)}) == "from-file"
    assert client.token({"TOBAN_TOKEN": "given", "TOBAN_TOKEN_FILE": str(file)}) == "given"
    with client.Api(server.url, "given") as api:
        api.get("/x")
    assert server.seen[0][1]["Authorization"] == "Bearer given"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_token_file_without_a_token_is_a_usage_error(tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError) as raised:
        client.token({"TOBAN_TOKEN_FILE": str(file)})
    assert raised.value.exit_code == 2
    assert "TOBAN_TOKEN_FILE" in str(raised.value)


def test_nobody_there_says_how_to_start_one():
    with client.Api("http://127.0.0.1:1") as api, pytest.raises(CommandError) as raised:
        api.get("/x")
    assert raised.value.exit_code == 6
    assert str(raised.value) == "no Toban answers at http://127.0.0.1:1"
    assert "toban up" in raised.value.hint


def test_a_slow_server_is_a_time_out(server, monkeypatch):
    monkeypatch.setattr(client, "TIMEOUT_S", 0.2)
    server.answer = None
    assert failure(server).exit_code == 7


@pytest.mark.parametrize(
    ("answer", "exit_code"),
    [
        (problem("NOT_FOUND", 404), 3),
        (problem("REFUSED", 403), 4),
        (problem("UNAUTHENTICATED", 401), 5),
        (problem("OVERLOADED", 503), 6),
        (problem("TOO_LARGE", 413), 2),
        (problem("CONFLICT", 409), 1),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else str(value),
)
def test_a_refusal_keeps_the_servers_words(server, answer, exit_code):
    server.answer = answer
    told = failure(server)
    assert (told.exit_code, str(told)) == (exit_code, "the words of the server")


def test_a_servers_words_cannot_steer_the_terminal(server):
    server.answer = problem("REFUSED", 403, detail="a\x1b[2Jb")
    assert str(failure(server)) == "a<U+001B>[2Jb"


@pytest.mark.parametrize(
    "answer",
    [
        (200, "text/html", b"<html>hello</html>"),
        (404, "text/html", b"<html>no</html>"),
        (302, "text/plain", b""),
        (500, "application/json", b'["not", "ours"]'),
    ],
    ids=["page", "missing page", "redirect", "other json"],
)
def test_a_stranger_is_recognised(server, answer):
    server.answer = answer
    told = failure(server)
    assert told.exit_code == 6
    assert "is not Toban" in str(told)


def test_a_record_of_another_version_is_told(server):
    server.answer = (200, "application/json", b'{"incident": {}, "novelty": 1}')
    with client.Api(server.url) as api, pytest.raises(CommandError) as raised:
        api.case_file("INC-0001")
    assert "another version" in str(raised.value)


def test_what_is_typed_stays_one_part_of_the_path(server):
    with client.Api(server.url) as api:
        api.get(f"/incidents/{client.segment('../users?x=1#y')}")
    assert server.seen[0][0] == "/api/v1/incidents/..%2Fusers%3Fx%3D1%23y"


def test_a_hook_gets_its_own_token_and_not_ours(server):
    with client.Api(server.url, "ours") as api:
        api.deliver("alertmanager", b"{}", None)
        api.deliver("alertmanager", b"{}", "hook")
    sent = [headers.get("Authorization") for _, headers in server.seen]
    assert sent == [None, "Bearer hook"]
