"""Everyday log lines: written only when somebody reads, as if they had been written all along.

Used by the agent before it hands out a log; so hundreds of idle pods cost nothing.
"""

import zlib

from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import pod_run

LARGEST_CATCH_UP = 200
PATHS = ("/", "/api/items", "/api/items/42", "/healthz", "/api/checkout")
FAILED_STATUS, GOOD_STATUS = 500, 200


def catch_up(run: pod_run.PodRun, member: containers.Container) -> None:
    """Write the lines that fell due since the last one."""
    every = run.host.timing.request_log_s
    if not member.running or member.program is None or every <= 0 or not member.program.log_lines:
        return
    first = member.running_since + run.host.timing.start_s
    now = run.clock.time()
    due = int((now - first) / every)
    written = int((member.log.last_time - first) / every) if member.log.last_time >= first else 0
    for number in range(max(written + 1, due - LARGEST_CATCH_UP), due + 1):
        member.log.write(first + number * every, line(run, member, number))


def keep_talking(run: pod_run.PodRun, member: containers.Container) -> None:
    """As long as somebody follows the log, write each line when it falls due."""

    def speak() -> None:
        catch_up(run, member)
        if member.running and member.log.followed:
            run.lives[member.name].later("chatter", run.host.timing.request_log_s, speak)

    if member.running:
        run.lives[member.name].later("chatter", run.host.timing.request_log_s, speak)


def line(run: pod_run.PodRun, member: containers.Container, number: int) -> str:
    """The `number`th everyday line of a container; the same whenever it is asked for."""
    program = member.program
    if program is None:
        return ""
    chance = zlib.crc32(f"{run.uid}/{member.name}/{number}".encode()) / 2**32
    template = program.log_lines[number % len(program.log_lines)]
    fills = {
        "{path}": PATHS[number % len(PATHS)],
        "{status}": str(FAILED_STATUS if chance < program.error_rate else GOOD_STATUS),
        "{ms}": f"{program.latency_ms * (0.5 + chance):.0f}",
        "{n}": str(number),
    }
    for name, value in fills.items():
        template = template.replace(name, value)
    return template
