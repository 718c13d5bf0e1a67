"""Structured logs: one JSON object a line on standard error. Never audio, text, tokens or addresses."""

from __future__ import annotations

import hashlib
import logging
import sys
from typing import Literal

import structlog
from aiohttp.http_exceptions import HttpProcessingError

LIBRARY_EVENT = "library.logged"

LogLevel = Literal["debug", "info", "warning", "error"]

_LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(level: LogLevel) -> None:
    """Set up this process's logs, those of its libraries included; called once, by the composition root."""
    first: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _adopt_libraries(first, last)


def _adopt_libraries(first: list[structlog.typing.Processor], last: list[structlog.typing.Processor]) -> None:
    """What libraries log becomes the event LIBRARY_EVENT, from warnings on; of a message only the words that stand
    in the library, as what is filled in may be an address or a client's bytes.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_ours)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            use_get_message=False,
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *first],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _name_library_event, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


def _is_ours(record: logging.LogRecord) -> bool:
    """Not what a client sent that is no HTTP: the exception repeats its bytes, and a token may be among them."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _name_library_event(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["said"] = event["event"]
    event["event"] = LIBRARY_EVENT
    return event


def tenant_hash(tenant: str) -> str:
    """What stands in logs and traces for a tenant's name."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:12]
