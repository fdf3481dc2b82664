"""What programs serve and need: probes, neighbours, databases, commands, users, volumes, images."""

import pytest

from support.cluster import MEBIBYTE, deployment, running
from toban_sandbox import documents, world_programs
from toban_sandbox.programs import Database, Need, Program

API = Program("shop/api:1.0", ports=(8080,), paths=("/", "/livez"), ready_paths=("/readyz",))
SLOW = Program("shop/slow:1.0", ports=(8080,), start_s=30.0)
LAZY = Program("shop/lazy:1.0", latency_ms=3000)
BUSY = Program("shop/busy:1.0", capacity_rps=10, hangs_overloaded=True)
DB = Program("shop/db:1.0", ports=(5432,), database=Database(max_connections=10, password_env="PASSWORD"))
READ_ONLY = Program("shop/replica:1.0", ports=(5432,), database=Database(read_only=True))
STRICT = Program("shop/orders:1.0", ports=(8080,), needs=(Need("DB_URL", "postgres", writes=True),))
PATIENT = Program("shop/cart:1.0", ports=(8080,), needs=(Need("CACHE", "tcp", at_start=False),))
WRITING = Program("shop/files:1.0", writes_to=("/data",))
PRIVATE = Program("registry.shop.example/secret:1.0", private=True)
LEAKY = Program("shop/leaky:1.0", memory_base_bytes=20 * MEBIBYTE, leak_bytes_per_hour=3600 * MEBIBYTE)
ALL = (API, SLOW, LAZY, BUSY, DB, READ_ONLY, STRICT, PATIENT, WRITING, PRIVATE, LEAKY)


@pytest.fixture
async def cluster():
    async with running(*ALL) as found:
        yield found


async def start(cluster, name="web", image="shop/api:1.0", *, seconds=4.0, **options):
    cluster.store.create("deployments", deployment(name, image, **options))
    await cluster.pass_time(seconds)


def service(cluster, name, port, *, target=None):
    spec = {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target or port}]}
    cluster.store.create("services", {"metadata": {"name": name, "namespace": "shop"}, "spec": spec})


def probe(kind="readinessProbe", path="/readyz", port=8080, scheme="HTTP", **more):
    return {kind: {"httpGet": {"path": path, "port": port, "scheme": scheme}, "periodSeconds": 1, **more}}


def waiting(cluster, app="web"):
    return cluster.container(app)["state"].get("waiting", {})


def unhealthy(cluster):
    return [event["message"] for event in cluster.events("Unhealthy")]


def log(cluster, app="web", **options):
    return "\n".join(cluster.kubelet.logs("shop", cluster.only_pod(app)["metadata"]["name"], "app", **options))


def env(**values):
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}


# -- probes -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"path": "/nope"}, "HTTP probe failed with statuscode: 404"),
        ({"port": 9090}, 'Get "http://{ip}:9090/readyz": dial tcp {ip}:9090: connect: connection refused'),
        ({"scheme": "HTTPS"}, 'Get "https://{ip}:8080/readyz": http: server gave HTTP response to HTTPS client'),
    ],
)
async def test_a_probe_that_asks_for_the_wrong_thing_never_passes(cluster, wrong, why):
    await start(cluster, container=probe(**wrong))
    address = cluster.only_pod("web")["status"]["podIP"]
    assert unhealthy(cluster) == [f"Readiness probe failed: {why.format(ip=address)}"]
    assert not cluster.container("web")["ready"]
    assert "running" in cluster.container("web")["state"]


async def test_a_program_that_answers_too_late_fails_its_probe_unless_it_is_given_time(cluster):
    await start(cluster, image="shop/lazy:1.0", container=probe(timeoutSeconds=1))
    assert "context deadline exceeded (Client.Timeout exceeded while awaiting headers)" in unhealthy(cluster)[0]
    cluster.change_container("web", **probe(timeoutSeconds=5))
    await cluster.until(lambda: cluster.rolled_out("web"))


