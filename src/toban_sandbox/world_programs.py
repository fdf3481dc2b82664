"""What an image's entry in a world file says of its software beyond load and memory: ports, needs, users, growth.

Called by `world` for each image. Every field is optional; what is not said stays as `programs.Program` has it.
"""

from __future__ import annotations

from typing import Any

from toban_sandbox.documents import Section
from toban_sandbox.programs import Database, Need

_KINDS = ("http", "postgres", "mysql", "redis", "amqp", "tcp")
_NAMES = ("paths", "ready_paths", "writes_to", "commands")
_FLAGS = ("tls", "hangs_overloaded", "private")
_DURATIONS = {"start": "start_s", "stop": "stop_s"}
_SIZES = {"leak_per_hour": "leak_bytes_per_hour", "disk": "disk_bytes", "disk_per_hour": "disk_bytes_per_hour"}


def behaviour(section: Section) -> dict[str, Any]:
    """The fields of `Program` that an image's entry sets. Raises DocumentError."""
    found: dict[str, Any] = {name: section.names(name) for name in _NAMES if name in section}
    found |= {name: section.flag(name) for name in _FLAGS if name in section}
    found |= {field: section.seconds(name) for name, field in _DURATIONS.items() if name in section}
    found |= {field: section.size(name) for name, field in _SIZES.items() if name in section}
    if "ports" in section:
        found["ports"] = _ports(section)
    if "port_env" in section:
        found["port_env"] = section.text("port_env")
    if "cpu_per_request" in section:
        found["cpu_s_per_request"] = section.number("cpu_per_request")
    if "user" in section:
        found["user"] = section.whole("user")
    if "needs" in section:
        found["needs"] = tuple(_need(one) for one in section.sections("needs"))
    database = section.section("database")
    if database is not None:
        found["database"] = _database(database)
    return found


def _ports(section: Section) -> tuple[int, ...]:
    value = section.plain("ports")
    if not isinstance(value, list) or not all(isinstance(one, int) and not isinstance(one, bool) for one in value):
        raise section.error(f"`ports` must be a list of numbers, not {value!r}", "ports")
    return tuple(value)


def _need(section: Section) -> Need:
    plain = Need("")
    need = Need(
        section.text("env"),
        section.choice("kind", _KINDS, plain.kind),
        password_env=section.text("password_env", plain.password_env),
        writes=section.flag("writes", default=plain.writes),
        at_start=section.flag("at_start", default=plain.at_start),
        connections=section.whole("connections", plain.connections),
    )
    section.finish()
    return need


def _database(section: Section) -> Database:
    plain = Database()
    database = Database(
        section.whole("max_connections", plain.max_connections),
        read_only=section.flag("read_only", default=plain.read_only),
        password_env=section.text("password_env", plain.password_env),
    )
    section.finish()
    return database
