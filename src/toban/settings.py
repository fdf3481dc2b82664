"""Settings: defaults, then `toban.yaml`, then `.env` and `TOBAN_*` variables; every mistake is told with file and line.

Each package brings its own group; integrations bring theirs through the registry. `toban config show` prints the result
without secrets. Nothing else in Toban reads configuration files or variables.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    SettingsConfigDict,
)

from toban.errors import ConfigurationError
from toban.flow import settings as flow_settings
from toban.governance import policy
from toban.governance import settings as governance_settings
from toban.kit import text
from toban.model.environment import Environment
from toban.plugins import registry

_RESERVED = frozenset(
    f"TOBAN_{name}" for name in ("HOME", "CONFIG", "URL", "TOKEN", "TOKEN_FILE", "SHARED", "LANG", "LOG", "DEBUG")
)
_Lines = dict[tuple[str | int, ...], int]


class Group(BaseModel):
    """A group of settings: unknown names are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSettings(Group):
    """Where Toban listens. Other hosts than loopback need accounts and hook tokens."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8420, ge=0, le=65535, description="port; 0 takes a free one")
    public_hosts: tuple[str, ...] = Field((), description="host names under which browsers may call, beside loopback")
    body_limit_bytes: int = Field(5 * 1024 * 1024, ge=1024, description="largest body of a hook")


class DatabaseSettings(Group):
    """Where Toban keeps its records; empty means SQLite in the state folder."""

    url: str = Field("", description="SQLAlchemy URL of Toban's tables")
    engine_url: str = Field("", description="URL of the workflow engine's tables")
    busy_timeout_s: float = Field(5.0, gt=0, le=60, description="how long to wait for a locked database")


class WorkspaceSettings(Group):
    """What the first workspace looks after."""

    name: str = Field("default", pattern=r"^[a-z][a-z0-9-]{0,30}$", description="the workspace's slug")
    namespaces: tuple[str, ...] = Field(
        (), description="namespaces to learn services from; empty means all but system ones"
    )
    environments: dict[str, Environment] = Field(
        {}, description="namespace → environment, where its label does not say"
    )
    learn_interval_s: float = Field(30.0, ge=1, description="pause between two looks at services and configuration")


def _integrations_group() -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name, integration in registry.integrations().items():
        default = integration.settings() if integration.on_by_default else None
        fields[name] = (integration.settings | None, default)
    return create_model("IntegrationsSettings", __base__=Group, **fields)


class _Tree(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TOBAN_", env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Path = Field(Path(), exclude=True)
    http: HttpSettings = HttpSettings()
    database: DatabaseSettings = DatabaseSettings()
    workspace: WorkspaceSettings = WorkspaceSettings()
    flow: flow_settings.FlowSettings = flow_settings.FlowSettings()
    governance: governance_settings.GovernanceSettings = governance_settings.GovernanceSettings()
    integrations: Any = None

    @property
    def database_url(self) -> str:
        """The URL of Toban's tables."""
        return self.database.url or f"sqlite:///{self.home / 'toban.db'}"

    @property
    def engine_url(self) -> str:
        """The URL of the engine's tables: a file beside ours on SQLite, the same database on PostgreSQL."""
        if self.database.engine_url:
            return self.database.engine_url
        if self.database.url and not self.database.url.startswith("sqlite"):
            return self.database.url
        return f"sqlite:///{self.home / 'engine.db'}"


Settings = _Tree


def home_folder(variables: Mapping[str, str]) -> Path:
    """The state folder: `$TOBAN_HOME`, else `~/.local/state/toban`."""
    return Path(variables.get("TOBAN_HOME") or Path.home() / ".local" / "state" / "toban").expanduser()


def find_file(variables: Mapping[str, str]) -> Path | None:
    """The configuration file that counts. Raises ConfigurationError when `$TOBAN_CONFIG` names none."""
    named = variables.get("TOBAN_CONFIG")
    if named:
        if not Path(named).is_file():
            raise ConfigurationError([f"TOBAN_CONFIG: there is no file {named}"])
        return Path(named)
    places = (Path("toban.yaml"), Path.home() / ".config" / "toban" / "toban.yaml", Path("/etc/toban/toban.yaml"))
    return next((place for place in places if place.is_file()), None)


def read_yaml(path: Path) -> tuple[dict[str, Any], _Lines]:
    """A YAML mapping and the line of each of its values. Raises ConfigurationError with file and line."""
    try:
        content = path.read_text("utf-8")
        node = yaml.compose(content, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigurationError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path}: not UTF-8 ({error.reason} at byte {error.start})"]) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigurationError([f"{path}:{line}: {error.problem}"]) from error
    except yaml.YAMLError as error:
        raise ConfigurationError([f"{path}: {text.quoted(str(error))}"]) from error
    if node is None:
        return {}, {}
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError([f"{path}:{node.start_mark.line + 1}: the file must be a mapping of names to values"])
    lines: _Lines = {}
    problems = list(_walk(node, (), lines))
    if problems:
        raise ConfigurationError([f"{path}:{line}: {problem}" for line, problem in problems])
    loaded: dict[str, Any] = yaml.safe_load(content)
    return loaded, lines


