"""Protobuf bodies: what kubectl's typed commands send is read as the same object in JSON, and junk is refused."""

import base64

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cluster import Cluster
from toban_sandbox.kube import kinds, protobuf, shapes
from toban_sandbox.kube.protobuf import numbers, wire

PREFIX = b"k8s\x00"
HEADERS = {"content-type": protobuf.MEDIA_TYPE}


def varint(value):
    value &= (1 << 64) - 1
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def field(number, value):
    """A field on the wire: a whole number, or text, bytes or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def body(api_version, kind, *fields):
    about = message((1, api_version), (2, kind))
    return PREFIX + message((1, about), (2, message(*fields)))


def test_a_deployment_is_read_with_all_that_it_holds():
    container = message((1, "app"), (2, "nginx:1.27"), (3, "sh"), (3, "-c"), (6, message((3, 80), (4, "TCP"))))
    limits = message((1, "memory"), (2, message((1, "64Mi"))))
    probe = message((1, message((2, message((1, "/"), (2, message((1, 1), (3, "http"))))))), (2, 0))
    container += message((8, message((1, limits))), (10, probe))
    template = message((1, message((11, message((1, "app"), (2, "web"))))), (2, message((2, container))))
    selector = message((1, message((1, "app"), (2, "web"))))
    spec = message((1, 0), (2, selector), (3, template), (5, 0), (7, 0))
    read = protobuf.decode(body("apps/v1", "Deployment", (1, message((1, "web"), (3, ""), (8, b""))), (2, spec)))
    assert read == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": "app",
                            "image": "nginx:1.27",
                            "command": ["sh", "-c"],
                            "ports": [{"containerPort": 80, "protocol": "TCP"}],
                            "resources": {"limits": {"memory": "64Mi"}},
                            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
                        }
                    ]
                },
            },
        },
    }


def test_bytes_are_shown_as_base64_and_times_as_text():
    secret = protobuf.decode(body("v1", "Secret", (2, message((1, "p"), (2, b"\xff\x00")))))
    assert secret["data"] == {"p": base64.b64encode(b"\xff\x00").decode()}
    event = protobuf.decode(body("v1", "Event", (6, message((1, 1_700_000_000))), (8, 3)))
    assert event["firstTimestamp"] == "2023-11-14T22:13:20Z"
    assert event["count"] == 3


def test_options_and_questions_are_read_in_any_group():
    options = protobuf.decode(body("apps/v1", "DeleteOptions", (1, 0), (4, "Orphan")))
    assert options["gracePeriodSeconds"] == 0
    assert options["propagationPolicy"] == "Orphan"
    verbs = message((1, "shop"), (2, "get"), (5, "pods"))
    review = protobuf.decode(body("authorization.k8s.io/v1", "SelfSubjectAccessReview", (2, message((1, verbs)))))
    assert review["spec"] == {"resourceAttributes": {"namespace": "shop", "verb": "get", "resource": "pods"}}


def test_negative_and_unknown_fields_are_taken_as_they_come():
    read = protobuf.decode(body("v1", "ConfigMap", (1, message((1, "c"), (999, "later"))), (77, 5), (4, 1)))
    assert read == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "immutable": True}
    scale = protobuf.decode(body("autoscaling/v1", "Scale", (2, message((1, -3)))))
    assert scale["spec"] == {"replicas": -3}


@given(st.binary(max_size=200))
def test_junk_is_refused_and_never_crashes_the_reader(junk):
    for kind in (b"", PREFIX):
        try:
            assert isinstance(protobuf.decode(kind + junk), dict)
        except wire.WireError:
            continue


@given(st.sampled_from(["Pod", "Secret", "Node", "Service", "PersistentVolume"]), st.binary(max_size=200))
def test_junk_inside_a_good_envelope_never_crashes_the_reader(kind, junk):
    about = message((1, "v1"), (2, kind))
    try:
        assert protobuf.decode(PREFIX + message((1, about), (2, junk)))["kind"] == kind
    except wire.WireError:
        return


def test_every_kind_that_can_be_created_has_its_numbers():
    options = {"TokenRequest"}
    missing = []
    for kind in kinds.KINDS:
        module = shapes.module_of(kind)
        if (
            "create" in kind.verbs
            and kind.kind not in options
            and (not module or numbers.of(module, kind.kind) is None)
        ):
            missing.append(f"{kind.group_version} {kind.kind}")
    assert missing == []


def holds_nothing(table):
    for one in (table or {}).values():
        if one.inlined is not None:
            yield from holds_nothing(one.inlined)
        elif one.form is None:
            yield one.name


def test_every_number_belongs_to_a_field_that_exists():
    strange = [
        f"{module} {name}: {field}"
        for module, name in numbers.modules()
        if shapes.fields_of(module, name)
        for field in holds_nothing(numbers.of(module, name))
    ]
    assert strange == []


@pytest.fixture
async def client():
    cluster = Cluster()
    async with cluster.client() as found:
        yield found


async def test_a_typed_create_is_stored_and_answered_in_json(client):
    path = "/api/v1/namespaces/shop/configmaps"
    sent = body("v1", "ConfigMap", (1, message((1, "cfg"))), (2, message((1, "a"), (2, ""))))
    made = await client.post(path, content=sent, headers=HEADERS)
    assert made.status_code == 201
    assert made.json()["data"] == {"a": ""}
    assert (await client.get(f"{path}/cfg")).json()["data"] == {"a": ""}


async def test_a_broken_body_is_a_bad_request_in_the_servers_own_words(client):
    async def refusal(content, content_type) -> httpx2.Response:
        answer = await client.post(
            "/api/v1/namespaces/shop/configmaps", content=content, headers={"content-type": content_type}
        )
        assert answer.status_code == 400
        assert answer.json()["reason"] == "BadRequest"
        return answer.json()["message"]

    start = "the object provided is unrecognized (must be of type ConfigMap): "
    assert await refusal(b"nonsense", protobuf.MEDIA_TYPE) == (
        start + "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] "
        "(6e6f6e73656e7365)"
    )
    assert await refusal(PREFIX + b"\x0a\x7f", protobuf.MEDIA_TYPE) == start + "unexpected EOF (6b3873000a7f)"
    assert await refusal(b"{nope", "application/json") == (
        start + "couldn't get version/kind; json parse error: invalid character 'n' looking for beginning of object "
        "key string ({nope)"
    )
    assert await refusal(b'{"a":', "application/json") == (
        start + 'couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"a":)'
    )
