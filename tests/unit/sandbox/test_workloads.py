"""StatefulSets, DaemonSets, Jobs and CronJobs: what their controllers do, in which order and words."""

import pytest

from support.cluster import running
from toban_sandbox.kube import deletion, kinds


@pytest.fixture
async def cluster():
    async with running() as found:
        yield found


def condition(obj, kind):
    return next((one for one in obj["status"].get("conditions", []) if one["type"] == kind), None)


def template(app, image="nginx:1.27", **more):
    container = {"name": "app", "image": image, **more.pop("container", {})}
    return {"metadata": {"labels": {"app": app}, **more.pop("meta", {})}, "spec": {"containers": [container], **more}}


def workload(name, pod=None, **spec):
    selector = {"matchLabels": {"app": name}}
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": selector, "template": pod or template(name), **spec},
    }


def job(name="migrate", image="busybox:1.36", *, meta=None, policy="Never", **spec):
    pod = {"metadata": meta or {}, "spec": {"restartPolicy": policy, "containers": [{"name": "m", "image": image}]}}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"template": pod, **spec}}


def failing(code=3):
    return {"annotations": {"sim.toban/exit": str(code)}}


def get(cluster, resource, name):
    return cluster.store.get(resource, "shop", name)


def delete(cluster, resource, name, **options):
    obj = get(cluster, resource, name)
    return deletion.delete(cluster.store, kinds.stored(resource), obj, deletion.Options(**options))


def names(cluster, resource="pods"):
    return [one["metadata"]["name"] for one in cluster.store.list(resource, "shop")]


def change(cluster, resource, name, **spec):
    known = get(cluster, resource, name)
    return cluster.store.update(resource, known | {"spec": known["spec"] | spec})


# -- StatefulSets -----------------------------------------------------------------------------------------------------
async def stateful(cluster, replicas=2, **more):
    cluster.store.create("statefulsets", workload("db", serviceName="db", replicas=replicas, **more))
    await cluster.until(lambda: get(cluster, "statefulsets", "db")["status"].get("readyReplicas") == replicas)


async def test_a_statefulset_starts_its_pods_one_after_the_other(cluster):
    cluster.store.create("statefulsets", workload("db", serviceName="db", replicas=2))
    await cluster.pass_time(0.5)
    assert names(cluster) == ["db-0"]
    await cluster.until(lambda: names(cluster) == ["db-0", "db-1"])
    first = get(cluster, "pods", "db-0")
    assert first["status"]["phase"] == "Running"
    assert first["spec"]["hostname"] == "db-0"
    assert first["spec"]["subdomain"] == "db"
    assert first["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "0"
    created = [event["message"] for event in cluster.events("SuccessfulCreate")]
    assert "Create Pod db-0 in StatefulSet db successful" in created


async def test_a_statefulset_reports_like_a_real_one(cluster):
    await stateful(cluster)
    await cluster.pass_time(0.2)
    status = get(cluster, "statefulsets", "db")["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert {name: status[name] for name in ("replicas", "currentReplicas", "updatedReplicas", "availableReplicas")} == {
        "replicas": 2,
        "currentReplicas": 2,
        "updatedReplicas": 2,
        "availableReplicas": 2,
    }


async def test_every_pod_of_a_statefulset_keeps_its_own_claim(cluster):
    cluster.store.create("storageclasses", {"metadata": {"name": "fast"}, "provisioner": "rancher.io/local-path"})
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    await stateful(cluster, volumeClaimTemplates=[claim])
    assert names(cluster, "persistentvolumeclaims") == ["data-db-0", "data-db-1"]
    volumes = get(cluster, "pods", "db-1")["spec"]["volumes"]
    assert volumes[0] == {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}}
    change(cluster, "statefulsets", "db", replicas=1)
    await cluster.until(lambda: names(cluster) == ["db-0"])
    assert names(cluster, "persistentvolumeclaims") == ["data-db-0", "data-db-1"]


