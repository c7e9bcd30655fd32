"""The log of the command line: always on standard error, never a local variable in it."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog

from wolkvox_async.adapters.telemetry import LOGGER


def configure(log_format: str | None, level: str) -> None:
    """Send the library's log to standard error; `console` on a terminal, else `json`."""
    handler = logging.StreamHandler(sys.stderr)
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.stdlib.add_log_level,
                stamp,
                *_rendering(log_format or ("console" if sys.stderr.isatty() else "json")),
            ]
        )
    )
    logger = logging.getLogger(LOGGER)
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


def _rendering(log_format: str) -> list[Any]:
    # Tracebacks with locals would show tokens: neither renderer may have them.
    if log_format == "json":
        plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [structlog.processors.ExceptionRenderer(plain), structlog.processors.JSONRenderer()]
    colours = bool(os.environ.get("FORCE_COLOR")) or (sys.stderr.isatty() and not os.environ.get("NO_COLOR"))
    return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)]
