"""Holds the sandbox's PromQL against a real Prometheus: the same samples, the same questions, the same answers."""

import asyncio
import json
import math
import shutil
import struct
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from toban_sandbox import world
from toban_sandbox.alerts import rules
from toban_sandbox.alerts.notifications import Policy
from toban_sandbox.audit import AuditLog
from toban_sandbox.metrics import api, exposition
from toban_sandbox.metrics.series import SeriesStore
from toban_sandbox.promql.labels import canonical
from toban_sandbox.promql.numbers import STALE
from toban_sandbox.sandbox import Sandbox

BASE_S = 1_790_000_040  # a multiple of 15 and of 60, so that steps and scrapes meet sometimes
REAL_STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
INSTALL = "Prometheus is missing: install Debian's `prometheus` package (apt-get install prometheus), or put it on PATH"


# -- the samples ------------------------------------------------------------------------------------------------------
def _counter(rate, *, step=15, end=2400, reset_at=None, offset=0):
    samples, total = [], 5.0
    for second in range(offset, end, step):
        if reset_at is not None and second >= reset_at > second - step:
            total = 1.0
        samples.append((second * 1000 + (second * 37) % 400, total))
        total += rate * step * (1 + 0.3 * math.sin(second / 97))
    return samples


def _gauge(function, *, step=15, end=2400, skip=()):
    return [(second * 1000, function(second)) for second in range(0, end, step) if second not in skip]


def dataset():
    """{labels: [(milliseconds after BASE, value)]} with resets, gaps, ends, NaN and infinities."""
    data = {}

    def add(name, samples, **labels):
        data[canonical({"__name__": name, **labels})] = samples

    for service, rate in (("cart", 4.0), ("payment", 1.5), ("catalog", 9.25)):
        add("http_requests_total", _counter(rate), service=service, code="200", job="shop")
        add("http_requests_total", _counter(rate / 20, reset_at=1200), service=service, code="500", job="shop")
        for le, share in (("0.05", 0.3), ("0.1", 0.6), ("0.5", 0.93), ("1", 0.98), ("+Inf", 1.0)):
            add("latency_seconds_bucket", _counter(rate * share), service=service, le=le)
        add("latency_seconds_sum", _counter(rate * 0.11), service=service)
        add("latency_seconds_count", _counter(rate), service=service)
    add("http_requests_total", _counter(2.0, end=1300), service="gone", code="200", job="shop")
    add("memory_bytes", _gauge(lambda s: 6e7 + 1e6 * math.sin(s / 60)), pod="cart-1", namespace="shop")
    add("memory_bytes", _gauge(lambda s: 9e7 + 3e4 * s, skip=range(600, 1100)), pod="cart-2", namespace="shop")
    ended = [*_gauge(lambda s: 5e7, end=1200), (1_200_000, STALE)]
    add("memory_bytes", ended, pod="cart-3", namespace="shop")
    for pod, node in (("cart-1", "node-1"), ("cart-2", "node-2"), ("cart-3", "node-1")):
        add("pod_info", _gauge(lambda s: 1.0), pod=pod, namespace="shop", node=node)
    add("limit_bytes", _gauge(lambda s: 1.28e8), pod="cart-1", namespace="shop", container="app")
    add("limit_bytes", _gauge(lambda s: 1.28e8), pod="cart-2", namespace="shop", container="app")
    add("temperature", _gauge(lambda s: 20 - s / 100), room="a")
    add("temperature", _gauge(lambda s: math.nan if 900 <= s < 1000 else s % 7), room="b")
    add("temperature", _gauge(lambda s: math.inf if s > 1500 else 0.0), room="c")
    add("temperature", _gauge(lambda s: 1e-7 * s), room="d")
    add("sparse", _gauge(float, step=240), kind="slow")
    return data


