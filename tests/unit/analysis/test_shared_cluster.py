"""The analyzers against answers of a real API server, where that reference data is at hand.

It is not part of the project: TOBAN_SHARED names its folder (`../shared` beside the project when not set).
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from toban.analysis import kubernetes

FOLDER = Path(os.environ.get("TOBAN_SHARED", Path(__file__).parents[3].parent / "shared")) / "k8s"
READ_AT = datetime(2026, 11, 21, 3, 36, tzinfo=UTC)

PLANTED = {
    ("container.crash_loop", "crash"),
    ("container.oom_killed", "oom"),
    ("container.image_unavailable", "badimage"),
    ("pod.unschedulable", "toobig"),
    ("pod.not_ready", "unready"),
    ("container.liveness_failed", "liveness"),
    ("config.missing", "noconfig"),
    ("config.missing", "nosecretvol"),
    ("container.crash_loop", "needenv"),
}


@pytest.fixture(scope="module")
def findings():
    if not FOLDER.is_dir():
        pytest.skip(f"no reference data at {FOLDER}; set TOBAN_SHARED to its folder")
    kinds = ("pods", "deployments", "replicasets", "services", "events", "nodes")
    lists = {kind: json.loads((FOLDER / f"{kind}.json").read_text())["items"] for kind in kinds}
    inventory = {"namespace": {"metadata": {"name": "shop"}}, "configmaps": [], **lists}
    return kubernetes.analyze(inventory, observed_at=READ_AT, since=READ_AT - timedelta(minutes=30))


def test_exactly_the_planted_faults_are_found(findings):
    found = {(one.code, one.subject.name) for one in findings if one.code != "deployment.unavailable"}

    assert found == PLANTED


def test_every_broken_deployment_is_unavailable_and_no_healthy_one(findings):
    down = {one.subject.name for one in findings if one.code == "deployment.unavailable"}

    assert down == {name for _, name in PLANTED}


def test_the_healthy_workloads_are_never_mentioned(findings):
    assert not {"web", "db", "migrate"} & {one.subject.name for one in findings}
