"""Scenarios: faults (and harmless noise) to practise on, loaded from `scenarios/NAME.yaml`.

A scenario lists typed steps that change the cluster or the world, what one will see, and how recovery is told.
`injection` carries out the steps; the truth about each one (`scenarios/truth/`) is for judges and is never read here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toban_sandbox import documents
from toban_sandbox.documents import DocumentError, Section
from toban_sandbox.promql import tree
from toban_sandbox.promql.errors import PromQLError
from toban_sandbox.promql.parser import parse

FOLDER = Path(__file__).with_name("scenarios")
KINDS = ("ConfigMap", "Secret", "Service", "Deployment", "Pod")
Json = dict[str, Any]


class UnknownScenarioError(DocumentError):
    """There is no scenario of that name."""


@dataclass(frozen=True)
class SetImage:
    """Somebody releases another image of a deployment, with a change cause."""

    deployment: str
    image: str
    cause: str


@dataclass(frozen=True)
class SetEnv:
    """Somebody sets variables of a deployment's container."""

    deployment: str
    env: dict[str, str]
    cause: str


@dataclass(frozen=True)
class Scale:
    deployment: str
    replicas: int


@dataclass(frozen=True)
class DeleteObject:
    kind: str
    name: str


@dataclass(frozen=True)
class RestartRollout:
    deployment: str


@dataclass(frozen=True)
class DeletePods:
    """All pods of a service are deleted; their ReplicaSet makes new ones."""

    service: str


@dataclass(frozen=True)
class Apply:
    """Somebody applies a manifest, server-side."""

    manifest: Json = field(repr=False)


@dataclass(frozen=True)
class SetTraffic:
    """A service's traffic becomes `factor` times its normal within `over_s` seconds."""

    service: str
    factor: float
    over_s: float


@dataclass(frozen=True)
class SetProgram:
    """The software of an image behaves otherwise from now on."""

    image: str
    changes: dict[str, float]


@dataclass(frozen=True)
class CpuBurst:
    """A service's containers use more CPU for a while."""

    service: str
    cores: float
    for_s: float


@dataclass(frozen=True)
class Wait:
    for_s: float


Step = (
    SetImage
    | SetEnv
    | Scale
    | DeleteObject
    | RestartRollout
    | DeletePods
    | Apply
    | SetTraffic
    | SetProgram
    | CpuBurst
    | Wait
)


@dataclass(frozen=True)
class Recovery:
    """When the world has recovered: every query has a result, deployments are complete, objects exist."""

    queries: tuple[tree.Expr, ...]
    deployments: tuple[str, ...]
    objects: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Scenario:
    """Everything a scenario file says. `title` is by language (en, ja)."""

    name: str
    title: dict[str, str]
    family: str
    harmless: bool
    description: str
    actor: str
    steps: tuple[Step, ...]
    symptoms: tuple[str, ...]
    red_herrings: tuple[str, ...]
    recovery: Recovery

    def summary(self) -> Json:
        """What lists show; it does not tell the cause."""
        return {"name": self.name, "title": self.title, "family": self.family, "harmless": self.harmless}


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> Scenario:
    """The scenario of that name. Raises UnknownScenarioError, and DocumentError for a file that is wrong."""
    if name not in names():
        raise UnknownScenarioError(f"there is no scenario {name!r}; known are: {', '.join(names())}")
    return read(FOLDER / f"{name}.yaml")


def load_all() -> list[Scenario]:
    return [load(name) for name in names()]


def read(path: Path) -> Scenario:
    """The scenario in a file. Raises DocumentError with the line of what is wrong."""
    document = documents.load(path)
    steps = tuple(_step(section) for section in document.sections("steps"))
    found = Scenario(
        name=document.text("name"),
        title=document.texts("title"),
        family=document.text("family"),
        harmless=document.flag("harmless"),
        description=document.text("description"),
        actor=document.text("actor", "ci-bot"),
        steps=steps,
        symptoms=document.names("symptoms", []),
        red_herrings=document.names("red_herrings", []),
        recovery=_recovery(document.required_section("recovery")),
    )
    document.finish()
    if found.name != path.stem:
        raise document.error(f"`name` must be the file's name, {path.stem}", "name")
    if not steps:
        raise document.error("a scenario needs at least one step", "steps")
    return found


def _recovery(section: Section) -> Recovery:
    try:
        queries = tuple(parse(text) for text in section.names("queries", []))
    except PromQLError as error:
        raise section.error(f"a query cannot be parsed: {error}", "queries") from error
    objects = [(part.choice("kind", KINDS), part.text("name")) for part in section.sections("objects")]
    recovery = Recovery(queries, section.names("deployments", []), tuple(objects))
    section.finish()
    return recovery


_CHANGEABLE = ("error_rate", "latency_ms", "capacity_rps", "memory_base_bytes", "memory_per_rps_bytes")


def _set_program(section: Section) -> SetProgram:
    changes = {name: section.number(name) for name in _CHANGEABLE if name in section}
    if not changes:
        raise section.error(f"set_program changes nothing; it may set {', '.join(_CHANGEABLE)}")
    return SetProgram(section.text("image"), changes)


def _manifest(section: Section) -> Apply:
    manifest = section.plain("manifest")
    if not isinstance(manifest, dict) or not {"apiVersion", "kind", "metadata"} <= manifest.keys():
        raise section.error("`manifest` must be an object with apiVersion, kind and metadata", "manifest")
    return Apply(manifest)


_STEPS: dict[str, Callable[[Section], Step]] = {
    "set_image": lambda s: SetImage(s.text("deployment"), s.text("image"), s.text("cause", "")),
    "set_env": lambda s: SetEnv(s.text("deployment"), s.texts("env"), s.text("cause", "")),
    "scale": lambda s: Scale(s.text("deployment"), s.whole("replicas")),
    "delete_object": lambda s: DeleteObject(s.choice("kind", KINDS), s.text("name")),
    "restart_rollout": lambda s: RestartRollout(s.text("deployment")),
    "delete_pods": lambda s: DeletePods(s.text("service")),
    "apply": _manifest,
    "set_traffic": lambda s: SetTraffic(s.text("service"), s.number("factor"), s.seconds("over", "0s")),
    "set_program": _set_program,
    "cpu_burst": lambda s: CpuBurst(s.text("service"), s.number("cores"), s.seconds("for")),
    "wait": lambda s: Wait(s.seconds("for")),
}


def _step(section: Section) -> Step:
    step = _STEPS[section.choice("do", tuple(_STEPS))](section)
    section.finish()
    return step