async def test_an_update_replaces_pods_from_the_last_down_to_the_partition(cluster):
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    await stateful(cluster, updateStrategy=strategy)
    change(cluster, "statefulsets", "db", template=template("db", "nginx:1.28"))
    await cluster.pass_time(10)
    images = [get(cluster, "pods", name)["spec"]["containers"][0]["image"] for name in ("db-0", "db-1")]
    assert images == ["nginx:1.27", "nginx:1.28"]
    change(cluster, "statefulsets", "db", updateStrategy={"type": "RollingUpdate"})
    await cluster.until(lambda: get(cluster, "statefulsets", "db")["status"].get("updatedReplicas") == 2)


async def test_a_broken_update_stops_at_the_last_pod_until_somebody_deletes_it(cluster):
    await stateful(cluster)
    change(cluster, "statefulsets", "db", template=template("db", "nginx:does-not-exist"))
    await cluster.pass_time(8)
    change(cluster, "statefulsets", "db", template=template("db", "nginx:1.27"))
    await cluster.pass_time(8)
    assert get(cluster, "pods", "db-0")["status"]["phase"] == "Running"
    assert get(cluster, "pods", "db-1")["spec"]["containers"][0]["image"] == "nginx:does-not-exist"
    delete(cluster, "pods", "db-1")
    await cluster.until(lambda: get(cluster, "statefulsets", "db")["status"].get("readyReplicas") == 2)


async def test_a_parallel_statefulset_starts_all_at_once(cluster):
    cluster.store.create("statefulsets", workload("db", serviceName="db", replicas=3, podManagementPolicy="Parallel"))
    await cluster.pass_time(0.2)
    assert names(cluster) == ["db-0", "db-1", "db-2"]


# -- DaemonSets -------------------------------------------------------------------------------------------------------
async def daemon(cluster, **spec):
    cluster.store.create("daemonsets", workload("agent", **spec))
    await cluster.pass_time(3)
    return get(cluster, "daemonsets", "agent")


async def test_a_daemonset_has_one_pod_on_every_node(cluster):
    status = (await daemon(cluster))["status"]
    assert sorted(pod["spec"]["nodeName"] for pod in cluster.pods("agent")) == ["node-1", "node-2", "node-3"]
    assert (status["desiredNumberScheduled"], status["numberReady"], status["updatedNumberScheduled"]) == (3, 3, 3)


async def test_a_daemonset_follows_its_node_selector_and_bears_a_cordon(cluster):
    node = cluster.store.get("nodes", None, "node-1")
    labelled = node | {"metadata": node["metadata"] | {"labels": {**node["metadata"]["labels"], "disk": "ssd"}}}
    cluster.store.update("nodes", labelled | {"spec": node["spec"] | {"unschedulable": True}})
    status = (await daemon(cluster, template=template("agent", nodeSelector={"disk": "ssd"})))["status"]
    assert status["desiredNumberScheduled"] == 1
    assert [pod["spec"]["nodeName"] for pod in cluster.pods("agent")] == ["node-1"]


async def test_a_daemonset_is_updated_node_by_node(cluster):
    await daemon(cluster)
    change(cluster, "daemonsets", "agent", template=template("agent", "nginx:1.28"))
    least = 3
    for _ in range(200):
        await cluster.pass_time(0.1)
        status = get(cluster, "daemonsets", "agent")["status"]
        least = min(least, status["numberReady"])
        if status.get("updatedNumberScheduled") == 3 and status["numberReady"] == 3:
            break
    assert status["updatedNumberScheduled"] == 3
    assert least == 2
    assert len(names(cluster, "controllerrevisions")) == 2


async def test_a_daemon_that_no_node_has_room_for_names_the_one_it_is_meant_for(cluster):
    pod = template("agent", container={"resources": {"requests": {"cpu": "64"}}})
    await daemon(cluster, template=pod)
    message = cluster.events("FailedScheduling")[0]["message"]
    assert message == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
        "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    )


