"""How long a pass takes, what it cannot beat, and what of it cannot be met. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wolkvox_async.engine.spare import CALLS_PER_LICENCE
from wolkvox_async.model import Call

from .languages import translated
from .rehearsal import Audience, Rehearsal, Scene


class _Waiting(Audience):
    """Has calls be waited for."""

    def __init__(self, dues: Mapping[str, float]) -> None:
        self._dues: Final = dues

    def earliest(self, call: Call) -> float:
        return self._dues.get(call.id, 0.0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a pass comes to: it takes `about` so many seconds, at least `seconds`; `bound_by` says what sets those."""

    calls: int
    operations: int
    tokens: int
    servers: int
    by_api: tuple[tuple[str, int], ...]
    about: float
    most_in_flight: int
    seconds: float
    bound_by: str
    cannot: tuple[str, ...]


def forecast(
    calls: Sequence[Call], scene: Scene, licences: Mapping[str, int], *, dues: Mapping[str, float] | None = None
) -> Forecast:
    """Work out what `calls` come to; `licences` by operation path.

    `dues` are seconds for which a call, by its id, is waited for. Takes about 10 us a call.
    """
    rehearsal = Rehearsal(scene, _Waiting(dues or {}))
    rehearsal.go_through(calls)
    seconds, what, name, limit = max(_bounds(calls, scene), default=(0.0, "nothing", "", 0))
    by_path = Counter(call.operation.path for call in calls)
    return Forecast(
        calls=len(calls),
        operations=len(by_path),
        tokens=len({call.operation.token for call in calls}),
        servers=len({call.operation.server for call in calls}),
        by_api=tuple(Counter(call.api for call in calls).most_common()),
        about=rehearsal.now,
        most_in_flight=rehearsal.flying.most_in_all,
        seconds=seconds,
        bound_by=translated(_BOUND_BY[what], name=name, calls=limit),
        cannot=tuple(_beyond_quota(by_path, licences)),
    )


_BOUND_BY: Final = {
    "nothing": "nothing to call",
    "all": "{calls} calls in flight in all",
    "server": "server {name}, {calls} calls in flight at once",
    "token": "token {name}, one call after the other",
}


def _bounds(calls: Iterable[Call], scene: Scene) -> list[tuple[float, str, str, int]]:
    """Return what a pass cannot take less than, each with what sets it: a kind, a name, a limit."""
    limits = scene.limits
    tokens, servers = defaultdict[str, float](float), defaultdict[str, float](float)
    for call in calls:
        seconds = scene.seconds(call.operation, call.api)
        tokens[call.operation.token.id] += seconds
        servers[call.operation.server] += seconds
    in_all = (sum(tokens.values()) / limits.max_in_flight, "all", "", limits.max_in_flight)
    return [
        *([] if scene.auto or not tokens else [in_all]),  # auto: then the others are the bounds
        *((work / limits.per_server, "server", name, limits.per_server) for name, work in servers.items()),
        *((work, "token", token, 0) for token, work in tokens.items()),
    ]


def _beyond_quota(by_path: Mapping[str, int], licences: Mapping[str, int]) -> list[str]:
    said = "{path}: {calls} calls, but {licences} licences allow {allowed} a day"
    return [
        translated(said, path=path, calls=count, licences=licences[path], allowed=licences[path] * CALLS_PER_LICENCE)
        for path, count in by_path.items()
        if path in licences and count > licences[path] * CALLS_PER_LICENCE
    ]
