"""The sandbox's API held against real clients: kubectl as people use it, and lightkube as Toban uses it."""

import json
import re
import subprocess
import threading

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod
from lightkube.types import PatchType

from support.cluster import KUBECTL, MEBIBYTE, deployment, served
from toban_sandbox.kube.faults import FaultRule
from toban_sandbox.programs import Program

PROGRAMS = (
    Program("shop/cart:1.0", memory_base_bytes=40 * MEBIBYTE),
    Program("shop/cart:2.0", memory_base_bytes=90 * MEBIBYTE),
    Program("shop/pay:1.0", requires_env=("PAY_KEY",)),
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with served(tmp_path_factory.mktemp("sandbox"), *PROGRAMS) as found:
        yield found


@pytest.fixture
def shop(sandbox, request):
    """A namespace of the test's own, and kubectl working in it."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[-40:].strip("-")
    apply(sandbox, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def kubectl(*words, **options):
        return sandbox.kubectl("-n", name, *words, **options)

    kubectl.namespace = name
    return kubectl


def apply(sandbox, obj, *words):
    return sandbox.kubectl("apply", "-f", "-", *words, stdin=json.dumps(obj))


def web(shop, name="web", image="nginx:1.27", **options):
    obj = deployment(name, image, **options)
    obj["metadata"]["namespace"] = shop.namespace
    return json.dumps(obj)


def applied(shop, name="web", image="nginx:1.27", **options):
    shop("apply", "-f", "-", stdin=web(shop, name, image, **options))


def rolled_out(shop, name="web"):
    return shop("rollout", "status", f"deploy/{name}", "--timeout=20s")


def value(shop, path, name="web"):
    return shop("get", "deploy", name, "-o", f"jsonpath={{{path}}}")


def waits(shop, reason):
    shop("wait", "pod", "--all", f"--for=jsonpath={{.status.containerStatuses[0].state.waiting.reason}}={reason}")


# -- looking ----------------------------------------------------------------------------------------------------------
def test_the_usual_tables_are_printed(sandbox, shop):
    applied(shop, replicas=2)
    rolled_out(shop)
    assert re.search(r"NAME +STATUS +AGE\n", sandbox.kubectl("get", "ns"))
    assert re.search(r"NAME +STATUS +ROLES +AGE +VERSION\nnode-1 +Ready +<none>", sandbox.kubectl("get", "nodes"))
    assert re.search(r"NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +2/2 +2 +2 +\d+s", shop("get", "deploy"))
    assert re.search(r"NAME +READY +STATUS +RESTARTS +AGE\nweb-\S+ +1/1 +Running +0 +\d+s", shop("get", "pods"))
    assert re.search(r"IP +NODE +NOMINATED NODE +READINESS GATES\n.* 10\.244\.", shop("get", "pods", "-o", "wide"))
    assert shop("get", "pods", "-l", "app=none", check=False).stderr.startswith("No resources found")


def test_objects_are_printed_in_every_form(shop):
    applied(shop)
    rolled_out(shop)
    assert "image: nginx:1.27" in shop("get", "deploy", "web", "-o", "yaml")
    assert value(shop, ".spec.template.spec.containers[0].image") == "nginx:1.27"
    assert json.loads(shop("get", "deploy", "web", "-o", "json"))["kind"] == "Deployment"
    assert shop("get", "pods", "-l", "app in (web,x),!zz", "-o", "name").startswith("pod/web-")


def test_describe_tells_the_whole_story_of_a_failing_pod(shop):
    applied(shop, "cart", "shop/cart:2.0", container={"resources": {"limits": {"memory": "64Mi"}}})
    waits(shop, "CrashLoopBackOff")
    text = shop("describe", "pod", "-l", "app=cart")
    assert re.search(r"Reason: +CrashLoopBackOff", text)
    assert re.search(r"Last State: +Terminated\n +Reason: +OOMKilled\n +Exit Code: +137", text)
    assert "Back-off restarting failed container app in pod cart-" in text
    assert "Successfully assigned" in text


def test_logs_are_read_now_and_from_before(shop):
    applied(shop, "pay", "shop/pay:1.0")
    waits(shop, "CrashLoopBackOff")
    assert "msg=starting image=shop/pay:1.0" in shop("logs", "deploy/pay")
    assert "PAY_KEY is not set" in shop("logs", "deploy/pay", "--previous")
    assert shop("logs", "deploy/pay", "--tail=1").count("\n") == 1
    applied(shop, "web")
    rolled_out(shop)
    refused = shop("logs", "deploy/web", "--previous", check=False)
    assert "previous terminated container" in refused.stderr


def test_an_image_that_is_not_there_shows_as_it_does_everywhere(shop):
    applied(shop, "cart", "shop/cart:9.9")
    waits(shop, "ImagePullBackOff")
    events = shop("events", "--types=Warning")
    assert 'Failed to pull image "shop/cart:9.9": rpc error: code = NotFound' in events


# -- applying ---------------------------------------------------------------------------------------------------------
def test_apply_works_from_the_client_and_from_the_server(shop):
    assert "created" in shop("apply", "-f", "-", stdin=web(shop))
    assert "unchanged" in shop("apply", "-f", "-", stdin=web(shop))
    assert "configured" in shop("apply", "-f", "-", stdin=web(shop, replicas=2))
    assert "serverside-applied" in shop("apply", "--server-side", "-f", "-", stdin=web(shop, "side"))
    assert value(shop, ".spec.replicas") == "2"


def test_a_server_side_dry_run_has_no_effect(shop):
    assert "created (server dry run)" in shop("apply", "--dry-run=server", "-f", "-", stdin=web(shop))
    assert shop("get", "deploy", "web", check=False).returncode == 1
    applied(shop)
    shop("apply", "--dry-run=server", "-f", "-", stdin=web(shop, replicas=9))
    assert value(shop, ".spec.replicas") == "1"


def test_applies_from_two_sides_conflict_unless_forced(shop):
    shop("apply", "--server-side", "-f", "-", stdin=web(shop))
    shop("scale", "deploy/web", "--replicas=3")
    refused = shop("apply", "--server-side", "-f", "-", stdin=web(shop), check=False)
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in refused.stderr
    shop("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=web(shop))
    assert value(shop, ".spec.replicas") == "1"


def test_a_misspelt_field_is_refused(shop):
    refused = shop("apply", "-f", "-", stdin=web(shop).replace("replicas", "replikas"), check=False)
    assert 'unknown field "spec.replikas"' in refused.stderr


# -- rolling out ------------------------------------------------------------------------------------------------------
def test_a_rollout_goes_forward_back_and_round_again(shop):
    applied(shop, replicas=3)
    assert 'deployment "web" successfully rolled out' in rolled_out(shop)
    shop("set", "image", "deploy/web", "app=nginx:1.28")
    rolled_out(shop)
    assert re.search(r"REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>", shop("rollout", "history", "deploy/web"))
    assert "nginx:1.27" in shop("rollout", "history", "deploy/web", "--revision=1")
    assert "rolled back" in shop("rollout", "undo", "deploy/web")
    rolled_out(shop)
    assert value(shop, ".spec.template.spec.containers[0].image") == "nginx:1.27"
    shop("rollout", "restart", "deploy/web")
    rolled_out(shop)
    assert "paused" in shop("rollout", "pause", "deploy/web")
    assert "resumed" in shop("rollout", "resume", "deploy/web")
    assert value(shop, ".status.readyReplicas") == "3"


def test_a_rollout_that_misses_its_deadline_says_so(shop):
    applied(shop, "cart", "shop/cart:9.9", progressDeadlineSeconds=5)
    failed = shop("rollout", "status", "deploy/cart", "--timeout=20s", check=False)
    assert failed.returncode == 1
    assert 'deployment "cart" exceeded its progress deadline' in failed.stderr


def test_scale_minds_the_size_it_expects(shop):
    applied(shop, replicas=2)
    shop("scale", "deploy", "web", "--replicas=4")
    assert value(shop, ".spec.replicas") == "4"
    refused = shop("scale", "deploy", "web", "--replicas=3", "--current-replicas=9", check=False)
    assert refused.stderr == "error: Expected replicas to be 9, was 4\n"
    shop("scale", "deploy", "web", "--replicas=3", "--current-replicas=4")
    assert value(shop, ".spec.replicas") == "3"


def test_set_changes_image_resources_and_variables(shop):
    applied(shop)
    shop("set", "resources", "deploy/web", "--limits=memory=256Mi")
    shop("set", "env", "deploy/web", "C=3")
    shop("set", "image", "deploy/web", "app=nginx:1.28")
    (container,) = json.loads(shop("get", "deploy", "web", "-o", "json"))["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"memory": "256Mi"}}
    assert container["env"] == [{"name": "C", "value": "3"}]
    assert container["image"] == "nginx:1.28"


def test_more_memory_cures_what_lacks_memory(shop):
    applied(shop, "cart", "shop/cart:2.0", container={"resources": {"limits": {"memory": "64Mi"}}})
    waits(shop, "CrashLoopBackOff")
    shop("set", "resources", "deploy/cart", "--limits=memory=128Mi")
    rolled_out(shop, "cart")
    assert value(shop, ".status.readyReplicas", "cart") == "1"


# -- changing ---------------------------------------------------------------------------------------------------------
def test_the_three_plain_kinds_of_patch_work(shop):
    applied(shop)
    env = '{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[%s]}]}}}}'
    shop("patch", "deploy", "web", "-p", env % '{"name":"A","value":"1"}')
    shop("patch", "deploy", "web", "-p", env % '{"name":"A","$patch":"delete"},{"name":"B","value":"2"}')
    assert value(shop, ".spec.template.spec.containers[0].env") == '[{"name":"B","value":"2"}]'
    shop("patch", "deploy", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":2}]')
    shop("patch", "deploy", "web", "--type=merge", "-p", '{"metadata":{"labels":{"x":"y"}}}')
    assert value(shop, ".spec.replicas") == "2"
    assert value(shop, ".metadata.labels.x") == "y"


def test_labels_and_annotations_are_set(shop):
    applied(shop)
    shop("label", "deploy", "web", "tier=front")
    shop("annotate", "deploy", "web", "note=hello")
    assert value(shop, ".metadata.labels.tier") == "front"
    assert value(shop, ".metadata.annotations.note") == "hello"
    refused = shop("label", "deploy", "web", "tier=back", check=False)
    assert refused.returncode == 1


@pytest.mark.parametrize(
    ("kind", "patch", "message"),
    [
        (
            "json",
            '[{"op":"remove","path":"/spec/nope"}]',
            "The request is invalid: the server rejected our request due to an error in our request\n",
        ),
        (
            "merge",
            '{"spec":{"replicas":-1}}',
            'The Deployment "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0\n',
        ),
        (
            "merge",
            '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}',
            (
                'The Deployment "web" is invalid: \n'
                '* spec.template.metadata.labels: Invalid value: {"app":"web"}: '
                "`selector` does not match template `labels`\n"
                '* spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable\n'
            ),
        ),
    ],
)
def test_a_patch_that_must_not_be_is_refused_in_the_same_words(shop, kind, patch, message):
    applied(shop)
    refused = shop("patch", "deploy", "web", f"--type={kind}", "-p", patch, check=False)
    assert (refused.returncode, refused.stderr) == (1, message)


def test_deleting_a_deployment_takes_its_pods_along(shop):
    applied(shop, replicas=2)
    rolled_out(shop)
    shop("delete", "deploy", "web")
    shop("wait", "pod", "-l", "app=web", "--for=delete", "--timeout=10s")
    assert shop("get", "rs", check=False).stderr.startswith("No resources found")


def test_a_namespace_goes_with_all_that_is_in_it(sandbox, shop):
    applied(shop)
    rolled_out(shop)
    sandbox.kubectl("delete", "ns", shop.namespace)
    assert sandbox.kubectl("get", "ns", shop.namespace, check=False).returncode == 1


def test_a_watch_shows_a_pod_come_alive(sandbox, shop):
    watch = subprocess.Popen(
        [str(KUBECTL), "-n", shop.namespace, "get", "pods", "-w", "--no-headers"],
        stdout=subprocess.PIPE,
        text=True,
        env={"KUBECONFIG": str(sandbox.kubeconfigs["admin"]), "HOME": "/nonexistent"},
    )
    try:
        timer = threading.Timer(20, watch.kill)
        timer.start()
        applied(shop)
        seen = []
        while "Running" not in seen:
            line = watch.stdout.readline()
            assert line, f"the watch ended after {seen}"
            seen.append(line.split()[2])
    finally:
        timer.cancel()
        watch.kill()
        watch.wait()
        watch.stdout.close()
    assert "ContainerCreating" in seen


def test_a_drained_node_holds_no_pods(sandbox, shop):
    applied(shop, replicas=3)
    rolled_out(shop)
    try:
        sandbox.kubectl("drain", "node-2", "--ignore-daemonsets", "--force", "--timeout=20s")
        rolled_out(shop)
        assert "node-2" not in shop("get", "pods", "-o", "wide")
    finally:
        sandbox.kubectl("uncordon", "node-2")


# -- permissions ------------------------------------------------------------------------------------------------------
def test_readers_read_and_operators_operate(shop):
    applied(shop)
    refused = shop("patch", "deploy", "web", "-p", '{"spec":{"replicas":2}}', role="reader", check=False)
    assert refused.stderr == (
        'Error from server (Forbidden): deployments.apps "web" is forbidden: User "reader" cannot patch resource '
        f'"deployments" in API group "apps" in the namespace "{shop.namespace}"\n'
    )
    shop("patch", "deploy", "web", "-p", '{"spec":{"replicas":2}}', role="operator")
    assert shop("get", "secrets", role="operator", check=False).returncode == 1


def test_wherever_there_is_no_namespace_nothing_is_created(sandbox):
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cfg", "namespace": "nope"}}
    refused = sandbox.kubectl("create", "-f", "-", stdin=json.dumps(obj), check=False)
    assert 'namespaces "nope" not found' in refused.stderr


# -- lightkube --------------------------------------------------------------------------------------------------------
@pytest.fixture
def client(sandbox, shop):
    config = KubeConfig.from_file(sandbox.kubeconfigs["operator"]).get()
    return Client(config=config, namespace=shop.namespace, field_manager="toban")


def test_lightkube_gets_lists_and_reads_logs(client, shop):
    applied(shop)
    rolled_out(shop)
    assert client.get(Deployment, "web").spec.replicas == 1
    (pod,) = client.list(Pod, labels={"app": "web"})
    assert pod.status.phase == "Running"
    assert any("starting" in line for line in client.log(pod.metadata.name))
    assert {one.metadata.name for one in client.list(Namespace)} >= {"default", shop.namespace}


def test_lightkube_writes_and_its_dry_runs_do_not(client, shop):
    made = client.create(ConfigMap.from_dict({"metadata": {"name": "cfg"}, "data": {"a": "1"}}))
    assert made.metadata.resourceVersion
    client.patch(ConfigMap, "cfg", {"data": {"a": "2"}}, patch_type=PatchType.MERGE, dry_run=True)
    assert client.get(ConfigMap, "cfg").data == {"a": "1"}
    client.patch(ConfigMap, "cfg", {"data": {"a": "2"}}, patch_type=PatchType.MERGE)
    assert client.get(ConfigMap, "cfg").data == {"a": "2"}
    wanted = ConfigMap.from_dict({"metadata": {"name": "cfg"}, "data": {"b": "3"}})
    client.apply(wanted)
    assert client.get(ConfigMap, "cfg").data == {"a": "2", "b": "3"}
    client.delete(ConfigMap, "cfg", dry_run=True)
    client.delete(ConfigMap, "cfg")
    with pytest.raises(ApiError) as refused:
        client.get(ConfigMap, "cfg")
    assert (refused.value.status.code, refused.value.status.reason) == (404, "NotFound")
    assert refused.value.status.message == 'configmaps "cfg" not found'


def test_lightkube_watches(client, shop):
    threading.Timer(0.2, lambda: applied(shop)).start()
    seen = []
    for event, found in client.watch(Deployment, server_timeout=15):
        seen.append((event, found.metadata.name))
        if found.status is not None and found.status.availableReplicas:
            break
    assert seen[0] == ("ADDED", "web")
    assert seen[-1] == ("MODIFIED", "web")


def test_a_write_whose_answer_is_lost_has_happened_all_the_same(sandbox, client, shop):
    client.create(ConfigMap.from_dict({"metadata": {"name": "cfg"}, "data": {"a": "1"}}))
    rule = FaultRule(verb="patch", resource="configmaps", kind="drop_after", times=1)
    sandbox.call(lambda: sandbox.cluster.faults.add(rule))
    with pytest.raises(Exception, match=r"(?i)disconnect|closed|reset"):
        client.patch(ConfigMap, "cfg", {"data": {"a": "2"}}, patch_type=PatchType.MERGE)
    assert client.get(ConfigMap, "cfg").data == {"a": "2"}
