"""The documents are true where that can be checked: links lead somewhere, and nothing that exists is left out."""

import re

import pytest

from architecture import source_tree as source
from toban.entrypoints.http.problems import STATUSES
from toban.governance.policy import TABLE
from toban.model.environment import Environment
from toban.runbooks import runbook
from toban_sandbox import scenario
from toban_sandbox.kube.serve import ROLES
from toban_sandbox.promql.functions import FUNCTIONS
from toban_sandbox.promql.parser import AGGREGATES

PAGES = sorted([*source.ROOT.glob("*.md"), *(source.ROOT / "docs").rglob("*.md")])


def read(name):
    return (source.ROOT / "docs" / name).read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=source.shown)
def test_every_relative_link_leads_to_a_file(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text("utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_every_route_is_in_the_api_page():
    text = read("api.md")
    declared = {
        (method.upper(), found)
        for path in source.files(source.SRC / "toban" / "entrypoints" / "http")
        if path.name in {"api.py", "administration.py", "health.py", "events.py"}
        for method, found in re.findall(r'@routes\.(get|post|put|delete)\("([^"]+)"', path.read_text("utf-8"))
    }
    assert len(declared) > 10
    open_ones = {"/livez", "/readyz", "/metrics", "/events"}
    told = {f"{method} {path if path in open_ones else '/api/v1' + path}" for method, path in declared}
    assert {one for one in told if f"`{one}`" not in text} == set()


def test_every_error_code_is_in_the_api_page_with_its_status():
    rows = [line for line in read("api.md").splitlines() if line.startswith("| `")]
    own = {"INTERNAL", "CONFIGURATION", "OUTSIDE_GATE", "METHOD_NOT_ALLOWED"}  # defects, and what HTTP says by itself
    told = {code for code, status in STATUSES.items() for row in rows if f"`{code}`" in row and f"| {status} |" in row}
    assert set(STATUSES) - own - told == set()


def test_every_scenario_and_role_of_the_sandbox_is_described():
    text = read("sandbox.md")
    assert [name for name in scenario.names() if f"| `{name}` |" not in text] == []
    assert [role for role in ROLES if f"`kubeconfig-{role}.yaml`" not in text] == []


def test_the_documented_subset_of_promql_is_the_one_that_is_built():
    text = read("sandbox.md")
    for title, known in (("functions", set(FUNCTIONS)), ("aggregations", set(AGGREGATES))):
        part = text.split(f"- **{title}**")[1].split("\n- **")[0].partition(":")[2]
        assert set(re.findall(r"`(\w+)`", part)) == known, title


def test_every_runbook_and_action_is_described():
    text = read("runbooks.md")
    names = {
        name
        for path in source.files(source.SRC / "toban" / "integrations")
        for name in re.findall(r'name="((?:kubernetes|prometheus)\.\w+)"', path.read_text("utf-8"))
    }
    assert len(names) > 5
    assert {name for name in names if f"| `{name}` |" not in text} == set()
    assert {name for name in runbook.library(frozenset(names)) if f"| `{name}` |" not in text} == set()


def test_the_risk_table_in_the_safety_page_is_the_one_that_decides():
    lines = read("safety.md").splitlines()
    for row in TABLE:
        told = next(line for line in lines if line.startswith(f"| {row.risk} |")).split("|")[2:5]
        for cell, environment in zip(told, Environment, strict=True):
            rule = row.at(environment)
            wanted = "never" if rule.manual else f"{rule.approvals} approval" if rule.approvals else "by itself"
            assert wanted in cell, (row.risk, environment)
