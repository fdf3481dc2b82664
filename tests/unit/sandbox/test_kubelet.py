"""The kubelet: what becomes of containers whose image, configuration, memory or program is wrong."""

import pytest

from support.cluster import MEBIBYTE, Cluster, deployment, running
from toban_sandbox.kube import deletion, kinds
from toban_sandbox.kube.errors import ApiError
from toban_sandbox.programs import PUBLIC_IMAGES, Program, Programs

CART = Program(
    "shop/cart:2.0",
    memory_base_bytes=60 * MEBIBYTE,
    memory_per_rps_bytes=MEBIBYTE,
    requires_env=("REDIS_URL",),
    log_lines=("GET {path} {status} {ms}ms n={n}",),
    capacity_rps=100,
)
WITH_ENV = {"env": [{"name": "REDIS_URL", "value": "redis://redis:6379"}]}


@pytest.fixture
async def cluster():
    async with running(CART) as found:
        yield found


def limited(memory, **more):
    return {**WITH_ENV, "resources": {"limits": {"memory": memory}}, **more}


def waiting(status):
    return status["state"].get("waiting", {})


async def start(cluster, name="cart", image="shop/cart:2.0", **options):
    cluster.store.create("deployments", deployment(name, image, **options))
    await cluster.turns()


# -- healthy ----------------------------------------------------------------------------------------------------------
async def test_a_healthy_pod_gets_everything_a_real_one_has(cluster):
    await start(cluster, container=limited("256Mi"))
    await cluster.until(lambda: cluster.rolled_out("cart"))
    pod = cluster.only_pod("cart")
    status = pod["status"]
    assert status["phase"] == "Running"
    assert status["qosClass"] == "Burstable"
    assert status["podIP"].startswith("10.244.")
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "PodScheduled": "True",
        "Initialized": "True",
        "ContainersReady": "True",
        "Ready": "True",
        "PodReadyToStartContainers": "True",
    }
    (container,) = status["containerStatuses"]
    assert container["containerID"].startswith("containerd://")
    assert container["ready"]
    assert "running" in container["state"]
    reasons = [event["reason"] for event in cluster.store.list("events", "shop")]
    assert {"Scheduled", "Pulling", "Pulled", "Created", "Started"} <= set(reasons)


async def test_a_readiness_probe_passes_once_the_program_is_up(cluster):
    probe = {"readinessProbe": {"httpGet": {"path": "/", "port": 80}}}
    await start(cluster, container=limited("256Mi", **probe))
    await cluster.pass_time(0.7)
    assert not cluster.container("cart")["ready"]
    await cluster.pass_time(1)
    assert cluster.container("cart")["ready"]


async def test_initialising_containers_run_one_after_the_other_before_the_rest(cluster):
    init = [{"name": "first", "image": "busybox:1"}, {"name": "second", "image": "busybox:1"}]
    await start(cluster, "web", "nginx:1.27", pod={"initContainers": init})
    await cluster.pass_time(1)
    first, second = cluster.only_pod("web")["status"]["initContainerStatuses"]
    assert "running" in first["state"]
    assert waiting(second)["reason"] == "PodInitializing"
    await cluster.until(lambda: cluster.rolled_out("web"))
    ended = cluster.only_pod("web")["status"]["initContainerStatuses"]
    assert [one["state"]["terminated"]["exitCode"] for one in ended] == [0, 0]


async def test_a_pod_that_is_to_end_ends(cluster):
    pod = {"metadata": {"name": "job", "namespace": "shop"}}
    pod["spec"] = {"restartPolicy": "Never", "containers": [{"name": "app", "image": "busybox"}]}
    cluster.store.create("pods", pod)
    await cluster.pass_time(5)
    assert cluster.store.get("pods", "shop", "job")["status"]["phase"] == "Succeeded"


async def test_a_deleted_pod_is_given_time_to_stop(cluster):
    await start(cluster, container=limited("256Mi"))
    await cluster.until(lambda: cluster.rolled_out("cart"))
    pod = cluster.only_pod("cart")
    shown, gone = deletion.delete(cluster.store, kinds.stored("pods"), pod, deletion.Options())
    assert not gone
    assert shown["metadata"]["deletionGracePeriodSeconds"] == 30
    await cluster.pass_time(0.2)
    assert cluster.store.get("pods", "shop", pod["metadata"]["name"])
    assert cluster.events("Killing")[0]["message"] == "Stopping container app"
    await cluster.pass_time(1)
    assert cluster.store.get("pods", "shop", pod["metadata"]["name"]) is None


