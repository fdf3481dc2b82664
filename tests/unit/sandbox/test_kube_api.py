"""The API without sockets: reading, writing, refusing, watching, permissions, faults and the audit."""

import asyncio
import json
import time

import pytest

from support.cluster import deployment, running
from toban_sandbox.kube import presentation, requests, watching
from toban_sandbox.kube.faults import FaultRule

DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
CONFIGMAPS = "/api/v1/namespaces/shop/configmaps"
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
STRATEGIC_PATCH = {"Content-Type": "application/strategic-merge-patch+json"}
APPLY_PATCH = {"Content-Type": "application/apply-patch+yaml"}
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


@pytest.fixture
async def cluster():
    async with running() as found:
        yield found


@pytest.fixture
async def admin(cluster):
    async with cluster.client() as client:
        yield client


def configmap(name="settings", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def create(client, path, obj, **params):
    answer = await client.post(path, json=obj, params=params)
    assert answer.status_code == 201, answer.text
    return answer.json()


# -- who may ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic dG9rZW4="}])
async def test_nobody_unknown_gets_in(cluster, header):
    async with cluster.client() as client:
        del client.headers["Authorization"]
        answer = await client.get("/api/v1/namespaces", headers=header)
    assert answer.status_code == 401
    assert answer.json()["message"] == "Unauthorized"
    assert answer.json()["reason"] == "Unauthorized"


async def test_health_and_version_are_open_to_all(cluster):
    async with cluster.client() as client:
        del client.headers["Authorization"]
        for path in ("/healthz", "/livez", "/readyz"):
            assert (await client.get(path)).text == "ok"
        assert (await client.get("/version")).json()["gitVersion"].startswith("v1.")


@pytest.mark.parametrize(
    ("role", "method", "path", "allowed"),
    [
        ("reader", "GET", DEPLOYMENTS, True),
        ("reader", "GET", "/api/v1/namespaces/shop/secrets", False),
        ("reader", "POST", CONFIGMAPS, False),
        ("reader", "PATCH", f"{DEPLOYMENTS}/web", False),
        ("operator", "GET", "/api/v1/secrets", False),
        ("operator", "POST", CONFIGMAPS, True),
        ("operator", "POST", "/api/v1/namespaces/kube-system/configmaps", False),
        ("operator", "PATCH", f"{DEPLOYMENTS}/web/scale", True),
        ("operator", "DELETE", "/api/v1/nodes/node-1", False),
        ("operator", "POST", "/api/v1/namespaces", False),
        ("operator", "PATCH", f"{DEPLOYMENTS}/web/status", False),
        ("operator", "DELETE", CONFIGMAPS, False),
        ("admin", "GET", "/api/v1/secrets", True),
        ("admin", "DELETE", CONFIGMAPS, True),
    ],
)
async def test_every_role_may_do_its_work_and_no_more(cluster, role, method, path, allowed):
    async with cluster.client(role) as client:
        answer = await client.request(method, path)
    assert (answer.status_code != 403) is allowed


async def test_a_refusal_names_user_verb_resource_and_namespace(cluster):
    async with cluster.client("reader") as client:
        answer = await client.patch(f"{DEPLOYMENTS}/web", json={}, headers=MERGE_PATCH)
    assert answer.json()["message"] == (
        'deployments.apps "web" is forbidden: User "reader" cannot patch resource "deployments" in API group "apps" '
        'in the namespace "shop"'
    )
    assert answer.json()["details"] == {"name": "web", "group": "apps", "kind": "deployments"}


async def test_a_user_can_ask_what_it_may_do(cluster):
    review = {"resourceAttributes": {"verb": "patch", "group": "apps", "resource": "deployments", "namespace": "shop"}}
    for role, allowed in (("operator", True), ("reader", False)):
        async with cluster.client(role) as client:
            answer = await create(client, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": review})
            me = await create(client, "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        assert answer["status"]["allowed"] is allowed
        assert me["status"]["userInfo"]["username"] == role


# -- reading ----------------------------------------------------------------------------------------------------------
async def test_lists_are_chosen_by_labels_and_fields(admin):
    for name, labels in (("a", {"app": "web", "tier": "front"}), ("b", {"app": "db"}), ("c", {})):
        await create(admin, CONFIGMAPS, configmap(name) | {"metadata": {"name": name, "labels": labels}})

    async def names(**params):
        items = (await admin.get(CONFIGMAPS, params=params)).json()["items"]
        return [one["metadata"]["name"] for one in items if not one["metadata"]["name"].startswith("kube-")]

    assert await names(labelSelector="app=web") == ["a"]
    assert await names(labelSelector="app in (web, db),tier notin (front)") == ["b"]
    assert await names(labelSelector="!app") == ["c"]
    assert await names(labelSelector="app!=web") == ["b", "c"]
    assert await names(fieldSelector="metadata.name=b") == ["b"]
    assert await names(fieldSelector="metadata.name!=b,metadata.namespace=shop") == ["a", "c"]
    refused = await admin.get(CONFIGMAPS, params={"fieldSelector": "data.x=1"})
    assert (refused.status_code, refused.json()["message"]) == (400, "field label not supported: data.x")


async def test_a_long_list_comes_in_pages(admin):
    for number in range(5):
        await create(admin, CONFIGMAPS, configmap(f"c{number}"))
    seen, token, left = [], "", []
    while True:
        page = (await admin.get(CONFIGMAPS, params={"limit": 2, "continue": token})).json()
        seen += [one["metadata"]["name"] for one in page["items"]]
        left.append(page["metadata"].get("remainingItemCount"))
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert seen == ["c0", "c1", "c2", "c3", "c4", "kube-root-ca.crt"]
    assert left == [4, 2, None]


async def test_tables_have_the_columns_that_kubectl_prints(cluster, admin):
    await create(admin, DEPLOYMENTS, deployment("web"))
    await cluster.until(lambda: cluster.rolled_out("web"))
    found = {}
    for path in (DEPLOYMENTS, "/api/v1/namespaces/shop/pods", "/api/v1/nodes", "/api/v1/namespaces/shop/events"):
        table = (await admin.get(path, headers=TABLE)).json()
        assert table["kind"] == "Table"
        columns = [one["name"] for one in table["columnDefinitions"]]
        assert all(len(row["cells"]) == len(columns) for row in table["rows"])
        found[path.rpartition("/")[2]] = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    assert found["deployments"]["Ready"] == "1/1"
    assert found["pods"]["Status"] == "Running"
    assert found["nodes"]["Status"] == "Ready"
    assert found["pods"]["Age"].endswith("s")


@pytest.mark.parametrize(
    "path",
    ["/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/openapi/v3", "/openapi/v3/apis/apps/v1", "/version"],
)
async def test_the_api_describes_itself(admin, path):
    assert (await admin.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/apis/nope", "/apis/apps/v7", "/api/v1/namespaces/shop/gadgets", "/nope"])
async def test_what_is_not_there_is_not_found(admin, path):
    answer = await admin.get(path)
    assert answer.status_code == 404
    assert answer.json()["message"] == "the server could not find the requested resource"


async def test_events_are_served_by_both_groups(cluster, admin):
    await create(admin, DEPLOYMENTS, deployment("web"))
    await cluster.turns()
    old = (await admin.get("/api/v1/namespaces/shop/events")).json()["items"][0]
    new = (await admin.get("/apis/events.k8s.io/v1/namespaces/shop/events")).json()["items"][0]
    assert new["note"] == old["message"]
    assert new["regarding"] == old["involvedObject"]
    assert "message" not in new


# -- writing ----------------------------------------------------------------------------------------------------------
async def test_a_dry_run_of_every_write_changes_nothing(cluster, admin):
    await create(admin, DEPLOYMENTS, deployment("web"))
    await cluster.until(lambda: cluster.rolled_out("web"))
    before, path, dry = cluster.store.revision, f"{DEPLOYMENTS}/web", {"dryRun": "All"}
    stored = cluster.deployment("web")
    answers = [
        await admin.post(DEPLOYMENTS, json=deployment("other"), params=dry),
        await admin.put(path, json=stored | {"spec": stored["spec"] | {"replicas": 3}}, params=dry),
        await admin.patch(path, json={"spec": {"replicas": 3}}, headers=MERGE_PATCH, params=dry),
        await admin.patch(f"{path}/scale", json={"spec": {"replicas": 3}}, headers=MERGE_PATCH, params=dry),
        await admin.delete(path, params=dry),
        await admin.delete(DEPLOYMENTS, params=dry),
    ]
    assert [one.status_code for one in answers] == [201, 200, 200, 200, 200, 200]
    assert answers[1].json()["spec"]["replicas"] == answers[3].json()["spec"]["replicas"] == 3
    assert cluster.store.revision == before
    assert not any(record["changed"] for record in cluster.audit[-6:])


@pytest.mark.parametrize("headers", [MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH])
async def test_a_dry_run_shows_exactly_what_the_real_write_stores(cluster, admin, headers):
    await create(admin, DEPLOYMENTS, deployment("web"))
    await cluster.until(lambda: cluster.rolled_out("web"))
    change = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2}}
    params = {"fieldManager": "test", "force": "true"}
    dry = (
        await admin.patch(f"{DEPLOYMENTS}/web", json=change, headers=headers, params=params | {"dryRun": "All"})
    ).json()
    real = (await admin.patch(f"{DEPLOYMENTS}/web", json=change, headers=headers, params=params)).json()
    assert dry["metadata"].pop("resourceVersion") != real["metadata"].pop("resourceVersion")
    assert dry == real


async def test_an_old_version_is_refused(admin):
    first = await create(admin, CONFIGMAPS, configmap(a="1"))
    await admin.put(f"{CONFIGMAPS}/settings", json=first | {"data": {"a": "2"}})
    answer = await admin.put(f"{CONFIGMAPS}/settings", json=first | {"data": {"a": "3"}})
    assert answer.status_code == 409
    assert "the object has been modified; please apply your changes to the latest version" in answer.json()["message"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (
            {"selector": {"matchLabels": {"app": "other"}}},
            (
                '[spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match '
                "template `labels`, "
                'spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable]'
            ),
        ),
        (
            {"strategy": {"type": "Sometimes"}},
            'spec.strategy.type: Unsupported value: "Sometimes": supported values: "Recreate", "RollingUpdate"',
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
        ),
        (
            {"template": {"spec": {"containers": [{"name": "app"}]}}},
            "spec.template.spec.containers[0].image: Required value",
        ),
        (
            {"template": {"spec": {"containers": [{"name": "app", "image": "a", "volumeMounts": [{"name": "x"}]}]}}},
            (
                '[spec.template.spec.containers[0].volumeMounts[0].name: Not found: "x", '
                "spec.template.spec.containers[0].volumeMounts[0].mountPath: Required value]"
            ),
        ),
        (
            {
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "name": "app",
                                "image": "a",
                                "resources": {"limits": {"memory": "1Mi"}, "requests": {"memory": "2Mi"}},
                            }
                        ]
                    }
                }
            },
            (
                'spec.template.spec.containers[0].resources.requests: Invalid value: "2Mi": '
                "must be less than or equal to memory limit of 1Mi"
            ),
        ),
    ],
)
async def test_what_is_not_valid_is_refused_in_kubernetes_words(admin, change, message):
    await create(admin, DEPLOYMENTS, deployment("web"))
    answer = await admin.patch(f"{DEPLOYMENTS}/web", json={"spec": change}, headers=MERGE_PATCH)
    assert answer.status_code == 422
    assert answer.json()["reason"] == "Invalid"
    assert answer.json()["message"] == f'Deployment.apps "web" is invalid: {message}'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"spec": {"replicas": "two"}},
            (
                'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string '
                "into Go struct "
                "field DeploymentSpec.spec.replicas of type int32"
            ),
        ),
        (
            {"spec": {"replikas": 2}},
            (
                'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
                'unknown field "spec.replikas"'
            ),
        ),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_bad_request(admin, change, message):
    await create(admin, DEPLOYMENTS, deployment("web"))
    answer = await admin.patch(
        f"{DEPLOYMENTS}/web", json=change, headers=MERGE_PATCH, params={"fieldValidation": "Strict"}
    )
    assert (answer.status_code, answer.json()["message"]) == (400, message)


