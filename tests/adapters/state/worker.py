"""A process that uses tokens of a state folder until it is killed, and says what it does in a journal.

    python -m tests.adapters.state.worker FOLDER JOURNAL NUMBER

Lines: `ready`; `begin TOKEN TIME HOLD`, `end TOKEN TIME` and `early TOKEN AGE` around what stands
for a request; `settled CALL` once the state says so; `again CALL` for a call that was settled before.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.adapters.state.houses import mark
from wolkvox_async.adapters.state import SqliteState
from wolkvox_async.errors import StateError
from wolkvox_async.marks import Mark, tail
from wolkvox_async.ports import Closed, Granted, RunOrder, Unread

HOLD = 0.15
INTERVAL = 0.02
TOKENS = [f"tk_{number:012x}" for number in range(12)]


class Worker:
    def __init__(self, state: SqliteState, journal: int, number: int) -> None:
        self.state = state
        self.journal = journal
        self.chance = random.Random(number * 1_000_003 + os.getpid())
        self.number = number
        self.asked = 0

    def say(self, *words: object) -> None:
        os.write(self.journal, (" ".join(map(str, words)) + "\n").encode())

    async def work(self) -> None:
        order = RunOrder(f"run-{os.getpid()}", datetime.now(UTC), f"worker-{self.number}", output=f"out-{self.number}")
        self.run = await self.state.open_run(order)
        await self.state.look(TOKENS)
        self.say("ready")
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(self.use_tokens())

    async def use_tokens(self) -> None:
        while True:
            token = self.chance.choice(TOKENS)
            claim = self.state.claim(token)
            if isinstance(claim, Closed):
                await asyncio.sleep(min(claim.seconds, 0.01))
            elif isinstance(claim, Granted | Unread):
                if isinstance(claim, Unread):
                    await self.state.look([token])
                await self.use(token)
            await asyncio.sleep(0.001)

    async def use(self, token: str) -> None:
        since = self.state.since(token, "interactions")
        if since is not None and since < INTERVAL:
            self.state.release(token)
            return
        now = time.clock_gettime(time.CLOCK_MONOTONIC)
        self.state.begin(token, HOLD)
        self.say("begin", token, now, HOLD)  # the request leaves: whoever is killed before has sent nothing
        await asyncio.sleep(self.chance.random() * 0.004)
        self.say("end", token, time.clock_gettime(time.CLOCK_MONOTONIC))
        self.state.end(token, 0, 0)
        self.state.arm(token, "interactions", 0)
        await self.settle(token)
        self.state.release(token)

    async def settle(self, token: str) -> None:
        self.asked += 1
        one = mark(token=token, run=self.run.id, operation=f"{os.getpid()}-{self.asked}", at=datetime.now(UTC))
        if tail(one.call) in self.run.settled:
            self.say("again", one.call)
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(failure: StateError | None, one: Mark = one) -> None:
            if failure is None:
                self.say("settled", one.call)
            told.set_result(None)

        self.state.settle(self.run.id, [one], None, done)
        if self.chance.random() < 0.5:
            await told


async def main() -> None:
    folder, journal, number = sys.argv[1:]
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    async with await SqliteState.open(Path(folder)) as state:
        await Worker(state, descriptor, int(number)).work()


if __name__ == "__main__":
    asyncio.run(main())
