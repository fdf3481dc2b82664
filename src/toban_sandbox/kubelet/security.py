"""What keeps a container from starting for its own sake: its user, a missing command, a read-only file system."""

from typing import Any

from toban_sandbox import programs
from toban_sandbox.kubelet import environment, scripts

Json = dict[str, Any]

_RUNC = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
_STARTING = "unable to start container process: error during container init: "


def user_of(pod: Json, container: Json, program: programs.Program) -> int:
    """The user id that a container's process has."""
    for context in (container.get("securityContext") or {}, pod["spec"].get("securityContext") or {}):
        if context.get("runAsUser") is not None:
            return int(context["runAsUser"])
    return program.user


def check_user(pod: Json, container: Json, program: programs.Program, *, described: str) -> None:
    """ConfigError when a container must not run as root and would."""
    own, above = container.get("securityContext") or {}, pod["spec"].get("securityContext") or {}
    wanted = own.get("runAsNonRoot")
    if not (above.get("runAsNonRoot") if wanted is None else wanted):
        return
    if user_of(pod, container, program) != 0:
        return
    about = f'(pod: "{described}", container: {container["name"]})'
    if own.get("runAsUser") is None and above.get("runAsUser") is None:
        raise environment.ConfigError(f"container has runAsNonRoot and image will run as root {about}")
    raise environment.ConfigError(f"container's runAsUser breaks non-root policy {about}")


def start_fault(container: Json, program: programs.Program) -> str:
    """Why the container's command cannot be run, or nothing; only of listed images is it known what they hold."""
    command = scripts.program_of(container)
    if not command or not program.listed:
        return ""
    name = command.rpartition("/")[2]
    if name in scripts.USUAL or command in program.commands or name in program.commands:
        return ""
    if "/" in command:
        return f'{_RUNC}{_STARTING}exec: "{command}": stat {command}: no such file or directory'
    return f'{_RUNC}{_STARTING}exec: "{command}": executable file not found in $PATH'


def write_fault(container: Json, pod: Json, program: programs.Program | None) -> str:
    """Why the program cannot write where it must, or nothing."""
    if program is None:
        return ""
    context = container.get("securityContext") or {}
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    for folder in program.writes_to:
        mount = _mount_of(container, folder)
        if mount is None:
            if context.get("readOnlyRootFilesystem"):
                return f"open {folder}/.lock: read-only file system"
            continue
        source = volumes.get(mount.get("name", ""), {})
        if mount.get("readOnly") or source.get("configMap") or source.get("secret") or source.get("projected"):
            return f"open {folder}/.lock: read-only file system"
    return ""


def _mount_of(container: Json, folder: str) -> Json | None:
    found = [
        mount
        for mount in container.get("volumeMounts") or ()
        if f"{folder}/".startswith(str(mount.get("mountPath", "")).rstrip("/") + "/")
    ]
    return max(found, key=lambda mount: len(str(mount["mountPath"])), default=None)
