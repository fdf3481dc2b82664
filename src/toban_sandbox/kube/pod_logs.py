"""The answer to `pods/NAME/log`: what a container wrote, once or as it comes."""

from collections.abc import AsyncIterator
from typing import Protocol

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from toban_sandbox.kube import errors, reading, requests
from toban_sandbox.kube import store as stores


class LogSource(Protocol):
    """What is needed of the kubelet."""

    def logs(  # noqa: PLR0913 -- the parameters of the API's own log request
        self,
        namespace: str,
        pod: str,
        container: str | None,
        *,
        previous: bool = False,
        tail: int | None = None,
        since_seconds: float | None = None,
        timestamps: bool = False,
    ) -> list[str]: ...

    def follow(
        self, namespace: str, pod: str, container: str | None, *, timestamps: bool = False
    ) -> AsyncIterator[str]: ...


async def answer(store: stores.ObjectStore, source: LogSource, asked: requests.ResourceRequest) -> Response:
    """The log as plain text; ApiError 400 or 404 when there is none."""
    reading.found(store, asked)
    container = asked.query.get("container") or None
    timestamps = asked.flag("timestamps")
    lines = source.logs(
        asked.namespace,
        asked.name,
        container,
        previous=asked.flag("previous"),
        tail=_not_negative(asked, "tailLines"),
        since_seconds=_not_negative(asked, "sinceSeconds"),
        timestamps=timestamps,
    )
    text = "".join(f"{line}\n" for line in lines)
    limit = _not_negative(asked, "limitBytes")
    if not asked.flag("follow") or asked.flag("previous"):
        return PlainTextResponse(text.encode()[:limit])
    following = source.follow(asked.namespace, asked.name, container, timestamps=timestamps)

    async def stream() -> AsyncIterator[bytes]:
        yield text.encode()[:limit]
        written = len(text.encode())
        if limit is not None and written >= limit:
            return
        async for line in following:
            chunk = f"{line}\n".encode()
            yield chunk if limit is None else chunk[: limit - written]
            written += len(chunk)
            if limit is not None and written >= limit:
                return

    return StreamingResponse(stream(), media_type="text/plain")


def _not_negative(asked: requests.ResourceRequest, name: str) -> int | None:
    number = asked.number(name)
    if number is not None and number < 0:
        cause = errors.Cause(name, f"Invalid value: {number}: must be greater than or equal to 0")
        raise errors.invalid(errors.About("podlogoptions", "", "PodLogOptions"), asked.name, [cause])
    return number
