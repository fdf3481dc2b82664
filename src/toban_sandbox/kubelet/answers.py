"""How a container answers a probe, in the kubelet's words.

Pure questions about one container as it is now; when they are asked is `probes`' matter.
"""

from typing import Any, NamedTuple, Protocol

from toban_sandbox.kube import objects
from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import wishes as faults

Json = dict[str, Any]

BAD_REQUEST, NOT_FOUND, UNAVAILABLE = 400, 404, 503
READINESS = "readiness"
OVERLOADED_MS = 30_000.0


class Answer(NamedTuple):
    ok: bool
    text: str = ""


class Subject(Protocol):
    """The pod whose container is asked."""

    pod: Json
    wishes: faults.Wishes
    address: str

    def spec_of(self, member: containers.Container) -> Json: ...

    def latency_ms(self, member: containers.Container) -> float: ...


def ask(subject: Subject, member: containers.Container, probe: Json, kind: str) -> Answer:
    """The answer to one probe; `kind` is `readiness`, `liveness` or `startup`."""
    if probe.get("exec") is not None:
        return _command(subject, member, kind)
    handler = next((name for name in ("httpGet", "tcpSocket", "grpc") if probe.get(name) is not None), "")
    target = probe.get(handler) or {}
    port = _port(target.get("port", 80), subject.spec_of(member))
    if port is None:
        return Answer(ok=False, text=f"couldn't find port: no port named {target.get('port')!s}")
    place = f"{target.get('host') or subject.address}:{port}"
    listening = member.up and listens(subject.spec_of(member), member, port)
    if handler == "tcpSocket":
        return Answer(ok=True) if listening else Answer(ok=False, text=_refused(place))
    if handler == "grpc":
        timeout = f'timeout: failed to connect service "{place}" within {int(probe.get("timeoutSeconds", 1))}s'
        return Answer(ok=True) if listening else Answer(ok=False, text=f"{timeout}: context deadline exceeded")
    return _http(subject, member, probe, kind=kind, place=place, listening=listening)


def _http(
    subject: Subject, member: containers.Container, probe: Json, *, kind: str, place: str, listening: bool
) -> Answer:
    target = probe.get("httpGet") or {}
    path = str(target.get("path", "/"))
    scheme = str(target.get("scheme", "HTTP")).lower()
    url = f"{scheme}://{place}{path if path.startswith('/') else '/' + path}"
    if not listening:
        return Answer(ok=False, text=f'Get "{url}": {_refused(place)}')
    slow = subject.latency_ms(member) > 1000.0 * float(probe.get("timeoutSeconds", 1))
    if subject.wishes.hangs or slow:
        late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Answer(ok=False, text=f'Get "{url}": {late}')
    program = member.program
    if program is None:
        return Answer(ok=True)
    if scheme == "https" and not program.tls and program.listed:
        return Answer(ok=False, text=f'Get "{url}": http: server gave HTTP response to HTTPS client')
    code = _status_code(subject, member, path.partition("?")[0], kind=kind, scheme=scheme)
    return Answer(ok=True) if code is None else Answer(ok=False, text=f"HTTP probe failed with statuscode: {code}")


def _status_code(subject: Subject, member: containers.Container, path: str, *, kind: str, scheme: str) -> int | None:
    """The status code of a bad answer, None when it is good."""
    program = member.program
    if program is None:
        return None
    if program.tls and scheme == "http":
        return BAD_REQUEST
    if subject.wishes.unready and kind == READINESS:
        return UNAVAILABLE
    if program.paths and path not in (*program.paths, *program.ready_paths):
        return NOT_FOUND
    return UNAVAILABLE if member.troubles and path in program.ready_paths else None


def _command(subject: Subject, member: containers.Container, kind: str) -> Answer:
    if subject.wishes.hangs:
        return Answer(ok=False, text="command timed out")
    if not member.up or (subject.wishes.unready and kind == READINESS):
        return Answer(ok=False, text="command failed")
    return Answer(ok=True)


def _refused(place: str) -> str:
    return f"dial tcp {place}: connect: connection refused"


def _port(port: Any, spec: Json) -> int | None:
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    found = objects.by_name(spec.get("ports") or (), str(port))
    return None if found is None else int(found["containerPort"])


def listens(spec: Json, member: containers.Container, port: int) -> bool:
    """Whether a container's program listens on a port; one of which nothing is known listens on all."""
    program = member.program
    if program is None:
        return False
    ports = set(program.ports)
    if program.port_env and member.env.get(program.port_env, "").isdigit():
        ports = {int(member.env[program.port_env]), *program.ports[1:]}
    if ports and program.listed:
        return port in ports
    declared = {int(one["containerPort"]) for one in spec.get("ports") or ()}
    known = ports | declared
    return not known or port in known
