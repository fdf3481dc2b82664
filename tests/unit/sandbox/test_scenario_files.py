"""Scenario and world files: what is shipped can be used, and every mistake is reported with its line."""

import pytest
import yaml

from toban_sandbox import scenario, world
from toban_sandbox.alerts import rules
from toban_sandbox.documents import DocumentError
from toban_sandbox.programs import Programs

SCENARIOS = scenario.names()

SCENARIO = """\
name: mine
title: {en: Mine}
family: test
description: A test.
steps:
  - {do: scale, deployment: cart, replicas: 0}
  - do: wait
    for: 3s
recovery:
  queries: ["up == 1"]
  objects:
    - {kind: ConfigMap, name: a}
"""
WORLD = """\
name: small
namespace: small
age: 2d
nodes:
  - {name: node-1, cpu: "2", memory: 4Gi}
traffic: {entry: web, rps: 10}
images:
  - {image: "small/web:1", memory_base: 20Mi, latency_ms: 5}
services:
  - name: web
    replicas: 1
    requests: {cpu: 50m}
    calls: {db: 1}
    history:
      - {image: "small/web:1", age: 1d}
  - name: db
    replicas: 1
    history:
      - {image: "redis:7", age: 1d}
"""


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_shipped_scenario_names_real_alerts_services_and_both_languages(name):
    found, shop = scenario.load(name), world.load("shop")
    alerts = {rule.name for group in rules.load() for rule in group.rules}
    assert set(found.symptoms) <= alerts
    assert found.symptoms
    assert set(found.title) == {"en", "ja"}
    assert all(shop.service(deployment) for deployment in found.recovery.deployments)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_has_its_truth_in_a_file_of_its_own(name):
    truth = yaml.safe_load((scenario.FOLDER / "truth" / f"{name}.yaml").read_text())
    assert truth["scenario"] == name
    assert {"kind", "namespace", "name", "field"} <= truth["root_cause"].keys()
    assert truth["category"]
    assert truth["expected_evidence"]
    assert truth["accepted_remedies"]
    assert all(remedy["effect"] for remedy in truth["wrong_remedies"])


def test_the_summary_of_a_scenario_does_not_tell_its_cause():
    assert scenario.load("memory-limit").summary().keys() == {"name", "title", "family", "harmless"}
    assert [one.name for one in scenario.load_all() if one.harmless] == ["noise"]


def test_an_unknown_scenario_is_refused_with_the_known_names():
    with pytest.raises(scenario.UnknownScenarioError, match="bad-release, memory-limit"):
        scenario.load("nothing")
    with pytest.raises(scenario.UnknownScenarioError):
        scenario.load("../worlds/shop")


def test_a_scenario_file_is_read_step_by_step(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO)
    found = scenario.read(path)
    assert found.steps == (scenario.Scale("cart", 0), scenario.Wait(3.0))
    assert found.recovery.objects == (("ConfigMap", "a"),)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("do: wait", "do: sleep", 7, "`do` must be one of set_image"),
        ("for: 3s", "for: 3", 8, "duration"),
        ("replicas: 0", "replicas: -1", 6, "whole number of at least 0"),
        ("replicas: 0", "replica: 0", 6, "`replicas` is missing"),
        ("family: test", "famly: test", 1, "`family` is missing"),
        ("kind: ConfigMap", "kind: Node", 12, "one of ConfigMap"),
        ("up == 1", "up ==", 10, "cannot be parsed"),
        ("name: mine", "name: other", 1, "must be the file's name"),
        ("family: test", "family: [", 5, "not valid YAML"),
        ("family: test", "name: again", 3, "stands here twice"),
    ],
)
def test_a_mistake_in_a_scenario_is_reported_with_its_line(tmp_path, old, new, line, words):
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO.replace(old, new, 1))
    with pytest.raises(DocumentError, match=words) as caught:
        scenario.read(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_world_file_is_read(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(WORLD)
    found = world.load(str(path))
    assert [service.name for service in found.callers_first()] == ["web", "db"]
    assert found.images[0].memory_base_bytes == 20 * 1024**2
    assert found.services[0].history[0].age_s == 86_400


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("calls: {db: 1}", "calls: {dbs: 1}", 9, "unknown service: dbs"),
        ("entry: web", "entry: shop", 6, "names no service"),
        ("memory_base: 20Mi", "memory_base: lots", 8, "a size like"),
        ("latency_ms: 5", "latency: 5", 8, "`latency_ms` is missing"),
        ("  - name: db\n", "  - name: db\n    calls: {web: 1}\n", 9, "in a circle"),
        ("  - name: db\n", "  - name: web\n", 9, "same name"),
        ("rps: 10", "rps: ten", 6, "a number of at least 0"),
        ('cpu: "2"', "cpu: 2", 5, "`cpu` must be text"),
    ],
)
def test_a_mistake_in_a_world_is_reported_with_its_line(tmp_path, old, new, line, words):
    path = tmp_path / "small.yaml"
    path.write_text(WORLD.replace(old, new, 1))
    with pytest.raises(DocumentError, match=words) as caught:
        world.read(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_an_unknown_world_is_refused_with_the_known_names(tmp_path):
    for name in ("nothing", str(tmp_path / "none.yaml")):
        with pytest.raises(DocumentError, match="known are: shop"):
            world.load(name)


def test_the_shop_releases_only_images_that_exist_and_the_missing_image_does_not():
    shop = world.load("shop")
    programs = Programs(shop.images)
    for service in shop.services:
        assert all(programs.lookup(revision.image) for revision in service.history)
    missing = scenario.load("missing-image").steps[0]
    assert isinstance(missing, scenario.SetImage)
    assert programs.lookup(missing.image) is None