async def test_an_unknown_field_is_dropped_with_a_warning_unless_strict(admin):
    answer = await admin.post(CONFIGMAPS, json=configmap() | {"colour": "blue"})
    assert answer.status_code == 201
    assert "colour" not in answer.json()
    assert answer.headers["warning"] == '299 - "unknown field \\"colour\\""'


@pytest.mark.parametrize("name", ["Bad_Name", "-x", "a" * 254, ""])
async def test_names_must_be_names(admin, name):
    answer = await admin.post(CONFIGMAPS, json=configmap(name))
    assert answer.status_code == 422
    assert "metadata.name" in answer.json()["message"]


async def test_nothing_is_created_where_there_is_no_namespace(admin):
    answer = await admin.post("/api/v1/namespaces/nope/configmaps", json=configmap())
    assert (answer.status_code, answer.json()["message"]) == (404, 'namespaces "nope" not found')


async def test_a_body_of_another_form_is_refused_by_its_type(admin):
    headers = {"Content-Type": "application/x-protobuf"}
    answer = await admin.post(CONFIGMAPS, content=b"k8s\x00", headers=headers)
    assert answer.status_code == 415
    assert answer.json()["reason"] == "UnsupportedMediaType"


async def test_an_object_must_be_what_and_where_the_path_says(admin):
    elsewhere = configmap() | {"metadata": {"name": "x", "namespace": "default"}}
    assert (await admin.post(CONFIGMAPS, json=elsewhere)).status_code == 400
    assert (await admin.post(CONFIGMAPS, json=configmap() | {"kind": "Secret"})).status_code == 400
    await create(admin, CONFIGMAPS, configmap())
    assert (await admin.put(f"{CONFIGMAPS}/settings", json=configmap("other"))).status_code == 400
    assert (await admin.post(CONFIGMAPS, content=b"{", headers={"Content-Type": "application/json"})).status_code == 400


