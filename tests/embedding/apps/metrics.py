from prometheus_client import CollectorRegistry, Counter, Histogram

from wolkvox_async import (
    AttemptFailed,
    CallCut,
    CallSettled,
    Event,
    OpenEngine,
    Parts,
    Tenants,
    TokenClosed,
    open_engine,
)


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter("wolkvox_calls", "Calls that ended", ["api", "outcome"], registry=registry)
        self._requests = Counter("wolkvox_requests", "Requests for them", ["api"], registry=registry)
        self._seconds = Histogram("wolkvox_call_seconds", "Their last attempts", ["api"], registry=registry)
        self._failures = Counter("wolkvox_failed_attempts", "Attempts that failed", ["kind"], registry=registry)
        self._closed = Counter("wolkvox_closed_tokens", "Tokens put out of use", ["kind"], registry=registry)

    def observe(self, event: Event) -> None:
        match event:
            case CallSettled():
                self._calls.labels(event.call.api, event.ended).inc()
                self._requests.labels(event.call.api).inc(event.attempts)
                self._seconds.labels(event.call.api).observe(event.seconds)
            case CallCut():  # it goes on in parts, which end with events of their own
                self._requests.labels(event.call.api).inc(event.attempts)
            case AttemptFailed():
                self._failures.labels(event.kind.value).inc()
            case TokenClosed():
                self._closed.labels(event.kind.value).inc()


def measured(tenants: Tenants, registry: CollectorRegistry) -> OpenEngine:
    return open_engine(tenants, parts=Parts(hooks=(Metrics(registry),)))
