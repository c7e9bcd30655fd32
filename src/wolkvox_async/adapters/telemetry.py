"""Hooks: what the engine tells, as log lines of structlog, and to whoever else listens.

The logger is the library's own (`wolkvox_async`, with a null handler), never
structlog's global default, which prints to standard output among the records. There is
no line per call: a failed attempt is a warning only when somebody has to act.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final, assert_never

import structlog

from wolkvox_async.model import Call, ErrorKind, Ok
from wolkvox_async.ports import AttemptFailed, CallCut, CallSettled, Event, Hook, SlotMissed, TokenClosed

LOGGER: Final = "wolkvox_async"

# These need a person; the others are in the records.
_ACT_ON: Final = frozenset({ErrorKind.TOKEN_BUSY, ErrorKind.TLS, ErrorKind.REDIRECT})


def library_logger() -> Any:
    """Return the library's logger; silent until an application configures it."""
    logger = logging.getLogger(LOGGER)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return structlog.wrap_logger(
        logger,
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


class LogHook:
    """Writes what needs attention; each token's trouble of one kind is said once."""

    def __init__(self, log: Any) -> None:
        self._log: Final = log
        self._said: Final[set[tuple[str, ErrorKind]]] = set()  # at most tokens x three kinds

    def observe(self, event: Event) -> None:
        """Log `event` where it needs attention."""
        if isinstance(event, CallSettled):  # by far the most
            self._look_at_size(event)
            return
        match event:
            case TokenClosed():
                self._say_closed(event)
            case AttemptFailed() if event.kind in _ACT_ON:
                self._say_once(event)
            case AttemptFailed():
                self._log.debug(event.message, **_where(event.call), kind=event.kind.value, retry_in=event.retry_in)
            case SlotMissed():
                self._say_missed(event)
            case CallCut():
                self._log.debug("an answer was cut off: asked for in parts", **_where(event.call), rows=event.rows)
            case _ as never:
                assert_never(never)

    def _say_missed(self, event: SlotMissed) -> None:
        if not event.slot.closing:
            return
        self._log.error(
            "a closing reading was missed: what it would have said of the month can never be read again",
            operation=event.operation.path,
            api=event.api,
            reason=event.reason.value,
        )

    def _look_at_size(self, event: CallSettled) -> None:
        outcome = event.outcome
        if isinstance(outcome, Ok) and len(outcome.rows) >= event.call.most_rows:
            self._log.warning("as many rows as the vendor ever sends: some may be missing", **_where(event.call))

    def _say_closed(self, event: TokenClosed) -> None:
        operation = event.operation
        self._log.warning(
            "token closed",
            operation=operation.path,
            token=operation.token.id,
            kind=event.kind.value,
            seconds=round(event.seconds),
        )

    def _say_once(self, event: AttemptFailed) -> None:
        operation = event.call.operation
        trouble = (operation.token.id, event.kind)
        if trouble not in self._said:
            self._said.add(trouble)
            self._log.warning(event.message, operation=operation.path, token=operation.token.id, kind=event.kind.value)


def _where(call: Call) -> dict[str, str]:
    return {"operation": call.operation.path, "api": call.api}


class Hooks:
    """Several hooks as one; one that raises is reported once and then left out."""

    def __init__(self, hooks: Iterable[Hook], log: Any) -> None:
        self._hooks = tuple(hooks)
        self._log: Final = log

    def observe(self, event: Event) -> None:
        """Tell every hook."""
        for hook in self._hooks:
            try:
                hook.observe(event)
            except Exception as error:  # noqa: BLE001 - a hook of the host may raise anything
                self._leave_out(hook, type(error).__name__)

    def _leave_out(self, failed: Hook, why: str) -> None:
        # By identity and only once: a hook may fail again before the first failure has come up to here.
        if any(hook is failed for hook in self._hooks):
            self._hooks = tuple(hook for hook in self._hooks if hook is not failed)
            self._log.error("a hook failed and is left out", hook=type(failed).__name__, error=why)
