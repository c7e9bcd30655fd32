"""What each token waits for, from what a state folder knows. Pure.

A token may have several reasons to wait; one of them is named, the most binding:

1. `refused`, `quota`: the vendor does not take the token at all. Whatever else is on
   would end before that, and only here there is something that a person can do.
2. `in_flight`: a live process has the token at this moment, so it waits for that process
   alone. (Not when an attempt has ended and closes the token behind it.)
3. `lost_call`, `server_limit`, `token_gap`, `circuit`: what keeps back every endpoint,
   known or not. All of them have to end, so the one that ends last is named.
4. `interval`: every endpoint that is known of was called too short a time ago. Behind 3,
   because an endpoint that was never planned is not known of here and waits for 3 only.
5. `retries`, `slot`: something may be called, and a run that is alive has not come to it yet;
   `retries` where the server is worth no more retries at present. Which of its calls have
   failed before and wait for that, a state folder does not know, so the words say both.
6. `nothing`: something may be called, and nobody is at it.

An endpoint counts while it is in use: by its last call (one that was only planned is a
call that may be made), if that was within a day of the token's last one. A token counts
for an operation until another was used, or planned, for it.

What is decided here are values; `reasons` has the words for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never

from wolkvox_async.adapters.state import Closing, LastCall, RunState, Survey, TokenState
from wolkvox_async.model import ErrorKind

_IN_USE: Final = timedelta(days=1)


class Reason(StrEnum):
    """What a token waits for."""

    REFUSED = "refused"
    QUOTA = "quota"
    IN_FLIGHT = "in_flight"
    LOST_CALL = "lost_call"
    SERVER_LIMIT = "server_limit"
    TOKEN_GAP = "token_gap"  # noqa: S105 - a reason
    CIRCUIT = "circuit"
    INTERVAL = "interval"
    RETRIES = "retries"
    SLOT = "slot"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Wait:
    """What a token waits for, and `until` when (UTC; None: nobody can tell).

    `facts` are what is to be named: the `kind` of a refusal, a `server`, an `endpoint`, a `run`.
    `is_guess`: nobody saw the call that may have been lost.
    """

    reason: Reason
    until: datetime | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    is_guess: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A token of a tenant, with the tenant's operations that use it."""

    tenant: str
    operations: tuple[str, ...]
    token: str
    wait: Wait


@dataclass(frozen=True, slots=True)
class View:
    """What is the same for all tokens, at the moment `now` (UTC).

    Servers with the seconds until they are probed again (`servers_down`), or until every
    call that waits for a retry there has had it (`servers_short`).
    """

    now: datetime
    servers_down: Mapping[str, float]
    runs: Sequence[RunState]
    servers_short: Mapping[str, float] = field(default_factory=dict)

    def after(self, seconds: float) -> datetime:
        """Return the moment that is so many seconds away."""
        return self.now + timedelta(seconds=seconds)


def standings(survey: Survey, calls: Iterable[LastCall], now: datetime) -> list[Standing]:
    """Return what the tokens of `calls` wait for, in the order of the calls."""
    view = View(now, survey.servers_down, survey.runs, survey.servers_short)
    calls = tuple(calls)
    current = _current(calls)
    by_token: dict[tuple[str, str], list[LastCall]] = {}
    for call in calls:
        if current[call.tenant, call.operation] == call.token:
            by_token.setdefault((call.tenant, call.token), []).append(call)
    return [
        Standing(
            tenant,
            tuple(dict.fromkeys(call.operation for call in some)),
            token,
            wait(survey.tokens.get(token, TokenState()), some, view),
        )
        for (tenant, token), some in by_token.items()
    ]


def latest(calls: Iterable[LastCall]) -> list[LastCall]:
    """Return the last outcome of every question of an operation, whichever token it was asked with."""
    found: dict[tuple[str, str, str], LastCall] = {}
    for call in calls:
        key = (call.tenant, call.operation, call.question)
        if key not in found or _ended(call) > _ended(found[key]):
            found[key] = call
    return list(found.values())


def _ended(call: LastCall) -> tuple[bool, datetime]:
    return call.outcome is not None, call.noted


def endpoint(question: str) -> str:
    """Return the endpoint that a question is put to."""
    return question.partition("?")[0]


