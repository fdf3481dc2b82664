"""Structured logs on one stream: lines for people on a terminal, JSON for machines, the libraries' own logs included.

Configured once by whoever starts a server. Request ids come by context variables; secrets are masked by a function
that the caller hands in, since the rules for that stand above this room.
"""

import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TextIO

import structlog

Mask = Callable[[Any], Any]
"""From a mapping of names to values to the same with secrets replaced."""
_QUIET = {"uvicorn": logging.WARNING, "alembic": logging.WARNING, "httpx2": logging.WARNING, "asyncio": logging.ERROR}


def wants_json(variables: Mapping[str, str], stream: TextIO) -> bool:
    """JSON unless people look: `TOBAN_LOG=json` or `TOBAN_LOG=text` decides, else whether this is a terminal."""
    chosen = variables.get("TOBAN_LOG", "").strip().lower()
    return chosen == "json" or (chosen != "text" and not stream.isatty())


def configure(stream: TextIO, *, as_json: bool, colors: bool = False, mask: Mask | None = None) -> None:
    """Send every log line of this process to `stream`, secrets masked."""
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
    ]
    if mask is not None:
        before.append(_masking(mask))
    renderer: Any
    if as_json:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    else:
        # frames' variables stay out of tracebacks: they hold tokens
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors, timestamp_key="at", exception_formatter=structlog.dev.plain_traceback
        )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=before, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    )
    _to_stream(stream, formatter)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _to_stream(stream: TextIO, formatter: logging.Formatter) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)


def _masking(mask: Mask) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    kept = {"_record", "_from_structlog", "level", "at"}

    def processor(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        own = {key: value for key, value in event.items() if key in kept}
        return {**mask({key: value for key, value in event.items() if key not in kept}), **own}

    return processor
