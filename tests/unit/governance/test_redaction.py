"""Secrets go, ordinary text stays, and masking twice changes nothing."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toban.governance.redaction import mask, mask_tree

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

SECRETS = [
    ("Authorization: Bearer abc.def-123456789", "Authorization: Bearer [masked]"),
    ('authorization="Basic dXNlcjpwYXNzd29yZA==" status=401', 'authorization="Basic [masked]" status=401'),
    ("authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=ab", "authorization: AWS4-HMAC-SHA256 [masked]"),
    ('curl -H "Authorization: Bearer s0metoken" x', 'curl -H "Authorization: Bearer [masked]" x'),
    ("sent Bearer abcdefghij0123456789 to it", "sent Bearer [masked] to it"),
    ("Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==", "Proxy-Authorization: Basic [masked]"),
    ("Cookie: session=abc; csrf=def", "Cookie: [masked]"),
    ("password=hunter2 user=bob", "password=[masked] user=bob"),
    ("password=hun,ter2, user=bob", "password=[masked], user=bob"),
    ("DB_PASSWORD: correct horse", "DB_PASSWORD: [masked]"),
    ('  dbPassword: "with space"', '  dbPassword: "[masked]"'),
    ('{"password":"hun\\"ter2","user":"bob"}', '{"password":"[masked]","user":"bob"}'),
    (r'{"msg":"{\"token\":\"abc12345\",\"a\":1}"}', r'{"msg":"{\"token\":\"[masked]\",\"a\":1}"}'),
    ("{'password': 'x y', 'a': 1}", "{'password': '[masked]', 'a': 1}"),
    ("POSTGRES_PASS=abc", "POSTGRES_PASS=[masked]"),
    ("api_key: abcdefgh12345678", "api_key: [masked]"),
    ("X-Api-Key: k", "X-Api-Key: [masked]"),
    ("-H 'X-Vault-Token: s.abc12345'", "-H 'X-Vault-Token: [masked]'"),
    ("found AKIAIOSFODNN7EXAMPLE here", "found [masked] here"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "aws_secret_access_key = [masked]"),
    ("postgres://user:p@ss/w0rd@db:5432/x", "postgres://user:[masked]@db:5432/x"),
    ("redis://:secretpw@redis:6379/0", "redis://:[masked]@redis:6379/0"),
    ("https://0123456789abcdef0123456789abcdef@sentry.example/1", "https://[masked]@sentry.example/1"),
    (f"got {JWT}!", "got [masked]!"),
    ("User Id=sa;Password=Secr,et1;Encrypt=true", "User Id=sa;Password=[masked];Encrypt=true"),
    ("AccountKey=abcdef1234567890==;EndpointSuffix=core", "AccountKey=[masked];EndpointSuffix=core"),
    ("host=db password=secret sslmode=off", "host=db password=[masked] sslmode=off"),
    ("mysql --password hunter2 --host db", "mysql --password [masked] --host db"),
    ("tool --github-token abc", "tool --github-token [masked]"),
    ("curl -u admin:hunter2 https://x", "curl -u admin:[masked] https://x"),
    ("CREATE USER a IDENTIFIED BY 'pw'", "CREATE USER a IDENTIFIED BY '[masked]'"),
    ("requirepass foobared", "requirepass [masked]"),
    ("GET /?sig=abc%2B&x=1", "GET /?sig=[masked]&x=1"),
    ("GET /?access_token=abcdef&x=1", "GET /?access_token=[masked]&x=1"),
    ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/services/[masked]"),
    ("SLACK=xoxb-123456789012-abcdef", "SLACK=[masked]"),
    ("User{name=bob, password=abc}", "User{name=bob, password=[masked]}"),
    ("invalid token: hunter2hunter2", "invalid token: [masked]"),
    ("wrong password: hunter2", "wrong password: [masked]"),
    ("new token tbn_0123456789abcdefghij", "new token [masked]"),
    ("client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQ==", "client-key-data: [masked]"),
    ("secret_id: 8b2c1a2e", "secret_id: [masked]"),
    ("パスワード password=ひみつ です", "パスワード password=[masked] です"),
    ('+  password: "new"\n-  password: old', '+  password: "[masked]"\n-  password: [masked]'),
    ("- name: DB_PASSWORD\n  value: hunter2", "- name: DB_PASSWORD\n  value: [masked]"),
    ('{"name": "API_TOKEN", "value": "abc"}', '{"name": "API_TOKEN", "value": "[masked]"}'),
    ("password: |\n  one\n  two\nnext: x", "password: |\n  [masked]\n  [masked]\nnext: x"),
]

ORDINARY = [
    'level=info msg="token expired" user=bob',
    "invalid token: signature mismatch",
    "Error: couldn't find key password in Secret shop/db",
    'MountVolume.SetUp failed for volume "kube-api-access-token": configmap "kube-root-ca.crt" not found',
    'MountVolume.SetUp failed for volume "x": secret "db-credentials" not found',
    "image: registry.example.com/cart@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "uid: 123e4567-e89b-12d3-a456-426614174000",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "max_tokens=4096 total_tokens: 123456",
    "secretName: db-credentials",
    "imagePullSecrets:",
    "secretKeyRef:\n  name: db\n  key: password",
    "serviceAccountToken:\n  expirationSeconds: 3607",
    "automountServiceAccountToken: true",
    'kube_secret_info{namespace="shop",secret="db-credentials"} 1',
    "http://cart:8080/path?email=a@b.com",
    "redis://redis:6379/0",
    "ssh://git@github.com/x",
    "author: bob",
    "docker run -u 1000:1000 x",
    "PWD=/root",
    "authentication: basic authentication required",
    "authorization failed: user not allowed",
    "token bucket size: 5",
    "password_file: /run/secrets/x",
    "PASS: 5 FAIL: 3",
    "the password must have 12 characters",
    "DB_PASSWORD:  <set to the key 'password' in secret 'db'>  Optional: false",
    "token: ${TOKEN}",
    "apiKey: $(API_KEY)",
    "password: null",
    "if token == expected:",
    "partition_key=abc",
    "2026-11-21T03:00:00Z checkout-7d9f8b6c5d-abcde http://10.0.0.1:8080 timed out",
    "sk-frontend-7d9f8b6c5d-abcdeffff",
    "Bad activity token: android.os.BinderProxy@2bd79ce",
    "spark://CoarseGrainedScheduler@10.10.34.11:48069",
    "fencing_token: 7",
    "--- a/deployment.yaml\n+++ b/deployment.yaml\n@@ -1,3 +1,3 @@\n-        memory: 128Mi\n+        memory: 256Mi",
    "action_id: CHG-0001:fix:1",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
]


@pytest.mark.parametrize(("text", "masked"), SECRETS)
def test_a_secret_is_masked_and_the_text_around_it_stays(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays_as_it_is(text):
    assert mask(text) == text


@pytest.mark.parametrize(("text", "masked"), SECRETS)
def test_a_secret_is_found_in_the_middle_of_a_long_log_too(text, masked):
    assert mask(f"first line\n{text}\nlast line") == f"first line\n{masked}\nlast line"


@pytest.mark.parametrize("kind", ["PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"])
@pytest.mark.parametrize("mark", ["", "+", "    "])
def test_a_private_key_block_keeps_only_its_frame(kind, mark):
    text = f"a\n{mark}-----BEGIN {kind}-----\n{mark}MIIEow\n{mark}IBAAK=\n{mark}-----END {kind}-----\nb"
    assert mask(text) == f"a\n{mark}-----BEGIN {kind}-----\n[masked]\n{mark}-----END {kind}-----\nb"


def test_a_private_key_in_one_line_and_one_that_was_cut_off_are_masked():
    assert mask(r"k='-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----'") == (
        "k='-----BEGIN PRIVATE KEY-----[masked]-----END PRIVATE KEY-----'"
    )
    assert "MIIE" not in mask("-----BEGIN PRIVATE KEY-----\nMIIEow\nMIIEox")


SECRET_YAML = """\
apiVersion: v1
data:
  username: YWRtaW4=
  tls.crt: LS0t
