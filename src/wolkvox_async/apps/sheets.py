"""An almanac in words and figures, for a terminal of 80 columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from math import inf
from textwrap import wrap
from typing import Final

from wolkvox_async.fields import timestamp

from .almanac import Almanac
from .delays import Closing
from .feasibility import Obstacle
from .languages import translated
from .loads import Load, Loads

WIDTH: Final = 80
_BARS: Final = 15
_BAR: Final = 50  # characters
_SERVERS: Final = 10
_WORST: Final = 10
_TURNS: Final = 5
_BOUNDS: Final = (0.1, 1.0, 5.0, 15.0, 60.0)  # seconds of delay, for people


def sheet(found: Almanac, latency: float) -> Iterator[str]:
    """Yield the lines; `latency` is what was assumed of a call, in seconds."""
    yield from _head(found)
    if found.watching.subjects:
        yield from _load(found, latency)
        yield from _servers(found)
        yield from _delays(found)
        yield from _closings(found)
    for obstacle in found.cannot:
        yield from _cannot(obstacle)


def _head(found: Almanac) -> Iterator[str]:
    subjects = found.watching.subjects
    operations = {subject.operation.path for subject in subjects}
    tokens = {subject.operation.token for subject in subjects}
    servers = {subject.operation.server for subject in subjects}
    yield translated(
        "watching {endpoints} endpoints: {operations} operations, {tokens} tokens, {servers} servers",
        endpoints=len(subjects),
        operations=len(operations),
        tokens=len(tokens),
        servers=len(servers),
    )
    for name, count in found.by_api:
        yield f"  {count:>8}  {name}"


# --- load -----------------------------------------------------------------------------


def _load(found: Almanac, latency: float) -> Iterator[str]:
    limits, load = found.watching.scene.limits, found.loads.in_all
    yield ""
    minute = "calls a minute: least {least}, mean {mean:.1f}, most {most}"
    yield translated(minute, least=load.least, mean=load.mean, most=load.most)
    yield from _bars(found.loads)
    flying = "in flight at {latency:g} s a call (--latency): {mean:.1f} on average, {most} at most"
    yield translated(flying, latency=latency, mean=load.in_flight, most=found.steady.flying.most_in_all)
    yield translated("  of {limit} (--max-in-flight)", limit=limits.max_in_flight)


def _bars(found: Loads) -> Iterator[str]:
    """Yield a bar per minute, or for some minutes together where there are many."""
    each = -(-len(found.minutes) // _BARS)
    numbers = [_mean(found.minutes[first : first + each]) for first in range(0, len(found.minutes), each)]
    most = max(numbers) or 1.0
    for place, number in enumerate(numbers):
        at = _utc(found.since + place * each * 60_000)
        yield f"  {at:%H:%M}Z {number:>8.0f}  {'#' * round(number / most * _BAR)}".rstrip()


def _mean(numbers: Sequence[int]) -> float:
    return sum(numbers) / len(numbers)


def _servers(found: Almanac) -> Iterator[str]:
    yield ""
    minute, flying = translated("calls a minute"), translated("in flight")
    yield f"{translated('server'):<22}{minute:^26}{flying:^18}".rstrip()
    least, mean, most = translated("least"), translated("mean"), translated("most")
    yield f"{'':<22}{least:>8}{mean:>9}{most:>8}{mean:>10}{most:>7}"
    by_load = sorted(found.loads.servers.items(), key=lambda item: -item[1].in_flight)
    for name, load in by_load[:_SERVERS]:
        yield _server(name, load, found.steady.flying.most.get(name, 0))
    if (rest := len(by_load) - _SERVERS) > 0:
        yield translated("  and {number} more, each with fewer in flight on average", number=rest)
    limit = found.watching.scene.limits.per_server
    yield translated("  of {limit} in flight to each (--per-server)", limit=limit)


def _server(name: str, load: Load, most: int) -> str:
    return f"  {name[:19]:<20}{load.least:>8}{load.mean:>9.1f}{load.most:>8}{load.in_flight:>10.2f}{most:>7}"


# --- delays ---------------------------------------------------------------------------


def _delays(found: Almanac) -> Iterator[str]:
    usual, closing = zip(*found.late.values(), strict=True)
    yield ""
    rule, turn = translated("as a rule"), translated("while months are closed")
    yield f"{translated('how late a slot begins at most'):<34}{rule:>12}{turn:>26}"
    yield from _spread(usual, closing)
    worst = sorted(found.late.items(), key=lambda item: -max(item[1]))
    for path, (late, while_closing) in worst[:_WORST]:
        if max(late, while_closing) > _BOUNDS[0]:
            yield f"  {path[:31]:<32}{late:>10.1f} s{while_closing:>24.1f} s"
    for lost, slots, when in _lost(found):
        if lost:
            said = "{lost} of {slots} slots would be gaps (overrun) {when}"
            yield translated(said, lost=lost, slots=slots, when=translated(when))


def _lost(found: Almanac) -> Iterator[tuple[int, int, str]]:
    """Yield how many slots would be lost of how many, as a rule and while months are closed."""
    yield sum(found.steady.lost), found.steady.slots, "as a rule"
    stretches = [closing.delays for closing in found.closings]
    yield sum(sum(one.lost) for one in stretches), sum(one.slots for one in stretches), "while months are closed"


def _spread(usual: Sequence[float], closing: Sequence[float]) -> Iterator[str]:
    """Yield how many operations are how late."""
    before = -inf
    for bound in (*_BOUNDS, inf):
        counts = [sum(before < late <= bound for late in which) for which in (usual, closing)]
        up_to, above = "up to {seconds:g} s", "more than {seconds:g} s"
        name = translated(up_to, seconds=bound) if bound < inf else translated(above, seconds=before)
        if any(counts):
            yield f"  {name:<32}{counts[0]:>12}{counts[1]:>26}"
        before = bound


# --- closing readings -------------------------------------------------------------------


def _closings(found: Almanac) -> Iterator[str]:
    if not found.turns:
        return
    yield ""
    gone_through = {closing.turn: closing for closing in found.closings}
    for turn, readings in islice(found.turns.items(), _TURNS):
        yield _turning(readings, _at(turn))
        if (closing := gone_through.get(turn)) is not None:
            yield _closing(closing)
    if (rest := len(found.turns) - _TURNS) > 0:
        yield translated("and before {number} more turns of the month, in other timezones", number=rest)


def _turning(readings: int, at: str) -> str:
    if readings == 1:
        return translated("1 closing reading before the month turns at {at}", at=at)
    return translated("{readings} closing readings before the month turns at {at}", readings=readings, at=at)


def _closing(closing: Closing) -> str:
    first, last = (closing.turn - closing.first) / 1000, (closing.turn - closing.last) / 1000
    before, after = "{seconds:.0f} s before", "{seconds:.0f} s after"
    there = translated(before, seconds=last) if last >= 0 else translated(after, seconds=-last)
    most = closing.delays.flying.most_in_all
    said = "  first due {seconds:.0f} s before, last there {there}, {most} in flight at most"
    return translated(said, seconds=first, there=there, most=most)


# --- what cannot be met -----------------------------------------------------------------


def _cannot(obstacle: Obstacle) -> Iterable[str]:
    yield from _wrapped(translated("cannot be met: {what}", what=obstacle.what))
    yield from _wrapped(translated("  try: {advice}", advice=obstacle.advice), further="       ")


def _wrapped(text: str, *, further: str = "  ") -> list[str]:
    indent = text[: len(text) - len(text.lstrip())]
    return wrap(
        text.lstrip(),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _utc(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _at(milliseconds: float) -> str:
    return timestamp(_utc(milliseconds))
