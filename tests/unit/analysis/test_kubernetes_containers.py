"""Analyzers of containers and pods: what they find, in which words, and that health gives nothing."""

import pytest

from support import objects as build

CONFIG_WORDS = [
    ('configmap "app-config" not found', "ConfigMap", "app-config", ""),
    ('secret "db-password" not found', "Secret", "db-password", ""),
    ("couldn't find key DB_HOST in ConfigMap shop/app-config", "ConfigMap", "app-config", "DB_HOST"),
    ("couldn't find key token in Secret shop/api", "Secret", "api", "token"),
]


def codes(findings):
    return [finding.code for finding in findings]


def cart(state=None, *, limit="128Mi", pods=1, events=(), **status):
    """The cart's deployment with pods in one state."""
    form = build.template(limit=limit)
    owner = build.replicaset("cart", 1, form, replicas=pods)
    return build.inventory(
        deployments=[build.deployment("cart", form)],
        replicasets=[owner],
        pods=[build.pod(owner, number + 1, state=state, **status) for number in range(pods)],
        services=[build.service("cart")],
        events=list(events),
    )


def one(findings, code):
    (found,) = [finding for finding in findings if finding.code == code]
    return found


def test_a_healthy_namespace_gives_no_findings():
    assert build.analyze(build.healthy("cart"), build.healthy("payment")) == []


def test_a_container_killed_for_memory_is_found_with_its_limit_and_workload():
    world = cart(
        build.waiting("CrashLoopBackOff"), last=build.terminated("OOMKilled", 137), restarts=3, pods=2, ready=False
    )

    found = one(build.analyze(world), "container.oom_killed")

    assert found.statement == (
        "Container cart of Deployment shop/cart was killed for exceeding its memory limit of 128Mi; "
        "6 restarts in 2 pods."
    )
    assert str(found.subject) == "Deployment shop/cart [cart]"
    assert found.service == "cart"
    assert found.facts["limit_bytes"] == 128 * 1024 * 1024
    assert found.facts["restarts"] == 6
    assert found.field == "status.containerStatuses[name=cart].lastState.terminated.reason"
    assert found.query == 'kubernetes.inventory {"namespace": "shop"}'


def test_a_kill_long_ago_of_a_container_that_is_well_now_is_no_news():
    past = build.terminated("OOMKilled", 137, build.ago(minutes=300))

    assert build.analyze(cart(last=past, restarts=1)) == []


def test_a_bare_137_under_a_limit_is_reported_as_a_kill_without_a_reason():
    world = cart(build.waiting("CrashLoopBackOff"), last=build.terminated("Error", 137), restarts=2, ready=False)

    assert codes(build.analyze(world)) == ["container.killed"]


def test_a_137_after_a_failed_liveness_probe_is_the_probes_doing_not_the_limits():
    world = cart(build.waiting("CrashLoopBackOff"), last=build.terminated("Error", 137), restarts=4, ready=False)
    name = world["pods"][0]["metadata"]["name"]
    world["events"] = [
        build.event("Pod", name, "Killing", "Container cart failed liveness probe, will be restarted"),
        build.event("Pod", name, "Unhealthy", "Liveness probe failed: context deadline exceeded"),
    ]

    (found,) = build.analyze(world)

    assert found.code == "container.liveness_failed"
    assert found.quote == "Liveness probe failed: context deadline exceeded"


def test_an_image_that_cannot_be_pulled_is_found_with_the_kubelets_words():
    words = 'Back-off pulling image "shop/cart:nope": not found'
    world = cart(build.waiting("ImagePullBackOff", words))
    world["pods"][0]["spec"] = build.template(image="registry.example:5000/shop/cart:nope")["spec"]

    found = one(build.analyze(world), "container.image_unavailable")

    assert (found.facts["repository"], found.facts["tag"]) == ("registry.example:5000/shop/cart", "nope")
    assert found.quote == words
    assert "cannot be pulled" in found.statement


@pytest.mark.parametrize(("words", "kind", "name", "key"), CONFIG_WORDS)
def test_missing_configuration_is_read_from_the_kubelets_words(words, kind, name, key):
    found = one(build.analyze(cart(build.waiting("CreateContainerConfigError", words))), "config.missing")

    facts = found.facts
    assert (facts["source_kind"], facts["source_name"], facts["missing_key"]) == (kind, name, key)
    assert found.quote == words


def test_a_volume_that_cannot_be_mounted_names_the_missing_secret():
    world = cart(build.waiting("ContainerCreating"))
    name = world["pods"][0]["metadata"]["name"]
    words = 'MountVolume.SetUp failed for volume "tls" : secret "tls-cert" not found'
    world["events"] = [build.event("Pod", name, "FailedMount", words)]

    found = one(build.analyze(world), "config.missing")

    assert found.statement == "Deployment shop/cart cannot start: Secret shop/tls-cert does not exist."