def _walk(node: yaml.Node, where: tuple[str | int, ...], lines: _Lines) -> list[tuple[int, str]]:
    lines[where] = node.start_mark.line + 1
    problems: list[tuple[int, str]] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*where, str(key.value))
            if path in lines:
                problems.append((key.start_mark.line + 1, f"{'.'.join(map(str, path))}: given twice"))
            problems.extend(_walk(value, path, lines))
            lines[path] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            problems.extend(_walk(value, (*where, index), lines))
    return problems


def _with_files(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables `TOBAN_X_FILE` become `TOBAN_X` with the file's content. Raises ConfigurationError."""
    result = dict(variables)
    for name, value in variables.items():
        if not name.startswith("TOBAN_") or not name.endswith("_FILE") or name in _RESERVED:
            continue
        try:
            result[name.removesuffix("_FILE")] = Path(value).read_text("utf-8").strip()
        except OSError as error:
            raise ConfigurationError([f"{name}: cannot read {value}: {error.strerror}"]) from error
        del result[name]
    return result


def load(variables: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """The settings of this process. Raises ConfigurationError that lists every mistake with its place."""
    given = dict(os.environ if variables is None else variables)
    path = file or find_file(given)
    values, lines = read_yaml(path) if path else ({}, {})
    found = _with_files(given)
    _refuse_unknown_variables(found)
    group = _integrations_group()

    class Loaded(_Tree):
        model_config = SettingsConfigDict(env_file=".env" if variables is None else None)

        integrations: group = group()  # type: ignore[valid-type]

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_sources: Any, **_named: Any
        ) -> tuple[Any, ...]:
            environment = EnvSettingsSource(settings_cls)
            environment.env_vars = {name.lower(): value for name, value in found.items()}
            dotenv = DotEnvSettingsSource(settings_cls)
            return environment, dotenv, InitSettingsSource(settings_cls, init_kwargs=values)

    try:
        loaded = Loaded()
    except ValidationError as error:
        raise ConfigurationError([_told(problem, path, lines, found) for problem in error.errors()]) from error
    _refuse_weak_policy(loaded, path, lines)
    return loaded.model_copy(update={"home": home_folder(given)})


def _refuse_weak_policy(loaded: Settings, path: Path | None, lines: _Lines) -> None:
    try:
        policy.load(loaded.governance.policy)
    except ConfigurationError as error:
        told = []
        for problem in error.problems:
            where = ("governance", *problem.split(":")[0].split("."))
            line = next((lines[where[:length]] for length in range(len(where), 0, -1) if where[:length] in lines), 0)
            told.append(f"{path}:{line}: governance.{problem}" if line else f"governance.{problem}")
        raise ConfigurationError(told) from error


def _refuse_unknown_variables(variables: Mapping[str, str]) -> None:
    groups = set(_Tree.model_fields) - {"home"}
    wrong = [
        f"variable {name}: there is no setting of this name; groups are {', '.join(sorted(groups))}"
        for name in sorted(variables)
        if name.startswith("TOBAN_")
        and name not in _RESERVED
        and name.removeprefix("TOBAN_").lower().split("__")[0] not in groups
    ]
    if wrong:
        raise ConfigurationError(wrong)


def _told(problem: Any, path: Path | None, lines: _Lines, variables: Mapping[str, str]) -> str:
    where = tuple(problem["loc"])
    dotted = ".".join(str(part) for part in where)
    message = problem["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
    if problem["type"] == "extra_forbidden":
        message = "there is no setting of this name" + _meant(where)
    elif "input" in problem and isinstance(problem["input"], (str, int, float, bool)) and not _secret(dotted):
        message = f"{message} (found {text.quoted(str(problem['input']), 60)!r})"
    name = "TOBAN_" + "__".join(str(part) for part in where).upper()
    for length in range(len(where), 0, -1):
        if "TOBAN_" + "__".join(str(part) for part in where[:length]).upper() in variables:
            return f"variable {name}: {message}"
        if where[:length] in lines:
            return f"{path}:{lines[where[:length]]}: {dotted}: {message}"
    return f"{path or 'settings'}: {dotted}: {message}"


def _secret(dotted: str) -> bool:
    return any(word in dotted for word in ("token", "password", "secret", "key", "url"))


def _meant(where: tuple[Any, ...]) -> str:
    model: Any = _Tree
    for part in where[:-1]:
        field = model.model_fields.get(str(part)) if hasattr(model, "model_fields") else None
        model = field.annotation if field else None
    names = list(model.model_fields) if hasattr(model, "model_fields") else []
    close = difflib.get_close_matches(str(where[-1]), names, 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(names)}" if names else ""


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as plain data for people, secrets left out by their types."""
    result: dict[str, Any] = {"home": str(settings.home), **settings.model_dump(mode="json")}
    return result
