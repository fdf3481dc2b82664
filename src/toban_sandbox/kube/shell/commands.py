"""The commands that a container understands. None of them changes anything, in the sandbox or outside of it."""

import asyncio
import re
import shlex
from collections.abc import Callable
from typing import NamedTuple

from toban_sandbox.kube.shell.surroundings import DOMAIN, Container

LONGEST_SLEEP_S = 5.0
NOT_FOUND = 127
_SHELLS = {"sh", "bash", "ash", "/bin/sh", "/bin/bash"}
_USAGE = 1
_JOINTS = {";", "&&", "||"}
_WORDS = re.compile(r"""(?:[^\s;&|'"]|'[^']*'|"[^"]*")+|;|&&|\|\|""")


class Result(NamedTuple):
    """What a command wrote, and how it ended."""

    out: str = ""
    err: str = ""
    code: int = 0


class UnknownCommandError(Exception):
    """There is no such program in the container."""


Program = Callable[[Container, list[str]], Result]


async def run(container: Container, words: list[str]) -> Result:
    """Carry out one command. Raises UnknownCommandError."""
    if words[0] in _SHELLS:
        return await _shell(container, words[1:])
    if _name(words[0]) == "sleep":
        return await _sleep(words[1:])
    program = _PROGRAMS.get(_name(words[0]))
    if program is None:
        raise UnknownCommandError(words[0])
    return program(container, words[1:])


async def _shell(container: Container, words: list[str]) -> Result:
    """`sh -c TEXT`: simple commands one after the other, with `;`, `&&`, `||`, `exit` and variables."""
    if words[:1] != ["-c"] or not words[1:]:
        return Result()
    try:
        shlex.split(words[1])
    except ValueError as wrong:
        return Result("", f"sh: syntax error: {wrong}\n", 2)
    parts = [one if one in _JOINTS else "".join(shlex.split(one)) for one in _WORDS.findall(words[1])]
    written, failed, code = "", "", 0
    for joint, command in _commands(parts):
        if (joint == "&&" and code) or (joint == "||" and not code):
            continue
        if command[0] == "exit":
            code = int(command[1]) if len(command) > 1 and command[1].isdigit() else code
            break
        try:
            found = await run(container, [_expanded(word, container) for word in command])
        except UnknownCommandError:
            found = Result("", f"sh: {command[0]}: not found\n", NOT_FOUND)
        written, failed, code = written + found.out, failed + found.err, found.code
    return Result(written, failed, code)


def _commands(parts: list[str]) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = [("", [])]
    for part in parts:
        if part in _JOINTS:
            found.append((part, []))
        else:
            found[-1][1].append(part)
    return [(joint, words) for joint, words in found if words]


def _expanded(word: str, container: Container) -> str:
    if not word.startswith("$"):
        return word
    return container.variables().get(word[1:].strip("{}"), "")


def _name(word: str) -> str:
    return word.rpartition("/")[2]


async def _sleep(words: list[str]) -> Result:
    try:
        seconds = float(words[0].removesuffix("s"))
    except (IndexError, ValueError):
        return Result("", f"sleep: invalid number '{''.join(words[:1])}'\n", _USAGE)
    await asyncio.sleep(max(0.0, min(seconds, LONGEST_SLEEP_S)))
    return Result()


def _echo(_container: Container, words: list[str]) -> Result:
    if words[:1] == ["-n"]:
        return Result(" ".join(words[1:]))
    return Result(" ".join(words) + "\n")


def _cat(container: Container, words: list[str]) -> Result:
    files, written, failed = container.files(), "", ""
    for path in words:
        if path in files:
            written += files[path]
        else:
            failed += f"cat: can't open '{path}': No such file or directory\n"
    return Result(written, failed, int(bool(failed)))


def _env(container: Container, words: list[str]) -> Result:
    variables = container.variables()
    if words:
        return Result(
            "".join(f"{variables[name]}\n" for name in words if name in variables), "", int(words[0] not in variables)
        )
    return Result("".join(f"{name}={value}\n" for name, value in variables.items()))


