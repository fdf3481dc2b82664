"""The engine on its real database, in processes of its own: it is one to a process, and some of them are killed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

PROGRAM = textwrap.dedent(
    """
    import asyncio, json, os, sys
    from pathlib import Path
    from toban.engine.durable import Engine
    from toban.errors import StorageError

    folder = Path(sys.argv[1])
    log = folder / "log"

    def tell(*words):
        with log.open("a") as out:
            out.write(json.dumps(words) + "\\n")

    async def main():
        engine = Engine(url=f"sqlite:///{folder / 'engine.db'}", executor_id=os.environ.get("WORKER", "main"))

        async def first(n):
            tell("first", n)
            return n + 1

        async def slow(n):
            tell("slow", n)
            await asyncio.sleep(float(os.environ.get("SLOW_S", "0")))
            tell("slow done", n)
            return n * 10

        async def flaky(n):
            tell("flaky", n)
            if not (folder / "healed").exists():
                (folder / "healed").touch()
                raise StorageError("not now")
            return n

        async def three(run, n):
            a = await run.step(first, n)
            b = await run.step(slow, a)
            tell("result", run.id, await run.step(flaky, b))

        async def parked(run, n):
            tell("parked", run.id, await run.step(first, n))

        engine.define("three", three)
        engine.define("parked", parked)
        engine.launch()
        await engine.open_queues()
        print("ready", flush=True)
        await globals()[sys.argv[2]](engine)
        await engine.close()

    async def start_twice(engine):
        await engine.start("three", "R1", 1)
        await engine.start("three", "R1", 1)
        await settled(engine, "R1")

    async def go_on(engine):
        await settled(engine, "R1")

    async def park_and_wake(engine):
        await engine.park("parked", "P1", 5, delay_s=3600)
        await engine.park("parked", "P2", 5, delay_s=3600)
        tell("before", await engine.state("P1"))
        await engine.wake("P1")
        await engine.wake("nobody")
        await settled(engine, "P1")
        tell("other", await engine.state("P2"))

    async def park(engine):
        await engine.park("parked", "P1", 5, delay_s=3600)

    async def wake(engine):
        await engine.wake("P1")
        await settled(engine, "P1")

    async def supervised(engine):
        from toban.engine.supervisor import Supervisor
        from toban.kit.clock import SystemClock
        from toban.store import migrate
        from toban.store.database import Database, make_engine

        database = Database(make_engine(f"sqlite:///{folder / 'toban.db'}"))
        migrate.upgrade(database.engine)
        supervisor = Supervisor(engine, database, SystemClock(), os.environ["WORKER"])
        if os.environ["WORKER"] == "one":
            await engine.start("three", "R1", 1)
        for _ in range(100):
            taken = await supervisor.turn()
            if taken:
                tell("taken", *taken)
            if await engine.state("R1") == "SUCCESS":
                break
            await asyncio.sleep(0.1)

    async def settled(engine, run_id):
        for _ in range(200):
            if await engine.state(run_id) in {"SUCCESS", "ERROR"}:
                tell("state", run_id, await engine.state(run_id))
                return
            await asyncio.sleep(0.05)
        raise SystemExit("not settled")

    asyncio.run(main())
    """
)


def launch(folder, what, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), what],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    return out


def told(folder):
    return [tuple(json.loads(line)) for line in (folder / "log").read_text().splitlines()]


def wait_for(folder, words):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if (folder / "log").exists() and words in told(folder):
            return
        time.sleep(0.02)
    raise AssertionError(f"{words} never came")


def test_a_run_started_twice_runs_once_and_a_failed_step_is_tried_again(tmp_path):
    finish(launch(tmp_path, "start_twice"))
    lines = told(tmp_path)
    assert lines.count(("first", 1)) == 1
    assert lines.count(("flaky", 20)) == 2
    assert ("result", "R1", 20) in lines
    assert lines[-1] == ("state", "R1", "SUCCESS")


def test_a_run_killed_inside_a_step_goes_on_at_that_step(tmp_path):
    process = launch(tmp_path, "start_twice", SLOW_S="30")
    wait_for(tmp_path, ("slow", 2))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    finish(launch(tmp_path, "go_on"))
    lines = told(tmp_path)
    assert lines.count(("first", 1)) == 1
    assert lines.count(("slow", 2)) == 2
    assert ("result", "R1", 20) in lines


def test_a_living_worker_takes_over_what_a_dead_one_was_running(tmp_path):
    one = launch(tmp_path, "supervised", WORKER="one", SLOW_S="60")
    wait_for(tmp_path, ("slow", 2))
    two = launch(tmp_path, "supervised", WORKER="two")
    wait_for(tmp_path, ("slow", 2))
    one.send_signal(signal.SIGKILL)
    one.communicate(timeout=10)
    finish(two)
    lines = told(tmp_path)
    assert ("taken", "one") in lines
    assert lines.count(("first", 1)) == 1
    assert ("result", "R1", 20) in lines


def test_a_parked_run_waits_until_it_is_woken(tmp_path):
    finish(launch(tmp_path, "park_and_wake"))
    lines = told(tmp_path)
    assert ("before", "DELAYED") in lines
    assert ("parked", "P1", 6) in lines
    assert ("other", "DELAYED") in lines


def test_a_parked_run_survives_a_restart(tmp_path):
    finish(launch(tmp_path, "park"))
    finish(launch(tmp_path, "wake"))
    assert ("parked", "P1", 6) in told(tmp_path)


def test_what_the_engine_stores_is_json_not_pickle(tmp_path):
    import sqlite3

    finish(launch(tmp_path, "start_twice"))
    with sqlite3.connect(tmp_path / "engine.db") as connection:
        formats = {row[0] for row in connection.execute("select serialization from workflow_status")}
        stored = [row[0] for row in connection.execute("select inputs from workflow_input")]
        stored += [
            row[0] for row in connection.execute("select output from operation_outputs where output is not null")
        ]
    assert formats == {"portable_json"}
    assert len(stored) >= 4
    for text in stored:
        json.loads(text)
