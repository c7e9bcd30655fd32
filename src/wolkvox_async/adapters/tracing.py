"""A span for every call that was sent, by the extra `otel` (opentelemetry-api), for services that embed the engine.

    open_engine(tenants, parts=Parts(hooks=(TracingHook(LoopClock()),)))

Spans are made when calls have ended, with their times of then: a call costs nothing while
it waits. A span is that of the call's last attempt; what it has waited for before, when it
is of a slot, is an attribute. A call whose answer was cut off has a span too (outcome `cut`),
beside those of its parts. Each is the root of a trace of its own: calls are made in
turns of their tokens, by nobody's request.

No attribute holds a token, nor what a server said: names, numbers and kinds of errors only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wolkvox_async.errors import ConfigurationError
from wolkvox_async.fields import outcome_name, timestamp
from wolkvox_async.marks import CUT
from wolkvox_async.model import Call, Failed, Ok, Skipped
from wolkvox_async.ports import CallCut, CallSettled, Clock, Event

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider
    from opentelemetry.util.types import AttributeValue

EXTRA: Final = "otel"
SPAN: Final = "wolkvox.call"
SCOPE: Final = "wolkvox_async"


class TracingHook:
    """Makes a span of every call that ended, with a tracer of `provider` (None: the global one).

    `version` is the library's own, for whoever reads the spans. Raises `ConfigurationError`
    where the extra is not installed.
    """

    def __init__(self, clock: Clock, provider: TracerProvider | None = None, *, version: str = "") -> None:
        try:
            from opentelemetry import trace  # noqa: PLC0415 - an extra
            from opentelemetry.context import Context  # noqa: PLC0415 - as above
        except ImportError:
            raise ConfigurationError(
                [f"traces need the extra {EXTRA!r}: pip install 'wolkvox-async[{EXTRA}]'"]
            ) from None
        self._clock: Final = clock
        self._tracer: Final = trace.get_tracer(SCOPE, version, provider)
        self._nowhere: Final = Context()
        self._kind: Final = trace.SpanKind.CLIENT
        self._error: Final = trace.StatusCode.ERROR

    def observe(self, event: Event) -> None:
        """Make a span of a call that ended or was cut; what was never sent, and other events, make none."""
        if not isinstance(event, (CallSettled, CallCut)) or not event.attempts:
            return
        end = self._clock.utc().timestamp()
        start = end - event.seconds
        said, kind = _attributes(event) | _of_slot(event.call, start), _error(event)
        if kind is not None:
            said["error.type"] = kind
        span = self._tracer.start_span(SPAN, self._nowhere, self._kind, attributes=said, start_time=_nanoseconds(start))
        if kind is not None:
            span.set_status(self._error, kind)
        span.end(_nanoseconds(end))


def _attributes(event: CallSettled | CallCut) -> dict[str, AttributeValue]:
    call = event.call
    return {
        "wolkvox.tenant": call.operation.tenant,
        "wolkvox.operation": call.operation.name,
        "wolkvox.server": call.operation.server,
        "wolkvox.api": call.api,
        "wolkvox.outcome": CUT if isinstance(event, CallCut) else outcome_name(event.outcome),
        "wolkvox.attempts": event.attempts,
        "wolkvox.rows": _rows(event),
    }


def _of_slot(call: Call, start: float) -> dict[str, AttributeValue]:
    slot = call.slot
    if slot is None:
        return {}
    return {
        "wolkvox.slot": timestamp(slot.at),
        "wolkvox.closing": slot.closing,
        "wolkvox.queue_wait_seconds": max(0.0, start - slot.due / 1000),
    }


def _rows(event: CallSettled | CallCut) -> int:
    # Those of a call that was cut are dropped: its parts bring them again.
    return len(event.outcome.rows) if isinstance(event, CallSettled) and isinstance(event.outcome, Ok) else 0


def _error(event: CallSettled | CallCut) -> str | None:
    outcome = None if isinstance(event, CallCut) else event.outcome
    return outcome.error.kind.value if isinstance(outcome, (Failed, Skipped)) else None


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e6) * 1000  # what a float tells of Unix time