def _varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def remote_write_body(data):
    """Prometheus's remote-write message, with snappy's framing of uncompressed literals."""
    message = bytearray()
    for labels, samples in data.items():
        series = b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in labels)
        for offset_ms, value in samples:
            bits = REAL_STALE if struct.pack(">d", value) == struct.pack(">d", STALE) else value
            raw = b"\x09" + struct.pack("<d", bits) + b"\x10" + _varint(BASE_S * 1000 + offset_ms)
            series += _field(2, raw)
        message += _field(1, series)
    framed = bytearray(_varint(len(message)))
    for start in range(0, len(message), 65536):
        chunk = bytes(message[start : start + 65536])
        framed += b"\xf4" + struct.pack("<H", len(chunk) - 1) + chunk
    return bytes(framed)


# -- the two servers --------------------------------------------------------------------------------------------------
def _get(url, **params):
    try:
        with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(params)}", timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def _wait_for_address(log, process):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, f"Prometheus ended: {log.read_text()[-2000:]}"
        for line in log.read_text().splitlines():
            if "Listening on" in line:
                return line.rpartition("address=")[2].strip()
        time.sleep(0.05)
    pytest.fail(f"Prometheus did not listen within 30 s: {log.read_text()[-2000:]}")


def _write(request):
    """Sends the samples; Prometheus listens a moment before its storage is ready."""
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(request, timeout=20).close()
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """The URL of a real Prometheus that holds the data set."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.fail(INSTALL)
    root = tmp_path_factory.mktemp("prometheus")
    (root / "prometheus.yml").write_text("global: {scrape_interval: 15s, evaluation_interval: 1m}\n")
    log = root / "log"
    flags = [
        f"--config.file={root}/prometheus.yml",
        f"--storage.tsdb.path={root}/data",
        "--storage.tsdb.retention.time=20y",
        "--web.listen-address=127.0.0.1:0",
        "--web.enable-remote-write-receiver",
        "--log.level=info",
    ]
    with log.open("wb") as sink, subprocess.Popen([program, *flags], stdout=sink, stderr=sink) as process:
        try:
            url = f"http://{_wait_for_address(log, process)}"
            headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
            headers["X-Prometheus-Remote-Write-Version"] = "0.1.0"
            request = urllib.request.Request(f"{url}/api/v1/write", data=remote_write_body(dataset()), headers=headers)
            _write(request)
            yield url
        finally:
            process.terminate()
            process.wait(10)


class Readings:
    def __init__(self):
        self._store = SeriesStore()
        for labels, samples in dataset().items():
            series = self._store.series(labels)
            for offset_ms, value in samples:
                series.append(BASE_S * 1000 + offset_ms, value)

    def now_ms(self):
        return (BASE_S + 2400) * 1000

    def source(self):
        return self._store

    def current(self):
        return []

    def rule_groups(self):
        return []

    def alerts(self):
        return []


@pytest.fixture(scope="module")
def sandbox():
    """A function that asks the metrics API: path and parameters to status and JSON."""
    app = api.build_app(Readings())

    def ask(path, **params):
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": urllib.parse.urlencode(params).encode(),
            "headers": [],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "root_path": "",
        }
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        asyncio.run(app(scope, receive, send))
        return sent[0]["status"], json.loads(b"".join(m.get("body", b"") for m in sent[1:]))

    return ask


# -- the questions ----------------------------------------------------------------------------------------------------
EXPRESSIONS = [
    "http_requests_total",
    '{__name__=~"http_.*", code!="200"}',
    'http_requests_total{service=~"ca.*|gone", code=~"2.."}',
    'http_requests_total{service!~"ca.+"}',
    'http_requests_total{nothing=""}',
    "memory_bytes",
    "memory_bytes offset 5m",
    "memory_bytes offset -1m",
    "memory_bytes @ 1790000640",
    "rate(http_requests_total[1m] @ end())",
    "sparse",
    "rate(http_requests_total[5m])",
    'rate(http_requests_total{code="500"}[1m])',
    "rate(http_requests_total[20s])",
    "increase(http_requests_total[10m])",
    'increase(http_requests_total{code="500"}[3m] offset 2m)',
    "irate(http_requests_total[2m])",
    "idelta(memory_bytes[2m])",
    "delta(temperature[5m])",
    "deriv(memory_bytes[10m])",
    "predict_linear(memory_bytes[10m], 3600)",
    "changes(temperature[7m])",
    "resets(http_requests_total[30m])",
    "avg_over_time(temperature[5m])",
    "min_over_time(temperature[5m])",
    "max_over_time(memory_bytes[5m])",
    "sum_over_time(temperature[5m])",
    "count_over_time(memory_bytes[5m])",
    "quantile_over_time(0.9, memory_bytes[5m])",
    "stddev_over_time(memory_bytes[5m])",
    "stdvar_over_time(sparse[20m])",
    "last_over_time(memory_bytes[10m])",
    "present_over_time(memory_bytes[3m])",
    'absent(nothing_here{a="b", c=~"d"})',
    "absent(memory_bytes)",
    'absent_over_time(http_requests_total{service="gone"}[5m])',
    "sum(rate(http_requests_total[5m]))",
    "sum by (service) (rate(http_requests_total[5m]))",
    "sum without (code, job) (rate(http_requests_total[5m]))",
    'sum by (service) (rate(http_requests_total{code=~"5.."}[5m])) / sum by (service) (rate(http_requests_total[5m]))',
    "avg by (code) (http_requests_total)",
    "min(memory_bytes)",
    "max by (namespace) (memory_bytes)",
    "count(http_requests_total) by (code)",
    "group by (service) (http_requests_total)",
    "stddev(temperature)",
    "stdvar by (code) (http_requests_total)",
    "topk(2, http_requests_total)",
    "topk by (code) (1, http_requests_total)",
    "bottomk(2, memory_bytes)",
    "quantile(0.75, http_requests_total)",
    'count_values("value", pod_info)',
    "histogram_quantile(0.95, sum by (le, service) (rate(latency_seconds_bucket[5m])))",
    "histogram_quantile(0.5, latency_seconds_bucket)",
    "histogram_quantile(1.5, latency_seconds_bucket)",
    "rate(latency_seconds_sum[5m]) / rate(latency_seconds_count[5m])",
    "memory_bytes / on (namespace, pod) limit_bytes",
    "memory_bytes / ignoring (container) limit_bytes > 0.6",
    "memory_bytes * on (namespace, pod) group_left (node) pod_info",
    "pod_info * on (namespace, pod) group_right (node) memory_bytes",
    'http_requests_total{code="500"} / ignoring (code) group_left http_requests_total{code="200"}',
    "memory_bytes > 7e7",
    "memory_bytes > bool 7e7",
    "7e7 < memory_bytes",
    "memory_bytes == memory_bytes",
    "temperature != temperature",
    "memory_bytes and on (pod) limit_bytes",
    "memory_bytes unless on (pod) limit_bytes",
    'temperature{room="a"} or temperature{room=~"a|b"}',
    "temperature % 3",
    "temperature ^ 2 / 4 - -1",
    "-temperature",
    "2 ^ 3 ^ 2",
    "-2 ^ 2",
    "1 / 0 - 5 % 0",
    "temperature / 0",
    "1 > bool 2",
    "abs(temperature)",
    "ceil(temperature)",
    "floor(temperature)",
    "round(temperature, 0.5)",
    "round(temperature)",
    "exp(temperature)",
    "sqrt(temperature)",
    "ln(temperature)",
    "log2(temperature) + log10(temperature)",
    "sgn(temperature)",
    "clamp(temperature, 0, 3)",
    "clamp_min(temperature, 1)",
    "clamp_max(temperature, 1)",
    "time()",
    "timestamp(memory_bytes)",
    "vector(3.5)",
    'scalar(memory_bytes{pod="cart-1"})',
    "scalar(memory_bytes)",
    "sort(memory_bytes)",
    "sort_desc(memory_bytes)",
    'label_replace(pod_info, "app", "$1", "pod", "(.*)-[0-9]+")',
    'label_replace(pod_info, "node", "", "node", ".*")',
    "hour() + minute() + day_of_week() + month() + year() + days_in_month() + day_of_month()",
    "max_over_time(rate(http_requests_total[1m])[10m:1m])",
    "avg_over_time((memory_bytes > 6e7)[10m:30s] offset 1m)",
    "sum(memory_bytes) by (namespace) + on (namespace) group_right () count by (namespace, node) (pod_info)",
    "temperature[2m]",
    "http_requests_total{code='500'}[90s] offset 1m",
    "'a string'",
    "0x1F + 1e-3 + .5",
    "1e21 + 0",
    "1e-7 * 1",
]
WRONG = [
    "",
    "sum(",
    "http_requests_total{",
    "http_requests_total{code=}",
    "{}",
    '{code=~".*"}',
    "foo[5m",
    "rate(http_requests_total)",
    "rate(http_requests_total[5m]) [5m]",
    "sum(1)",
    "1 > 2",
    "1 and 2",
    "nonsense(http_requests_total)",
    'http_requests_total{code=~"("}',
    "memory_bytes + bool memory_bytes",
    "memory_bytes offset 5",
    "'a' + 1",
    "memory_bytes * on () temperature",
    "memory_bytes * on (namespace) pod_info",
    "sum(http_requests_total) by (code) * on (code) group_left http_requests_total",
    "topk(memory_bytes)",
    'label_replace(pod_info, "x y", "$1", "pod", "(.*)")',
    'label_replace(pod_info, "pod", "same", "pod", ".*")',
    'rate({__name__=~"latency_seconds_(sum|count)"}[5m])',
]
MOMENTS = (1190, 1500, 2395)


def _number(text):
    return float(text)


def _points(entry):
    return [entry["value"]] if "value" in entry else entry["values"]


def _same(ours, theirs):
    if isinstance(theirs, str) and isinstance(ours, str):
        left, right = _number(ours), _number(theirs)
        return left == right or (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=1e-9)
    return ours == theirs


def _differences(ours, theirs):
    if ours["resultType"] != theirs["resultType"]:
        return [f"type {ours['resultType']} instead of {theirs['resultType']}"]
    if ours["resultType"] in ("scalar", "string"):
        (our_time, our_value), (their_time, their_value) = ours["result"], theirs["result"]
        same = our_value == their_value if ours["resultType"] == "string" else _same(our_value, their_value)
        return [] if our_time == their_time and same else [f"{ours['result']} instead of {theirs['result']}"]

    def table(data):
        return {json.dumps(entry["metric"], sort_keys=True): _points(entry) for entry in data["result"]}

    left, right = table(ours), table(theirs)
    found = [f"series {key} missing" for key in right.keys() - left.keys()]
    found += [f"series {key} too many" for key in left.keys() - right.keys()]
    for key in left.keys() & right.keys():
        if [t for t, _ in left[key]] != [t for t, _ in right[key]]:
            found.append(f"{key}: other times: {len(left[key])} instead of {len(right[key])}")
        else:
            pairs = zip(left[key], right[key], strict=True)
            found += [f"{key} at {t}: {a} instead of {b}" for (t, a), (_, b) in pairs if not _same(a, b)][:3]
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_instant_query_answers_as_prometheus_does(prometheus, sandbox, expression):
    for moment in MOMENTS:
        params = {"query": expression, "time": f"{BASE_S + moment}.5"}
        status, theirs = _get(f"{prometheus}/api/v1/query", **params)
        our_status, ours = sandbox("/api/v1/query", **params)
        assert (our_status, ours["status"]) == (status, theirs["status"]), (ours, theirs)
        assert _differences(ours["data"], theirs["data"]) == [], f"at +{moment} s"


def test_most_of_the_questions_have_an_answer_to_compare(sandbox):
    empty = [
        expression
        for expression in EXPRESSIONS
        if sandbox("/api/v1/query", query=expression, time=BASE_S + 1190)[1]["data"]["result"] == []
    ]
    assert len(empty) < 8, empty


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_range_query_answers_as_prometheus_does(prometheus, sandbox, expression):
    params = {"query": expression, "start": BASE_S + 100, "end": f"{BASE_S + 2390}.25", "step": "47s"}
    status, theirs = _get(f"{prometheus}/api/v1/query_range", **params)
    our_status, ours = sandbox("/api/v1/query_range", **params)
    assert our_status == status, (ours, theirs)
    if status == 200:
        assert _differences(ours["data"], theirs["data"]) == []
    else:
        assert ours["errorType"] == theirs["errorType"]


@pytest.mark.parametrize("expression", WRONG)
def test_a_wrong_query_is_refused_with_the_same_status_and_type(prometheus, sandbox, expression):
    params = {"query": expression, "time": BASE_S + 1100}
    status, theirs = _get(f"{prometheus}/api/v1/query", **params)
    our_status, ours = sandbox("/api/v1/query", **params)
    assert status >= 400, theirs
    assert (our_status, ours["errorType"]) == (status, theirs["errorType"]), (ours, theirs)
    assert ours["error"]


NUMBERS = (
    "1e21",
    "1e20",
    "123456789.25",
    "1e-6",
    "9.5e-7",
    "0.1",
    "-0.00001",
    "1e300",
    "2.5e-310",
    "Inf",
    "-Inf",
    "NaN",
)


@pytest.mark.parametrize("number", [*NUMBERS, *(f"vector({number})" for number in NUMBERS)])
def test_numbers_are_written_with_the_same_digits(prometheus, sandbox, number):
    params = {"query": number, "time": BASE_S}
    _, theirs = _get(f"{prometheus}/api/v1/query", **params)
    assert sandbox("/api/v1/query", **params)[1]["data"]["result"] == theirs["data"]["result"]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/api/v1/series", {"match[]": "memory_bytes"}),
        ("/api/v1/series", {"match[]": '{code="500"}'}),
        ("/api/v1/labels", {}),
        ("/api/v1/labels", {"match[]": "pod_info"}),
        ("/api/v1/label/service/values", {}),
        ("/api/v1/label/__name__/values", {}),
        ("/api/v1/label/none/values", {}),
    ],
)
def test_metadata_queries_answer_as_prometheus_does(prometheus, sandbox, path, params):
    window = {"start": BASE_S, "end": BASE_S + 2400}
    _, theirs = _get(f"{prometheus}{path}", **params, **window)
    _, ours = sandbox(path, **params, **window)

    def order(items):
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))

    assert order(ours["data"]) == order(theirs["data"])


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/api/v1/query", {"query": "up", "time": "yesterday"}),
        ("/api/v1/query_range", {"query": "up", "start": "2", "end": "1", "step": "1"}),
        ("/api/v1/query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}),
        ("/api/v1/query_range", {"query": "up", "start": "1", "end": "20000", "step": "1"}),
        ("/api/v1/query_range", {"query": "up[5m]", "start": "1", "end": "2", "step": "1"}),
        ("/api/v1/series", {}),
        ("/api/v1/series", {"match[]": "{"}),
        ("/api/v1/label/a-b/values", {}),
    ],
)
def test_bad_parameters_are_refused_in_prometheus_words(prometheus, sandbox, path, params):
    status, theirs = _get(f"{prometheus}{path}", **params)
    our_status, ours = sandbox(path, **params)
    assert (our_status, ours["errorType"]) == (status, theirs["errorType"])
    assert ours["error"].split(":")[0] == theirs["error"].split(":")[0]


def test_promtool_accepts_the_alert_rules():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.fail(INSTALL)
    path = Path(rules.__file__).with_name("rules.yaml")
    done = subprocess.run(
        [promtool, "check", "rules", str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_promtool_accepts_the_metrics_of_a_running_world(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.fail(INSTALL)
    sandbox = Sandbox(
        world.load("shop"), seed=1, speed=0.0, users={}, audit=AuditLog(tmp_path / "audit.jsonl"), policy=Policy()
    )
    await sandbox.start(metrics_url="http://127.0.0.1:1", now=lambda: float(BASE_S))
    text = exposition.write(sandbox.simulation.sampler.current())
    await sandbox.close()
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this loop any more
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    # Code 3 is advice on naming, which kube-state-metrics itself does not follow.
    assert done.returncode in (0, 3), done.stderr
    assert "error while linting" not in done.stderr
