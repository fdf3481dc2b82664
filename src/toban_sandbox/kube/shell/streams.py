"""The streaming protocol of exec over WebSocket: one byte names the channel, the last message tells how it ended.

Called by `kube.api` for upgraded requests. Attach and port-forward are refused, as no program reads here.
"""

import asyncio
import contextlib
import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from toban_sandbox.kube import errors, kinds, objects, reading, requests
from toban_sandbox.kube import store as stores
from toban_sandbox.kube.shell import commands
from toban_sandbox.kube.shell.surroundings import Container

Json = dict[str, Any]

STREAMS = kinds.STREAMS
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_OUT, _ERR, _END = b"\x01", b"\x02", b"\x03"


def check(store: stores.ObjectStore, asked: requests.ResourceRequest, words: list[str]) -> Container:
    """The container a stream is for; ApiError 400 or 404 when it cannot be had."""
    pod = reading.found(store, asked)
    if asked.subresource != "exec":
        raise errors.bad_request(f"the sandbox does not serve {asked.subresource} of pods")
    if not words:
        cause = errors.Cause("command", "Required value: you must specify at least 1 command for the container")
        raise errors.invalid(errors.About("podexecoptions", "", "PodExecOptions"), "", [cause])
    name = asked.query.get("container") or pod["spec"]["containers"][0]["name"]
    spec = objects.by_name(list(objects.all_containers(pod["spec"])), name)
    if spec is None:
        raise errors.bad_request(f"container {name} is not valid for pod {asked.name}")
    if not pod["spec"].get("nodeName"):
        raise errors.bad_request(f"pod {asked.name} does not have a host assigned")
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    status = objects.by_name(statuses, name) or {}
    if not (status.get("state") or {}).get("running"):
        raise errors.internal(f'unable to upgrade connection: container not found ("{name}")')
    return Container(store, pod, spec)


async def serve(socket: WebSocket, container: Container, words: list[str]) -> None:
    """Carry out a command over an upgraded connection and close it; a client that leaves ends it."""
    offered = socket.scope.get("subprotocols") or []
    await socket.accept(subprotocol=next((one for one in PROTOCOLS if one in offered), None))
    work = asyncio.ensure_future(_carry_out(container, words))
    leaving = asyncio.ensure_future(_until_gone(socket))
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await _tell(socket, *work.result())
    finally:
        for task in (work, leaving):
            task.cancel()
        await asyncio.gather(work, leaving, return_exceptions=True)


async def _carry_out(container: Container, words: list[str]) -> tuple[commands.Result, Json]:
    try:
        result = await commands.run(container, words)
    except commands.UnknownCommandError as unknown:
        why = (
            "error executing command in container: failed to exec in container: failed to start exec: OCI runtime exec "
            f'failed: exec failed: unable to start container process: exec: "{unknown}": executable file not found in '
            "$PATH: unknown"
        )
        return commands.Result(), errors.internal(why).status()
    if not result.code:
        return result, {"metadata": {}, "status": "Success"}
    return result, {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {result.code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(result.code)}]},
    }


async def _tell(socket: WebSocket, result: commands.Result, ending: Json) -> None:
    for channel, text in ((_OUT, result.out), (_ERR, result.err)):
        if text:
            await socket.send_bytes(channel + text.encode())
    await socket.send_bytes(_END + json.dumps(ending).encode())
    await socket.close()


async def _until_gone(socket: WebSocket) -> None:
    """Take whatever the client sends (nothing here reads input) until it leaves."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
