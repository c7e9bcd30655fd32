"""`fetch --join`: one pass over the tenants by many machines, each over the partitions that it has.

Partitions come and go while the pass goes on. What a machine has is fetched by one engine; when
something of it is to be given back, that engine stops after what is in flight, and another one goes
on with the rest. What was answered in this run is known of its tokens, so nobody repeats it.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from wolkvox_async import __version__
from wolkvox_async.apps import progress
from wolkvox_async.apps.exits import of_pass
from wolkvox_async.apps.passing import Ending, Order, calm_collector, not_due
from wolkvox_async.counters import Counters
from wolkvox_async.engine import Engine
from wolkvox_async.engine.passes import Records
from wolkvox_async.identity import ulid
from wolkvox_async.lines import line
from wolkvox_async.planning import Subscription, counts, cut_question, plan, tails_in
from wolkvox_async.ports import OpenRun
from wolkvox_async.records import run_ended, run_started
from wolkvox_async.settings.composition import assemble

from . import several
from .dealing import Share
from .errand import Joining, Kind, RunWanted, Tools
from .labour import Outcome
from .quarantine import fetched, token_waits
from .runs import CommonRun, counts_of
from .tenancies import partition_of
from .together import Together

_CHANCE_BITS: Final = 80
_GATHERING: Final = 0.25  # seconds


def run(order: Order, joining: Joining) -> Ending:
    """Take part in a pass as one of many machines, or as `order.workers` of them; as `watching.run`."""

    def kind(share: Share) -> Kind:
        one = replace(order, options=share.options)
        return _kind(one if share.is_first else replace(one, progress=False))

    return several.run(order, joining, order.workers, kind)


def _kind(order: Order) -> Kind:
    def ending(outcome: Outcome) -> Ending:
        counters = _counters(outcome.counters)
        return Ending(of_pass(counters), message=not_due(counters, order.options))

    asks = fetched(order.options.interval, order.dates)
    return Kind("fetch", lambda tools: Fetching(order, tools), asks, token_waits, Pass(order), ending=ending)


class Pass(RunWanted):
    """Which run is wanted, and what its records say."""

    def __init__(self, order: Order) -> None:
        self._order: Final = order

    def new(self, subscriptions: Sequence[Subscription]) -> CommonRun:
        """Return the run that is begun if there is none."""
        now = datetime.now(UTC)  # noqa: TID251 - the parent's clock, before there is a loop
        id_ = ulid(int(now.timestamp() * 1000), secrets.randbits(_CHANCE_BITS))
        return CommonRun(id_, now.isoformat(), self._order.run or "", self._digest(subscriptions))

    def started(self, run: CommonRun, subscriptions: Sequence[Subscription], at: datetime) -> bytes:
        """Return the record that opens it."""
        calls = sum(counts(subscriptions, now=datetime.fromisoformat(run.at), dates=self._order.dates))
        return line(run_started(run.id, at, version=__version__, calls=calls))

    def finished(self, run: CommonRun, at: datetime) -> bytes:
        """Return the record that closes it."""
        seconds = (at - datetime.fromisoformat(run.at)).total_seconds()
        return line(run_ended(run.id, at, "finished", _counters(run.counts), seconds))

    def wanted(self, subscriptions: Sequence[Subscription], partitions: int) -> list[int]:
        """Return the partitions in which there is anything to do."""
        return sorted({partition_of(one.operation.token.id, partitions) for one in subscriptions})

    def _digest(self, subscriptions: Sequence[Subscription]) -> str:
        digest = hashlib.blake2b(repr(self._order.dates).encode(), digest_size=16)
        for text in sorted(f"{one.operation.path} {one.operation.token.id} {one.wanted!r}" for one in subscriptions):
            digest.update(text.encode())
        return digest.hexdigest()


class Fetching:
    """One machine's part in a run."""

    def __init__(self, order: Order, tools: Tools) -> None:
        self._order: Final = order
        self._tools: Final = tools
        self._done: set[int] = set()
        self._is_complete = False
        self._changed: Final = asyncio.Event()
        self._engine: Engine | None = None
        self._records: Records | None = None
        self._set: frozenset[int] = frozenset()
        self._wanted: Final = {
            partition_of(one.operation.token.id, tools.partitions) for one in tools.errand.subscriptions
        }
        self._is_stopping = self._is_abandoning = False
        self._before = 0  # calls that were ended by earlier engines
        self._began: float | None = None  # when the first one did

    async def run(self) -> Outcome:
        """Fetch from what is ours until nothing is left anywhere, or it is stopped."""
        counters = self._tools.state.counters
        with self._shown():
            while not (self._is_complete or self._is_stopping):
                self._changed.clear()
                await self._gather()
                ours = frozenset(self._left())
                if ours & self._wanted:
                    await self._fetch(ours)
                else:
                    await self._changed.wait()
        return Outcome(self._is_stopping, {**counts_of(counters), "due": _due(counters)})

    def _left(self) -> list[int]:
        """Return the partitions that we have, and that nobody has done."""
        return [partition for partition in self._tools.state.tenancies.held() if partition not in self._done]

    def _shown(self) -> AbstractContextManager[None]:
        if self._order.progress is False:
            return nullcontext()
        return progress.shown(self._picture, live=sys.stderr.isatty())

    def _picture(self) -> Together:
        """Take a picture of what goes on here."""
        elapsed = 0.0 if self._began is None else self._tools.clock.now() - self._began
        if self._engine is None or self._records is None:
            moment = progress.Moment(self._before, 0, 0, {}, elapsed)
        else:
            moment = progress.moment_of(self._engine, self._before + self._records.planned, elapsed)
        here = progress.picture_of(self._tools.state.counters, moment)
        ours = self._wanted.intersection(self._left())
        return Together(here, len(ours), len(self._done & self._wanted), len(self._wanted))

    async def _gather(self) -> None:
        """Wait while partitions come in: what is there when fetching begins is fetched first."""
        held = -1
        while held != len(self._tools.state.tenancies.held()) and not self._is_stopping:
            held = len(self._tools.state.tenancies.held())
            await asyncio.sleep(_GATHERING)

    async def _fetch(self, ours: frozenset[int]) -> None:
        """Fetch from these partitions; what has to be given back meanwhile is not done then."""
        tools, state = self._tools, self._tools.state
        before = counts_of(state.counters)
        self._before = sum(int(before[name]) for name in ("ok", "empty", "failed", "skipped"))
        self._began = tools.clock.now() if self._began is None else self._began
        self._set = ours
        state.run = replace(state.run or _no_run(), settled=self._settled(ours))
        errand = tools.errand
        engine = assemble(
            errand.subscriptions,
            self._order.tenants,
            errand.options,
            tools.parts(),
            most_in_flight=errand.most_in_flight,
        )
        try:
            async with engine as self._engine:
                self._obey(engine)
                dates = self._order.dates
                fetching = engine.fetch(dates=dates, holds=lambda token: state.tenancies.partition(token) in ours)
                async with fetching as self._records:
                    calm_collector()
                    summary = await self._records.hand_to(state)
        finally:
            self._records = self._engine = None
            self._set = frozenset()
        await state.flush()
        if not summary.stopped:
            self._done |= ours
            after = counts_of(state.counters)
            tools.post("done", sorted(ours), {name: after[name] - before[name] for name in after})

    def _settled(self, ours: frozenset[int]) -> frozenset[str]:
        """Return the calls of these partitions that ended ok or empty in this run, by the tails of their ids."""
        state, errand, run = self._tools.state, self._tools.errand, self._tools.state.run or _no_run()
        subscriptions = [
            one for one in errand.subscriptions if state.tenancies.partition(one.operation.token.id) in ours
        ]
        utc = self._tools.clock.utc().timestamp()
        calls = plan(subscriptions, run=run.id, now=run.at, dates=self._order.dates, interval=errand.options.interval)
        found = list[str]()
        began = run.at.timestamp()

        def was_asked(token: str, question: str) -> bool:
            since = state.asked.answered_since(token, question)
            return since is not None and utc - since >= began

        for call in calls:
            found.extend(
                tails_in(
                    call,
                    run.id,
                    answered=lambda one: was_asked(one.operation.token.id, one.question),
                    was_cut=lambda one: was_asked(one.operation.token.id, cut_question(one.question)),
                )
            )
        return frozenset(found)

    def _obey(self, engine: Engine) -> None:
        if self._is_abandoning:
            engine.abandon()
        elif self._is_stopping:
            engine.stop()

    async def rehold(self) -> None:
        """Leave what is not ours any more; return when nothing of it is begun."""
        held = set(self._tools.state.tenancies.held())
        if self._engine is not None and not self._set <= held:
            self._engine.stop()
        self._changed.set()

    def progress(self, done: Sequence[int], *, is_complete: bool) -> None:
        """Take in what is done anywhere."""
        self._done.update(done)
        self._is_complete = is_complete
        self._changed.set()

    def is_drained(self) -> bool:
        """Tell whether everything that has ended is delivered."""
        return self._records is None or not self._records.backlog

    def stop(self) -> None:
        """Call nothing more."""
        self._is_stopping = True
        self._changed.set()
        if self._engine is not None:
            self._engine.stop()

    def abandon(self) -> None:
        """Give up what is in flight."""
        self._is_abandoning = True
        if self._engine is not None:
            self._engine.abandon()

    def seen(self) -> Mapping[str, int]:
        """Return how many calls there were."""
        counters = self._tools.state.counters
        return {"calls": counters.ok + counters.empty + counters.failed, "done": len(self._done)}

    def show(self, cluster: Mapping[str, Any]) -> None:
        """Do nothing: nobody looks in."""


def _no_run() -> OpenRun:
    raise AssertionError("the parent says which run it is")


def _due(counters: Counters) -> float | None:
    return None if counters.due is None else counters.due.timestamp()


def _counters(counted: Mapping[str, Any]) -> Counters:
    numbers = {name: int(value) for name, value in counted.items() if name != "due"}
    due = counted.get("due")
    return Counters(**numbers, due=None if due is None else datetime.fromtimestamp(due, UTC))
