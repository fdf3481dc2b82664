"""Claims and volumes: bound, provisioned, refused, released; and where pods with volumes can run."""

import pytest

from support.cluster import deployment, running
from toban_sandbox.kube import deletion, kinds
from toban_sandbox.kube.errors import ApiError


@pytest.fixture
async def cluster():
    async with running() as found:
        yield found


def claim(name="data", *, size="1Gi", modes=("ReadWriteOnce",), **spec):
    resources = {"requests": {"storage": size}}
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"accessModes": list(modes), "resources": resources, **spec},
    }


def volume(name="disk", *, size="5Gi", modes=("ReadWriteOnce",), **spec):
    own = {"capacity": {"storage": size}, "accessModes": list(modes), "hostPath": {"path": "/data"}, **spec}
    return {"metadata": {"name": name}, "spec": own}


def storage_class(name="standard", **more):
    return {"metadata": {"name": name}, "provisioner": "ebs.csi.aws.com", **more}


def waiting_class(name="local"):
    return storage_class(name, volumeBindingMode="WaitForFirstConsumer", provisioner="rancher.io/local-path")


def using(name, claim_name="data"):
    mounts = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}]
    return deployment(name, pod={"volumes": volumes}, container=mounts)


def get_claim(cluster, name="data"):
    return cluster.store.get("persistentvolumeclaims", "shop", name)


def get_volume(cluster, name="disk"):
    return cluster.store.get("persistentvolumes", None, name)


def phase(obj):
    return obj["status"]["phase"]


def delete(cluster, resource, namespace, name):
    obj = cluster.store.get(resource, namespace, name)
    deletion.delete(cluster.store, kinds.stored(resource), obj, deletion.Options())


async def test_a_claim_takes_the_smallest_volume_that_suits_it(cluster):
    cluster.store.create("persistentvolumes", volume("large", size="50Gi"))
    cluster.store.create("persistentvolumes", volume("small", size="5Gi"))
    await cluster.pass_time(0.2)
    assert phase(get_volume(cluster, "small")) == "Available"
    cluster.store.create("persistentvolumeclaims", claim(storageClassName=""))
    await cluster.pass_time(0.2)
    assert phase(get_claim(cluster)) == "Bound"
    assert get_claim(cluster)["spec"]["volumeName"] == "small"
    assert get_claim(cluster)["status"]["capacity"] == {"storage": "5Gi"}
    assert phase(get_volume(cluster, "small")) == "Bound"


async def test_a_claim_without_a_class_and_a_volume_says_so(cluster):
    cluster.store.create("persistentvolumes", volume(size="1Gi"))
    cluster.store.create("persistentvolumeclaims", claim(size="10Gi"))
    await cluster.pass_time(0.3)
    assert phase(get_claim(cluster)) == "Pending"
    text = "no persistent volumes available for this claim and no storage class is set"
    assert cluster.events("FailedBinding")[0]["message"] == text


async def test_a_claim_of_a_class_that_is_not_there_waits_until_it_is(cluster):
    cluster.store.create("persistentvolumeclaims", claim(storageClassName="fast"))
    await cluster.pass_time(0.3)
    text = 'storageclass.storage.k8s.io "fast" not found'
    assert cluster.events("ProvisioningFailed")[0]["message"] == text
    cluster.store.create("storageclasses", storage_class("fast"))
    await cluster.until(lambda: phase(get_claim(cluster)) == "Bound")
    provisioned = get_volume(cluster, get_claim(cluster)["spec"]["volumeName"])
    assert provisioned["spec"]["csi"]["driver"] == "ebs.csi.aws.com"
    assert cluster.events("ProvisioningSucceeded")


