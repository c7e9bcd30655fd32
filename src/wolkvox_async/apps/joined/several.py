"""Several machines of a cluster from one command (`--join --workers N`), and who looks after them.

Each is a machine as any other, with leases and a child of its own; what they have in common is that
their tokens were resolved once, that their limits add up to those of the command, and the process
that forked them, which is this one. It has neither loop nor thread, so it can fork at any time.

- Signals are for this process. A terminal and an init system send theirs to all processes: machines
  take no notice, and do what they are told through their channels, a byte for each signal.
- Nobody outlives it: machines are killed with it, and their children with them.
- A pass goes on without a machine that was lost: others take over what it had. A watch never ends,
  so there it is started anew, after a pause that grows, as long as another one is there. When
  none is left the trouble is not one machine's, and whoever supervises the command had better know.
- A broker that is away is waited for by those that have joined. So who ends for want of it counts as
  lost while others are there. Mistakes that one finds at its start are found by all: that ends a watch.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from wolkvox_async.adapters.state.clocks import machine_clocks
from wolkvox_async.adapters.telemetry import library_logger
from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.passing import Ending
from wolkvox_async.apps.signals import PassedSignals
from wolkvox_async.apps.working.forking import Forked, dismiss, end, fork_workers, in_words
from wolkvox_async.apps.working.shares import Part
from wolkvox_async.apps.working.worker import ORPHANED
from wolkvox_async.errors import ConfigurationError, StateError
from wolkvox_async.settings.composition import Parts
from wolkvox_async.settings.limits import in_flight_at_most

from .dealing import Common, Share, dealt
from .endings import Ended, ending_of_all
from .errand import Joining, Kind
from .labour import Outcome
from .machine import Order, be_one, join, resolve
from .parent import ChildDiedError

_STOPPING: Final[tuple[int, ...]] = (signal.SIGINT, signal.SIGTERM)
_FIRST_PAUSE: Final = 1.0  # seconds before one that was lost is started anew
_LONGEST_PAUSE: Final = 60.0
_LONG_LIFE: Final = 600.0  # who lived so long was not lost because of its start: the pause is the first again
_LATE: Final = 30.0  # seconds after the drain in which a machine stores and gives back, or is killed
_READ: Final = 65_536  # bytes


def run(
    order: Order, joining: Joining, workers: int, kind: Callable[[Share], Kind], parts: Callable[[], Parts] = Parts
) -> Ending:
    """Be one machine of a cluster, or several; `kind` says what a machine does. Raises as `machine.join`.

    To be called where there is no event loop and no other thread.
    """
    limits = Part(in_flight_at_most(order.options), order.options.per_server)
    if (shortage := limits.shortage(workers)) is not None:
        library_logger().warning(shortage)
    shares = dealt(order.options, limits, workers)
    if len(shares) == 1:
        return join(order, joining, kind(Share(order.options)), parts)
    resolved = resolve(order)
    if isinstance(resolved, Ending):
        return resolved
    gc.freeze()  # what all have in common stays common: no collector goes through it
    return Several(Common(order, resolved, joining, kind, parts), shares).run()


@dataclass(slots=True)
class _Seat:
    """A machine's place. `began` and `due` (when it is started anew) are in monotonic seconds."""

    number: int
    share: Share
    told: bytearray
    forked: Forked | None = None
    began: float = 0.0
    due: float | None = None
    pause: float = _FIRST_PAUSE


