"""A cluster in words and figures, for a terminal of 80 columns. Pure.

Text that machines wrote about themselves is escaped: no terminal obeys it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from textwrap import wrap
from typing import Final, TypeAlias
from unicodedata import east_asian_width

from wolkvox_async.errors import one_line

from .picture import LeaseSeen, Picture, RunSeen, Standing, WorkerSeen

WIDTH: Final = 80
_NAME: Final = 36
_FACTS: Final = 40  # characters of one

Mood: TypeAlias = str
"""What a line means: `good`, `bad`, `head`, or nothing in particular (empty)."""

Line: TypeAlias = tuple[str, Mood]


def sheet(seen: Picture, now: float) -> Iterator[Line]:
    """Yield the lines, none longer than 80 characters; `now` in Unix seconds."""
    yield from _head(seen)
    yield from _workers(seen)
    yield from _leases(seen, now)
    yield from _runs(seen)


def _head(seen: Picture) -> Iterator[Line]:
    terms = seen.terms
    if terms is None:
        yield "no machine has joined this broker yet (wolkvox-async watch --join URL)", ""
    else:
        yield (
            f"{terms.partitions} partitions; a lease lasts {terms.length:g} s and is renewed every {terms.renewal:g} s",
            "",
        )
    yield f"the last message of the stream is {seen.last}; looked at the cluster for {seen.seconds:.1f} s", ""


# --- workers --------------------------------------------------------------------------


def _workers(seen: Picture) -> Iterator[Line]:
    if not seen.workers:
        return
    yield "", ""
    yield f"{'WORKER':<{_NAME}}  PARTITIONS  LAST SEEN  STATE", "head"
    for worker in seen.workers:
        yield _worker(worker, seen)
        yield from ((f"  {line}", "") for line in _facts(worker))
    if seen.unevenness is not None and len(seen.sharing) > 1:
        yield f"shares differ from even ones by at most {seen.unevenness:.0%}", ""


def _worker(worker: WorkerSeen, seen: Picture) -> Line:
    state, mood = _state(worker)
    ago = f"> {seen.seconds:.0f} s" if worker.seen_ago is None else f"{worker.seen_ago:.1f} s"
    return f"{_named(worker.name or worker.id)}  {worker.partitions:>10}  {ago:>9}  {state}", mood


def _state(worker: WorkerSeen) -> Line:
    if worker.seen_ago is None:
        return "silent", "bad" if worker.partitions else ""
    return ("alive", "good") if worker.able else ("takes nothing", "bad")


def _facts(worker: WorkerSeen) -> list[str]:
    told = (f"{name} {value}" for name, value in worker.facts.items() if name != "partitions" and value is not None)
    return wrap(", ".join(_cut(one_line(fact), _FACTS) for fact in told), WIDTH - 2)


# --- leases ---------------------------------------------------------------------------


def _leases(seen: Picture, now: float) -> Iterator[Line]:
    if seen.terms is None:
        return
    counts = Counter(lease.standing for lease in seen.leases)
    some = ", ".join(f"{counts[standing]} {standing}" for standing in Standing if counts[standing])
    yield "", ""
    yield f"leases: {some}", "good" if counts[Standing.RENEWED] == len(seen.leases) else ""
    ends = [lease.ends_in for lease in seen.leases if lease.ends_in is not None]
    if ends:
        yield f"unless renewed again, they end in {min(ends):.0f} to {max(ends):.0f} s", ""
    yield from _silent(seen)
    yield from _quarantined([lease for lease in seen.leases if (lease.quarantine or 0.0) > now], now)
    epochs = Counter(lease.epoch for lease in seen.leases if lease.epoch is not None)
    if epochs:
        yield f"epochs (how often a partition was taken): {min(epochs)} to {max(epochs)}", ""


def _silent(seen: Picture) -> Iterator[Line]:
    silent = [lease for lease in seen.leases if lease.standing is Standing.SILENT]
    if not silent or seen.terms is None:
        return
    for owner in sorted({lease.owner or "" for lease in silent}):
        some = ranges(lease.partition for lease in silent if lease.owner == owner)
        yield from _wrapped(f"not renewed by {_cut(one_line(owner), _NAME)}: {some}", "bad")
    terms = seen.terms
    if seen.seconds > terms.renewal:
        standstill = terms.length + terms.margin
        yield f"  they are taken over when nobody renews them for {standstill:g} s", ""
    else:
        yield f"  that says nothing yet: leases are renewed every {terms.renewal:g} s", ""


def _quarantined(leases: Sequence[LeaseSeen], now: float) -> Iterator[Line]:
    if leases:
        last = max(lease.quarantine or 0.0 for lease in leases)
        some = ranges(lease.partition for lease in leases)
        yield from _wrapped(f"in quarantine, the last for {last - now:.0f} s: {some}", "bad")
        yield "  their last holder died: tokens that look due wait for an interval", ""


def ranges(numbers: Iterable[int]) -> str:
    """Write numbers as `1-3, 7`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][-1] == number - 1:
            found[-1][1:] = [number]
        else:
            found.append([number])
    return ", ".join("-".join(str(end) for end in some) for some in found)


# --- runs -----------------------------------------------------------------------------


def _runs(seen: Picture) -> Iterator[Line]:
    if not seen.runs:
        return
    yield "", ""
    yield f"{'RUN OF FETCH':<{_NAME}}  PARTITIONS DONE  STARTED", "head"
    for run in seen.runs:
        of = f"{run.done} of {len(seen.leases)}" if seen.leases else str(run.done)
        yield f"{_named(run.name)}  {of:>15}  {_started(run)}", ""


def _started(run: RunSeen) -> str:
    if isinstance(run.at, str):
        return _cut(one_line(run.at), WIDTH - _NAME - 19)
    if run.at is None:
        return "-"
    try:
        return datetime.fromtimestamp(run.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return "-"


def _wrapped(text: str, mood: Mood) -> Iterator[Line]:
    yield from ((line, mood) for line in wrap(text, WIDTH, subsequent_indent="  "))


def _named(text: str) -> str:
    """Return a name as wide as its column."""
    shown = _cut(one_line(text), _NAME)
    return shown + " " * (_NAME - _width(shown))


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) > width - 3:
        text = text[:-1]
    return f"{text}..."


def _width(text: str) -> int:
    """Return how many cells of a terminal a text takes up."""
    return len(text) + sum(east_asian_width(sign) in "WF" for sign in text)
