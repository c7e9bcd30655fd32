"""How long a pass takes at the least, and what of it cannot be met. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wolkvox_async.model import Call
from wolkvox_async.settings.options import Options

CALLS_PER_LICENCE: Final = 1_000  # a day, as the vendor documents


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a pass comes to; `seconds` is a bound from below, `bound_by` says what sets it."""

    calls: int
    operations: int
    tokens: int
    servers: int
    by_api: tuple[tuple[str, int], ...]
    latency: float
    seconds: float
    bound_by: str
    cannot: tuple[str, ...]


def _bound_in_all(seconds: float, options: Options) -> list[tuple[float, str]]:
    if options.max_in_flight == "auto":  # then the others are the bounds
        return []
    return [(seconds / options.max_in_flight, f"{options.max_in_flight} calls in flight in all")]


def forecast(calls: Sequence[Call], options: Options, latency: float, licences: Mapping[str, int]) -> Forecast:
    """Work out the bounds for `calls` that take `latency` seconds each; `licences` by operation path."""
    tokens = Counter(call.operation.token for call in calls)
    servers = Counter(call.operation.server for call in calls)
    bounds = [
        *_bound_in_all(len(calls) * latency, options),
        *(
            (count * latency / options.per_server, f"server {name}, {options.per_server} calls in flight at once")
            for name, count in servers.items()
        ),
        *((count * latency, f"token {token.id}, one call after the other") for token, count in tokens.items()),
    ]
    seconds, bound_by = max(bounds, default=(0.0, "nothing to call"))
    by_path = Counter(call.operation.path for call in calls)
    cannot = [
        f"{path}: {count} calls, but {licences[path]} licences allow {licences[path] * CALLS_PER_LICENCE} a day"
        for path, count in by_path.items()
        if path in licences and count > licences[path] * CALLS_PER_LICENCE
    ]
    return Forecast(
        calls=len(calls),
        operations=len(by_path),
        tokens=len(tokens),
        servers=len(servers),
        by_api=tuple(Counter(call.api for call in calls).most_common()),
        latency=latency,
        seconds=seconds,
        bound_by=bound_by,
        cannot=tuple(cannot),
    )
