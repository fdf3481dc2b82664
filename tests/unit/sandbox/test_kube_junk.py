"""Whatever a client sends, the answer is a refusal in the API's own form, never an error of the server."""

import json
import random

import pytest

from support.cluster import deployment, running

JUNK = [None, True, -1, 3.5, "", "x", [], {}, ["a"], {"a": 1}, [None], {"$patch": "x"}, [{"$patch": "replace"}], "1Mi"]
DIRECTIVES = ["$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "name"]
CONTAINER = {
    "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}],
    "ports": [{"containerPort": 80, "name": "http"}],
    "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "100m"}},
    "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
}
OBJECTS = {
    "/apis/apps/v1/namespaces/shop/deployments": deployment("web", container=CONTAINER),
    "/api/v1/namespaces/shop/configmaps": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "web", "labels": {"a": "b"}, "finalizers": ["a/b"]},
        "data": {"a": "b"},
    },
    "/api/v1/namespaces/shop/services": {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "a", "port": 80, "targetPort": "http"}]},
    },
}
PATCHES = ["merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml", "json-patch+json"]


def spoiled(obj, chance):
    """A copy of the object with junk in a place or two."""
    obj = json.loads(json.dumps(obj))
    for _ in range(chance.randint(1, 2)):
        node, parent = obj, None
        while isinstance(node, dict | list) and node and chance.random() < 0.8:
            key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
            parent, node = (node, key), node[key]
        if parent is None:
            continue
        place, key = parent
        if isinstance(place, dict) and chance.random() < 0.3:
            key = chance.choice(DIRECTIVES)
        place[key] = json.loads(json.dumps(chance.choice(JUNK)))
    return obj


@pytest.mark.parametrize("seed", range(4))
async def test_junk_is_never_an_error_of_the_server(seed):
    chance = random.Random(seed)
    async with running() as cluster, cluster.client() as client:
        for path, obj in OBJECTS.items():
            assert (await client.post(path, json=obj)).status_code == 201
        for number in range(150):
            path, obj = chance.choice(list(OBJECTS.items()))
            body = spoiled(obj, chance)
            target, way = f"{path}/web", chance.choice(["post", "put", "delete", *PATCHES])
            if way == "post":
                answer = await client.post(path, json=body)
            elif way in {"put", "delete"}:
                answer = await client.request(way.upper(), target, json=body)
            else:
                body = [{"op": "add", "path": "/spec", "value": body}] if way.startswith("json") else body
                headers = {"Content-Type": f"application/{way}"}
                answer = await client.patch(target, json=body, headers=headers, params={"fieldManager": "junk"})
            assert answer.status_code < 500, (way, path, body, answer.text)
            if number % 25 == 0:
                await cluster.pass_time(0.2)
