"""The sandbox's API held against the official Python client and its asyncio twin: list, write, watch, logs and exec."""

import asyncio
import ssl
import threading
import urllib.parse

import kubernetes_asyncio
import pytest
import yaml
from kubernetes import client as kube
from kubernetes import config, watch
from kubernetes.stream import stream
from kubernetes_asyncio.stream import WsApiClient

from support.cluster import deployment, served


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with served(tmp_path_factory.mktemp("clients"), speed=10) as found:
        yield found


@pytest.fixture
def api(sandbox):
    with config.new_client_from_config(str(sandbox.kubeconfigs["admin"])) as found:
        yield found


def ready_pod(api, name):
    """The name of the pod of a deployment, once it is ready."""
    core = kube.CoreV1Api(api)
    for event in watch.Watch().stream(
        core.list_namespaced_pod, "shop", label_selector=f"app={name}", timeout_seconds=20
    ):
        conditions = event["object"].status.conditions or []
        if any(one.type == "Ready" and one.status == "True" for one in conditions):
            return event["object"].metadata.name
    raise AssertionError("no pod became ready")


def test_the_official_client_creates_changes_and_deletes(api):
    apps = kube.AppsV1Api(api)
    made = apps.create_namespaced_deployment("shop", deployment("official", replicas=2))
    assert made.metadata.uid
    patched = apps.patch_namespaced_deployment("official", "shop", {"spec": {"replicas": 1}})
    assert (patched.spec.replicas, patched.metadata.generation) == (1, 2)
    scale = apps.read_namespaced_deployment_scale("official", "shop")
    assert scale.spec.replicas == 1
    listed = apps.list_namespaced_deployment("shop", field_selector="metadata.name=official")
    assert [one.metadata.name for one in listed.items] == ["official"]
    apps.delete_namespaced_deployment("official", "shop")
    with pytest.raises(kube.ApiException) as refused:
        apps.read_namespaced_deployment("official", "shop")
    assert (refused.value.status, refused.value.reason) == (404, "Not Found")


def test_the_official_client_watches_reads_logs_and_runs_commands(api):
    core, apps = kube.CoreV1Api(api), kube.AppsV1Api(api)
    apps.create_namespaced_deployment("shop", deployment("talker"))
    pod = ready_pod(api, "talker")
    assert "starting" in core.read_namespaced_pod_log(pod, "shop")
    printed = stream(
        core.connect_get_namespaced_pod_exec, pod, "shop", command=["echo", "hello"], stdout=True, stderr=True
    )
    assert printed == "hello\n"
    running = stream(
        core.connect_get_namespaced_pod_exec,
        *(pod, "shop"),
        command=["sh", "-c", "cat /nope; exit 7"],
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    running.run_forever(timeout=10)
    assert "No such file" in running.read_stderr()
    assert running.returncode == 7
    apps.delete_namespaced_deployment("talker", "shop")


def test_the_official_client_pages_through_a_list(api):
    core = kube.CoreV1Api(api)
    for number in range(5):
        core.create_namespaced_config_map("default", {"metadata": {"name": f"page-{number}", "labels": {"p": "1"}}})
    first = core.list_namespaced_config_map("default", label_selector="p=1", limit=2)
    rest = core.list_namespaced_config_map("default", label_selector="p=1", _continue=first.metadata._continue)
    assert [one.metadata.name for one in first.items + rest.items] == [f"page-{number}" for number in range(5)]


async def test_the_asyncio_client_writes_watches_and_runs_commands(sandbox, api):
    settings = kubernetes_asyncio.client.Configuration()
    await kubernetes_asyncio.config.load_kube_config(
        config_file=str(sandbox.kubeconfigs["admin"]), client_configuration=settings
    )
    async with kubernetes_asyncio.client.ApiClient(settings) as connection:
        core = kubernetes_asyncio.client.CoreV1Api(connection)
        threading.Timer(
            0.2, lambda: kube.AppsV1Api(api).create_namespaced_deployment("shop", deployment("later"))
        ).start()
        pod = ""
        async with kubernetes_asyncio.watch.Watch() as seen:
            async for event in seen.stream(
                core.list_namespaced_pod, "shop", label_selector="app=later", timeout_seconds=20
            ):
                if event["object"].status.phase == "Running":
                    pod = event["object"].metadata.name
                    break
        assert pod.startswith("later-")
        assert "starting" in await core.read_namespaced_pod_log(pod, "shop")
        await core.create_namespaced_config_map("shop", {"metadata": {"name": "made"}, "data": {"a": "1"}})
        patched = await core.patch_namespaced_config_map("made", "shop", {"data": {"a": "2"}})
        assert patched.data == {"a": "2"}
    async with WsApiClient(settings) as connection:
        core = kubernetes_asyncio.client.CoreV1Api(connection)
        printed = await core.connect_get_namespaced_pod_exec(
            pod, "shop", command=["hostname"], stdout=True, stderr=True, stdin=False, tty=False
        )
        assert printed == f"{pod}\n"


async def watcher(sandbox, path):
    """A connection with a watch on it that has brought its first object."""
    url = urllib.parse.urlsplit(sandbox.url)
    trusted = ssl.create_default_context(cafile=sandbox.kubeconfigs["admin"].parent / "pki" / "ca.crt")
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=trusted)
    token = yaml.safe_load(sandbox.kubeconfigs["reader"].read_text())["users"][0]["user"]["token"]
    request = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(request.encode())
    await reader.readuntil(b'"ADDED"')
    return writer


async def test_two_hundred_watchers_that_vanish_leave_nothing_behind(sandbox):
    store = sandbox.cluster.store
    before = sandbox.call(lambda: store.watching("namespaces"))
    path = "/api/v1/namespaces?watch=true"
    writers = await asyncio.gather(*(watcher(sandbox, path) for _ in range(200)))
    assert sandbox.call(lambda: store.watching("namespaces")) == before + 200
    for writer in writers:
        writer.transport.abort()
    async with asyncio.timeout(10):
        while sandbox.call(lambda: store.watching("namespaces")) > before:  # noqa: ASYNC110 -- the store tells no event
            await asyncio.sleep(0.02)