kind: Secret
metadata:
  name: db
stringData:
  url: plain text
  config: |
    first
    second
type: Opaque
---
kind: ConfigMap
data:
  colour: blue
"""


def test_all_data_of_a_kubernetes_secret_in_yaml_is_masked_and_its_neighbour_is_not():
    assert (
        mask(SECRET_YAML)
        == """\
apiVersion: v1
data:
  username: [masked]
  tls.crt: [masked]
kind: Secret
metadata:
  name: db
stringData:
  url: [masked]
  config: |
    [masked]
    [masked]
type: Opaque
---
kind: ConfigMap
data:
  colour: blue
"""
    )


def test_all_data_of_a_kubernetes_secret_in_a_diff_is_masked():
    diff = " apiVersion: v1\n data:\n-  colour: Ymx1ZQ==\n+  colour: cmVk\n   size: MQ==\n kind: Secret\n"
    masked = " apiVersion: v1\n data:\n-  colour: [masked]\n+  colour: [masked]\n   size: [masked]\n kind: Secret\n"
    assert mask(diff) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            '{"kind":"Secret","data":{"a":"eA==","b":"{}"},"type":"Opaque"}',
            '{"kind":"Secret","data":{"a":"[masked]","b":"[masked]"},"type":"Opaque"}',
        ),
        (
            r'applied: "{\"data\":{\"a\":\"eA==\"},\"kind\":\"Secret\"}"',
            r'applied: "{\"data\":{\"a\":\"[masked]\"},\"kind\":\"Secret\"}"',
        ),
        ('{"kind":"ConfigMap","data":{"a":"x"}}', '{"kind":"ConfigMap","data":{"a":"x"}}'),
    ],
)
def test_all_data_of_a_kubernetes_secret_in_json_is_masked(text, masked):
    assert mask(text) == masked


def test_json_data_is_masked_by_its_keys_and_inside_its_texts():
    tree = {
        "password": "hunter2",
        "port": 5432,
        "token": None,
        "tokens_used": 12,
        "api_keys": {"api_key": "abcdef123456"},
        "passwords": ["one", "two"],
        "url": "redis://:pw@redis",
        "env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "COLOUR", "value": "blue"}],
        "ref": {"secretKeyRef": {"name": "db", "key": "password"}},
        "secret": "db-credentials",
    }
    assert mask_tree(tree) == tree | {
        "password": "[masked]",
        "api_keys": {"api_key": "[masked]"},
        "url": "redis://:[masked]@redis",
        "env": [{"name": "DB_PASSWORD", "value": "[masked]"}, {"name": "COLOUR", "value": "blue"}],
        "passwords": ["[masked]", "[masked]"],
    }


def test_kubernetes_secrets_as_objects_lose_their_data_also_in_lists():
    secret = {"kind": "Secret", "data": {"a": "eA=="}, "stringData": {"b": "x"}, "metadata": {"name": "db"}}
    masked = {"kind": "Secret", "data": {"a": "[masked]"}, "stringData": {"b": "[masked]"}, "metadata": {"name": "db"}}
    assert mask_tree(secret) == masked
    assert mask_tree({"kind": "List", "items": [secret]}) == {"kind": "List", "items": [masked]}
    listed = mask_tree({"kind": "SecretList", "items": [{"data": {"a": "eA=="}}]})
    assert listed["items"][0]["data"] == {"a": "[masked]"}


def test_what_is_nested_too_deeply_is_masked_whole():
    deep: object = "harmless"
    for _ in range(500):
        deep = [deep]
    masked = mask_tree(deep)
    while isinstance(masked, list):
        masked = masked[0]
    assert masked == "[masked]"


# --- properties ------------------------------------------------------------------------------------------------------

PIECES = [
    *(text for text, _ in SECRETS),
    *ORDINARY,
    *("password", "token", "secret", "api_key", "auth", "kind: Secret", '"kind":"Secret"', "data:", '"data":{', "}"),
    *(": ", "=", ":=", "=>", " ", "\n", "\n  ", '"', "'", "\\", '\\"', ",", ";", "[masked]", "[", "]", "{", "|", ">"),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "://",
        "@",
        "Bearer ",
        "--password ",
        "-u a:",
        "value: ",
    ),
    *(
        "name: TOKEN\n",
        "authorization: ",
        "cookie: ",
        "+",
        "-",
        "- ",
        "---\n",
        "$",
        "<",
        "x1",
        "0",
        "é",
        "\u2028",
        "\r",
    ),
]
texts = st.text() | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.sampled_from(PIECES), inner, max_size=3),
    max_leaves=8,
)


@given(text=texts)
@settings(deadline=None, max_examples=600)
@example(text="password: password: x")
@example(text='password="[masked]')
@example(text="token: Bearer [masked]")
@example(text=",APIKEY:<:::::_PASS=?")
def test_masking_twice_changes_nothing(text):
    once = mask(text)
    assert mask(once) == once


@given(tree=trees)
@settings(deadline=None, max_examples=200)
def test_masking_a_tree_twice_changes_nothing_and_keeps_its_keys(tree):
    once = mask_tree(tree)
    assert repr(mask_tree(once)) == repr(once)
    if isinstance(tree, dict):
        assert list(once) == list(tree)


@given(
    key=st.sampled_from(["password", "DB_PASSWORD", "client_secret", "apiKey", "auth-token", "AWS_SECRET_ACCESS_KEY"]),
    separator=st.sampled_from(["=", ": ", "=>", " = ", ":="]),
    secret=st.text("abcdefghijkmnpqrstuvwyzABCDEFG0123456789+/_-.!#%^*~", min_size=12, max_size=60).filter(
        lambda text: any(one.isdigit() for one in text) and any(one.isalpha() for one in text)
    ),
    quote=st.sampled_from(["", '"', "'"]),
    before=st.sampled_from(["", "level=error ", "2026-11-21T03:00:00Z failed with ", "\n  ", "{"]),
)
@settings(deadline=None)
def test_no_part_of_a_secret_survives_under_a_secret_key(key, separator, secret, quote, before):
    text = f"{before}{key}{separator}{quote}{secret}{quote} end"
    assert secret[:8] not in mask(text)
    assert secret[-8:] not in mask(text)


@given(
    hexadecimal=st.text("0123456789abcdef", min_size=40, max_size=64),
    word=st.sampled_from(["commit", "uid:", "sha256:"]),
)
def test_digests_and_ids_are_never_masked(hexadecimal, word):
    text = f"{word} {hexadecimal} ok"
    assert mask(text) == text


HOSTILE = {
    "begins": "-----BEGIN RSA PRIVATE KEY-----\n",
    "dashes": "-",
    "flags": "--token ",
    "addresses": "://a:b@",
    "words": "token",
    "pairs": "token: ",
    "quotes": 'password="',
    "escapes": 'token\\"',
    "dots": "eyJabcdefgh.",
    "names": "name: TOKEN\nvalue: x\n",
    "json": '"kind":"Secret","data":{',
    "escaped json": '"kind":"Secret"\\"data\\":{\\"a\\":\\"',
    "yaml": "kind: Secret\ndata:\n  a: b\n",
    "blocks": "password: |\n a\n",
    "parts": "secret=a-",
    "headers": "authorization: basic ",
    "brackets": "password=)",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_grows_with_the_text_and_not_with_its_square(piece):
    def seconds(size):
        text = piece * (size // len(piece))
        started = time.process_time()
        mask(text)
        return time.process_time() - started

    small, large = min(seconds(20_000) for _ in range(3)), min(seconds(160_000) for _ in range(2))
    assert large < max(small, 0.002) * 8 * 4  # eight times the text; a square would be sixty-four
