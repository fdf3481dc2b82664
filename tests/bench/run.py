"""`make bench`: measures what the documentation claims, and writes it down with the commit.

    python tests/bench/run.py [SUITE …] [--rounds N] [--write]

Suites: start, page, demo, intake, kills. Every figure has a baseline measured in the same run, or a promise to hold
against. `--write` renews docs/benchmarks.md.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
DOCUMENT = ROOT / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Figure:
    """One line of the document."""

    suite: str
    what: str
    value: str
    goal: str
    met: bool | None
    baseline: str = ""


def seconds(command, **options):
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)
    return time.perf_counter() - began


def toban(*words):
    return [sys.executable, "-m", "toban.main", *words]


def measure_start(rounds):
    from support.live import Toban

    for _ in range(2):
        seconds(toban("--help"))
    told = statistics.median(seconds(toban("--help")) for _ in range(rounds * 2))
    bare = statistics.median(seconds([sys.executable, "-c", "pass"]) for _ in range(rounds * 2))
    ready, warm, memory = [], [], 0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            server = Toban(Path(folder))
            ready.append(time.perf_counter() - began)
            server.process.stop()
            warm.append(server.start())
            memory = max(memory, peak_kib(server.process.popen.pid))
            server.close()
    cold, again = statistics.median(ready), statistics.median(warm)
    return [
        Figure("start", "`toban --help`", f"{told:.2f} s", "≤ 0.3 s", told <= 0.3, f"bare Python {bare:.2f} s"),
        Figure(
            "start",
            "`toban up` ready, fresh state folder",
            f"{cold:.2f} s",
            "≤ 3 s",
            cold <= 3,
            f"second start {again:.2f} s",
        ),
        Figure("start", "memory of an idle server, peak", f"{memory / 1024:.0f} MB", "≤ 300 MB", memory <= 300 * 1024),
    ]


def peak_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


class PeakMemory:
    """Watches the server below a demo process."""

    def __init__(self, pid):
        import psutil

        self.root = psutil.Process(pid)
        self.peak = 0

    def look(self):
        import psutil

        try:
            for child in self.root.children(recursive=True):
                if "toban.main" in " ".join(child.cmdline()) or "bin/toban" in " ".join(child.cmdline()):
                    self.peak = max(self.peak, peak_kib(child.pid))
        except (psutil.Error, OSError):
            pass


def measure_demo(rounds):
    figures = []
    for scenario in ("memory-limit", "missing-image", "bad-release", "missing-config", "noise"):
        diagnosis, verified, whole, memory, ends = [], [], [], 0, []
        for _ in range(max(1, rounds // 2)):
            with tempfile.TemporaryDirectory() as home:
                began = time.perf_counter()
                process = subprocess.Popen(
                    toban("demo", "--scenario", scenario, "--yes", "--json"),
                    env=os.environ | {"TOBAN_HOME": home}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                )  # fmt: skip
                watch = PeakMemory(process.pid)
                while process.poll() is None:
                    watch.look()
                    time.sleep(0.1)
                whole.append(time.perf_counter() - began)
                memory = max(memory, watch.peak)
                document = json.loads(process.stdout.read())
                ends.append((document["diagnosis"] or {}).get("cause"))
                diagnosis.append(document["seconds"]["diagnosis"])
                if document["seconds"]["verified"] is not None:
                    verified.append(document["seconds"]["verified"])
        first = max(diagnosis)
        figures.append(
            Figure("demo", f"{scenario}: alert → first diagnosis ({ends[0]}), worst of {len(diagnosis)}",
                   f"{first:.1f} s", "≤ 5 s", first <= 5)
        )  # fmt: skip
        if verified:
            worst = max(verified)
            figures.append(
                Figure("demo", f"{scenario}: alert → verified fix, worst", f"{worst:.1f} s", "≤ 60 s", worst <= 60,
                       f"whole command {max(whole):.0f} s")
            )  # fmt: skip
        figures.append(
            Figure(
                "demo",
                f"{scenario}: server's peak memory",
                f"{memory / 1024:.0f} MB",
                "≤ 300 MB",
                0 < memory <= 300 * 1024,
            )
        )
    return figures


def measure_intake(rounds):
    single = max(asyncio.run(durable_rate(150, together=False)) for _ in range(rounds))
    batched = max(asyncio.run(durable_rate(20_000, together=True)) for _ in range(rounds))
    ratio = batched / single
    answered = max(asyncio.run(http_rate(4_000)) for _ in range(rounds))
    return [
        Figure("intake", "durable deliveries/s, one by one", f"{single:,.0f}", "baseline", None),
        Figure("intake", "durable deliveries/s, group commit", f"{batched:,.0f}", "≥ 5 × one by one", ratio >= 5, f"{ratio:.0f} ×"),
        Figure("intake", "deliveries/s answered 202 over HTTP by the whole server, client on the same two cores",
               f"{answered:,.0f}", "published", None),
    ]  # fmt: skip


async def durable_rate(count, *, together):
    from support.house import alert, payload
    from toban.flow.receive import Intake
    from toban.flow.settings import IntakeSettings
    from toban.kit.clock import SystemClock
    from toban.store import migrate
    from toban.store.database import Database, make_engine

    body = payload(alert())
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        database = Database(make_engine(f"sqlite:///{folder}/toban.db"))
        migrate.upgrade(database.engine)
        intake = Intake(database, SystemClock(), IntakeSettings(queue_limit=count + 1, queue_limit_bytes=2**32))
        began = time.perf_counter()
        if together:
            await asyncio.gather(*(intake.accept("default", "alertmanager", body) for _ in range(count)))
        else:
            for _ in range(count):
                await intake.accept("default", "alertmanager", body)
        spent = time.perf_counter() - began
        await intake.close()
        database.close()
    return count / spent


async def http_rate(count, connections=50):
    from support.house import alert, payload
    from support.live import Toban

    body = payload(alert())
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        server = Toban(Path(folder))
        request = (
            f"POST /hooks/alertmanager HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

        async def talk(times):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for _ in range(times):
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 202"), head[:100]
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
            writer.close()

        began = time.perf_counter()
        await asyncio.gather(*(talk(count // connections) for _ in range(connections)))
        spent = time.perf_counter() - began
        server.close()
    return count / spent


WEIGHT = "performance.getEntries().reduce((sum, one) => sum + (one.decodedBodySize || 0), 0)"


def measure_page(rounds):
    from playwright.sync_api import sync_playwright

    from support.house import alert, payload
    from support.live import Toban, wait_until

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        server = Toban(Path(folder))
        server.client.post("/hooks/alertmanager", content=payload(alert()))
        wait_until(lambda: server.get("/incidents")["items"])
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        times, weights = [], []
        for _ in range(rounds * 2):
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{server.url}/incidents/INC-0001", wait_until="load")
            timing = page.evaluate("JSON.parse(JSON.stringify(performance.getEntriesByType('navigation')[0]))")
            times.append(timing["domContentLoadedEventEnd"] / 1000)
            weights.append(page.evaluate(WEIGHT))
            context.close()
        browser.close()
        server.close()
    middle = statistics.median(times)
    return [
        Figure("page", "incident page interactive (DOMContentLoaded, scripts run), headless Chromium, empty cache",
               f"{middle:.2f} s", "≤ 0.5 s", middle <= 0.5, f"{statistics.median(weights) / 1024:.0f} KiB uncompressed"),
    ]  # fmt: skip


def measure_kills(rounds):
    from crash.test_kill import one_round
    from support.live import Sandbox

    wanted = max(10, rounds)
    twice, false, unknown, succeeded = 0, 0, 0, 0
    for seed in range(wanted):
        with tempfile.TemporaryDirectory() as folder:
            sandbox = Sandbox(Path(folder) / "sandbox")
            try:
                ended, effects = one_round(sandbox, Path(folder) / "home", random.Random(seed).uniform(0, 3))
            finally:
                sandbox.close()
            twice += len(effects) > 1
            succeeded += ended["state"] == "succeeded"
            false += ended["state"] == "succeeded" and len(effects) != 1
            unknown += ended["state"] == "unknown"
    return [
        Figure(
            "kills",
            f"{wanted} × kill -9 at a random moment of the change: effects done twice",
            str(twice),
            "0",
            twice == 0,
        ),
        Figure("kills", "false successes", str(false), "0", false == 0),
        Figure(
            "kills", "UNKNOWN although the probe could read", str(unknown), "0", unknown == 0, f"{succeeded} verified"
        ),
    ]


SUITES = {
    "start": measure_start, "page": measure_page, "demo": measure_demo, "intake": measure_intake, "kills": measure_kills,
}  # fmt: skip


def commit():
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"


HEAD = """# Benchmarks