def _current(calls: Iterable[LastCall]) -> dict[tuple[str, str], str]:
    """Return the token that was used, or planned, last, by tenant and operation."""
    newest: dict[tuple[str, str], LastCall] = {}
    for call in calls:
        key = (call.tenant, call.operation)
        if key not in newest or call.noted > newest[key].noted:
            newest[key] = call
    return {key: call.token for key, call in newest.items()}


def wait(token: TokenState, calls: Sequence[LastCall], view: View) -> Wait:
    """Return the one thing that a token waits for; `calls` are its last ones."""
    if token.refusal is not None:
        return _refused(token, view)
    if token.held and token.closing in (None, Closing.IN_FLIGHT):
        until = view.after(token.closed_for) if token.closing else None
        return Wait(Reason.IN_FLIGHT, until)
    if (closed := _last_to_end(_closed(token, calls, view))) is not None:
        return closed
    used = _in_use(calls)
    free = [call for call in used if call.due is None or call.due <= view.now]
    if used and not free:
        return _not_due(used)
    return _free(free, calls, view)


def _refused(token: TokenState, view: View) -> Wait:
    refusal = token.refusal
    if refusal is None:
        raise AssertionError("only for refused tokens")
    until = view.after(refusal.seconds)
    if refusal.kind is ErrorKind.QUOTA:
        return Wait(Reason.QUOTA, until)
    return Wait(Reason.REFUSED, until, {"kind": refusal.kind})


def _last_to_end(waits: Iterable[Wait]) -> Wait | None:
    return max(waits, key=lambda wait: (wait.until is not None, wait.until), default=None)


def _closed(token: TokenState, calls: Sequence[LastCall], view: View) -> Iterator[Wait]:
    """Yield what keeps back every endpoint of a token that nobody uses at present."""
    until = view.after(token.closed_for)
    match token.closing:
        case Closing.LOST | Closing.IN_FLIGHT:
            yield Wait(Reason.LOST_CALL, until)
        case Closing.UNKNOWN:
            yield Wait(Reason.LOST_CALL, until, is_guess=True)
        case Closing.AT_WORK:
            yield Wait(Reason.SERVER_LIMIT, until)
        case Closing.PAUSE:
            yield Wait(Reason.TOKEN_GAP, until)
        case None:
            pass
        case never:
            assert_never(never)
    servers = {call.server for call in calls}
    if servers and servers <= view.servers_down.keys():
        server = min(servers, key=lambda one: view.servers_down[one])
        yield Wait(Reason.CIRCUIT, view.after(view.servers_down[server]), {"server": server})


def _in_use(calls: Sequence[LastCall]) -> list[LastCall]:
    """Return the last call of every endpoint that is in use."""
    last: dict[tuple[str, str], LastCall] = {}
    for call in sorted(calls, key=lambda call: call.noted):
        last[call.operation, endpoint(call.question)] = call
    newest = max((call.noted for call in last.values()), default=None)
    return [call for call in last.values() if newest is not None and call.noted >= newest - _IN_USE]


def _not_due(calls: Sequence[LastCall]) -> Wait:
    until, question = min((call.due, call.question) for call in calls if call.due is not None)
    return Wait(Reason.INTERVAL, until, {"endpoint": endpoint(question)})


def _free(free: Sequence[LastCall], calls: Sequence[LastCall], view: View) -> Wait:
    """Return what a token waits for that may be used: a run's slot, or nothing."""
    tenants = {run.id: run.tenants for run in view.runs}
    # A single call belongs to no run that is kept: whose it was, nobody can tell.
    known = {tenants.get(call.run) for call in calls}
    for run in view.runs:
        if (
            run.alive
            and (run.tenants in known or None in known)
            and any(call.at is None or call.at < run.at for call in free)
        ):
            return _behind_others(run, free, view)
    return Wait(Reason.NOTHING)


def _behind_others(run: RunState, free: Sequence[LastCall], view: View) -> Wait:
    name = run.name or run.id
    servers = {call.server for call in free}
    if servers and servers <= view.servers_short.keys():
        server = min(servers, key=lambda one: view.servers_short[one])
        return Wait(Reason.RETRIES, view.after(view.servers_short[server]), {"run": name, "server": server})
    return Wait(Reason.SLOT, None, {"run": name})
