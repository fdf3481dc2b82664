"""Logs: JSON for machines, lines for people, secrets in neither."""

import io
import json
import logging

import pytest
import structlog

from toban.governance import redaction
from toban.telemetry import logging as logs


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def written():
    """Configures logs to a buffer; everything is put back at the end."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    stream = io.StringIO()

    def configure(*, as_json):
        logs.configure(stream, as_json=as_json, mask=redaction.mask_tree)
        return stream

    yield configure
    root.handlers, level = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("variables", "stream", "expected"),
    [
        ({}, io.StringIO(), True),
        ({}, Terminal(), False),
        ({"TOBAN_LOG": "json"}, Terminal(), True),
        ({"TOBAN_LOG": "text"}, io.StringIO(), False),
    ],
)
def test_people_get_lines_and_machines_json(variables, stream, expected):
    assert logs.wants_json(variables, stream) is expected


def test_a_line_is_json_with_time_level_and_the_requests_id(written):
    stream = written(as_json=True)
    with structlog.contextvars.bound_contextvars(request="abc"):
        structlog.get_logger().warning("will try again", problem="決済")
    found = json.loads(stream.getvalue())
    assert found.pop("at").endswith("Z")
    assert found == {"event": "will try again", "problem": "決済", "level": "warning", "request": "abc"}


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_are_masked_everywhere(written, as_json):
    stream = written(as_json=as_json)
    try:
        int("postgresql://toban:hunter2222@db/x")
    except ValueError:
        structlog.get_logger().exception(
            "failed", header="Authorization: Bearer abcdef0123456789abcdef", token="tbn_x1"
        )
    logging.getLogger("some.library").error("password=%s", "hunter2222")
    for secret in ("hunter2222", "abcdef0123456789abcdef", "tbn_x1"):
        assert secret not in stream.getvalue()
    assert "failed" in stream.getvalue()


def test_libraries_speak_the_same_way_and_not_much(written):
    stream = written(as_json=True)
    logging.getLogger("uvicorn.access").info("GET /")
    logging.getLogger("some.library").warning("careful", extra={"where": "here"})
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["where"]) for line in lines] == [("careful", "here")]


def test_a_traceback_for_people_shows_no_variables(written):
    stream = written(as_json=False)
    secret_local = "a-local-value"
    try:
        int(secret_local[:1])
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError: invalid literal" in stream.getvalue()
    assert secret_local not in stream.getvalue()
