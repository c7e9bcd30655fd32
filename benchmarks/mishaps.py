"""What befalls a month that is played, and which gaps that explains.

Before the turn: the program is killed and comes back after 45 minutes; the machine is
suspended for two hours; the process is stopped for 20 minutes; its wall clock is set an
hour forward, ten minutes back, and right again; servers hang, refuse, or say that they are
busy. In the last evenings some operations use up their quota. When the month turns, a third of
the servers cannot be reached, from ten minutes before to ten minutes after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from wolkvox_async.model import GapReason
from wolkvox_async.testing import FAULTS, InProcess, VirtualClock
from wolkvox_async.testing.moods import Trouble, Unreachable
from wolkvox_async.testing.slot_audit import Episode

_MINUTE: Final = 60.0
_HOUR: Final = 3_600.0
_DAY: Final = 86_400.0
_INTERVAL: Final = 300.0
_GRACE: Final = _INTERVAL / 10  # a slot that comes up no later than that is begun, and may wait for its pace until then
_MODEST: Final = 8  # of so many operations one has a small quota
_EVENINGS: Final = 3
_GAPS: Final = GapReason


class Mishaps:
    """Befall a vendor and the machine of a clock, between `begin` and a while after `turn` (Unix seconds).

    Operations are watched with so many `endpoints` each.
    """

    def __init__(self, clock: VirtualClock, vendor: InProcess, begin: float, turn: float, endpoints: int) -> None:
        self._clock: Final = clock
        self._vendor: Final = vendor
        self._begin: Final = begin
        self._turn: Final = turn
        self._endpoints: Final = endpoints
        self.episodes: Final[list[Episode]] = []
        self.killed: Final = asyncio.Event()
        self._revived: Final = asyncio.Event()

    def arrange(self) -> None:
        """Have everything happen at its time."""
        befall: tuple[Callable[[], None], ...] = (
            self._kill, self._suspend, self._freeze,
            partial(self._step, _HOUR), partial(self._step, -10 * _MINUTE), partial(self._step, -50 * _MINUTE),
            self._trouble,
        )  # fmt: skip
        span = self._turn - self._begin
        for number, act in enumerate(befall, 1):
            self._clock.at(self._begin + span * number / (len(befall) + 1), act)
        self._outage(("0001", "0002", "0003"), Unreachable(), self._turn - 10 * _MINUTE, {_GAPS.DOWN})
        self._limit()

    def end(self) -> None:
        """Have the program stopped, now: what waits for its pace just then is not asked any more."""
        now = self._clock.wall()
        self._explain("the end", now - _GRACE, now, {_GAPS.STOPPED})

    async def revived(self) -> None:
        """Return when the program that was killed is started again."""
        await self._revived.wait()
        self.killed.clear()
        self._revived.clear()

    def _kill(self) -> None:
        # What was in flight ends with the program, and is missed.
        since, down = self._clock.wall(), 45 * _MINUTE
        self._explain("killed", since - _INTERVAL, since + down, {_GAPS.STOPPED})
        self.killed.set()
        self._clock.after(down, self._revived.set)

    def _suspend(self) -> None:
        # A state in memory knows the monotonic clock alone: to it those two hours have not been, so it is too early.
        self._miss("suspended", partial(self._clock.suspend, 2 * _HOUR))

    def _freeze(self) -> None:
        # A call that waited for its pace may be sent as the first thing afterwards, and is in flight then.
        self._miss("frozen", partial(self._clock.freeze, 20 * _MINUTE))

    def _miss(self, name: str, miss: Callable[[], None]) -> None:
        since = self._clock.wall()
        miss()
        now = self._clock.wall()
        self._explain(name, since - _GRACE, now, {_GAPS.SUSPENDED})
        self._explain(f"{name}, then", now - _GRACE, now + _INTERVAL, {_GAPS.OVERRUN})

    def _step(self, seconds: float) -> None:
        since = self._clock.wall()
        self._clock.step(seconds)
        now = self._clock.wall()
        if seconds > 0:
            self._explain("clock set forward", since - _GRACE, now, {_GAPS.SUSPENDED})
            # What was asked just before is not asked again within an interval.
            self._explain("clock set forward, then", now - _GRACE, now + _INTERVAL, {_GAPS.OVERRUN})

    def _trouble(self) -> None:
        now = self._clock.unix()
        troubles: tuple[tuple[str, Trouble, set[GapReason]], ...] = (
            ("0004", FAULTS["hang"], {_GAPS.DOWN}),
            ("0005", FAULTS["maintenance"], {_GAPS.HELD}),
            ("0006", FAULTS["unavailable"], {_GAPS.DOWN}),
            ("0007", FAULTS["busy"], {_GAPS.BUSY}),
            ("0008", Unreachable(10.0), {_GAPS.DOWN}),
        )
        for server, trouble, reasons in troubles:
            self._outage((server,), trouble, now, reasons)

    def _outage(self, servers: Iterable[str], trouble: Trouble, since: float, reasons: set[GapReason]) -> None:
        """Have servers in trouble for 20 minutes (by the world's clock, which the machine's agrees with then)."""
        until = since + 20 * _MINUTE
        for server in servers:
            paths = {each.path for each in self._vendor.operations if each.server == server}
            self._clock.at(since, partial(self._vendor.break_server, server, trouble))
            self._clock.at(until, partial(self._vendor.break_server, server, None))
            name = "unreachable" if isinstance(trouble, Unreachable) else trouble.name
            # A call that is in flight just when its slot is over costs the next one, whatever the trouble is.
            expected = {*reasons, _GAPS.OVERRUN}
            self._explain(f"{name} {server}", since - _INTERVAL, until + _INTERVAL, expected, paths, fails=True)
            # A slot that had to wait is captured late, and the next one follows it too soon.
            self._explain(f"{name} {server}, then", until, until + 2 * _INTERVAL, {_GAPS.OVERRUN}, paths)

    def _limit(self) -> None:
        """Have some operations use up their quota an hour before every midnight of the month's last days.

        The machine's clock is right again by then: by a wrong one the day turns at another time.
        """
        evenings = _EVENINGS if self._turn - self._begin > 5 * _EVENINGS * _DAY else 1
        modest = {each.path for each in self._vendor.operations[::_MODEST]}
        for evening in range(evenings):
            midnight = self._turn - evening * _DAY
            self._explain(
                "quota used up", midnight - _HOUR - 2 * _INTERVAL, midnight, {_GAPS.QUOTA}, modest, fails=True
            )
        # From three hours before the first midnight on there are calls for two; from then on, for all hours but one.
        first = self._turn - (evenings - 1) * _DAY
        for path in modest:
            self._clock.at(first - 3 * _HOUR, partial(self._vendor.limit, path, 24 * self._endpoints))
            self._clock.at(first + _MINUTE, partial(self._vendor.limit, path, 276 * self._endpoints))
            self._clock.at(self._turn + 2 * _MINUTE, partial(self._vendor.limit, path, None))

    def _explain(
        self,
        name: str,
        since: float,
        until: float,
        reasons: set[GapReason],
        paths: set[str] | None = None,
        *,
        fails: bool = False,
    ) -> None:
        told = None if paths is None else frozenset(paths)
        self.episodes.append(Episode(name, round(since * 1000), round(until * 1000), frozenset(reasons), told, fails))
