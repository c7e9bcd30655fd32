"""Machines as processes of their own, and what they have said."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from .machine import Order

_LOOK: Final = 0.05


class Hand:
    """One machine, from its start."""

    def __init__(self, order: Order) -> None:
        command = [sys.executable, "-m", "benchmarks.million.machine"]
        self.name: Final = order.name
        self.said: Final[list[dict[str, Any]]] = []
        self.process: Final = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdin is None:
            raise AssertionError("its input is a pipe")
        with self.process.stdin as into:
            into.write(orjson.dumps(asdict(order)) + b"\n")
        self._listener: Final = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.said.append(orjson.loads(line))

    def told(self, event: str, since: float = 0.0) -> list[dict[str, Any]]:
        """Return what it said of one kind of event, since a moment (monotonic seconds)."""
        return [one for one in list(self.said) if one["event"] == event and one["at"] >= since]

    def last(self, what: str) -> float:
        """Return what it said last of itself; 0 when it has not yet."""
        seen = self.told("seen")
        return float(seen[-1][what]) if seen else 0.0

    def end(self, number: signal.Signals) -> None:
        """Send it a signal, and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)


class Crew:
    """All machines of a cluster."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self.hands: Final = [Hand(order) for order in orders]

    async def until(self, done: Callable[[], bool], patience: float) -> None:
        """Return when it is so; raises `TimeoutError` after so many seconds, or when a machine has ended by itself."""
        until = time.monotonic() + patience
        while not done():
            if time.monotonic() > until or any(hand.told("broken") for hand in self.hands):
                raise TimeoutError([hand.said[-1] for hand in self.hands if hand.said])
            await asyncio.sleep(_LOOK)

    def told(self, event: str, since: float = 0.0) -> list[dict[str, Any]]:
        """Return what all of them said of one kind of event, in the order of time."""
        return sorted((one for hand in self.hands for one in hand.told(event, since)), key=lambda one: one["at"])

    def held(self) -> int:
        """Return how many partitions those have that live, as far as they have said."""
        ours = {hand.name: set[int]() for hand in self.hands if hand.process.poll() is None}
        for hand in self.hands:
            if hand.name not in ours:
                continue
            for one in list(hand.said):
                if one["event"] == "taken":
                    ours[hand.name].add(one["partition"])
                elif one["event"] in ("lost", "given"):
                    ours[hand.name].discard(one["partition"])
        return sum(map(len, ours.values()))

    def stored(self) -> int:
        """Return how many calls' records were stored, as they said last."""
        return sum(int(hand.last("stored")) for hand in self.hands)

    def end(self, number: signal.Signals) -> None:
        """End all that live."""
        for hand in self.hands:
            if hand.process.poll() is None:
                hand.process.send_signal(number)
        for hand in self.hands:
            hand.process.wait(60)