async def test_scale_shows_and_sets_the_size(admin):
    await create(admin, DEPLOYMENTS, deployment("web"))
    scale = (await admin.get(f"{DEPLOYMENTS}/web/scale")).json()
    assert (scale["kind"], scale["apiVersion"], scale["spec"]["replicas"]) == ("Scale", "autoscaling/v1", 1)
    assert scale["status"]["selector"] == "app=web"
    scale["spec"]["replicas"] = 4
    assert (await admin.put(f"{DEPLOYMENTS}/web/scale", json=scale)).json()["spec"]["replicas"] == 4
    assert (await admin.put(f"{DEPLOYMENTS}/web/scale", json=scale)).status_code == 409
    assert (await admin.get(f"{DEPLOYMENTS}/web")).json()["spec"]["replicas"] == 4


async def test_a_delete_can_ask_for_a_certain_object(admin):
    made = await create(admin, CONFIGMAPS, configmap())
    wrong = {"preconditions": {"uid": "not-this-one"}}
    refused = await admin.request("DELETE", f"{CONFIGMAPS}/settings", json=wrong)
    assert refused.status_code == 409
    right = {"preconditions": {"uid": made["metadata"]["uid"]}}
    done = await admin.request("DELETE", f"{CONFIGMAPS}/settings", json=right)
    assert done.json()["status"] == "Success"
    assert (await admin.get(f"{CONFIGMAPS}/settings")).status_code == 404


