"""What the software inside the containers does: which images exist, what they need and how they behave under load.

The causes of faults live here and in the objects' specs, so that only the right fix cures. The kubelet reads it; worlds
and scenarios fill it. It runs nothing itself.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MEBIBYTE = 1024 * 1024

PUBLIC_IMAGES = frozenset(
    {
        "alpine", "busybox", "caddy", "consul", "curlimages/curl", "debian", "elasticsearch", "golang",
        "grafana/grafana", "haproxy", "httpd", "mariadb", "memcached", "mongo", "mysql", "nats", "nginx", "node",
        "postgres", "prom/prometheus", "python", "rabbitmq", "redis", "registry", "traefik", "ubuntu", "vault",
        "registry.k8s.io/pause",
    }
)  # fmt: skip
_VERSION_TAG = re.compile(r"(v?\d[\w.\-]*|latest|stable|alpine|slim|edge|mainline)(-[\w.\-]+)?\Z")
_DEFAULT_HOSTS = ("docker.io/library/", "docker.io/")


@dataclass(frozen=True)
class Program:
    """How the software of one image behaves.

    `requires_env` names the variables without which it exits with 1 at once; `error_rate` is a share of 0 to 1;
    `capacity_rps` is what one replica serves before it is saturated; `log_lines` are templates of everyday lines that
    may use `{path}`, `{status}`, `{ms}` and `{n}`.
    """

    image: str
    memory_base_bytes: int = 24 * MEBIBYTE
    memory_per_rps_bytes: int = 0
    requires_env: tuple[str, ...] = ()
    error_rate: float = 0.0
    latency_ms: float = 12.0
    capacity_rps: float = 500.0
    log_lines: tuple[str, ...] = ("level=info msg=tick n={n}",)


class Programs:
    """The registry of images: what can be pulled, and what it does when it runs.

    `generic` are patterns of the repositories that exist besides, with every version, such as `PUBLIC_IMAGES`; by
    default every repository that no Program names.
    """

    def __init__(self, programs: Iterable[Program] = (), *, generic: Iterable[str] = ("*",)) -> None:
        self._programs: dict[str, Program] = {}
        self._repositories: set[str] = set()
        self._generic = tuple(generic)
        for program in programs:
            self.add(program)

    def add(self, program: Program) -> None:
        """Publish an image, or replace what it does."""
        self._programs[_short(program.image)] = program
        self._repositories.add(split_image(program.image)[0])

    def lookup(self, image: str) -> Program | None:
        """What an image does, or None when no registry has it.

        A repository that some Program names has only the tags that were added; a generic one has every tag that looks
        like a version.
        """
        known = self._programs.get(_short(image))
        if known is not None:
            return known
        repository = split_image(image)[0]
        if repository in self._repositories or not any(fnmatch.fnmatchcase(repository, one) for one in self._generic):
            return None
        return self.generic(image)

    def generic(self, image: str) -> Program | None:
        """A program without needs or faults for an image whose tag looks like a version, else None."""
        return Program(image) if _VERSION_TAG.match(split_image(image)[1]) else None

    def __iter__(self) -> Iterator[Program]:
        return iter(self._programs.values())


class Load:
    """Requests per second that each workload gets now."""

    def __init__(self) -> None:
        self._rps: dict[tuple[str, str], float] = {}
        self._listeners: list[Callable[[str, str], None]] = []

    def rps(self, namespace: str, workload: str) -> float:
        return self._rps.get((namespace, workload), 0.0)

    def set_rps(self, namespace: str, workload: str, rps: float) -> None:
        if self._rps.get((namespace, workload), 0.0) == rps:
            return
        self._rps[namespace, workload] = rps
        for listener in self._listeners:
            listener(namespace, workload)

    def subscribe(self, listener: Callable[[str, str], None]) -> None:
        """Call back with (namespace, workload) whenever a rate changes."""
        self._listeners.append(listener)


def split_image(image: str) -> tuple[str, str]:
    """An image's repository without the default host, and its tag (`latest` when none is written)."""
    name = _short(image).partition("@")[0]
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, "latest"
    return repository, tag


def _short(image: str) -> str:
    for host in _DEFAULT_HOSTS:
        if image.startswith(host):
            return image.removeprefix(host)
    return image
