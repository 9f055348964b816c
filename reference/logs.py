"""Logs: structured events on stderr, for a person (console) or for a machine (JSON)."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum

import structlog

from reference.core.effects import Log

LOUD = frozenset({"link.unproven", "link.refused"})
"""What an operator should see: a relay that proves nothing, and one that is not let in."""


class LogFormat(StrEnum):
    """How an event is written."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important events that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def write(logger: structlog.stdlib.BoundLogger, event: Log) -> None:
    """Write an event of a machine; what only a debugger may see comes once more with the rest of it."""
    say = logger.warning if event.event in LOUD else logger.info
    say(event.event, **event.members)
    if event.private:
        logger.debug(event.event, **event.members, **event.private)


def configure(level: LogLevel, form: LogFormat) -> structlog.stdlib.BoundLogger:
    """Set structlog up for this process and return its logger; standard output stays free for data."""
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if form is LogFormat.CONSOLE:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger()
    return logger
