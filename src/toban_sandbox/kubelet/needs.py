"""Whether a running program gets what it needs from others, and what it logs when it does not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from toban_sandbox import programs
from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import network

Json = dict[str, Any]


class Served(Protocol):
    """A pod that runs, as others that need it see it."""

    pod: Json
    members: list[containers.Container]


@dataclass(frozen=True)
class Trouble:
    """One need that is not met; `at_start` when the program does not start without it."""

    need: programs.Need
    error: str

    @property
    def line(self) -> str:
        """What the program logs about it."""
        return f'level=error msg="{_WORDS.get(self.need.kind, _WORDS["http"])}" error="{self.error}"'


_WORDS = {
    "http": "upstream request failed",
    "postgres": "cannot connect to database",
    "mysql": "cannot connect to database",
    "redis": "cannot connect to redis",
    "amqp": "cannot connect to broker",
    "tcp": "cannot connect",
}


class Neighbourhood(Protocol):
    """Where to ask about others: the network, who runs in a pod, and how many connections one already has."""

    network: network.Network

    def run_of(self, pod: Json) -> Served | None: ...

    def connections_before(self, pod: Json, source: Json) -> int: ...


def troubles(around: Neighbourhood, pod: Json, member: containers.Container) -> Iterator[Trouble]:
    """The needs of a container's program that are not met now."""
    for need in member.program.needs if member.program is not None else ():
        value = member.env.get(need.env, "")
        if not value:
            continue
        address = network.address_in(value, need.default_port)
        if address is None:
            yield Trouble(need, f'parse "{value}": missing host in address')
            continue
        found = around.network.reach(pod, address.host, address.port)
        error = found.error or _refusal(around, need, found, pod=pod, member=member, address=address)
        if error:
            yield Trouble(need, error)


def target_of(around: Neighbourhood, pod: Json, member: containers.Container, need: programs.Need) -> Json | None:
    """The pod that meets a need now, or None."""
    address = network.address_in(member.env.get(need.env, ""), need.default_port)
    return around.network.reach(pod, address.host, address.port).pod if address is not None else None


def _refusal(
    around: Neighbourhood,
    need: programs.Need,
    found: network.Reach,
    *,
    pod: Json,
    member: containers.Container,
    address: network.Address,
) -> str:
    """Why a database that is there does not take the program in, or nothing."""
    served = around.run_of(found.pod) if found.pod is not None else None
    if served is None or found.pod is None:
        return ""
    for one in served.members:
        if one.program is None or one.program.database is None:
            continue
        database = one.program.database
        wanted = one.env.get(database.password_env, "") if database.password_env else ""
        given = member.env.get(need.password_env, "") if need.password_env else address.password
        asks = bool(need.password_env or address.password)
        if wanted and asks and given != wanted:
            return _bad_password(need.kind, address.user or "app")
        if around.connections_before(found.pod, pod) + need.connections > database.max_connections:
            return _too_many(need.kind)
        if database.read_only and need.writes:
            return _read_only(need.kind)
    return ""


def _bad_password(kind: str, user: str) -> str:
    if kind == "redis":
        return "WRONGPASS invalid username-password pair or user is disabled."
    if kind == "mysql":
        return f"Error 1045 (28000): Access denied for user '{user}'@'%' (using password: YES)"
    return f'FATAL: password authentication failed for user "{user}" (SQLSTATE 28P01)'


def _too_many(kind: str) -> str:
    if kind == "redis":
        return "ERR max number of clients reached"
    if kind == "mysql":
        return "Error 1040 (08004): Too many connections"
    return "FATAL: sorry, too many clients already (SQLSTATE 53300)"


def _read_only(kind: str) -> str:
    if kind == "redis":
        return "READONLY You can't write against a read only replica."
    if kind == "mysql":
        why = "The MySQL server is running with the --read-only option so it cannot execute this statement"
        return f"Error 1290 (HY000): {why}"
    return "ERROR: cannot execute INSERT in a read-only transaction (SQLSTATE 25006)"
