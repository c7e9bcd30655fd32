"""Spans of calls, as an implementation of the tracing API is told them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    get_current_span,
    use_span,
)
from opentelemetry.trace import Span as SpanApi
from opentelemetry.trace.span import INVALID_SPAN, INVALID_SPAN_CONTEXT, SpanContext
from opentelemetry.util.types import AttributeValue

from wolkvox_async.adapters.tracing import TracingHook
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.model import (
    Call,
    CallError,
    Empty,
    ErrorKind,
    Failed,
    GapReason,
    Ok,
    Operation,
    Outcome,
    Skipped,
    Slot,
    Token,
)
from wolkvox_async.ports import AttemptFailed, CallCut, CallSettled, SlotMissed, TokenClosed
from wolkvox_async.testing import ManualClock

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
UNIX = round(NOW.timestamp())
BILLION = 1_000_000_000
OK = Ok([{"items": "1"}, {"items": "2"}], 200, 200, "")
FAILED = Failed(CallError(ErrorKind.TIMEOUT, "a message of nobody's business", retryable=True))


class Span(NonRecordingSpan):
    """A span that keeps what it is told."""

    def __init__(self, name: str, context: Context | None, kind: SpanKind, start: int | None) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)
        self.name, self.context, self.kind, self.start = name, context, kind, start
        self.attributes: dict[str, AttributeValue] = {}
        self.status: StatusCode | None = None
        self.description: str | None = None
        self.ended: int | None = None

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.status = status if isinstance(status, StatusCode) else status.status_code
        self.description = description

    def end(self, end_time: int | None = None) -> None:
        self.ended = end_time


class Recorder(TracerProvider, Tracer):
    """Both a provider and its one tracer; keeps every span."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.scopes: list[tuple[str, str | None]] = []

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        *_: Any,
        **__: Any,
    ) -> Tracer:
        self.scopes.append((instrumenting_module_name, instrumenting_library_version))
        return self

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, AttributeValue] | None = None,
        links: Sequence[Link] | None = None,
        *rest: Any,
        **more: Any,
    ) -> SpanApi:
        assert (links, rest, set(more)) == (None, (), {"start_time"})
        span = Span(name, context, kind, more["start_time"])
        span.attributes = dict(attributes or {})
        self.spans.append(span)
        return span

    def start_as_current_span(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("no span is ever the current one")


def call(operation: Operation, slot: Slot | None = None) -> Call:
    return Call("01K", operation, "interactions", "billing", (), slot=slot)


@pytest.fixture
def bogota(canary: Token) -> Operation:
    return Operation("acme", "bogota", "0010", canary)


def traced(*events: Any) -> list[Span]:
    recorder = Recorder()
    hook = TracingHook(ManualClock(utc=NOW), recorder, version="0.1.0")
    for event in events:
        hook.observe(event)
    assert recorder.scopes == [("wolkvox_async", "0.1.0")]
    return recorder.spans


def test_a_call_is_a_span_from_the_start_of_its_last_attempt_to_its_end(bogota: Operation) -> None:
    (span,) = traced(CallSettled(call(bogota), OK, 2, 0.25))
    assert (span.name, span.kind) == ("wolkvox.call", SpanKind.CLIENT)
    assert (span.start, span.ended) == (UNIX * BILLION - BILLION // 4, UNIX * BILLION)
    assert span.status is None


def test_a_span_says_whose_call_it_was_and_what_it_came_to(bogota: Operation) -> None:
    (span,) = traced(CallSettled(call(bogota), OK, 2, 0.25))
    assert span.attributes == {
        "wolkvox.tenant": "acme",
        "wolkvox.operation": "bogota",
        "wolkvox.server": "0010",
        "wolkvox.api": "interactions",
        "wolkvox.outcome": "ok",
        "wolkvox.attempts": 2,
        "wolkvox.rows": 2,
    }


def test_a_call_of_a_slot_says_how_long_it_waited_and_whether_it_closed_a_month(bogota: Operation) -> None:
    slot = Slot(0, (UNIX - 3) * 1000, closing=True)
    (span,) = traced(CallSettled(call(bogota, slot), Empty(404, 404, ""), 1, 0.5))
    assert span.attributes["wolkvox.queue_wait_seconds"] == pytest.approx(2.5)
    assert span.attributes["wolkvox.slot"] == "2026-11-21T11:59:57.000Z"
    assert span.attributes["wolkvox.closing"] is True
    assert (span.attributes["wolkvox.outcome"], span.attributes["wolkvox.rows"]) == ("empty", 0)


def test_a_clock_that_was_set_back_makes_no_wait_less_than_none(bogota: Operation) -> None:
    (span,) = traced(CallSettled(call(bogota, Slot(0, (UNIX + 60) * 1000)), OK, 1, 0.5))
    assert span.attributes["wolkvox.queue_wait_seconds"] == 0.0


def test_a_failed_call_is_an_error_of_its_kind_and_nothing_more_is_said(bogota: Operation) -> None:
    (span,) = traced(CallSettled(call(bogota), FAILED, 4, 65.0))
    assert (span.status, span.description, span.attributes["error.type"]) == (StatusCode.ERROR, "timeout", "timeout")
    assert not any("business" in str(value) for value in span.attributes.values())


def test_a_span_belongs_to_no_request_that_is_traced_at_the_time(bogota: Operation) -> None:
    context = SpanContext(1, 1, is_remote=False)
    with use_span(NonRecordingSpan(context)):
        (span,) = traced(CallSettled(call(bogota), OK, 1, 0.25))
    assert span.context == Context()


@pytest.mark.parametrize("outcome", [FAILED, Skipped(CallError(ErrorKind.HELD, "made up", retryable=False))])
def test_what_was_never_sent_makes_no_span(bogota: Operation, outcome: Outcome) -> None:
    assert traced(CallSettled(call(bogota), outcome, 0, 0.0)) == []


def test_a_call_whose_answer_was_cut_off_is_a_span_without_rows(bogota: Operation) -> None:
    (span,) = traced(CallCut(call(bogota), 60_000, 2, 0.25))
    assert (span.start, span.status) == (UNIX * BILLION - BILLION // 4, None)
    said = {name: span.attributes[f"wolkvox.{name}"] for name in ("outcome", "attempts", "rows")}
    assert said == {"outcome": "cut", "attempts": 2, "rows": 0}


def test_other_events_make_no_span(bogota: Operation) -> None:
    events = (
        AttemptFailed(call(bogota), ErrorKind.TIMEOUT, "made up", 1, 2.0),
        TokenClosed(bogota, ErrorKind.FORBIDDEN, 60.0),
        SlotMissed(bogota, "interactions", Slot(0, 0), GapReason.DOWN),
    )
    assert traced(*events) == []


def test_no_token_is_in_a_span(bogota: Operation, assert_no_canary: Callable[..., None]) -> None:
    (span,) = traced(CallSettled(call(bogota, Slot(0, 0)), FAILED, 1, 0.25))
    assert_no_canary("a span", vars(span))
    assert bogota.token.id not in str(vars(span))


def test_without_an_sdk_nothing_is_traced(bogota: Operation) -> None:
    hook = TracingHook(ManualClock(utc=NOW))
    hook.observe(CallSettled(call(bogota), FAILED, 1, 0.25))
    assert get_current_span() is INVALID_SPAN


def test_without_the_extra_it_says_which_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"wolkvox-async\[otel\]"):
        TracingHook(ManualClock())
