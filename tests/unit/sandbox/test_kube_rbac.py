"""Permissions: who may do what by the cluster's roles and bindings, and that nobody grants more than they hold."""

import pytest

from support.cluster import Cluster
from toban_sandbox.kube import auth, rbac

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROLES = f"{RBAC}/namespaces/shop/roles"
BINDINGS = f"{RBAC}/namespaces/shop/rolebindings"
PODS = "/api/v1/namespaces/shop/pods"
REVIEWS = "/apis/authorization.k8s.io/v1"
GROUP = "rbac.authorization.k8s.io"


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
async def admin(cluster):
    async with cluster.client() as found:
        yield found


@pytest.fixture
async def operator(cluster):
    async with cluster.client("operator") as found:
        yield found


def role(name="looker", verbs=("get", "list"), resources=("pods",), **more):
    return {
        "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": [*resources], "verbs": [*verbs], **more}],
    }


def binding(subject, name="looks", of="looker", kind="Role"):
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": of},
        "subjects": [subject],
    }


BOB = {"kind": "User", "name": "bob"}


async def create(client, path, obj):
    answer = await client.post(path, json=obj)
    assert answer.status_code == 201, answer.text
    return answer.json()


def allows(cluster, user, verb, resource, *, namespace="", group="", subresource="", name=""):
    wanted = auth.Attributes(verb, group, resource, subresource, namespace=namespace, name=name)
    return rbac.Authorizer(cluster.store).allows(user, wanted)


def test_the_three_users_keep_their_rights(cluster):
    admin, operator, reader = (auth.User(role, role) for role in ("admin", "operator", "reader"))
    assert allows(cluster, admin, "delete", "nodes")
    for user in (operator, reader):
        assert allows(cluster, user, "list", "pods", namespace="kube-system")
        assert allows(cluster, user, "get", "pods", subresource="log", namespace="shop")
        assert allows(cluster, user, "watch", "statefulsets", group="apps")
        assert not allows(cluster, user, "get", "secrets", namespace="shop")
        assert not allows(cluster, user, "create", "pods", subresource="exec", namespace="shop")
    assert allows(cluster, operator, "patch", "deployments", group="apps", namespace="shop")
    assert allows(cluster, operator, "create", "pods", subresource="eviction", namespace="shop")
    assert not allows(cluster, operator, "patch", "deployments", group="apps", namespace="kube-system")
    assert not allows(cluster, operator, "delete", "nodes")
    assert not allows(cluster, reader, "patch", "deployments", group="apps", namespace="shop")


async def test_operators_may_work_in_a_namespace_that_is_new(admin, operator):
    await create(admin, "/api/v1/namespaces", {"metadata": {"name": "fresh"}})
    made = await operator.post("/api/v1/namespaces/fresh/configmaps", json={"metadata": {"name": "c"}})
    assert made.status_code == 201


async def test_a_binding_gives_a_user_rights_and_its_end_takes_them(admin):
    async def bob():
        return await admin.get(PODS, headers={"Impersonate-User": "bob"})

    refused = (await bob()).json()
    assert refused["message"] == (
        'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "shop"'
    )
    await create(admin, ROLES, role())
    await create(admin, BINDINGS, binding(BOB))
    assert (await bob()).status_code == 200
    elsewhere = await admin.get("/api/v1/namespaces/default/pods", headers={"Impersonate-User": "bob"})
    assert elsewhere.status_code == 403
    await admin.delete(f"{BINDINGS}/looks")
    assert (await bob()).status_code == 403


async def test_a_rule_may_be_about_named_objects_and_subresources_only(cluster, admin):
    await create(admin, ROLES, role(verbs=["get"], resources=["pods", "*/scale"], resourceNames=["one"]))
    await create(admin, BINDINGS, binding({"kind": "Group", "name": "devs"}))
    ann = auth.User("ann", groups=("devs",))
    assert allows(cluster, ann, "get", "pods", namespace="shop", name="one")
    assert not allows(cluster, ann, "get", "pods", namespace="shop", name="two")
    assert not allows(cluster, ann, "list", "pods", namespace="shop")
    assert allows(cluster, ann, "get", "replicationcontrollers", subresource="scale", namespace="shop", name="one")
    assert not allows(cluster, ann, "get", "pods", subresource="log", namespace="shop", name="one")


async def test_roles_collect_the_rules_of_others(cluster, admin):
    view = cluster.store.get("clusterroles", None, "view")
    assert any("pods" in rule["resources"] for rule in view["rules"])
    more = {"metadata": {"name": "more", "labels": {f"{GROUP}/aggregate-to-view": "true"}}}
    await create(admin, f"{RBAC}/clusterroles", more | {"rules": role(resources=["unicorns"])["rules"]})
    for name in ("view", "edit", "admin"):
        rules = cluster.store.get("clusterroles", None, name)["rules"]
        assert any("unicorns" in rule["resources"] for rule in rules), name