# -- Jobs -------------------------------------------------------------------------------------------------------------
async def test_a_job_that_succeeds_is_complete(cluster):
    cluster.store.create("jobs", job())
    await cluster.until(lambda: condition(get(cluster, "jobs", "migrate"), "Complete"))
    found = get(cluster, "jobs", "migrate")
    assert condition(found, "Complete")["reason"] == "CompletionsReached"
    assert found["status"]["succeeded"] == 1
    assert found["status"]["completionTime"]
    assert cluster.events("Completed")[0]["message"] == "Job completed"


async def test_a_job_that_keeps_failing_reaches_its_limit(cluster):
    cluster.store.create("jobs", job(meta=failing(), backoffLimit=1))
    await cluster.until(lambda: condition(get(cluster, "jobs", "migrate"), "Failed"))
    found = get(cluster, "jobs", "migrate")
    assert found["status"]["failed"] == 2
    assert condition(found, "FailureTarget")["reason"] == "BackoffLimitExceeded"
    assert condition(found, "Failed")["message"] == "Job has reached the specified backoff limit"
    assert cluster.events("BackoffLimitExceeded")[0]["type"] == "Warning"


async def test_a_job_that_takes_too_long_misses_its_deadline(cluster):
    slow = job(image="nginx:does-not-exist", activeDeadlineSeconds=5)
    cluster.store.create("jobs", slow)
    await cluster.until(lambda: condition(get(cluster, "jobs", "migrate"), "Failed"))
    assert condition(get(cluster, "jobs", "migrate"), "Failed")["reason"] == "DeadlineExceeded"
    await cluster.pass_time(1)
    assert not cluster.store.list("pods", "shop")


async def test_a_job_runs_so_many_pods_at_once_and_no_more_than_it_needs(cluster):
    cluster.store.create("jobs", job(completions=5, parallelism=2))
    most = 0
    for _ in range(150):
        await cluster.pass_time(0.1)
        most = max(most, get(cluster, "jobs", "migrate")["status"].get("active", 0))
        if condition(get(cluster, "jobs", "migrate"), "Complete"):
            break
    assert get(cluster, "jobs", "migrate")["status"]["succeeded"] == 5
    assert most == 2
    assert len(names(cluster)) == 5


async def test_an_indexed_job_runs_every_index_once(cluster):
    cluster.store.create("jobs", job(completions=3, parallelism=3, completionMode="Indexed"))
    await cluster.until(lambda: condition(get(cluster, "jobs", "migrate"), "Complete"))
    assert get(cluster, "jobs", "migrate")["status"]["completedIndexes"] == "0-2"


async def test_a_suspended_job_has_no_pods_until_it_is_resumed(cluster):
    cluster.store.create("jobs", job(suspend=True))
    await cluster.pass_time(1)
    assert names(cluster) == []
    assert condition(get(cluster, "jobs", "migrate"), "Suspended")["reason"] == "JobSuspended"
    change(cluster, "jobs", "migrate", suspend=False)
    await cluster.until(lambda: condition(get(cluster, "jobs", "migrate"), "Complete"))


async def test_a_job_goes_when_its_time_after_the_end_is_over(cluster):
    cluster.store.create("jobs", job(ttlSecondsAfterFinished=3))
    await cluster.until(lambda: condition(get(cluster, "jobs", "migrate"), "Complete"))
    await cluster.until(lambda: get(cluster, "jobs", "migrate") is None)
    await cluster.until(lambda: names(cluster) == [])


# -- CronJobs ---------------------------------------------------------------------------------------------------------
def cronjob(schedule="* * * * *", **spec):
    inner = job(meta=spec.pop("meta", None), image=spec.pop("image", "busybox:1.36"))["spec"]
    return {
        "metadata": {"name": "report", "namespace": "shop"},
        "spec": {"schedule": schedule, "jobTemplate": {"spec": inner}, **spec},
    }


async def minutes(cluster, count):
    for _ in range(count * 12):
        cluster.clock.advance(5)
        await cluster.turns(30)