async def test_a_slow_start_is_killed_by_liveness_and_saved_by_a_startup_probe(cluster):
    container = probe("livenessProbe", "/livez", failureThreshold=3)
    await start(cluster, image="shop/slow:1.0", container=container, seconds=12)
    assert cluster.container("web")["restartCount"] >= 1
    assert "Container app failed liveness probe, will be restarted" in [
        event["message"] for event in cluster.events("Killing")
    ]
    container |= probe("startupProbe", "/livez", failureThreshold=60)
    cluster.change_container("web", **container)
    await cluster.until(lambda: cluster.rolled_out("web"), at_most_s=90)
    assert cluster.container("web")["restartCount"] == 0


async def test_a_startup_probe_that_never_passes_kills(cluster):
    await start(cluster, container=probe("startupProbe", "/nope", failureThreshold=2), seconds=6)
    assert not cluster.container("web")["started"]
    assert "Container app failed startup probe, will be restarted" in [
        event["message"] for event in cluster.events("Killing")
    ]


async def test_too_much_load_makes_a_program_miss_its_probes_until_there_are_more_replicas(cluster):
    await start(cluster, image="shop/busy:1.0", container=probe(path="/", failureThreshold=1))
    cluster.load.set_rps("shop", "web", 15)
    await cluster.until(lambda: not cluster.container("web")["ready"])
    cluster.load.set_rps("shop", "web", 5)
    await cluster.until(lambda: cluster.container("web")["ready"])


async def test_probes_that_pass_leave_no_timers_behind(cluster):
    await start(cluster, replicas=5, container=probe() | probe("livenessProbe", "/livez"))
    await cluster.until(lambda: cluster.rolled_out("web"))
    before = len([timer for _, _, timer in cluster.clock._timers if timer.callback is not None])
    assert before < 6


# -- neighbours -------------------------------------------------------------------------------------------------------
async def orders(cluster, url="postgres://app:right@db:5432/orders", seconds=5.0):
    await start(cluster, "orders", "shop/orders:1.0", container=env(DB_URL=url), seconds=seconds)


async def database(cluster, image="shop/db:1.0", **options):
    await start(cluster, "db", image, container=env(PASSWORD="right"), **options)
    service(cluster, "db", 5432)
    await cluster.pass_time(0.5)


async def test_a_program_starts_when_its_database_takes_it_in(cluster):
    await database(cluster)
    await orders(cluster)
    assert cluster.rolled_out("orders")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgres://app:right@dbx:5432/orders", "lookup dbx on 10.96.0.10:53: no such host"),
        ("postgres://app:right@db:5433/orders", "i/o timeout"),
        ("postgres://app:wrong@db:5432/orders", 'FATAL: password authentication failed for user "app"'),
    ],
)
async def test_a_wrong_address_or_password_crashes_the_program_with_the_reason_in_its_log(cluster, url, why):
    await database(cluster)
    await orders(cluster, url, seconds=8)
    assert waiting(cluster, "orders")["reason"] == "CrashLoopBackOff"
    assert why in log(cluster, "orders", previous=True)


async def test_a_database_that_is_gone_refuses_connections(cluster):
    await database(cluster)
    cluster.change("db", replicas=0)
    await cluster.pass_time(2)
    await orders(cluster, seconds=8)
    address = cluster.store.get("services", "shop", "db")["spec"]["clusterIP"]
    assert f"dial tcp {address}:5432: connect: connection refused" in log(cluster, "orders", previous=True)
    cluster.change("db", replicas=1)
    await cluster.until(lambda: cluster.rolled_out("orders"))


async def test_a_database_has_only_so_many_connections(cluster):
    await database(cluster)
    cluster.store.create(
        "deployments",
        deployment("orders", "shop/orders:1.0", replicas=3, container=env(DB_URL="postgres://app:right@db/orders")),
    )
    await cluster.pass_time(8)
    assert cluster.deployment("orders")["status"]["readyReplicas"] == 2
    texts = ["\n".join(cluster.kubelet.logs("shop", pod["metadata"]["name"], "app")) for pod in cluster.pods("orders")]
    assert sum("sorry, too many clients already" in text for text in texts) == 1