def test_a_missing_key_of_a_volume_is_completed_from_the_pods_volumes():
    world = cart(build.waiting("ContainerCreating"))
    pod = world["pods"][0]
    pod["spec"] = {**pod["spec"], "volumes": [{"name": "conf", "configMap": {"name": "nginx"}}]}
    words = 'MountVolume.SetUp failed for volume "conf" : references non-existent config key: site.conf'
    world["events"] = [build.event("Pod", pod["metadata"]["name"], "FailedMount", words)]

    facts = one(build.analyze(world), "config.missing").facts

    assert (facts["source_name"], facts["missing_key"]) == ("nginx", "site.conf")


def test_mount_events_of_a_pod_that_runs_are_history():
    world = cart()
    name = world["pods"][0]["metadata"]["name"]
    world["events"] = [build.event("Pod", name, "FailedMount", 'secret "tls-cert" not found')]

    assert build.analyze(world) == []


def test_a_crash_loop_is_found_with_its_exit_code_and_first_time():
    world = cart(
        build.waiting("CrashLoopBackOff"), last=build.terminated("Error", 2), restarts=4, limit="", ready=False
    )
    name = world["pods"][0]["metadata"]["name"]
    world["events"] = [build.event("Pod", name, "BackOff", "Back-off restarting", first=build.ago(seconds=50))]

    found = one(build.analyze(world), "container.crash_loop")

    assert found.value == 2
    assert found.happened_at == build.START.replace(hour=2, minute=59, second=10)
    assert found.facts["restarts"] == 4


def test_a_job_that_ended_well_gives_nothing():
    world = cart(build.terminated("Completed", 0), limit="")
    world["pods"][0]["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "migrate", "controller": True}]

    assert [code for code in codes(build.analyze(world)) if not code.startswith("deployment")] == []


def test_a_pod_that_is_being_deleted_is_left_alone():
    world = cart(build.terminated("Error", 143), limit="", restarts=1, ready=False)
    world["pods"][0]["metadata"]["deletionTimestamp"] = build.ago(seconds=1)

    assert build.analyze(world) == []


def test_an_unschedulable_pod_names_what_is_lacking():
    world = cart(build.waiting("x"))
    world["pods"][0]["status"]["conditions"] = [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 1 Insufficient memory, 3 Insufficient cpu.",
            "lastTransitionTime": build.ago(),
        }
    ]

    found = one(build.analyze(world), "pod.unschedulable")

    assert found.facts["lacking"] == ["cpu", "memory"]
    assert found.statement == "1 pod of Deployment shop/cart cannot be placed on any node for lack of cpu and memory."


def test_a_pod_that_runs_but_fails_its_readiness_probe_is_found():
    world = cart(ready=False, pods=2)
    world["events"] = [
        build.event("Pod", pod["metadata"]["name"], "Unhealthy", "Readiness probe failed: statuscode: 503")
        for pod in world["pods"]
    ]

    found = one(build.analyze(world), "pod.not_ready")

    assert found.statement == "2 pods of Deployment shop/cart run but fail their readiness probe."
    assert found.quote == "Readiness probe failed: statuscode: 503"


def test_a_pod_without_an_owner_is_its_own_workload():
    world = cart(build.waiting("CrashLoopBackOff"), last=build.terminated("OOMKilled", 137), restarts=2, ready=False)
    world["pods"][0]["metadata"]["ownerReferences"] = []

    found = one(build.analyze(world), "container.oom_killed")

    assert found.subject.kind == "Pod"
    assert found.service is None


def test_words_of_the_cluster_are_quoted_with_hidden_characters_shown():
    world = cart(build.waiting("ImagePullBackOff", "not\u202efound\n\x1b[31m"))

    assert one(build.analyze(world), "container.image_unavailable").quote == "not<U+202E>found <U+001B>[31m"


def test_a_service_that_is_known_by_another_name_keeps_that_name():
    service = build.known("basket").model_copy(update={"workload": build.known("cart").workload})
    world = cart(build.waiting("ImagePullBackOff"))

    assert one(build.analyze(world, services=[service]), "container.image_unavailable").service == "basket"


def test_the_same_state_read_twice_gives_the_same_findings():
    world = cart(build.waiting("ImagePullBackOff", "no"), pods=3)

    assert build.analyze(world) == build.analyze(world)


def test_an_inventory_that_lacks_everything_gives_nothing():
    assert build.analyze({"namespace": None}) == []