class Several:
    """Machines, and who waits for them; `run` is called once."""

    def __init__(self, common: Common, shares: list[Share]) -> None:
        self._common: Final = common
        self._kind: Final = common.kind(shares[0])
        self._seats: Final = [_Seat(number, share, bytearray()) for number, share in enumerate(shares, 1)]
        self._now: Final = machine_clocks().monotonic
        self._ended: Final[list[Ended]] = []
        self._noted: Final[deque[int]] = deque()
        self._wakers: Final = socket.socketpair()
        self._before: Final[dict[int, Any]] = {}  # what signals did before they were ours
        self._received: int | None = None
        self._deadline: float | None = None  # when machines that are still there are killed
        self._is_stopping = False

    def run(self) -> Ending:
        """Have the machines work until all have ended; raises as `machine.join`."""
        with self._listening():
            try:
                for seat in self._seats:
                    self._start(seat)
                while self._running():
                    self._wait()
            finally:
                dismiss([forked for _, forked in self._running()])
        return ending_of_all(self._ended, self._received, self._kind.ending)

    def _running(self) -> list[tuple[_Seat, Forked]]:
        return [(seat, seat.forked) for seat in self._seats if seat.forked is not None]

    # --- signals

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Note the signals that come, and wake up for them."""
        ours, theirs = self._wakers
        ours.setblocking(False)
        theirs.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        for number in (*_STOPPING, signal.SIGHUP) if self._kind.rereads else _STOPPING:
            self._before[number] = signal.signal(number, self._note)
        try:
            yield
        finally:
            for number, before in self._before.items():
                # What is being stopped is not to be killed by a hang-up.
                signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else before)
            signal.set_wakeup_fd(-1)
            ours.close()
            theirs.close()

    def _note(self, number: int, frame: object) -> None:  # noqa: ARG002 - how handlers are called
        self._noted.append(number)

    def _take_notice(self) -> None:
        while self._noted:
            number = self._noted.popleft()
            if number in _STOPPING:
                self._received = self._received or number
                self._stop()
            self._pass_on(number)

    def _stop(self) -> None:
        """Start nobody any more, and do not wait for ever."""
        self._is_stopping = True
        if self._deadline is None:
            self._deadline = self._now() + self._common.order.drain + _LATE
        for seat in self._seats:
            seat.due = None

    def _pass_on(self, number: int) -> None:
        for _, forked in self._running():
            with suppress(OSError):
                forked.channel.send(bytes([number]))

    # --- waiting

    def _wait(self) -> None:
        """Wait for a signal, a machine's word or end, or for when one is to be started; deal with it."""
        with selectors.PollSelector() as waiting:
            waiting.register(self._wakers[0], selectors.EVENT_READ)
            for seat, forked in self._running():
                waiting.register(forked.channel, selectors.EVENT_READ, (seat, forked))
            ready = [key.data for key, _ in waiting.select(self._left()) if key.data is not None]
        with suppress(BlockingIOError):
            self._wakers[0].recv(_READ)
        self._take_notice()
        for seat, forked in ready:
            self._hear(seat, forked)
        for seat in self._seats:
            if seat.due is not None and seat.due <= self._now() and self._running():
                self._start_anew(seat)
        if self._deadline is not None and self._deadline <= self._now():
            self._kill()

    def _left(self) -> float | None:
        times = [seat.due for seat in self._seats if seat.due is not None]
        if self._deadline is not None:
            times.append(self._deadline)
        return max(0.0, min(times) - self._now()) if times else None

    def _kill(self) -> None:
        self._deadline = None
        for seat, forked in self._running():
            library_logger().error(f"{self._name(seat)} does not end: it is killed, and its leases run out")
            os.kill(forked.pid, signal.SIGKILL)

    # --- machines

    def _name(self, seat: _Seat) -> str:
        return f"machine {seat.number} of {len(self._seats)}"

    def _start(self, seat: _Seat) -> None:
        """Fork it; raises `ConfigurationError` where that is not possible."""
        beside = [forked.channel for _, forked in self._running()]
        share = seat.share
        (seat.forked,) = fork_workers([seat.number], lambda channel: self._be_machine(share, channel), beside)
        seat.began, seat.due, seat.told = self._now(), None, bytearray()

    def _start_anew(self, seat: _Seat) -> None:
        seat.share = replace(seat.share, is_again=True)
        try:
            self._start(seat)
        except ConfigurationError as error:
            library_logger().error(f"{error}; it is tried again in {self._postpone(seat):g} s")

    def _postpone(self, seat: _Seat) -> float:
        """Have it started anew after a pause, which is longer the next time; return the pause."""
        pause = seat.pause
        seat.due, seat.pause = self._now() + pause, min(2 * pause, _LONGEST_PAUSE)
        return pause

    def _hear(self, seat: _Seat, forked: Forked) -> None:
        """Take in what a machine says; nothing means that it has ended."""
        with suppress(ConnectionError):
            if told := forked.channel.recv(_READ):
                seat.told += told
                return
        code = end(forked.pid)
        forked.channel.close()
        seat.forked = None
        ended = Ended.decode(bytes(seat.told)) or Ended.because(in_words(code))
        if ended.lost is not None or (self._may_replace() and (seat.share.is_again or ended.code == Exit.STATE)):
            self._lose(seat, ended)
            return
        self._ended.append(ended)
        if self._kind.run is None and not self._is_stopping:
            self._stop()
            self._pass_on(signal.SIGTERM)

    def _may_replace(self) -> bool:
        return self._kind.run is None and not self._is_stopping and bool(self._running())

    def _lose(self, seat: _Seat, ended: Ended) -> None:
        """Deal with a machine that others may do without."""
        then = [
            "its leases run out" if self._is_stopping or not self._running() else "the others take over what it had"
        ]
        if self._may_replace():
            if self._now() - seat.began >= _LONG_LIFE:
                seat.pause = _FIRST_PAUSE
            then.append(f"it is started anew in {self._postpone(seat):g} s")
        else:
            self._ended.append(ended)
        why = ended.lost or f"ended ({'; '.join(ended.messages)})"
        library_logger().error(f"{self._name(seat)} {why}: {', '.join(then)}")

    # --- in a machine

    def _be_machine(self, share: Share, channel: socket.socket) -> None:
        """Be one, and say how it was."""
        signal.set_wakeup_fd(-1)
        for waker in self._wakers:
            waker.close()
        if self._kind.rereads:
            signal.signal(signal.SIGHUP, self._before[signal.SIGHUP])
        if os.environ.get("WATCHDOG_PID") == str(os.getppid()):
            os.environ["WATCHDOG_PID"] = str(os.getpid())  # any of us may say that the service is alive
        channel.sendall(self._machine(share, channel).encode())

    def _machine(self, share: Share, channel: socket.socket) -> Ended:
        counters: dict[str, Any] = {}

        def ending(outcome: Outcome) -> Ending:
            counters.update(outcome.counters)
            return Ending(Exit.OK)  # of all together it is said by who forked us

        common = self._common
        errand = common.errand(share, replace(common.kind(share), ending=ending))
        signals = PassedSignals(channel, lambda: os._exit(ORPHANED))
        try:
            found = be_one(errand, common.joining, signals, [channel])
        except ChildDiedError as error:
            return Ended.because(f"lost the process that calls, which {error}")
        except StateError as error:
            return Ended(Exit.STATE, [str(error)])
        except ConfigurationError as error:
            return Ended(Exit.USAGE, [str(mistake) for mistake in error.mistakes])
        return Ended(found.code, counters=counters)