async def test_a_replica_takes_no_writes(cluster):
    await database(cluster, "shop/replica:1.0")
    await orders(cluster, seconds=8)
    assert "cannot execute INSERT in a read-only transaction" in log(cluster, "orders", previous=True)


async def test_a_service_with_the_wrong_target_port_is_refused(cluster):
    await start(cluster, "db", "shop/db:1.0")
    service(cluster, "db", 5432, target=5433)
    await orders(cluster, seconds=8)
    assert "connect: connection refused" in log(cluster, "orders", previous=True)
    known = cluster.store.get("services", "shop", "db")
    ports = [known["spec"]["ports"][0] | {"targetPort": 5432}]
    cluster.store.update("services", known | {"spec": known["spec"] | {"ports": ports}})
    await cluster.until(lambda: cluster.rolled_out("orders"))


async def test_a_network_policy_lets_nobody_through_who_is_not_named(cluster):
    await database(cluster)
    spec = {
        "podSelector": {"matchLabels": {"app": "db"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "other"}}}]}],
    }
    cluster.store.create("networkpolicies", {"metadata": {"name": "db", "namespace": "shop"}, "spec": spec})
    await orders(cluster, seconds=8)
    assert "i/o timeout" in log(cluster, "orders", previous=True)
    known = cluster.store.get("networkpolicies", "shop", "db")
    spec["ingress"] = [{"from": [{"podSelector": {"matchLabels": {"app": "orders"}}}]}]
    cluster.store.update("networkpolicies", known | {"spec": known["spec"] | spec})
    await cluster.until(lambda: cluster.rolled_out("orders"))


async def test_a_patient_program_runs_without_its_neighbour_but_is_not_ready(cluster):
    container = env(CACHE="cache:6379") | probe(failureThreshold=1)
    await start(cluster, "cart", "shop/cart:1.0", container=container)
    assert "running" in cluster.container("cart")["state"]
    assert unhealthy(cluster) == ["Readiness probe failed: HTTP probe failed with statuscode: 503"]
    assert "lookup cache on 10.96.0.10:53: no such host" in log(cluster, "cart")
    await start(cluster, "cache", "redis:7")
    service(cluster, "cache", 6379)
    await cluster.until(lambda: cluster.container("cart")["ready"])
    cluster.change("cache", replicas=0)
    await cluster.until(lambda: not cluster.container("cart")["ready"])