def _ls(container: Container, words: list[str]) -> Result:
    paths = [word for word in words if not word.startswith("-")] or ["/"]
    files = container.files()
    folder = paths[0].rstrip("/")
    below = sorted({path[len(folder) + 1 :].split("/")[0] for path in files if path.startswith(f"{folder}/")})
    if not folder:
        below = sorted({*below, "bin", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var"})
    if below:
        return Result("".join(f"{name}\n" for name in below))
    if folder in files:
        return Result(f"{folder}\n")
    return Result("", f"ls: {paths[0]}: No such file or directory\n", _USAGE)


def _ps(container: Container, _words: list[str]) -> Result:
    command = [*(container.spec.get("command") or ()), *(container.spec.get("args") or ())]
    main = " ".join(command) or f"/{container.spec['name']}"
    return Result(f"PID   USER     TIME  COMMAND\n    1 root      0:00 {main}\n    7 root      0:00 ps\n")


def _date(container: Container, _words: list[str]) -> Result:
    return Result(container.store.clock.now().strftime("%a %b %e %H:%M:%S UTC %Y") + "\n")


def _nslookup(container: Container, words: list[str]) -> Result:
    if not words:
        return Result("", "Usage: nslookup HOST\n", _USAGE)
    head = "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n"
    service = container.service(words[0])
    if service is None:
        return Result(head, f"** server can't find {words[0]}: NXDOMAIN\n", _USAGE)
    full = f"{service['metadata']['name']}.{service['metadata']['namespace']}.{DOMAIN}"
    address = service["spec"].get("clusterIP", "")
    found = container.ready_addresses(service) if address in {"", "None"} else [address]
    return Result(head + "".join(f"Name:\t{full}\nAddress: {one}\n" for one in found))


def _fetch(container: Container, words: list[str]) -> Result:
    """`wget` and `curl`: whether a service answers, by the pods behind it that are ready."""
    url = next((word for word in reversed(words) if not word.startswith("-")), "")
    host = url.partition("://")[2].partition("/")[0] or url.partition("/")[0]
    name, _, text = host.partition(":")
    service = container.service(name)
    if service is None:
        return Result("", f"wget: bad address '{host}'\n", _USAGE)
    port = int(text) if text.isdigit() else 80
    address = service["spec"].get("clusterIP") or name
    known = any(one.get("port") == port for one in service["spec"].get("ports") or ())
    if not known or not container.ready_addresses(service):
        return Result("", f"wget: can't connect to remote host ({address}): Connection refused\n", _USAGE)
    return Result("ok\n")


def _printed(text: str) -> Program:
    return lambda _container, _words: Result(text)


_DISK = (
    "Filesystem           1K-blocks      Used Available Use% Mounted on\n"
    "overlay               51199988  12034560  39165428  24% /\n"
)
_MEMORY = (
    "              total        used        free      shared  buff/cache   available\n"
    "Mem:        8155440     2311780     3120492        1204     2723168     5571012\n"
    "Swap:             0           0           0\n"
)
_KERNEL = "Linux {name} 6.12.0-sandbox #1 SMP x86_64 GNU/Linux\n"

_PROGRAMS: dict[str, Program] = {
    "cat": _cat,
    "curl": _fetch,
    "date": _date,
    "df": _printed(_DISK),
    "echo": _echo,
    "env": _env,
    "false": lambda _container, _words: Result(code=1),
    "free": _printed(_MEMORY),
    "hostname": lambda container, _words: Result(f"{container.name}\n"),
    "id": _printed("uid=0(root) gid=0(root) groups=0(root)\n"),
    "ls": _ls,
    "nslookup": _nslookup,
    "printenv": _env,
    "ps": _ps,
    "pwd": _printed("/\n"),
    "true": _printed(""),
    "uname": lambda container, words: Result(_KERNEL.format(name=container.name) if words else "Linux\n"),
    "wget": _fetch,
    "whoami": _printed("root\n"),
}
