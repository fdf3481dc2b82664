"""Commands that a container is given instead of its image's own: the few of the shell that practice needs.

Used when a container starts. Nothing is run: the words are read for what they would print, how long they would take
and how they would end.
"""

import re
import shlex
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SHELLS = {"sh", "bash", "ash", "dash"}
USUAL = SHELLS | {
    "cat", "cp", "curl", "date", "echo", "env", "exit", "false", "java", "ls", "mkdir", "nc", "node", "npm", "nslookup",
    "perl", "pg_isready", "printenv", "printf", "psql", "python", "python3", "redis-cli", "redis-server", "nginx",
    "sleep", "tail", "test", "touch", "true", "uvicorn", "gunicorn", "wget", "docker-entrypoint.sh", "tini",
    "dumb-init", "catalina.sh", "postgres",
}  # fmt: skip
_FOREVER = re.compile(r"while\s+(true|:|sleep)|tail\s+-f|sleep\s+(inf|infinity)\b|for\s*\(\(\s*;\s*;")
_PARTS = re.compile(r"&&|\|\||;|\n")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass
class Script:
    """What a command does: lines it prints, seconds it takes, its exit code; `known` is False when nobody can tell."""

    lines: list[str] = field(default_factory=list)
    seconds: float = 0.0
    code: int = 0
    endless: bool = False
    known: bool = True


def program_of(container: Json) -> str:
    """The executable that a container's specification names, or nothing when the image's own is meant."""
    words = container.get("command") or []
    return str(words[0]) if words else ""


def read(container: Json, env: dict[str, str]) -> Script | None:
    """What the container's own command does; None when it leaves that to the image."""
    words = [str(word) for word in (*(container.get("command") or ()), *(container.get("args") or ()))]
    name = words[0].rpartition("/")[2] if words else ""
    if name in SHELLS and "-c" in words[1:3]:
        text = words[words.index("-c") + 1] if words.index("-c") + 1 < len(words) else ""
        return _shell(text, env)
    if name in {"sleep", "echo", "true", "false", "exit", "printf", "env", "date"}:
        script = Script()
        _word(words, env, script)
        return script
    return None


def _shell(text: str, env: dict[str, str]) -> Script:
    if _FOREVER.search(text):
        return Script(endless=True)
    script = Script()
    for part in _PARTS.split(text):
        try:
            words = shlex.split(part)
        except ValueError:
            script.known = False
            return script
        while words and words[0] in {"set", "export", "exec"}:
            words = words[1:] if words[0] == "exec" else []
        if words and _word(words, env, script):
            break
    return script


def _word(words: list[str], env: dict[str, str], script: Script) -> bool:
    """Add what one command does; returns whether the script ends with it."""
    name, rest = words[0].rpartition("/")[2], [_filled(word, env) for word in words[1:]]
    script.code = 0
    if name == "sleep":
        script.seconds += sum(_seconds(word) for word in rest)
        script.endless = script.endless or "infinity" in rest
    elif name in {"echo", "printf"}:
        script.lines.append(" ".join(word for word in rest if word not in {"-n", "-e"}))
    elif name == "env":
        script.lines += [f"{key}={value}" for key, value in env.items()]
    elif name == "exit":
        script.code = int(rest[0]) if rest and rest[0].isdigit() else 0
        return True
    elif name == "false":
        script.code = 1
    elif name not in {"true", "date", ":"}:
        script.known = False
    return False


def _seconds(word: str) -> float:
    number, unit = (word[:-1], word[-1]) if word[-1:] in _UNITS else (word, "s")
    try:
        return float(number) * _UNITS[unit]
    except ValueError:
        return 0.0


def _filled(word: str, env: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: env.get(found.group(1), ""), word)
