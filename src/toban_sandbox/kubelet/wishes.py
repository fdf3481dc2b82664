"""Faults that a pod's own annotations ask the simulator for, for practice without a program that has them."""

from dataclasses import dataclass
from typing import Any

from toban_sandbox.kube import objects, quantity

Json = dict[str, Any]

PREFIX = "sim.toban/"


@dataclass(frozen=True)
class Wishes:
    """What goes wrong on request: exit codes, lines for the log, bytes of memory, and which probes fail."""

    crash_code: int | None = None
    crash_log: str = ""
    exit_code: int | None = None
    memory_bytes: float | None = None
    needs_env: tuple[str, ...] = ()
    unready: bool = False
    hangs: bool = False
    evicted: bool = False


def of_pod(pod: Json) -> Wishes:
    """The wishes in a pod's annotations; what cannot be read is no wish."""
    notes = objects.annotations(pod)
    fault, _, detail = notes.get(f"{PREFIX}fault", "").partition("=")
    memory = notes.get(f"{PREFIX}mem", "")
    needed = notes.get(f"{PREFIX}need-env", "")
    return Wishes(
        crash_code=_number(detail, 1) if fault == "crash" else None,
        crash_log=notes.get(f"{PREFIX}crash-log", ""),
        exit_code=_number(notes[f"{PREFIX}exit"], 0) if f"{PREFIX}exit" in notes else None,
        memory_bytes=quantity.parse(memory) if quantity.is_quantity(memory) else None,
        needs_env=tuple(name.strip() for name in needed.split(",") if name.strip()),
        unready=fault == "unready",
        hangs=fault == "liveness",
        evicted=fault == "evict",
    )


def any_in(pod: Json) -> bool:
    """Whether a pod asks the simulator for anything."""
    return any(key.startswith(PREFIX) for key in objects.annotations(pod))


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isdigit() else otherwise