async def test_a_service_account_works_with_the_token_it_asked_for(cluster, admin):
    account = "/api/v1/namespaces/shop/serviceaccounts"
    await create(admin, account, {"metadata": {"name": "robot"}})
    answer = await create(admin, f"{account}/robot/token", {"spec": {"expirationSeconds": 900}})
    as_robot = {"Authorization": f"Bearer {answer['status']['token']}"}
    review = await admin.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", json={}, headers=as_robot)
    assert review.json()["status"]["userInfo"]["username"] == "system:serviceaccount:shop:robot"
    assert "system:serviceaccounts:shop" in review.json()["status"]["userInfo"]["groups"]
    assert (await admin.get(PODS, headers=as_robot)).status_code == 403
    await create(admin, ROLES, role())
    await create(admin, BINDINGS, binding({"kind": "ServiceAccount", "name": "robot", "namespace": "shop"}))
    assert (await admin.get(PODS, headers=as_robot)).status_code == 200
    forged = {"Authorization": as_robot["Authorization"][:-2] + "xx"}
    assert (await admin.get(PODS, headers=forged)).status_code == 401
    cluster.clock.advance(901)
    assert (await admin.get(PODS, headers=as_robot)).status_code == 401


async def test_a_token_must_last_ten_minutes(admin):
    path = "/api/v1/namespaces/shop/serviceaccounts"
    await create(admin, path, {"metadata": {"name": "robot"}})
    refused = await admin.post(f"{path}/robot/token", json={"spec": {"expirationSeconds": 60}})
    assert refused.status_code == 422
    assert "may not specify a duration less than 10 minutes" in refused.json()["message"]


async def test_only_those_who_may_act_as_somebody_else(operator):
    refused = await operator.get(PODS, headers={"Impersonate-User": "bob"})
    assert refused.status_code == 403
    assert refused.json()["message"] == (
        'users "bob" is forbidden: User "operator" cannot impersonate resource "users" in API group "" '
        "at the cluster scope"
    )


async def test_nobody_grants_what_they_do_not_hold(admin, operator):
    await create(
        admin,
        ROLES,
        role("keeper", ["create", "get", "patch", "update"], ["roles", "rolebindings"])
        | {
            "rules": [
                {"apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": ["create", "update", "get"]}
            ]
        },
    )
    await create(admin, BINDINGS, binding({"kind": "User", "name": "operator"}, "keeps", "keeper"))
    refused = await operator.post(ROLES, json=role("thief", ["get", "list"], ["secrets"]))
    assert refused.status_code == 403
    assert refused.json()["message"] == (
        'roles.rbac.authorization.k8s.io "thief" is forbidden: user "operator" '
        '(groups=["sandbox:operators" "system:authenticated"]) is attempting to grant RBAC permissions not currently '
        'held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )
    assert (await operator.post(ROLES, json=role("fair", ["get"], ["pods"]))).status_code == 201
    widened = await operator.put(f"{ROLES}/fair", json=role("fair", ["get"], ["secrets"]))
    assert widened.status_code == 403
    crowned = await operator.post(BINDINGS, json=binding(BOB, "crown", "cluster-admin", "ClusterRole"))
    assert crowned.status_code == 403
    assert 'rolebindings.rbac.authorization.k8s.io "crown" is forbidden' in crowned.json()["message"]
    assert (await operator.post(BINDINGS, json=binding(BOB, "fair", "fair"))).status_code == 201


async def test_a_binding_keeps_its_role_for_life(admin):
    await create(admin, ROLES, role())
    await create(admin, BINDINGS, binding(BOB))
    refused = await admin.put(f"{BINDINGS}/looks", json=binding(BOB, of="other"))
    assert refused.status_code == 422
    assert "cannot change roleRef" in refused.json()["message"]


async def test_a_rule_must_say_what_it_is_about(admin):
    refused = await admin.post(ROLES, json={"metadata": {"name": "r"}, "rules": [{"verbs": []}]})
    assert refused.status_code == 422
    assert "rules[0].verbs: Required value: verbs must contain at least one value" in refused.json()["message"]
    assert "rules[0].apiGroups: Required value" in refused.json()["message"]


async def test_reviews_tell_what_one_may_and_what_others_may(admin, operator):
    rules = await operator.post(f"{REVIEWS}/selfsubjectrulesreviews", json={"spec": {"namespace": "shop"}})
    held = rules.json()["status"]["resourceRules"]
    assert any("deployments" in rule["resources"] and "patch" in rule["verbs"] for rule in held)
    elsewhere = await operator.post(f"{REVIEWS}/selfsubjectrulesreviews", json={"spec": {"namespace": "kube-system"}})
    assert not any("patch" in rule["verbs"] for rule in elsewhere.json()["status"]["resourceRules"])
    asked = {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "shop"}}
    for user, allowed in (("bob", False), ("operator", False)):
        review = await admin.post(f"{REVIEWS}/subjectaccessreviews", json={"spec": asked | {"user": user}})
        assert review.json()["status"]["allowed"] is allowed
    group = await admin.post(
        f"{REVIEWS}/subjectaccessreviews", json={"spec": asked | {"user": "eve", "groups": ["sandbox:readers"]}}
    )
    assert group.json()["status"]["allowed"] is True
    assert "ClusterRoleBinding" in group.json()["status"]["reason"]
    assert (await operator.post(f"{REVIEWS}/subjectaccessreviews", json={"spec": asked})).status_code == 403


async def test_paths_that_are_no_resources_are_open_to_users_only(cluster, admin):
    async with cluster.client("reader") as reader:
        assert (await reader.get("/apis")).status_code == 200
    stranger = await admin.get("/metrics", headers={"Impersonate-User": "bob"})
    assert stranger.status_code == 403
    assert stranger.json()["message"] == 'forbidden: User "bob" cannot get path "/metrics"'
    assert (await admin.get("/apis", headers={"Impersonate-User": "bob"})).status_code == 200