# -- images -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("image", ["shop/cart:nope", "nginx:does-not-exist"])
async def test_an_image_that_nobody_has_is_tried_again_and_again(cluster, image):
    await start(cluster, image=image, container=WITH_ENV)
    seen = set()
    for _ in range(80):
        await cluster.pass_time(0.1)
        seen.add(waiting(cluster.container("cart"))["reason"])
    assert seen == {"ContainerCreating", "ErrImagePull", "ImagePullBackOff"}
    full = f"docker.io/{'library/' if '/' not in image else ''}{image}"
    failed = [event["message"] for event in cluster.events("Failed")]
    assert (
        f'Failed to pull image "{image}": rpc error: code = NotFound desc = failed to pull and unpack image "{full}": '
        f'failed to resolve reference "{full}": {full}: not found'
    ) in failed
    assert cluster.events("BackOff")[0]["message"] == f'Back-off pulling image "{image}"'


async def test_the_right_image_cures_a_pull_error(cluster):
    await start(cluster, image="shop/cart:nope", container=WITH_ENV)
    await cluster.pass_time(3)
    cluster.change_container("cart", image="shop/cart:2.0")
    await cluster.until(lambda: cluster.rolled_out("cart"))


@pytest.mark.parametrize("image", ["nginx", "postgres:17", "redis:8.2-alpine", "busybox:latest", "other/thing:v3.1"])
async def test_public_images_and_unknown_repositories_have_every_version(cluster, image):
    await start(cluster, "web", image)
    await cluster.until(lambda: cluster.rolled_out("web"))


def test_a_registry_can_be_narrowed_to_public_images():
    narrow = Programs([CART], generic=PUBLIC_IMAGES)
    assert narrow.lookup("docker.io/library/nginx:1.27")
    assert narrow.lookup("docker.io/shop/cart:2.0") is CART
    assert narrow.lookup("shop/crat:2.0") is None


# -- configuration ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"envFrom": [{"configMapRef": {"name": "app-config"}}]}, 'configmap "app-config" not found'),
        ({"envFrom": [{"secretRef": {"name": "app-key"}}]}, 'secret "app-key" not found'),
        (
            {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "MISSING"}}}]},
            "couldn't find key MISSING in ConfigMap shop/settings",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "none", "key": "K"}}}]},
            'secret "none" not found',
        ),
    ],
)
async def test_missing_configuration_is_named_in_the_status(cluster, container, message):
    cluster.store.create("configmaps", {"metadata": {"name": "settings", "namespace": "shop"}, "data": {"K": "v"}})
    await start(cluster, "web", "nginx:1.27", container=container)
    await cluster.pass_time(2)
    assert waiting(cluster.container("web")) == {"reason": "CreateContainerConfigError", "message": message}
    assert cluster.events("Failed")[0]["message"] == f"Error: {message}"


async def test_the_missing_configmap_cures_the_pod(cluster):
    await start(cluster, "web", "nginx:1.27", container={"envFrom": [{"configMapRef": {"name": "app-config"}}]})
    await cluster.pass_time(5)
    cluster.store.create("configmaps", {"metadata": {"name": "app-config", "namespace": "shop"}, "data": {"A": "1"}})
    await cluster.until(lambda: cluster.rolled_out("web"), at_most_s=3)


async def test_optional_configuration_may_be_missing(cluster):
    reference = {"configMapKeyRef": {"name": "none", "key": "K", "optional": True}}
    container = {
        "envFrom": [{"configMapRef": {"name": "none", "optional": True}}],
        "env": [{"name": "A", "valueFrom": reference}],
    }
    await start(cluster, "web", "nginx:1.27", container=container)
    await cluster.until(lambda: cluster.rolled_out("web"))


async def test_a_missing_volume_keeps_the_pod_from_starting_until_it_is_there(cluster):
    pod = {"volumes": [{"name": "tls", "secret": {"secretName": "tls-cert"}}]}
    await start(cluster, "web", "nginx:1.27", pod=pod)
    await cluster.pass_time(3)
    assert waiting(cluster.container("web")) == {"reason": "ContainerCreating"}
    text = 'MountVolume.SetUp failed for volume "tls" : secret "tls-cert" not found'
    (event,) = cluster.events("FailedMount")
    assert event["message"] == text
    assert event["count"] >= 2
    cluster.store.create("secrets", {"metadata": {"name": "tls-cert", "namespace": "shop"}})
    await cluster.until(lambda: cluster.rolled_out("web"), at_most_s=3)


