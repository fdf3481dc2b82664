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
DEFAULT_PORTS = {"http": 80, "postgres": 5432, "mysql": 3306, "redis": 6379, "amqp": 5672, "tcp": 80}
# Where well-known public images listen when nothing else is said.
_USUAL_PORTS = {
    "caddy": (80,), "consul": (8500,), "elasticsearch": (9200,), "grafana/grafana": (3000,), "httpd": (80,),
    "mariadb": (3306,), "memcached": (11211,), "mongo": (27017,), "mysql": (3306,), "nats": (4222,), "nginx": (80,),
    "postgres": (5432,), "prom/prometheus": (9090,), "rabbitmq": (5672, 15672), "redis": (6379,),
    "registry": (5000,), "traefik": (80,), "vault": (8200,),
}  # fmt: skip
_DATABASES = {"postgres": "POSTGRES_PASSWORD", "mysql": "MYSQL_PASSWORD", "mariadb": "MARIADB_PASSWORD"}
PUBLIC_HOSTS = ("docker.io", "registry.k8s.io", "quay.io", "ghcr.io", "gcr.io", "public.ecr.aws", "mcr.microsoft.com")
_VERSION_TAG = re.compile(r"(v?\d[\w.\-]*|latest|stable|alpine|slim|edge|mainline)(-[\w.\-]+)?\Z")
_DEFAULT_HOSTS = ("docker.io/library/", "docker.io/")


@dataclass(frozen=True)
class Need:
    """Something that a program reaches over the network; its address is read from the variable `env`.

    The variable holds `host:port`, a host or a URL. `kind` is `http`, `postgres`, `mysql`, `redis`, `amqp` or `tcp`: it
    gives the default port and the words of the errors. `password_env` names the program's own variable with the
    password, for a database that has one. Without `at_start` the program starts all the same and is not ready.
    """

    env: str
    kind: str = "http"
    password_env: str = ""
    writes: bool = False
    at_start: bool = True
    connections: int = 5

    @property
    def default_port(self) -> int:
        return DEFAULT_PORTS.get(self.kind, 80)


@dataclass(frozen=True)
class Database:
    """What makes a program a database: `password_env` names its own variable with the password it asks for."""

    max_connections: int = 100
    read_only: bool = False
    password_env: str = ""


@dataclass(frozen=True)
class Program:
    """How the software of one image behaves.

    `requires_env` names the variables without which it exits with 1 at once; `error_rate` is a share of 0 to 1;
    `capacity_rps` is what one replica serves before it is saturated, and above which it answers no probe in time when
    `hangs_overloaded`; `log_lines` are templates of everyday lines that may use `{path}`, `{status}`, `{ms}` and `{n}`.

    `ports` and `paths` are what it listens on and answers; empty ones stand for the container's declared ports and for
    every path; `port_env` names a variable that moves the first port. Readiness under `ready_paths` tells of its needs.
    `start_s` and `stop_s` are the seconds from start to listening and from SIGTERM to exit, None as the timing says.
    `cpu_s_per_request` is core-seconds, 0 for one core at full capacity; `leak_bytes_per_hour` memory that is never
    given back; `disk_bytes_per_hour` what it writes to its own file system. `user` is the image's user id, `writes_to`
    the directories it must be able to write to, `commands` the executables it has besides the usual ones. A `private`
    image can be pulled only with a secret.
    """

    image: str
    memory_base_bytes: int = 24 * MEBIBYTE
    memory_per_rps_bytes: int = 0
    requires_env: tuple[str, ...] = ()
    error_rate: float = 0.0
    latency_ms: float = 12.0
    capacity_rps: float = 500.0
    log_lines: tuple[str, ...] = ("level=info msg=tick n={n}",)
    ports: tuple[int, ...] = ()
    port_env: str = ""
    paths: tuple[str, ...] = ()
    ready_paths: tuple[str, ...] = ("/ready", "/readyz", "/health/ready", "/-/ready")
    tls: bool = False
    needs: tuple[Need, ...] = ()
    database: Database | None = None
    start_s: float | None = None
    stop_s: float | None = None
    hangs_overloaded: bool = False
    cpu_s_per_request: float = 0.0
    leak_bytes_per_hour: float = 0.0
    disk_bytes: int = 0
    disk_bytes_per_hour: float = 0.0
    user: int = 0
    writes_to: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    private: bool = False
    listed: bool = True

    @property
    def core_seconds(self) -> float:
        """What one request costs."""
        return self.cpu_s_per_request or 1.0 / max(self.capacity_rps, 1.0)


class Programs:
    """The registry of images: what can be pulled, and what it does when it runs.

    `generic` are patterns of the repositories that exist besides, with every version, such as `PUBLIC_IMAGES`; by
    default every repository that no Program names.
    """

    def __init__(self, programs: Iterable[Program] = (), *, generic: Iterable[str] = ("*",)) -> None:
        self._programs: dict[str, Program] = {}
        self._repositories: set[str] = set()
        self._generic = tuple(generic)
        self._listeners: list[Callable[[Program], None]] = []
        for program in programs:
            self.add(program)

    def add(self, program: Program) -> None:
        """Publish an image, or replace what it does."""
        self._programs[_short(program.image)] = program
        self._repositories.add(split_image(program.image)[0])
        for listener in self._listeners:
            listener(program)

    def subscribe(self, listener: Callable[[Program], None]) -> None:
        """Call back with each program that is added or changed."""
        self._listeners.append(listener)

    def knows_host(self, image: str) -> bool:
        """Whether the registry's host that an image names is there at all."""
        host = host_of(image)
        return host in PUBLIC_HOSTS or any(host_of(one.image) == host for one in self._programs.values())

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
        repository, tag = split_image(image)
        if not _VERSION_TAG.match(tag):
            return None
        password = _DATABASES.get(repository)
        database = Database(password_env=password) if password else None
        return Program(image, ports=_USUAL_PORTS.get(repository, ()), database=database, listed=False)

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


def host_of(image: str) -> str:
    """The host of the registry that an image is pulled from."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    return "docker.io"


def _short(image: str) -> str:
    for host in _DEFAULT_HOSTS:
        if image.startswith(host):
            return image.removeprefix(host)
    return image
