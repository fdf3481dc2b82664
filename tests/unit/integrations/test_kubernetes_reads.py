"""Kubernetes' read actions against a small API in memory."""

import httpx2
import pytest

from toban.errors import UpstreamError, UpstreamRefusedError

LOG = "api/v1/namespaces/shop/pods/cart-1/log"
WHICH = {"namespace": "shop", "pod": "cart-1", "container": "app"}


async def read(kubernetes, action, **params):
    found = kubernetes[f"kubernetes.{action}"]
    return await found.read(found.parameters(**params))


async def test_the_inventory_holds_every_kind_as_the_api_gives_it(kubernetes, cluster, cart):
    cluster.put("api/v1/namespaces/shop", {"metadata": {"labels": {"environment": "staging"}}})
    cluster.put("api/v1/namespaces/shop/configmaps/cfg", {"data": {"a": "b"}})
    found = await read(kubernetes, "inventory", namespace="shop")
    assert found["namespace"]["metadata"]["labels"] == {"environment": "staging"}
    assert [one["metadata"]["name"] for one in found["replicasets"]] == ["cart-1", "cart-2", "cart-3"]
    assert found["configmaps"][0]["data"] == {"a": "b"}
    assert found["deployments"][0]["spec"] == cluster.objects[cart]["spec"]
    assert (found["pods"], found["missing"], found["read_at"][-6:]) == ([], [], "+00:00")
    assert "managedFields" not in str(found)


async def test_secrets_are_never_asked_for(kubernetes, cluster):
    cluster.put("api/v1/namespaces/shop", {})
    await read(kubernetes, "inventory", namespace="shop")
    assert not any("secrets" in request.url.path for request in cluster.requests)


async def test_an_account_without_cluster_rights_gets_the_rest_and_is_told(kubernetes, cluster, cart, refusal):
    cluster.put("api/v1/namespaces/shop", {})
    cluster.fault = lambda request: refusal(403, "no nodes for you") if request.url.path.endswith("/nodes") else None
    found = await read(kubernetes, "inventory", namespace="shop")
    assert (found["nodes"], len(found["deployments"])) == ([], 1)
    assert found["missing"][0].startswith("nodes: no nodes for you")


async def test_an_inventory_without_pods_is_none(kubernetes, cluster, refusal):
    cluster.put("api/v1/namespaces/shop", {})
    for code, kind in ((403, UpstreamRefusedError), (503, UpstreamError)):
        trouble = refusal(code, "no")
        cluster.fault = lambda request, trouble=trouble: trouble if request.url.path.endswith("/pods") else None
        with pytest.raises(UpstreamError) as caught:
            await read(kubernetes, "inventory", namespace="shop")
        assert type(caught.value) is kind


async def test_a_namespace_that_does_not_exist_is_refused(kubernetes):
    with pytest.raises(UpstreamRefusedError, match="not found"):
        await read(kubernetes, "inventory", namespace="nope")


async def test_namespaces_come_with_their_labels(kubernetes, cluster):
    cluster.put("api/v1/namespaces/shop", {"metadata": {"labels": {"environment": "staging"}}})
    cluster.put("api/v1/namespaces/bare", {"status": {"phase": "Active"}})
    assert await read(kubernetes, "namespaces") == [
        {"name": "bare", "labels": {}, "phase": "Active"},
        {"name": "shop", "labels": {"environment": "staging"}, "phase": ""},
    ]


async def test_logs_come_as_lines_the_last_ones_only(kubernetes, cluster):
    cluster.logs[LOG] = httpx2.Response(200, content=b"one\ntwo\r\n\nlast\n")
    assert await read(kubernetes, "pod_logs", **WHICH) == {"lines": ["one", "two", "", "last"]}
    asked = dict(cluster.requests[-1].url.params)
    assert {**asked, "limitBytes": ""} == {
        "container": "app", "previous": "false", "tailLines": "100", "limitBytes": "",
    }  # fmt: skip
    assert await read(kubernetes, "pod_logs", **WHICH, tail=2) == {"lines": ["", "last"]}


async def test_a_line_without_end_is_cut_and_broken_bytes_do_no_harm(kubernetes, cluster):
    cluster.logs[LOG] = httpx2.Response(200, content=b"x" * 10_000 + b"\n\xff\xfe")
    long, broken = (await read(kubernetes, "pod_logs", **WHICH))["lines"]
    assert len(long) == 4000
    assert broken == "\ufffd\ufffd"


@pytest.mark.parametrize(
    "words",
    [
        'previous terminated container "app" in pod "cart-1" not found',
        'container "app" in pod "cart-1" is waiting to start: trying and failing to pull image',
    ],
)
async def test_a_container_that_has_not_run_has_no_lines(kubernetes, cluster, refusal, words):
    cluster.logs[LOG] = refusal(400, words, "BadRequest")
    assert await read(kubernetes, "pod_logs", **WHICH, previous=True) == {"lines": [], "reason": words}


async def test_a_container_or_pod_that_is_not_there_is_refused(kubernetes, cluster, refusal):
    with pytest.raises(UpstreamRefusedError):
        await read(kubernetes, "pod_logs", **WHICH)
    cluster.logs[LOG] = refusal(400, "container app is not valid for pod cart-1", "BadRequest")
    with pytest.raises(UpstreamRefusedError, match="not valid"):
        await read(kubernetes, "pod_logs", **WHICH)


def test_more_than_500_lines_cannot_be_asked_for(kubernetes_parameters):
    with pytest.raises(ValueError, match="tail"):
        kubernetes_parameters["kubernetes.pod_logs"](**WHICH, tail=501)