async def test_a_collection_is_deleted_by_selector(cluster, admin):
    for name in ("a", "b"):
        await create(admin, CONFIGMAPS, configmap(name) | {"metadata": {"name": name, "labels": {"n": name}}})
    await admin.delete(CONFIGMAPS, params={"labelSelector": "n=a"})
    assert cluster.store.get("configmaps", "shop", "a") is None
    assert cluster.store.get("configmaps", "shop", "b")


async def test_a_pods_specification_is_fixed_but_for_its_images(cluster, admin):
    await create(admin, DEPLOYMENTS, deployment("web"))
    await cluster.until(lambda: cluster.rolled_out("web"))
    path = f"/api/v1/namespaces/shop/pods/{cluster.only_pod('web')['metadata']['name']}"
    hostname = [{"op": "add", "path": "/spec/hostname", "value": "x"}]
    refused = await admin.patch(path, json=hostname, headers=JSON_PATCH)
    assert refused.status_code == 422
    assert "pod updates may not change fields other than" in refused.json()["message"]
    image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "nginx:1.28"}]
    assert (await admin.patch(path, json=image, headers=JSON_PATCH)).status_code == 200


async def test_an_apply_needs_a_manager(admin):
    body = configmap()
    answer = await admin.patch(f"{CONFIGMAPS}/settings", json=body, headers=APPLY_PATCH)
    assert answer.status_code == 422
    assert "fieldManager: Required value: is required for apply patch" in answer.json()["message"]
    made = await admin.patch(f"{CONFIGMAPS}/settings", json=body, headers=APPLY_PATCH, params={"fieldManager": "tool"})
    assert made.status_code == 201


async def test_an_evicted_pod_goes(cluster, admin):
    await create(admin, DEPLOYMENTS, deployment("web"))
    await cluster.until(lambda: cluster.rolled_out("web"))
    name = cluster.only_pod("web")["metadata"]["name"]
    answer = await admin.post(f"/api/v1/namespaces/shop/pods/{name}/eviction", json={"metadata": {"name": name}})
    assert (answer.status_code, answer.json()["status"]) == (201, "Success")
    await cluster.pass_time(2)
    assert cluster.store.get("pods", "shop", name) is None


