"""A small Kubernetes API in memory, behind httpx2's mock transport: enough to hold the actions against."""

import copy
import json
from collections.abc import Callable, Iterator

import httpx2
import pytest

from toban.integrations.kubernetes import Settings
from toban.integrations.kubernetes import api as kubernetes_api
from toban.integrations.kubernetes.provider import KubernetesActions
from toban.integrations.prometheus import client as prometheus_client
from toban.plugins.action import gate_open

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: fake
clusters: [{name: fake, cluster: {server: "https://fake.example:6443"}}]
users: [{name: fake, user: {token: not-a-real-token}}]
contexts: [{name: fake, context: {cluster: fake, user: fake}}]
"""


def status(code, message, reason="", **headers):
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}
    return httpx2.Response(code, json={**body, "code": code}, headers=headers)


class FakeCluster:
    """Objects by path. `fault` may answer or raise instead; `after` does so once the request was carried out."""

    def __init__(self):
        self.objects = {}
        self.revision = 100
        self.requests = []
        self.fault: Callable[[httpx2.Request], httpx2.Response | None] = lambda _: None
        self.after: Callable[[httpx2.Request], httpx2.Response | None] = lambda _: None
        self.allowed = True
        self.logs = {}
        self.warnings = {}
        self.transport = httpx2.MockTransport(self.answer)

    def put(self, path, obj):
        self.revision += 1
        obj = copy.deepcopy(obj)
        meta = obj.setdefault("metadata", {})
        meta["name"] = path.rsplit("/", 1)[1]
        meta.setdefault("uid", f"uid-{self.revision}")
        meta["resourceVersion"] = str(self.revision)
        meta["managedFields"] = [{"manager": "somebody"}]
        self.objects[path] = obj
        return obj

    def change(self, path, edit):
        obj = copy.deepcopy(self.objects[path])
        edit(obj)
        return self.put(path, obj)

    async def answer(self, request):
        self.requests.append(request)
        found = self.fault(request)
        if found is not None:
            return found
        answer = self._carry_out(request)
        instead = self.after(request)
        return answer if instead is None else instead

    def _carry_out(self, request):
        path, dry = request.url.path.lstrip("/"), request.url.params.get("dryRun") == "All"
        if path.endswith("selfsubjectaccessreviews"):
            asked = json.loads(request.content)
            return httpx2.Response(201, json={**asked, "status": {"allowed": self.allowed, "reason": "by the fake"}})
        if path.endswith("/log"):
            return self.logs.get(path) or status(404, "pods not found", "NotFound")
        return {"GET": self._get, "PATCH": self._patch, "POST": self._post}[request.method](request, path, dry)

    def _get(self, request, path, dry):
        if path in self.objects:
            return httpx2.Response(200, json=self.objects[path])
        if path.rsplit("/", 1)[1] in {"pods", "replicasets", "nodes", "deployments", "services", "configmaps"}:
            return self._page(request, path)
        if path.rsplit("/", 1)[1] in {"events", "namespaces"}:
            return self._page(request, path)
        kind, name = path.rsplit("/", 2)[1:]
        return status(404, f'{kind} "{name}" not found', "NotFound")

    def _page(self, request, path):
        found = [obj for key, obj in sorted(self.objects.items()) if key.rsplit("/", 1)[0] == path]
        start, limit = int(request.url.params.get("continue", 0)), int(request.url.params["limit"])
        more = {"continue": str(start + limit)} if start + limit < len(found) else {}
        return httpx2.Response(200, json={"metadata": more, "items": found[start : start + limit]})

    def _patch(self, request, path, dry):
        if path not in self.objects:
            return status(404, "not found", "NotFound")
        obj = copy.deepcopy(self.objects[path])
        for operation in json.loads(request.content):
            *parents, last = [part.replace("~1", "/") for part in operation["path"].split("/")[1:]]
            place = obj
            for part in parents:
                place = place[part]
            place[last] = operation["value"]
        if obj["metadata"]["resourceVersion"] != self.objects[path]["metadata"]["resourceVersion"]:
            return status(409, "the object has been modified", "Conflict")
        return httpx2.Response(200, json=obj if dry else self._moved_on(path, obj), headers=self.warnings)

    def _moved_on(self, path, obj):
        obj["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1
        return self.put(path, obj)

    def _post(self, request, path, dry):
        obj = json.loads(request.content)
        full = f"{path}/{obj['metadata']['name']}"
        if full in self.objects:
            return status(409, f'configmaps "{obj["metadata"]["name"]}" already exists', "AlreadyExists")
        return httpx2.Response(201, json=obj if dry else self.put(full, obj))

    @property
    def writes(self):
        reviews = "selfsubjectaccessreviews"
        changing = [one for one in self.requests if one.method != "GET" and reviews not in one.url.path]
        return [one for one in changing if "dryRun" not in one.url.params]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """Tries follow each other at once: no test here is about how long the pause is."""
    monkeypatch.setattr(kubernetes_api, "PAUSE_S", 0.001)
    monkeypatch.setattr(prometheus_client, "PAUSE_S", 0.001)


@pytest.fixture
def kubeconfig(tmp_path):
    path = tmp_path / "kubeconfig.yaml"
    path.write_text(KUBECONFIG)
    return path


@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def refusal():
    return status


@pytest.fixture
async def kubernetes(cluster, kubeconfig):
    """The actions by name, connected to the fake cluster; the gate is open."""
    provider = KubernetesActions(Settings(kubeconfig=kubeconfig, timeout_s=2), transport=cluster.transport)
    with gate_open():
        yield {action.spec.name: action for action in provider.actions()}
    await provider.close()


@pytest.fixture
def kubernetes_parameters(kubeconfig):
    """Each action's parameters by the action's name; nothing is connected."""
    return {one.spec.name: one.parameters for one in KubernetesActions(Settings(kubeconfig=kubeconfig)).actions()}


def template(image, *, limit="128Mi", request="64Mi", labels=None):
    resources = {"limits": {"memory": limit}, "requests": {"memory": request, "cpu": "50m"}}
    container = {"name": "app", "image": image, "resources": resources, "env": [{"name": "MODE", "value": "full"}]}
    spec = {"containers": [container, {"name": "sidecar", "image": "shop/proxy:1"}]}
    return {"metadata": {"labels": {"app": "cart", **(labels or {})}}, "spec": spec}


DEPLOYMENT = "apis/apps/v1/namespaces/shop/deployments/cart"


def _revision(cluster, number, image, owner, cause):
    path = f"apis/apps/v1/namespaces/shop/replicasets/cart-{number}"
    notes = {"deployment.kubernetes.io/revision": str(number), "kubernetes.io/change-cause": cause}
    meta = {"annotations": notes, "ownerReferences": [{"uid": owner, "controller": True}]}
    hashed = template(image, labels={"pod-template-hash": f"hash{number}"})
    return cluster.put(path, {"metadata": meta, "spec": {"template": hashed}})


@pytest.fixture
def cart(cluster) -> Iterator[str]:
    """Deployment shop/cart, three replicas, healthy, at revision 3 (shop/cart:3) of three; a node of 8Gi."""
    deployment = cluster.put(
        DEPLOYMENT,
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "namespace": "shop",
                "generation": 3,
                "labels": {"app": "cart"},
                "annotations": {"deployment.kubernetes.io/revision": "3", "kubernetes.io/change-cause": "release 3"},
            },
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "cart"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "template": template("shop/cart:3"),
            },
            "status": {"observedGeneration": 3, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3},
        },
    )
    for number in (1, 2, 3):
        _revision(cluster, number, f"shop/cart:{number}", deployment["metadata"]["uid"], f"release {number}")
    cluster.put("api/v1/nodes/node-1", {"status": {"allocatable": {"memory": "8Gi"}}})
    return DEPLOYMENT
