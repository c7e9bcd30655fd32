"""How many calls to have in flight in all: the smallest number that keeps the throughput.

The theory. By Little's law calls in flight = throughput x latency. As long as nothing is
short, throughput grows with the number in flight and latency stays at its base. Past the
knee something is short (our own CPU, the servers, the network): throughput stays, latency
grows, and throughput x (latency - base) of the calls in flight do nothing but queue. So
latency tells where to go, as in TCP Vegas: with next to none queued one step up, with
many queued down to what is left without them and a little headroom.

Latency can mislead: the base may have been taken when something was short already, and a
server may have become slower for reasons of its own. So every change is a *trial* that the
throughput judges. A change by the factor f is kept when throughput changed by at least
f ** SHARE: up only when that paid, down only when that cost next to nothing. A trial that
fails is undone, and teaches: after one down the base is what latency is now, and because
the calls that are needed grow with it, the next step up is as large. Now and then a trial
is made that latency does not call for, for the base may also have fallen.

Increase is additive, by a step; the step doubles while it pays (so the first rise, from
where nothing is known, is a slow start) and is an eighth of the level once it does not.

A measurement counts *rounds*: as many answers as calls may be in flight. Answers that
come in waves, as those of one latency do, are so counted in whole waves. The first round
after a change still shows what was before, and counts for nothing. Nothing is learned, and
nothing changed, while the level is not what holds calls back: when no call waits, or fewer
are in flight than may be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

FIRST: Final = 128  # where it starts
MORE: Final = 1 / 8  # of the level: a step up, once steps do not double any more
LESS: Final = 1 / 4  # of the level: to do without, when it is doubted; then twice that, while nothing is missed
HEADROOM: Final = 1.10  # over what Little's law gives, or chance would leave slots empty

FEW: Final = 0.08  # share of the calls in flight that may queue before it goes no further up
MANY: Final = 0.20  # ... before it goes down
SHARE: Final = 0.25  # what throughput has to follow of a change: so throughput ** 4 / level grows
FULLY: Final = 0.75  # ... for latency not to be asked at all

FULL: Final = 0.85  # of the level in flight, when answers come: then it is the level that holds calls back
OVER: Final = 1.15  # ... then calls above a lowered level have not ended yet
IDLE: Final = 0.25  # of the level in flight by Little's law: below, there were times without calls
LARGE: Final = 1.5  # a change by this factor shows in one round


@dataclass(frozen=True, slots=True)
class Pace:
    """Bounds of the level (the floor gives way to the ceiling), and how often it decides.

    `interval` and `quick` are seconds, `rest` and `doubt` decisions.
    """

    floor: int = 4
    ceiling: int = 1000
    interval: float = 1.0  # a measurement takes at least so long
    quick: float = 0.1  # ... when the change was large, and shows soon
    rounds: int = 2  # ... and so many rounds, unless the change was large
    rest: int = 4  # after a step up that did not pay, before the next one
    doubt: int = 12  # quiet ones, after which a trial is made all the same

    def __post_init__(self) -> None:
        """Raise `ValueError` when nothing could be in flight."""
        if self.floor < 1 or self.ceiling < 1:
            raise ValueError("at least 1 call is in flight: floor and ceiling are not below it")

    def within(self, level: float) -> int:
        """Return the number nearest to `level` that is allowed."""
        return min(self.ceiling, max(self.floor, round(level)))


@dataclass(frozen=True, slots=True)
class Measurement:
    """Answers per second, their mean latency in seconds, and calls in flight on average."""

    throughput: float
    latency: float
    in_flight: float

    def fills(self, level: int) -> bool:
        """Tell whether it was `level` that held calls back, all the time."""
        return self.in_flight >= FULL * level and self.throughput * self.latency >= IDLE * level

    def queued(self, base: float) -> float:
        """Return how many of the calls in flight queue, if latency were `base` without a queue."""
        return max(0.0, self.throughput * (self.latency - base))


@dataclass(frozen=True, slots=True)
class Trial:
    """A change under judgement: the level before, the throughput then, and whether latency did not call for it."""

    level: int
    throughput: float
    is_doubt: bool

    def paid(self, level: int, measured: Measurement, share: float) -> bool:
        """Tell whether throughput followed the change to `level`, raised to the power `share`."""
        return measured.throughput >= self.throughput * math.pow(level / self.level, share)


class Meter:
    """Counts answers; when there are `due` of them, there is something to decide."""

    __slots__ = ("answers", "due", "in_flight", "round", "seconds", "settling", "since")

    def __init__(self, level: int, now: float) -> None:
        # Of the very first round the quick answers come first: it would say too little.
        self.restart(level, now, settling=level)

    def restart(self, level: int, now: float, *, settling: int = 0) -> None:
        """Begin a measurement at `level`; the first `settling` answers do not count."""
        self.round = level
        self.settling = settling
        self.due = settling or level
        self.answers, self.seconds, self.in_flight, self.since = 0, 0.0, 0, now

    def has_settled(self, now: float) -> bool:
        """Tell whether the answers so far count; if not yet, they do from `now` on."""
        if not self.settling:
            return True
        self.restart(self.round, now)
        return False

    def is_complete(self, now: float, *, least: float, rounds: int) -> bool:
        """Tell whether the answers are of enough rounds and took at least `least` seconds."""
        if self.answers >= rounds * self.round and now - self.since >= least:
            return True
        self.due = self.answers + self.round
        return False

    def measurement(self, now: float) -> Measurement:
        """Return what was measured."""
        n = self.answers
        return Measurement(n / max(now - self.since, 1e-9), self.seconds / n, self.in_flight / n)


class Level:
    """How many calls may be in flight; times in monotonic seconds."""

    def __init__(self, pace: Pace, *, now: float) -> None:
        self.pace: Final = pace
        self.level = pace.within(FIRST)
        self.base: float | None = None  # latency when nothing queues, in seconds
        self.strain = 1.0  # latency over base, when it was last measured
        self.meter: Final = Meter(self.level, now)
        self._trial: Trial | None = None
        self._step = self.level
        self._rest = 0  # decisions without a step up
        self._quiet = pace.doubt  # decisions without a trial, in a row
        self._doubted_up = True  # so the first doubt is whether fewer would do
        self._less = LESS  # of the level, to be tried without

    def decide(self, *, waiting: bool, now: float) -> None:
        """Take in a full round; `waiting`: calls wait for nothing but the level."""
        meter, before = self.meter, self.level
        if not meter.has_settled(now) or not self._is_complete(now):
            return
        measured = meter.measurement(now)
        if measured.in_flight > OVER * before + 1:
            meter.restart(before, now)
            return
        if waiting and measured.fills(before):
            self._learn(measured)
        else:
            self._let_be(measured)
        meter.restart(self.level, now, settling=0 if self.level == before else before)

    def _is_complete(self, now: float) -> bool:
        pace, trial = self.pace, self._trial
        shows_soon = trial is not None and not 1 / LARGE < self.level / trial.level < LARGE
        if shows_soon or self.base is None:
            return self.meter.is_complete(now, least=pace.quick, rounds=1)
        return self.meter.is_complete(now, least=pace.interval, rounds=pace.rounds)

    # --- what a measurement teaches -----------------------------------------------------

    def _let_be(self, measured: Measurement) -> None:
        trial, self._trial = self._trial, None
        self.strain = 1.0
        if trial is not None and self.level > trial.level:
            used = self.pace.within(HEADROOM * measured.in_flight)
            self._start_over(max(trial.level, min(self.level, used)))

    def _learn(self, measured: Measurement) -> None:
        if self.base is None or measured.latency < self.base:
            self.base = measured.latency
        self.strain = measured.latency / self.base
        trial, self._trial = self._trial, None
        if trial is None:
            self._go_on(measured, self.base)
        elif self.level > trial.level:
            self._judge_more(trial, measured, self.base)
        else:
            self._judge_less(trial, measured, self.base)

    def _judge_more(self, trial: Trial, measured: Measurement, base: float) -> None:
        if trial.paid(self.level, measured, SHARE):
            self._step = min(2 * self._step, self.level)
            self._go_on(measured, base, surely=trial.paid(self.level, measured, FULLY))
        else:
            needed = self.pace.within(HEADROOM * (self.level - measured.queued(base)))
            self._start_over(max(trial.level, needed))
            self._rest = self.pace.rest

    def _judge_less(self, trial: Trial, measured: Measurement, base: float) -> None:
        if trial.paid(self.level, measured, SHARE):
            self._less = min(0.5, 2 * self._less)
            if trial.is_doubt:
                self._try(self.level * (1 - self._less), measured, is_doubt=True)
            else:
                self._go_on(measured, base)
            return
        # Fewer calls in flight, and as slow as before: that is the latency without a queue.
        slower, self.base, self.strain = measured.latency / base - 1, measured.latency, 1.0
        self._less, self.level = LESS, trial.level
        if slower > FEW:
            self._step, self._rest = max(1, round(self.level * min(1.0, slower))), 0

    def _go_on(self, measured: Measurement, base: float, *, surely: bool = False) -> None:
        queued = 0.0 if surely else measured.queued(base) / self.level
        self._rest = max(0, self._rest - 1)
        if queued > MANY:
            self._start_over(self.level)
            self._try(self.level * max(0.5, (1 - queued) * HEADROOM), measured)
        elif queued < FEW and not self._rest:
            self._try(self.level + self._step, measured)
        elif self._quiet >= self.pace.doubt:
            self._doubt(measured)
        else:
            self._quiet += 1

    def _doubt(self, measured: Measurement) -> None:
        self._doubted_up, self._quiet = not self._doubted_up, 0
        self._try(self.level * (1 + MORE if self._doubted_up else 1 - self._less), measured, is_doubt=True)

    def _start_over(self, level: int) -> None:
        self.level, self._step = level, max(1, round(level * MORE))

    def _try(self, level: float, measured: Measurement, *, is_doubt: bool = False) -> None:
        wanted = self.pace.within(level)
        if wanted != self.level:
            self._trial = Trial(self.level, measured.throughput, is_doubt)
            self.level = wanted
