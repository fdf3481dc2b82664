"""What log lines are recognised as, and what ordinary lines are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import objects as build
from toban.analysis import logs
from toban.model.service import ObjectRef

SUBJECT = ObjectRef(kind="Deployment", namespace="shop", name="payment", container="payment")
SOURCE = logs.Source(SUBJECT, "payment", "payment-abc", "kubernetes.pod_logs {}", build.NOW)

MISSING = [
    ("KeyError: 'DB_HOST'", "DB_HOST"),
    ("2026-11-21T03:00:00Z fatal: environment variable DB_HOST is not set", "DB_HOST"),
    ("Error: missing required environment variable: API_TOKEN", "API_TOKEN"),
    ("required key STRIPE_KEY missing value", "STRIPE_KEY"),
    ("/entrypoint.sh: line 3: DB_HOST: unbound variable", "DB_HOST"),
    ('panic: env var "REDIS_URL" must be set', "REDIS_URL"),
    ("DATABASE_URL must be set", "DATABASE_URL"),
    ("level=error msg=\"environment variable 'PAYMENT_API_URL' not set\"", "PAYMENT_API_URL"),
]
CALLEES = [
    ("psycopg.OperationalError: connection to server at db:5432 refused", "db"),
    ('connection to server at "db" (10.0.0.3), port 5432 failed: Connection refused', "db"),
    ("dial tcp 10.0.0.7:6379: connect: connection refused", "10.0.0.7"),
    ("dial tcp: lookup cart-db on 10.96.0.10:53: no such host", "cart-db"),
    ("dial tcp lookup cart-db: no such host", "cart-db"),
    ("Error: connect ECONNREFUSED 127.0.0.1:5432", "127.0.0.1"),
    ("Error: getaddrinfo ENOTFOUND cart.shop.svc.cluster.local", "cart.shop.svc.cluster.local"),
    ("curl: (6) Could not resolve host: cart-db", "cart-db"),
]
ORDINARY = [
    "level=info msg=tick n=4",
    "GET /checkout 200 14ms",
    "GET /checkout 500 14ms",
    "listening on 0.0.0.0:8080",
    "connected to db:5432",
    "KeyError: 'total'",
    "environment production is ready",
]


@pytest.mark.parametrize(("line", "name"), MISSING)
def test_a_missing_variable_is_recognised(line, name):
    assert logs.missing_variable(line) == name


@pytest.mark.parametrize(("line", "host"), CALLEES)
def test_a_callee_that_does_not_answer_is_recognised(line, host):
    assert logs.failed_callee(line) == host


@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary_lines_mean_nothing(line):
    assert logs.missing_variable(line) is None
    assert logs.failed_callee(line) is None


def test_a_repeated_complaint_is_one_finding_with_its_line_as_quote():
    (found,) = logs.findings(["starting", *["KeyError: 'DB_HOST'"] * 5], SOURCE, peers={})

    assert found.code == "log.env_missing"
    assert found.quote == "KeyError: 'DB_HOST'"
    assert found.statement == (
        "Container payment of Deployment shop/payment says that environment variable DB_HOST is not set."
    )


def test_a_host_is_turned_into_the_service_that_it_names():
    (found,) = logs.findings(
        ["dial tcp 10.0.0.7:6379: connect: connection refused"], SOURCE, peers={"10.0.0.7": "cart"}
    )

    assert (found.facts["host"], found.facts["peer"]) == ("10.0.0.7", "cart")


def test_the_last_error_is_kept_where_nothing_else_is_recognised():
    (found,) = logs.findings(["panic: index out of range", "goodbye"], SOURCE, peers={})

    assert (found.code, found.quote) == ("log.last_words", "panic: index out of range")


def test_lines_without_trouble_give_nothing():
    assert logs.findings(ORDINARY[:5], SOURCE, peers={}) == []


@given(st.lists(st.text(max_size=300), max_size=20))
def test_no_line_is_too_odd(lines):
    for found in logs.findings(lines, SOURCE, peers={}):
        assert len(found.quote) <= 400