async def test_a_program_without_a_variable_it_needs_exits_and_says_so(cluster):
    await start(cluster)
    await cluster.pass_time(6)
    status = cluster.container("cart")
    assert waiting(status)["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert status["restartCount"] >= 1
    name = cluster.only_pod("cart")["metadata"]["name"]
    assert any("REDIS_URL is not set" in line for line in cluster.kubelet.logs("shop", name, "app"))
    cluster.change_container("cart", **WITH_ENV)
    await cluster.until(lambda: cluster.rolled_out("cart"))


# -- memory -----------------------------------------------------------------------------------------------------------
async def test_too_little_memory_ends_in_an_oom_loop_that_more_memory_cures(cluster):
    await start(cluster, container=limited("50Mi"))
    await cluster.until(lambda: waiting(cluster.container("cart")).get("reason") == "CrashLoopBackOff")
    await cluster.pass_time(5)
    status = cluster.container("cart")
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert status["lastState"]["terminated"]["exitCode"] == 137
    pod = cluster.only_pod("cart")
    about = f"pod {pod['metadata']['name']}_shop({pod['metadata']['uid']})"
    (event,) = cluster.events("BackOff")
    assert event["message"] == f"Back-off restarting failed container app in {about}"
    cluster.change_container("cart", resources={"limits": {"memory": "128Mi"}})
    await cluster.until(lambda: cluster.rolled_out("cart"))
    await cluster.pass_time(30)
    assert cluster.container("cart")["restartCount"] == 0


async def test_the_back_off_grows_up_to_its_largest(cluster):
    await start(cluster, container=limited("50Mi"))
    waits = []
    for _ in range(900):
        await cluster.pass_time(0.1)
        message = waiting(cluster.container("cart")).get("message", "") if cluster.container("cart") else ""
        if message.startswith("back-off") and message.split()[1] not in waits:
            waits.append(message.split()[1])
    assert waits == ["2s", "4s", "8s", "16s", "20s"]


async def test_load_is_shared_and_too_much_of_it_kills(cluster):
    await start(cluster, container=limited("128Mi"), replicas=2)
    await cluster.until(lambda: cluster.rolled_out("cart"))
    names = [pod["metadata"]["name"] for pod in cluster.pods("cart")]
    cluster.load.set_rps("shop", "cart", 40)
    await cluster.pass_time(20)
    used = cluster.kubelet.usage("shop", names[0])["app"]
    assert used.memory_bytes == pytest.approx(80 * MEBIBYTE, rel=0.02)
    assert used.cpu_cores == pytest.approx(0.2, rel=0.1)
    cluster.load.set_rps("shop", "cart", 200)
    await cluster.until(lambda: any(p["status"]["containerStatuses"][0]["lastState"] for p in cluster.pods("cart")))
    cluster.change("cart", replicas=6)
    await cluster.until(lambda: cluster.rolled_out("cart"), at_most_s=120)


async def test_without_a_limit_no_container_is_killed(cluster):
    await start(cluster, container=WITH_ENV)
    await cluster.until(lambda: cluster.rolled_out("cart"))
    cluster.load.set_rps("shop", "cart", 1000)
    await cluster.pass_time(20)
    assert cluster.container("cart")["restartCount"] == 0


def test_a_stopped_pod_uses_nothing():

    assert Cluster().kubelet.usage("shop", "nobody") == {}


# -- faults on request ------------------------------------------------------------------------------------------------
async def test_a_pod_can_ask_to_crash(cluster):
    notes = {"sim.toban/fault": "crash=2", "sim.toban/crash-log": "connection refused"}
    await start(cluster, "web", "shop/api:1.4", annotations=notes)
    await cluster.pass_time(5)
    status = cluster.container("web")
    assert status["lastState"]["terminated"]["exitCode"] == 2
    name = cluster.only_pod("web")["metadata"]["name"]
    assert cluster.kubelet.logs("shop", name, None, previous=True)[-1] == "connection refused"


async def test_a_pod_can_ask_for_memory(cluster):
    resources = {"resources": {"limits": {"memory": "128Mi"}}}
    await start(cluster, "web", "nginx:1.27", annotations={"sim.toban/mem": "300Mi"}, container=resources)
    await cluster.pass_time(5)
    assert cluster.container("web")["lastState"]["terminated"]["reason"] == "OOMKilled"


async def test_a_pod_can_ask_never_to_be_ready(cluster):
    probe = {"readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 2}}
    await start(cluster, "web", "nginx:1.27", annotations={"sim.toban/fault": "unready"}, container=probe)
    await cluster.pass_time(10)
    assert "running" in cluster.container("web")["state"]
    assert not cluster.container("web")["ready"]
    (event,) = cluster.events("Unhealthy")
    assert event["message"] == "Readiness probe failed: HTTP probe failed with statuscode: 503"
    assert event["count"] >= 3


async def test_a_pod_can_ask_to_hang_and_is_killed_by_its_liveness_probe(cluster):
    probe = {"livenessProbe": {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 1}}
    await start(cluster, "web", "nginx:1.27", annotations={"sim.toban/fault": "liveness"}, container=probe)
    await cluster.until(lambda: cluster.container("web")["restartCount"] >= 1)
    assert cluster.events("Killing")[0]["message"] == "Container app failed liveness probe, will be restarted"
    assert cluster.container("web")["lastState"]["terminated"]["exitCode"] == 137


async def test_a_pod_can_ask_to_be_evicted(cluster):
    await start(cluster, "web", "nginx:1.27", annotations={"sim.toban/fault": "evict"})
    await cluster.until(lambda: any(pod["status"].get("reason") == "Evicted" for pod in cluster.pods("web")))
    evicted = next(pod for pod in cluster.pods("web") if pod["status"].get("reason") == "Evicted")
    assert evicted["status"]["phase"] == "Failed"
    assert evicted["status"]["message"].startswith("The node was low on resource: memory.")


async def test_a_pod_can_ask_for_a_variable(cluster):
    await start(cluster, "web", "nginx:1.27", annotations={"sim.toban/need-env": "DB_HOST"})
    await cluster.pass_time(4)
    assert cluster.container("web")["lastState"]["terminated"]["exitCode"] == 1


async def test_a_pod_can_ask_for_an_exit_code(cluster):
    pod = {"metadata": {"name": "job", "namespace": "shop", "annotations": {"sim.toban/exit": "3"}}}
    pod["spec"] = {"restartPolicy": "Never", "containers": [{"name": "app", "image": "busybox"}]}
    cluster.store.create("pods", pod)
    await cluster.pass_time(4)
    status = cluster.store.get("pods", "shop", "job")["status"]
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


# -- logs -------------------------------------------------------------------------------------------------------------
async def test_logs_come_by_tail_by_age_and_with_timestamps(cluster):
    await start(cluster, container=WITH_ENV)
    await cluster.until(lambda: cluster.rolled_out("cart"))
    name = cluster.only_pod("cart")["metadata"]["name"]
    await cluster.pass_time(35)
    lines = cluster.kubelet.logs("shop", name, "app")
    assert len(lines) == 5
    assert lines[-1].startswith("GET /")
    assert cluster.kubelet.logs("shop", name, "app", tail=2) == lines[-2:]
    assert cluster.kubelet.logs("shop", name, "app", tail=0) == []
    assert cluster.kubelet.logs("shop", name, "app", since_seconds=12) == lines[-1:]
    stamped = cluster.kubelet.logs("shop", name, "app", tail=1, timestamps=True)[0]
    assert stamped.partition(" ")[2] == lines[-1]
    assert stamped.partition(" ")[0].endswith("Z")


async def test_a_followed_log_goes_on(cluster):
    await start(cluster, container=WITH_ENV)
    await cluster.until(lambda: cluster.rolled_out("cart"))
    name = cluster.only_pod("cart")["metadata"]["name"]
    await cluster.pass_time(2)
    following = cluster.kubelet.follow("shop", name, None)
    await cluster.pass_time(21)
    assert (await anext(following)).startswith("GET /")
    await following.aclose()


async def test_questions_without_an_answer_are_refused_in_kubernetes_words(cluster):
    two = [{"name": "app", "image": "nginx:1.27"}, {"name": "side", "image": "nginx:1.27"}]
    await start(cluster, "web", "nginx:1.27", pod={"containers": two})
    name = cluster.only_pod("web")["metadata"]["name"]

    def refusal(*words, **options):
        with pytest.raises(ApiError) as refused:
            cluster.kubelet.logs("shop", *words, **options)
        return refused.value.message

    assert refusal(name, None) == f"a container name must be specified for pod {name}, choose one of: [app side]"
    assert refusal(name, "other") == f"container other is not valid for pod {name}"
    assert refusal(name, "app") == f'container "app" in pod "{name}" is waiting to start: ContainerCreating'
    assert refusal("nobody", None) == 'pods "nobody" not found'
    await cluster.pass_time(2)
    assert refusal(name, "app", previous=True) == (f'previous terminated container "app" in pod "{name}" not found')


async def test_idle_pods_have_no_timers(cluster):
    await start(cluster, "web", "nginx:1.27", replicas=20)
    await cluster.until(lambda: cluster.rolled_out("web"))
    await cluster.pass_time(5)
    alive = [timer for _, _, timer in cluster.clock._timers if timer.callback is not None]
    assert len(alive) < 5
