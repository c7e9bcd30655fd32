"""A cluster in words and figures, for a terminal of 80 columns, in the language that is spoken.

Text that machines wrote about themselves is escaped: no terminal obeys it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from textwrap import wrap
from typing import Final, TypeAlias
from unicodedata import east_asian_width

from wolkvox_async.apps.languages import translated
from wolkvox_async.errors import one_line

from .picture import LeaseSeen, Picture, RunSeen, Standing, WorkerSeen

WIDTH: Final = 80
_NAME: Final = 36
_DONE: Final = 15
_FACTS: Final = 40  # characters of one
_COUNTS: Final = {
    Standing.RENEWED: "{count} renewed",
    Standing.SILENT: "{count} silent",
    Standing.FREE: "{count} free",
    Standing.UNCLAIMED: "{count} unclaimed",
    Standing.UNREADABLE: "{count} unreadable",
}

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
        yield translated("no machine has joined this broker yet (wolkvox-async watch --join URL)"), ""
    else:
        dealt = "{partitions} partitions; a lease lasts {length:g} s and is renewed every {renewal:g} s"
        yield translated(dealt, partitions=terms.partitions, length=terms.length, renewal=terms.renewal), ""
    looked = "the last message of the stream is {last}; looked at the cluster for {seconds:.1f} s"
    yield translated(looked, last=seen.last, seconds=seen.seconds), ""


# --- workers --------------------------------------------------------------------------


def _workers(seen: Picture) -> Iterator[Line]:
    if not seen.workers:
        return
    held, ago = translated("PARTITIONS"), translated("LAST SEEN")
    yield "", ""
    yield f"{translated('WORKER'):<{_NAME}}  {held}  {ago}  {translated('STATE')}", "head"
    for worker in seen.workers:
        yield _worker(worker, seen, (len(held), len(ago)))
        yield from ((f"  {line}", "") for line in _facts(worker))
    if seen.unevenness is not None and len(seen.sharing) > 1:
        yield translated("shares differ from even ones by at most {part:.0%}", part=seen.unevenness), ""


def _worker(worker: WorkerSeen, seen: Picture, widths: tuple[int, int]) -> Line:
    state, mood = _state(worker)
    ago = f"> {seen.seconds:.0f} s" if worker.seen_ago is None else f"{worker.seen_ago:.1f} s"
    held = f"{worker.partitions:>{widths[0]}}"
    return f"{_named(worker.name or worker.id)}  {held}  {ago:>{widths[1]}}  {state}", mood


def _state(worker: WorkerSeen) -> Line:
    if worker.seen_ago is None:
        return translated("silent"), "bad" if worker.partitions else ""
    return (translated("alive"), "good") if worker.able else (translated("takes nothing"), "bad")


def _facts(worker: WorkerSeen) -> list[str]:
    told = (f"{name} {value}" for name, value in worker.facts.items() if name != "partitions" and value is not None)
    return wrap(", ".join(_cut(one_line(fact), _FACTS) for fact in told), WIDTH - 2)


# --- leases ---------------------------------------------------------------------------


def _leases(seen: Picture, now: float) -> Iterator[Line]:
    if seen.terms is None:
        return
    counts = Counter(lease.standing for lease in seen.leases)
    some = ", ".join(translated(_COUNTS[one], count=counts[one]) for one in Standing if counts[one])
    yield "", ""
    mood = "good" if counts[Standing.RENEWED] == len(seen.leases) else ""
    yield from _wrapped(translated("leases: {counts}", counts=some), mood)
    ends = [lease.ends_in for lease in seen.leases if lease.ends_in is not None]
    if ends:
        said = "unless renewed again, they end in {least:.0f} to {most:.0f} s"
        yield translated(said, least=min(ends), most=max(ends)), ""
    yield from _silent(seen)
    yield from _quarantined([lease for lease in seen.leases if (lease.quarantine or 0.0) > now], now)
    epochs = Counter(lease.epoch for lease in seen.leases if lease.epoch is not None)
    if epochs:
        said = "epochs (how often a partition was taken): {least} to {most}"
        yield translated(said, least=min(epochs), most=max(epochs)), ""


def _silent(seen: Picture) -> Iterator[Line]:
    silent = [lease for lease in seen.leases if lease.standing is Standing.SILENT]
    if not silent or seen.terms is None:
        return
    for owner in sorted({lease.owner or "" for lease in silent}):
        some = ranges(lease.partition for lease in silent if lease.owner == owner)
        name = _cut(one_line(owner), _NAME)
        yield from _wrapped(translated("not renewed by {name}: {partitions}", name=name, partitions=some), "bad")
    terms = seen.terms
    if seen.seconds > terms.renewal:
        said = "  they are taken over when nobody renews them for {seconds:g} s"
        yield translated(said, seconds=terms.length + terms.margin), ""
    else:
        said = "  that says nothing yet: leases are renewed every {seconds:g} s"
        yield translated(said, seconds=terms.renewal), ""


def _quarantined(leases: Sequence[LeaseSeen], now: float) -> Iterator[Line]:
    if leases:
        last = max(lease.quarantine or 0.0 for lease in leases)
        some = ranges(lease.partition for lease in leases)
        said = "in quarantine, the last for {seconds:.0f} s: {partitions}"
        yield from _wrapped(translated(said, seconds=last - now, partitions=some), "bad")
        yield translated("  their last holder died: tokens that look due wait for an interval"), ""


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
    done = translated("PARTITIONS DONE")
    yield f"{translated('RUN OF FETCH'):<{_NAME}}  {done:>{_DONE}}  {translated('STARTED')}", "head"
    for run in seen.runs:
        of = translated("{done} of {all}", done=run.done, all=len(seen.leases)) if seen.leases else str(run.done)
        yield f"{_named(run.name)}  {of:>{_DONE}}  {_started(run)}", ""


def _started(run: RunSeen) -> str:
    if isinstance(run.at, str):
        return _cut(one_line(run.at), WIDTH - _NAME - _DONE - 4)
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