# -- watching ---------------------------------------------------------------------------------------------------------
async def watched(cluster, count, act, **query):
    """The first so many lines of a watch of configmaps in the shop."""
    query = {"watch": "true", **query}
    request = requests.parse("GET", CONFIGMAPS, query)
    view = presentation.View(request.kind, "", "Metadata", cluster.clock.now())
    stream = watching.Stream(cluster.store, request, view).lines(time.monotonic)
    seen = []
    async with asyncio.timeout(5):
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        act()
        while len(seen) < count:
            line = json.loads(await task)
            seen.append((line["type"], line["object"]))
            if len(seen) < count:
                task = asyncio.ensure_future(anext(stream))
    await stream.aclose()
    return seen


def put(cluster, name, **labels):
    obj = {"metadata": {"name": name, "namespace": "shop", "labels": labels}}
    known = cluster.store.get("configmaps", "shop", name)
    (cluster.store.update if known else cluster.store.create)("configmaps", obj)


async def test_an_object_that_enters_or_leaves_the_selection_is_added_or_deleted(cluster):
    revision = str(cluster.store.revision)

    def act():
        put(cluster, "a", app="db")
        put(cluster, "a", app="web")
        put(cluster, "a", app="web", more="yes")
        put(cluster, "a", app="db")

    seen = await watched(cluster, 3, act, labelSelector="app=web", resourceVersion=revision)
    assert [event for event, _ in seen] == ["ADDED", "MODIFIED", "DELETED"]


async def test_initial_events_end_with_their_bookmark(cluster):
    put(cluster, "a")
    seen = await watched(
        cluster, 3, lambda: None, sendInitialEvents="true", allowWatchBookmarks="true", resourceVersion=""
    )
    assert [event for event, _ in seen] == ["ADDED", "ADDED", "BOOKMARK"]
    assert seen[-1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_from_too_long_ago_is_told_so(cluster):
    put(cluster, "a")
    cluster.store.compact()
    seen = await watched(cluster, 1, lambda: None, resourceVersion="1")
    event, status = seen[0]
    assert (event, status["code"], status["reason"]) == ("ERROR", 410, "Expired")


async def test_a_version_that_is_still_to_come_is_refused(admin):
    for query in ({"watch": "true"}, {}):
        answer = await admin.get(CONFIGMAPS, params={"resourceVersion": "999999", **query})
        assert answer.status_code == 504
        assert "Too large resource version: 999999" in answer.json()["message"]


async def test_a_watch_ends_when_its_time_is_over(cluster):
    now = str(cluster.store.revision)
    request = requests.parse("GET", CONFIGMAPS, {"watch": "1", "timeoutSeconds": "1", "resourceVersion": now})
    view = presentation.View(request.kind, "", "Metadata", cluster.clock.now())
    clock = iter([0.0, 0.5, 1.5, 2.0])
    lines = [line async for line in watching.Stream(cluster.store, request, view).lines(lambda: next(clock))]
    assert lines == []


# -- faults and audit -------------------------------------------------------------------------------------------------
async def test_a_fault_strikes_as_often_as_it_was_told_and_only_where(cluster, admin):
    cluster.faults.add(FaultRule(verb="patch", resource="deployments", status=429, times=2, retry_after=3))
    await create(admin, DEPLOYMENTS, deployment("web"))
    codes = []
    for _ in range(3):
        answer = await admin.patch(f"{DEPLOYMENTS}/web", json={}, headers=MERGE_PATCH)
        codes.append((answer.status_code, answer.headers.get("retry-after")))
    assert codes == [(429, "3"), (429, "3"), (200, None)]


@pytest.mark.parametrize("status", [401, 403, 409, 500, 503])
async def test_every_refusal_can_be_ordered(cluster, admin, status):
    cluster.faults.add(FaultRule(status=status))
    assert (await admin.get(DEPLOYMENTS)).json()["code"] == status
    cluster.faults.clear()
    assert (await admin.get(DEPLOYMENTS)).status_code == 200


async def test_the_audit_knows_who_did_what_and_whether_it_changed_anything(cluster):
    async with cluster.client("operator") as client:
        client.headers["User-Agent"] = "tool/1.0"
        await create(client, CONFIGMAPS, configmap(a="1"))
        await client.patch(f"{CONFIGMAPS}/settings", json={"data": {"a": "1"}}, headers=MERGE_PATCH)
        await client.delete("/api/v1/namespaces/kube-system/configmaps/x")
        await client.get("/healthz")
    created, same, refused = cluster.audit
    assert (created["user"], created["verb"], created["resource"]) == ("operator", "create", "configmaps")
    assert (created["code"], created["changed"], created["field_manager"]) == (201, True, "tool")
    assert (same["verb"], same["name"], same["code"], same["changed"]) == ("patch", "settings", 200, False)
    assert (refused["code"], refused["namespace"], refused["changed"]) == (403, "kube-system", False)
