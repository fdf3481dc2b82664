"""What a world consists of: nodes, images, services with their past, traffic. Loaded from `worlds/NAME.yaml`.

Read by `manifests` (the Kubernetes objects), `metrics.traffic` (the call graph) and `past` (the revisions). Pure data:
nothing runs here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from toban_sandbox import documents, world_programs
from toban_sandbox.documents import DocumentError, Section
from toban_sandbox.programs import Program

FOLDER = Path(__file__).with_name("worlds")
DEFAULT_LOG_LINES = (
    "level=info msg=request method=GET path={path} status={status} duration_ms={ms}",
    "level=info msg=request method=POST path={path} status={status} duration_ms={ms}",
)


class UnknownWorldError(DocumentError):
    """There is no world of that name."""


@dataclass(frozen=True)
class Node:
    name: str
    cpu: str
    memory: str
    zone: str


@dataclass(frozen=True)
class Traffic:
    """Requests per second into the entry service; `season` and `noise` are shares of it."""

    entry: str
    rps: float
    season: float
    noise: float


@dataclass(frozen=True)
class Revision:
    """One release in a service's past, `age_s` seconds before the sandbox starts."""

    image: str
    age_s: float
    cause: str


@dataclass(frozen=True)
class Settings:
    """A ConfigMap or Secret that a service reads its environment from."""

    name: str
    data: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Service:
    """One service: a Deployment, a Service, and what it needs. `calls` maps a callee to calls per request."""

    name: str
    component: str
    replicas: int
    port: int
    requests: dict[str, str]
    limits: dict[str, str]
    env: dict[str, str]
    config: Settings | None
    secret: Settings | None
    calls: dict[str, float]
    history: tuple[Revision, ...]


@dataclass(frozen=True)
class World:
    """Everything a world file says."""

    name: str
    namespace: str
    labels: dict[str, str]
    age_s: float
    nodes: tuple[Node, ...]
    traffic: Traffic
    images: tuple[Program, ...]
    services: tuple[Service, ...]

    def service(self, name: str) -> Service | None:
        return next((service for service in self.services if service.name == name), None)

    def callers_first(self) -> tuple[Service, ...]:
        """The services in an order in which nobody comes before its callers."""
        ordered: list[Service] = []
        waiting = list(self.services)
        while waiting:
            called = {callee for service in waiting for callee in service.calls}
            free = [service for service in waiting if service.name not in called]
            ordered += free
            waiting = [service for service in waiting if service.name in called]
            if not free:
                raise ValueError("services call each other in a circle")
        return tuple(ordered)


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> World:
    """The world of that name, or of that file when the name ends in `.yaml`. Raises DocumentError."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise UnknownWorldError(f"there is no world {name!r}; known are: {', '.join(names())}, or give a .yaml file")
    return read(path)


def read(path: Path) -> World:
    """The world in a file. Raises DocumentError with the line of what is wrong."""
    document = documents.load(path)
    world = World(
        document.text("name"),
        document.text("namespace"),
        document.texts("labels"),
        document.seconds("age"),
        tuple(_node(section) for section in document.sections("nodes")),
        _traffic(document.required_section("traffic")),
        tuple(_program(section) for section in document.sections("images")),
        tuple(_service(section) for section in document.sections("services")),
    )
    document.finish()
    _check(document, world)
    return world


def _check(document: Section, world: World) -> None:
    known = {service.name for service in world.services}
    if len(known) != len(world.services):
        raise document.error("two services have the same name", "services")
    if world.traffic.entry not in known:
        raise document.error(f"`entry` names no service: {world.traffic.entry}", "traffic")
    if not world.nodes:
        raise document.error("a world needs at least one node", "nodes")
    for service in world.services:
        for callee in service.calls:
            if callee not in known:
                raise document.error(f"service {service.name} calls an unknown service: {callee}", "services")
    try:
        world.callers_first()
    except ValueError as error:
        raise document.error(str(error), "services") from error


def _node(section: Section) -> Node:
    node = Node(section.text("name"), section.text("cpu"), section.text("memory"), section.text("zone", "zone-a"))
    section.finish()
    return node


def _traffic(section: Section) -> Traffic:
    traffic = Traffic(
        section.text("entry"), section.number("rps"), section.number("season", 0.0), section.number("noise", 0.0)
    )
    section.finish()
    return traffic


def _program(section: Section) -> Program:
    program = Program(
        image=section.text("image"),
        memory_base_bytes=section.size("memory_base"),
        memory_per_rps_bytes=section.size("memory_per_rps", "0"),
        requires_env=section.names("requires_env", []),
        error_rate=section.number("error_rate", 0.0005),
        latency_ms=section.number("latency_ms"),
        capacity_rps=section.number("capacity_rps", 500),
        log_lines=section.names("log_lines", list(DEFAULT_LOG_LINES)),
        **world_programs.behaviour(section),
    )
    section.finish()
    return program


def _settings(section: Section | None) -> Settings | None:
    if section is None:
        return None
    settings = Settings(section.text("name"), section.texts("data"))
    section.finish()
    return settings


def _service(section: Section) -> Service:
    calls = section.section("calls")
    service = Service(
        name=section.text("name"),
        component=section.text("component", "backend"),
        replicas=section.whole("replicas"),
        port=section.whole("port", 8080, least=1),
        requests=section.texts("requests"),
        limits=section.texts("limits"),
        env=section.texts("env"),
        config=_settings(section.section("config")),
        secret=_settings(section.section("secret")),
        calls={callee: calls.number(callee) for callee in calls.fields()} if calls else {},
        history=tuple(_revision(revision) for revision in section.sections("history")),
    )
    section.finish()
    if not service.history:
        raise section.error(f"service {service.name} needs at least one revision in its `history`", "history")
    return service


def _revision(section: Section) -> Revision:
    revision = Revision(section.text("image"), section.seconds("age"), section.text("cause", ""))
    section.finish()
    return revision
