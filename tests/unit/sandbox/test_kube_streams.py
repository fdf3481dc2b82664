"""What lies beside plain objects: commands in containers, metrics, descriptions, pages, and bodies that are too large."""

import json

import pytest

from support.cluster import Cluster, deployment, running
from toban_sandbox.kube import openapi
from toban_sandbox.kube.shell import commands
from toban_sandbox.kube.shell.surroundings import Container

CONFIGMAPS = "/api/v1/namespaces/shop/configmaps"
METRICS = "/apis/metrics.k8s.io/v1beta1"


@pytest.fixture
async def cluster():
    async with running() as found:
        found.store.create(
            "configmaps", {"metadata": {"name": "cfg", "namespace": "shop"}, "data": {"a": "1", "b": "2"}}
        )
        env = [
            {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "a"}}},
            {"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ]
        container = {
            "env": env,
            "volumeMounts": [{"name": "c", "mountPath": "/etc/app"}],
            "ports": [{"containerPort": 80}],
        }
        volumes = [{"name": "c", "configMap": {"name": "cfg"}}]
        found.store.create("deployments", deployment("web", container=container, pod={"volumes": volumes}))
        found.store.create(
            "services",
            {
                "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
            },
        )
        await found.until(lambda: found.pods("web") and found.rolled_out("web"))
        yield found


def inside(cluster):
    pod = cluster.only_pod("web")
    return Container(cluster.store, pod, pod["spec"]["containers"][0])


async def test_commands_see_the_containers_variables_and_files(cluster):
    container = inside(cluster)
    assert "A=1\n" in (await commands.run(container, ["env"])).out
    assert (await commands.run(container, ["printenv", "WHERE"])).out == "shop\n"
    assert (await commands.run(container, ["cat", "/etc/app/b"])).out == "2"
    assert (await commands.run(container, ["ls", "/etc/app"])).out == "a\nb\n"
    assert (await commands.run(container, ["cat", "/etc/hostname"])).out == f"{container.name}\n"
    missing = await commands.run(container, ["cat", "/nope"])
    assert (missing.code, missing.err) == (1, "cat: can't open '/nope': No such file or directory\n")


async def test_a_shell_line_runs_its_commands_in_order(cluster):
    container = inside(cluster)
    line = await commands.run(container, ["sh", "-c", "echo one && false || echo $A; exit 4"])
    assert (line.out, line.code) == ("one\n1\n", 4)
    quoted = await commands.run(container, ["sh", "-c", "echo 'a;b' \"c d\"; echo"])
    assert quoted.out == "a;b c d\n\n"
    assert (await commands.run(container, ["sh", "-c", "echo 'open"])).code == 2
    unknown = await commands.run(container, ["sh", "-c", "frobnicate"])
    assert (unknown.code, unknown.err) == (127, "sh: frobnicate: not found\n")
    with pytest.raises(commands.UnknownCommandError):
        await commands.run(container, ["frobnicate"])


async def test_services_answer_as_long_as_a_pod_is_ready(cluster):
    container = inside(cluster)
    assert (await commands.run(container, ["wget", "-qO-", "http://web:80/"])).out == "ok\n"
    found = await commands.run(container, ["nslookup", "web.shop.svc.cluster.local"])
    assert "Name:\tweb.shop.svc.cluster.local" in found.out
    assert (await commands.run(container, ["curl", "-s", "http://nowhere/"])).code == 1
    assert "Connection refused" in (await commands.run(container, ["wget", "http://web:81/"])).err
    cluster.change("web", replicas=0)
    await cluster.until(lambda: not cluster.pods("web"))
    assert "Connection refused" in (await commands.run(container, ["wget", "http://web/"])).err


async def test_metrics_tell_what_pods_and_nodes_use(cluster):
    name = cluster.only_pod("web")["metadata"]["name"]
    async with cluster.client("reader") as reader:
        (pod,) = (await reader.get(f"{METRICS}/namespaces/shop/pods?labelSelector=app%3Dweb")).json()["items"]
        assert pod["metadata"]["name"] == name
        assert pod["containers"][0]["usage"]["memory"].endswith("Ki")
        nodes = (await reader.get(f"{METRICS}/nodes")).json()["items"]
        assert [node["metadata"]["name"] for node in nodes] == ["node-1", "node-2", "node-3"]
        missing = await reader.get(f"{METRICS}/namespaces/shop/pods/nope")
        assert missing.json()["message"] == 'podmetrics.metrics.k8s.io "shop/nope" not found'


async def test_a_stream_without_an_upgrade_is_refused(cluster):
    name = cluster.only_pod("web")["metadata"]["name"]
    async with cluster.client() as admin:
        for method in ("GET", "POST"):
            answer = await admin.request(method, f"/api/v1/namespaces/shop/pods/{name}/exec?command=ls")
            assert (answer.status_code, answer.json()["message"]) == (400, "Upgrade request required")


def test_descriptions_lead_from_a_kind_to_every_field_below_it():
    found = json.loads(openapi.document("apis/apps/v1") or b"")
    schemas = found["components"]["schemas"]
    step = schemas["io.k8s.api.apps.v1.Deployment"]
    assert step["x-kubernetes-group-version-kind"] == [{"group": "apps", "version": "v1", "kind": "Deployment"}]
    for field in ("spec", "template", "spec", "containers"):
        held = step["properties"][field]
        reference = held.get("items", held)["allOf"][0]["$ref"]
        step = schemas[reference.rpartition("/")[2]]
    assert step["properties"]["args"]["items"] == {"type": "string"}
    assert step["required"] == ["name"]
    assert openapi.document("apis/apps/v9") is None


async def test_all_pages_of_a_list_show_the_moment_of_the_first():
    cluster = Cluster()
    for number in range(6):
        cluster.store.create("configmaps", {"metadata": {"name": f"c{number}", "namespace": "shop"}})
    async with cluster.client() as admin:
        first = (await admin.get(CONFIGMAPS, params={"limit": 2})).json()
        await admin.delete(f"{CONFIGMAPS}/c3")
        await admin.post(CONFIGMAPS, json={"metadata": {"name": "c9"}})
        rest = (await admin.get(CONFIGMAPS, params={"limit": 9, "continue": first["metadata"]["continue"]})).json()
        assert [one["metadata"]["name"] for one in rest["items"]] == ["c2", "c3", "c4", "c5"]
        assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        assert first["metadata"]["remainingItemCount"] == 4


async def test_a_page_that_is_forgotten_says_how_to_go_on():
    cluster = Cluster()
    for number in range(4):
        cluster.store.create("configmaps", {"metadata": {"name": f"c{number}", "namespace": "shop"}})
    async with cluster.client() as admin:
        first = (await admin.get(CONFIGMAPS, params={"limit": 2})).json()
        for _ in range(64):
            await admin.get(CONFIGMAPS, params={"limit": 1})
        old = await admin.get(CONFIGMAPS, params={"limit": 2, "continue": first["metadata"]["continue"]})
        assert (old.status_code, old.json()["reason"]) == (410, "Expired")
        again = await admin.get(CONFIGMAPS, params={"continue": old.json()["metadata"]["continue"]})
        assert [one["metadata"]["name"] for one in again.json()["items"]] == ["c2", "c3"]


async def test_objects_that_are_too_large_are_refused_where_a_cluster_refuses_them():
    cluster = Cluster()
    pod = {"metadata": {"name": "big"}, "spec": {"containers": [{"name": "a", "image": "nginx"}]}}
    async with cluster.client() as admin:
        path = "/api/v1/namespaces/shop/pods"
        pod["spec"]["containers"][0]["args"] = ["x" * 1_600_000]
        large = await admin.post(path, json=pod)
        assert (large.status_code, large.json()["message"]) == (500, "etcdserver: request is too large")
        pod["spec"]["containers"][0]["args"] = ["x" * 3_200_000]
        larger = await admin.post(path, json=pod)
        assert larger.status_code == 413
        assert larger.json()["message"] == "Request entity too large: limit is 3145728"
    assert cluster.store.get("pods", "shop", "big") is None