async def test_a_cronjob_starts_a_job_each_minute_and_keeps_a_short_history(cluster):
    cluster.store.create("cronjobs", cronjob(successfulJobsHistoryLimit=2))
    await minutes(cluster, 5)
    found = get(cluster, "cronjobs", "report")
    assert len(names(cluster, "jobs")) <= 3
    assert found["status"]["lastSuccessfulTime"]
    assert found["status"]["lastScheduleTime"]
    assert cluster.events("SuccessfulCreate")
    saw = [event["message"] for event in cluster.events("SawCompletedJob")]
    assert saw[0].startswith("Saw completed job: report-")
    assert saw[0].endswith(", condition: Complete")


async def test_a_cronjob_that_forbids_company_waits_for_the_job_before(cluster):
    cluster.store.create("cronjobs", cronjob(concurrencyPolicy="Forbid", image="nginx:does-not-exist"))
    await minutes(cluster, 4)
    assert len(names(cluster, "jobs")) == 1
    assert "Not starting job because prior execution is running" in cluster.events("JobAlreadyActive")[0]["message"]


async def test_a_suspended_cronjob_starts_nothing(cluster):
    cluster.store.create("cronjobs", cronjob(suspend=True))
    await minutes(cluster, 3)
    assert names(cluster, "jobs") == []


async def test_deleting_a_cronjob_takes_its_jobs_and_their_pods_along(cluster):
    cluster.store.create("cronjobs", cronjob())
    await minutes(cluster, 2)
    delete(cluster, "cronjobs", "report", policy="Background")
    await cluster.until(lambda: not names(cluster, "jobs") and not names(cluster))


# -- refusals ---------------------------------------------------------------------------------------------------------
BATCH, APPS = "/apis/batch/v1/namespaces/shop", "/apis/apps/v1/namespaces/shop"


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        (
            f"{BATCH}/jobs",
            job(policy="Always"),
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        ),
        (
            f"{BATCH}/jobs",
            job(parallelism=-1),
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            f"{BATCH}/cronjobs",
            cronjob("every day"),
            'spec.schedule: Invalid value: "every day": expected exactly 5 fields, found 2: [every day]',
        ),
        (
            f"{BATCH}/cronjobs",
            cronjob(timeZone="Mars/Olympus"),
            'spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus',
        ),
        (
            f"{APPS}/statefulsets",
            workload("db", podManagementPolicy="Random"),
            'spec.podManagementPolicy: Unsupported value: "Random": supported values: "OrderedReady", "Parallel"',
        ),
    ],
)
async def test_what_is_no_workload_is_refused_in_kubernetes_words(cluster, path, body, why):
    async with cluster.client() as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["message"].endswith(f"is invalid: {why}")


async def test_a_statefulset_mounts_the_volumes_of_its_claims(cluster):
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    claim["spec"]["resources"] = {"requests": {"storage": "1Gi"}}
    pod = template("db", container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]})
    body = workload("db", pod, serviceName="db", volumeClaimTemplates=[claim])
    headers = {"content-type": "application/merge-patch+json"}
    async with cluster.client() as client:
        made = await client.post(f"{APPS}/statefulsets", json=body)
        refused = await client.patch(f"{APPS}/statefulsets/db", json={"spec": {"serviceName": "x"}}, headers=headers)
    assert made.status_code == 201
    assert refused.json()["message"].startswith(
        'StatefulSet.apps "db" is invalid: spec: Forbidden: updates to statefulset spec for fields other than'
    )


async def test_the_template_and_size_of_a_job_are_fixed(cluster):
    cluster.store.create("jobs", job())
    headers = {"content-type": "application/merge-patch+json"}
    async with cluster.client() as client:
        answer = await client.patch(f"{BATCH}/jobs/migrate", json={"spec": {"completions": 5}}, headers=headers)
    assert answer.json()["message"] == (
        'Job.batch "migrate" is invalid: spec.completions: Invalid value: 5: field is immutable'
    )