Written by `make bench ARGS='SUITE … --write'`; each figure comes from a run at the commit beside it, none is typed in.
A suite that was not measured again keeps its rows.

| suite | what | measured | goal | met | beside it | run |
|---|---|---|---|---|---|---|
"""


def document(figures, rounds, kept=()):
    signs = {True: "yes", False: "**no**", None: "–"}
    run = f"`{commit()}`, {datetime.now(UTC):%Y-%m-%d}, {rounds} rounds"
    lines = [
        f"| {one.suite} | {one.what} | {one.value} | {one.goal} | {signs[one.met]} | {one.baseline} | {run} |"
        for one in figures
    ]
    tail = f"Machine: {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}."
    return HEAD + "\n".join([*lines, *kept]) + f"\n\n{tail}\n"


def rows_of_others(suites):
    """Rows of suites that this run did not measure."""
    if not DOCUMENT.exists():
        return []
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")][1:]
    return [row for row in rows if row.split("|")[1].strip() not in suites]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", choices=[[], *SUITES], default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="renew docs/benchmarks.md")
    options = parser.parse_args()
    figures = []
    for name in options.suites or SUITES:
        print(f"measuring {name} …", file=sys.stderr)
        figures += SUITES[name](options.rounds)
    print(document(figures, options.rounds))
    if options.write:
        kept = rows_of_others(set(options.suites or SUITES))
        DOCUMENT.write_text(document(figures, options.rounds, kept))
    return 0 if all(one.met is not False for one in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
