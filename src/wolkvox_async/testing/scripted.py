"""A transport that answers from a script, and remembers who asked what.

    transport = ScriptedTransport(lambda call, n: ok_answer([{"items": "1"}]))

It checks on its own that no token is used twice at once; `overlaps` counts violations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import orjson

from wolkvox_async.model import Answer, Breakdown, Call, Operation, Token

Met: TypeAlias = Answer | Breakdown
Script: TypeAlias = Callable[[Call, int], Met | Awaitable[Met]]


def ok_answer(rows: Any, *, status: int = 200, code: Any = 200, msg: str = "Information found") -> Answer:
    """Return the vendor's answer with `rows` under `data`."""
    return Answer(status, orjson.dumps({"code": code, "error": None, "msg": msg, "data": rows}))


def refusal(status: int, msg: str, *, error: str = "FORBIDDEN") -> Answer:
    """Return the vendor's answer that refuses a call."""
    return Answer(status, orjson.dumps({"code": status, "error": error, "msg": msg, "data": None}))


class ScriptedTransport:
    """Fulfils `ports.Transport`; `script(call, n)` gives what the n-th attempt of a call (from 1) meets."""

    def __init__(self, script: Script) -> None:
        self.script: Final = script
        self.calls: Final[list[Call]] = []
        self.turns: Final[list[Operation]] = []
        self.distrusted: Final[list[Operation]] = []
        self.overlaps = 0
        self.most_at_once = 0
        self.closed = False
        self._tries: Final[Counter[str]] = Counter()
        self._busy: Final[Counter[Token]] = Counter()
        self._at_once = 0

    def turn(self, operation: Operation) -> ScriptedTurn:
        """Open a turn."""
        self.turns.append(operation)
        return ScriptedTurn(self, operation)

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    async def play(self, call: Call) -> Met:
        """Give what the script gives for the next attempt at `call`."""
        token = call.operation.token
        self._tries[call.id] += 1
        self.calls.append(call)
        self.overlaps += self._busy[token] > 0
        self._busy[token] += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            met = self.script(call, self._tries[call.id])
            return met if isinstance(met, Answer | Breakdown) else await met
        finally:
            self._at_once -= 1
            self._busy[token] -= 1


class ScriptedTurn:
    """A turn of a `ScriptedTransport`."""

    def __init__(self, transport: ScriptedTransport, operation: Operation) -> None:
        self._transport: Final = transport
        self._operation: Final = operation
        self._kept = False  # the connection that there would be has answered before

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def attempt(self, call: Call) -> Met:
        """Make one attempt."""
        met = await self._transport.play(call)
        if not isinstance(met, Answer):
            self._kept = False
            return met
        kept, self._kept = self._kept, True
        return replace(met, kept=kept)

    def distrust(self) -> None:
        """Note that an answer was not believed."""
        self._kept = False
        self._transport.distrusted.append(self._operation)
