"""What a watch is doing, for the person at the terminal; beside it there is the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wolkvox_async.engine import Engine, Watch
from wolkvox_async.ports import Clock

from .languages import translated
from .progress import duration

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Glance:
    """One moment of a watch; `next_in` are the seconds until something is due."""

    watched: int
    ok: int
    empty: int
    failed: int
    gaps: int
    in_flight: int
    queued: int
    next_in: float | None

    def line(self) -> str:
        """Say it in one line."""
        parts = [translated("watching {endpoints:,} endpoints", endpoints=self.watched), *self._counts()]
        if self.queued > self.in_flight:
            parts.append(translated("{calls:,} waiting", calls=self.queued - self.in_flight))
        if self.next_in is not None:
            parts.append(translated("next due in {time}", time=duration(max(self.next_in, 0.0))))
        return " | ".join(parts)

    def block(self) -> RenderableType:
        """Show it on a terminal."""
        from rich.text import Text  # noqa: PLC0415 - it takes longer than everything else a command needs

        return Text(self.line(), "bold red" if self.failed + self.gaps else "green")

    def _counts(self) -> tuple[str, ...]:
        counts = "ok {ok:,}, empty {empty:,}, failed {failed:,}, gaps {gaps:,}"
        ended = translated(counts, ok=self.ok, empty=self.empty, failed=self.failed, gaps=self.gaps)
        return ended, translated("{calls} in flight", calls=f"{self.in_flight:,}")


def glance(engine: Engine, records: Watch, clock: Clock) -> Glance:
    """Look at a watch."""
    seen, counters, at = engine.snapshot(), records.counters, records.next_at()
    return Glance(
        watched=records.size,
        ok=counters.ok,
        empty=counters.empty,
        failed=counters.failed,
        gaps=counters.gaps,
        in_flight=seen.in_flight,
        queued=seen.queued,
        next_in=None if at is None else at / 1000 - clock.utc().timestamp(),
    )