async def test_the_default_class_is_given_to_claims_that_name_none(cluster):
    default = storage_class()
    default["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    cluster.store.create("storageclasses", default)
    cluster.store.create("persistentvolumeclaims", claim())
    assert get_claim(cluster)["spec"]["storageClassName"] == "standard"


async def test_a_claim_that_waits_for_a_pod_is_bound_where_the_pod_runs(cluster):
    cluster.store.create("storageclasses", waiting_class())
    cluster.store.create("persistentvolumeclaims", claim(storageClassName="local"))
    await cluster.pass_time(1)
    assert phase(get_claim(cluster)) == "Pending"
    assert cluster.events("WaitForFirstConsumer")[0]["message"] == (
        "waiting for first consumer to be created before binding"
    )
    cluster.store.create("deployments", using("web"))
    await cluster.until(lambda: cluster.rolled_out("web"))
    node = cluster.only_pod("web")["spec"]["nodeName"]
    terms = get_volume(cluster, get_claim(cluster)["spec"]["volumeName"])["spec"]["nodeAffinity"]["required"]
    assert terms["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == [node]


async def test_a_pod_whose_volume_hangs_on_a_cordoned_node_cannot_be_placed(cluster):
    cluster.store.create("storageclasses", waiting_class())
    cluster.store.create("persistentvolumeclaims", claim(storageClassName="local"))
    cluster.store.create("deployments", using("web"))
    await cluster.until(lambda: cluster.rolled_out("web"))
    pod = cluster.only_pod("web")
    node = cluster.store.get("nodes", None, pod["spec"]["nodeName"])
    cluster.store.update("nodes", node | {"spec": node["spec"] | {"unschedulable": True}})
    delete(cluster, "pods", "shop", pod["metadata"]["name"])
    await cluster.pass_time(2)
    assert cluster.events("FailedScheduling")[0]["message"].startswith(
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had volume node affinity conflict. "
    )


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere", 'persistentvolumeclaim "nowhere" not found'),
        ("data", "pod has unbound immediate PersistentVolumeClaims"),
    ],
)
async def test_a_pod_waits_for_its_claim_in_the_schedulers_words(cluster, name, why):
    cluster.store.create("persistentvolumeclaims", claim(storageClassName="fast"))
    cluster.store.create("deployments", using("web", name))
    await cluster.pass_time(0.5)
    assert cluster.events("FailedScheduling")[0]["message"] == (
        f"0/3 nodes are available: {why}. no new claims to deallocate, "
        "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    )


async def test_a_claim_in_use_stays_until_its_pod_is_gone(cluster):
    cluster.store.create("storageclasses", storage_class("fast"))
    cluster.store.create("persistentvolumeclaims", claim(storageClassName="fast"))
    cluster.store.create("deployments", using("web"))
    await cluster.until(lambda: cluster.rolled_out("web"))
    delete(cluster, "persistentvolumeclaims", "shop", "data")
    await cluster.pass_time(1)
    assert get_claim(cluster)["metadata"]["deletionTimestamp"]
    delete(cluster, "deployments", "shop", "web")
    await cluster.until(lambda: get_claim(cluster) is None)
    await cluster.until(lambda: not cluster.store.list("persistentvolumes"))


async def test_a_volume_that_is_kept_is_released_and_not_given_to_another_claim(cluster):
    cluster.store.create("persistentvolumes", volume())
    cluster.store.create("persistentvolumeclaims", claim(storageClassName=""))
    await cluster.until(lambda: phase(get_claim(cluster)) == "Bound")
    delete(cluster, "persistentvolumeclaims", "shop", "data")
    await cluster.until(lambda: phase(get_volume(cluster)) == "Released")
    cluster.store.create("persistentvolumeclaims", claim("again", storageClassName=""))
    await cluster.pass_time(0.5)
    assert phase(get_claim(cluster, "again")) == "Pending"
    known = get_volume(cluster)
    spec = {name: value for name, value in known["spec"].items() if name != "claimRef"}
    cluster.store.update("persistentvolumes", known | {"spec": spec})
    await cluster.until(lambda: phase(get_claim(cluster, "again")) == "Bound")


async def test_a_claim_whose_volume_is_gone_is_lost(cluster):
    cluster.store.create("persistentvolumes", volume())
    cluster.store.create("persistentvolumeclaims", claim(storageClassName=""))
    await cluster.until(lambda: phase(get_claim(cluster)) == "Bound")
    cluster.store.delete("persistentvolumes", None, "disk")
    await cluster.until(lambda: phase(get_claim(cluster)) == "Lost")
    assert cluster.events("ClaimLost")


async def test_only_claims_of_a_class_that_allows_it_can_grow(cluster):
    cluster.store.create("storageclasses", storage_class("fixed"))
    cluster.store.create("storageclasses", storage_class("elastic", allowVolumeExpansion=True))
    for name in ("fixed", "elastic"):
        cluster.store.create("persistentvolumeclaims", claim(name, storageClassName=name))
    await cluster.until(lambda: phase(get_claim(cluster, "fixed")) == phase(get_claim(cluster, "elastic")) == "Bound")
    patch = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    headers = {"content-type": "application/merge-patch+json"}
    async with cluster.client() as client:
        path = "/api/v1/namespaces/shop/persistentvolumeclaims"
        refused = await client.patch(f"{path}/fixed", json=patch, headers=headers)
        taken = await client.patch(f"{path}/elastic", json=patch, headers=headers)
    assert refused.status_code == 403
    assert refused.json()["message"] == (
        'persistentvolumeclaims "fixed" is forbidden: only dynamically provisioned pvc can be resized and the '
        "storageclass that provisions the pvc must support resize"
    )
    assert taken.status_code == 200
    await cluster.until(lambda: get_claim(cluster, "elastic")["status"]["capacity"] == {"storage": "2Gi"})


async def test_a_namespace_limits_what_its_claims_may_ask_for(cluster):
    limits = [{"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}}]
    cluster.store.create("limitranges", {"metadata": {"name": "l", "namespace": "shop"}, "spec": {"limits": limits}})
    with pytest.raises(ApiError, match="maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 5Gi"):
        cluster.store.create("persistentvolumeclaims", claim(size="5Gi"))