# -- starting ---------------------------------------------------------------------------------------------------------
async def test_a_command_that_is_not_there_cannot_be_started(cluster):
    await start(cluster, container={"command": ["serve-it"]}, seconds=2)
    why = 'exec: "serve-it": executable file not found in $PATH'
    assert waiting(cluster)["reason"] == "RunContainerError"
    assert waiting(cluster)["message"].endswith(why)
    await cluster.until(lambda: waiting(cluster).get("reason") == "CrashLoopBackOff")
    ended = cluster.container("web")["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)


@pytest.mark.parametrize(
    ("context", "why"),
    [
        ({"runAsNonRoot": True}, "container has runAsNonRoot and image will run as root"),
        ({"runAsNonRoot": True, "runAsUser": 0}, "container's runAsUser breaks non-root policy"),
    ],
)
async def test_a_container_that_must_not_run_as_root_does_not(cluster, context, why):
    await start(cluster, container={"securityContext": context})
    pod = cluster.only_pod("web")
    about = f'(pod: "{pod["metadata"]["name"]}_shop({pod["metadata"]["uid"]})", container: app)'
    assert waiting(cluster) == {"reason": "CreateContainerConfigError", "message": f"{why} {about}"}
    cluster.change_container("web", securityContext={"runAsNonRoot": True, "runAsUser": 1000})
    await cluster.until(lambda: cluster.rolled_out("web"))


async def test_a_read_only_file_system_stops_a_program_that_must_write(cluster):
    container = {"securityContext": {"readOnlyRootFilesystem": True}}
    await start(cluster, image="shop/files:1.0", container=container, seconds=6)
    assert "open /data/.lock: read-only file system" in log(cluster, previous=True)
    template = cluster.deployment("web")["spec"]["template"]
    mounted = template["spec"]["containers"][0] | {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    spec = template["spec"] | {"containers": [mounted], "volumes": [{"name": "data", "emptyDir": {}}]}
    cluster.change("web", template=template | {"spec": spec})
    await cluster.until(lambda: cluster.rolled_out("web"))


async def test_a_shell_command_prints_waits_and_ends_as_it_says(cluster):
    pod = {"metadata": {"name": "once", "namespace": "shop"}}
    script = "echo hello $NAME; sleep 5 && exit 4"
    container = {"name": "app", "image": "busybox:1.36", "command": ["sh", "-c", script], **env(NAME="world")}
    pod["spec"] = {"restartPolicy": "Never", "containers": [container]}
    cluster.store.create("pods", pod)
    await cluster.pass_time(4)
    assert "running" in cluster.store.get("pods", "shop", "once")["status"]["containerStatuses"][0]["state"]
    await cluster.pass_time(3)
    ended = cluster.store.get("pods", "shop", "once")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 4
    assert cluster.kubelet.logs("shop", "once", "app") == ["hello world"]


async def test_memory_that_leaks_meets_its_limit_again_and_again(cluster):
    await start(cluster, image="shop/leaky:1.0", container={"resources": {"limits": {"memory": "40Mi"}}})
    assert cluster.container("web")["restartCount"] == 0
    await cluster.pass_time(30)
    assert cluster.container("web")["lastState"]["terminated"]["reason"] == "OOMKilled"


async def test_a_pod_that_runs_longer_than_it_may_fails(cluster):
    pod = {"metadata": {"name": "long", "namespace": "shop"}}
    pod["spec"] = {"activeDeadlineSeconds": 5, "containers": [{"name": "app", "image": "nginx:1.27"}]}
    cluster.store.create("pods", pod)
    await cluster.pass_time(8)
    status = cluster.store.get("pods", "shop", "long")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


# -- init and sidecar containers --------------------------------------------------------------------------------------
async def test_a_sidecar_runs_before_the_others_and_keeps_them_company(cluster):
    side = {"name": "proxy", "image": "haproxy:3.0", "restartPolicy": "Always"}
    init = [side, {"name": "setup", "image": "busybox:1.36"}]
    await start(cluster, pod={"initContainers": init}, seconds=8)
    assert cluster.rolled_out("web")
    proxy, setup = cluster.only_pod("web")["status"]["initContainerStatuses"]
    assert "running" in proxy["state"]
    assert proxy["ready"]
    assert setup["state"]["terminated"]["exitCode"] == 0


async def test_a_task_with_a_sidecar_ends_when_the_task_does(cluster):
    side = {"name": "proxy", "image": "haproxy:3.0", "restartPolicy": "Always"}
    pod = {"metadata": {"name": "task", "namespace": "shop"}}
    pod["spec"] = {
        "restartPolicy": "Never",
        "initContainers": [side],
        "containers": [{"name": "app", "image": "busybox:1.36"}],
    }
    cluster.store.create("pods", pod)
    await cluster.until(lambda: cluster.store.get("pods", "shop", "task")["status"]["phase"] == "Succeeded")


async def test_an_initialising_container_that_fails_keeps_the_pod_from_starting(cluster):
    init = [{"name": "setup", "image": "busybox:1.36", "command": ["sh", "-c", "exit 1"]}]
    await start(cluster, pod={"initContainers": init})

    def setup():
        return cluster.only_pod("web")["status"]["initContainerStatuses"][0]["state"]

    await cluster.until(lambda: setup().get("waiting", {}).get("reason") == "CrashLoopBackOff")
    assert cluster.only_pod("web")["status"]["phase"] == "Pending"
    assert waiting(cluster)["reason"] == "PodInitializing"


# -- images -----------------------------------------------------------------------------------------------------------
async def test_a_private_image_needs_a_secret(cluster):
    await start(cluster, image="registry.shop.example/secret:1.0", pod={"imagePullSecrets": [{"name": "login"}]})
    assert "pull access denied" in waiting(cluster)["message"]
    assert cluster.events("FailedToRetrieveImagePullSecret")[0]["message"] == (
        "Unable to retrieve some image pull secrets (login); attempting to pull the image may not succeed."
    )
    secret = {"metadata": {"name": "login", "namespace": "shop"}, "type": "kubernetes.io/dockerconfigjson"}
    cluster.store.create("secrets", secret | {"data": {".dockerconfigjson": "e30="}})
    await cluster.until(lambda: cluster.rolled_out("web"))


async def test_a_registry_that_is_not_there_is_told_from_an_image_that_is_not(cluster):
    cluster.programs._generic = ()
    await start(cluster, image="registry.shop.exmaple/api:1.0", seconds=2)
    assert 'Head "https://registry.shop.exmaple/v2/api/manifests/1.0": dial tcp: lookup' in waiting(cluster)["message"]
    assert waiting(cluster)["message"].endswith("no such host")


@pytest.mark.parametrize(
    ("image", "policy", "reason"),
    [("shop/API:1.0", "IfNotPresent", "InvalidImageName"), ("shop/api:1.0", "Never", "ErrImageNeverPull")],
)
async def test_images_that_are_not_even_looked_for(cluster, image, policy, reason):
    await start(cluster, image=image, container={"imagePullPolicy": policy})
    assert waiting(cluster)["reason"] == reason


async def test_an_image_that_a_node_has_is_not_pulled_twice(cluster):
    await start(cluster, replicas=3)
    cluster.change("web", replicas=6)
    await cluster.pass_time(3)
    pulled = [event["message"] for event in cluster.events("Pulled")]
    assert sum("already present on machine" in text for text in pulled) == 3
    assert len(cluster.events("Pulling")) == 3


# -- volumes ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("volume", "why"),
    [
        (
            {"configMap": {"name": "settings", "items": [{"key": "app.yaml", "path": "app.yaml"}]}},
            "configmap references non-existent config key: app.yaml",
        ),
        (
            {"hostPath": {"path": "/data/mine", "type": "Directory"}},
            "hostPath type check failed: /data/mine is not a directory",
        ),
        ({"projected": {"sources": [{"secret": {"name": "keys"}}]}}, 'secret "keys" not found'),
    ],
)
async def test_a_volume_that_cannot_be_mounted_keeps_the_pod_waiting(cluster, volume, why):
    cluster.store.create("configmaps", {"metadata": {"name": "settings", "namespace": "shop"}, "data": {"other": "1"}})
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    await start(cluster, pod={"volumes": [{"name": "v", **volume}]}, container=mount)
    assert waiting(cluster) == {"reason": "ContainerCreating"}
    assert cluster.events("FailedMount")[0]["message"] == f'MountVolume.SetUp failed for volume "v" : {why}'


# -- world files ------------------------------------------------------------------------------------------------------
def test_a_world_file_says_how_its_programs_behave(tmp_path):
    path = tmp_path / "image.yaml"
    path.write_text(
        """
ports: [8080]
paths: [/]
start: 5s
leak_per_hour: 10Mi
private: true
needs:
  - {env: DB_URL, kind: postgres, writes: true, at_start: false}
database: {max_connections: 20, read_only: true}
"""
    )
    section = documents.load(path)
    found = world_programs.behaviour(section)
    section.finish()
    assert found == {
        "ports": (8080,),
        "paths": ("/",),
        "start_s": 5.0,
        "leak_bytes_per_hour": 10 * MEBIBYTE,
        "private": True,
        "needs": (Need("DB_URL", "postgres", writes=True, at_start=False),),
        "database": Database(max_connections=20, read_only=True),
    }


def test_a_need_of_an_unknown_kind_is_named_with_its_line(tmp_path):
    path = tmp_path / "image.yaml"
    path.write_text("needs:\n  - {env: DB_URL, kind: oracle}\n")
    with pytest.raises(documents.DocumentError, match=r"image.yaml:2: `kind` must be one of http, postgres"):
        world_programs.behaviour(documents.load(path))
