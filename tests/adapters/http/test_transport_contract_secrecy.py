"""The token goes into its header and nowhere else: no message, repr, exception, log or memory of ours keeps it.

The fast transport and the session keep this promise alike.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import types
from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest

from tests.adapters.http.clients import BODY, OK, Client, answer, ending, headed
from tests.adapters.http.packing import PACKERS
from tests.adapters.http.transports import CONTRACTED, client_of
from tests.canary import holds, leaks_in_exception
from tests.faultserver import HOST, Do, FaultServer, Step
from wolkvox_async.model import Answer, Breakdown, Token

AssertNoCanary = Callable[..., None]

FAILURES: Final = {
    "refused": None,
    "closed": (Do.READ, Do.CLOSE),
    "reset": (Do.READ, Do.RESET),
    "reset in the answer": (Do.READ, OK[:-1], Do.RESET),
    "no HTTP": (Do.READ, b"nonsense\r\n\r\n"),
    "wrong chunks": (Do.READ, headed("Transfer-Encoding: chunked") + b"nonsense\r\n"),
    "too large": (Do.READ, headed("Content-Length: 99999999999")),
    "wrong encoding": (Do.READ, answer(BODY, "Content-Encoding: gzip")),
    "silence": (Do.READ,),
}


@pytest.fixture(params=sorted(CONTRACTED))
async def client(request: pytest.FixtureRequest, canary: Token) -> AsyncIterator[Client]:
    async with client_of(request.param, canary) as made:
        yield made


def echoing(canary: Token, head: bytes) -> bytes:
    return head.replace(b"TOKEN", canary.reveal().encode())


@pytest.mark.looptime
@pytest.mark.parametrize("name", FAILURES)
async def test_a_breakdown_and_what_it_leaves_behind_do_not_hold_the_token(
    client: Client, assert_no_canary: AssertNoCanary, canary_text: str, name: str
) -> None:
    steps = FAILURES[name]
    async with FaultServer(*steps or ()) as server:
        if steps is None:
            await server.stop()
        async with client.turn(server) as turn:
            met = await turn.attempt(client.question())
            assert isinstance(met, Breakdown)
            assert_no_canary("the breakdown", met, met.message, turn, client.opened)
            alive = [thing for thing in gc.get_objects() if isinstance(thing, BaseException)]
            assert [leak for error in alive for leak in leaks_in_exception(error, canary_text)] == []


@pytest.mark.parametrize("reason", [(), ("the reason",)], ids=["no reason", "a reason"])
@pytest.mark.parametrize("steps", [(Do.AWAIT,), (Do.READ,), (Do.READ, OK[:-5])], ids=["unread", "unanswered", "half"])
async def test_a_cancelled_attempt_does_not_show_the_token_in_its_traceback(
    client: Client, canary_text: str, steps: tuple[Step, ...], reason: tuple[str, ...]
) -> None:
    async with FaultServer(*steps) as server, client.turn(server) as turn:
        attempt = asyncio.create_task(turn.attempt(client.question()))
        await asyncio.sleep(0.02)
        attempt.cancel(*reason)
        with pytest.raises(asyncio.CancelledError) as caught:
            await attempt
        assert caught.value.args == reason
        assert leaks_in_exception(caught.value, canary_text) == []


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b'{"code":401,"error":"UNAUTHORIZED","msg":"no such token: TOKEN","data":null}', id="JSON"),
        pytest.param(b"<html>TOKEN and TOKEN</html>", id="HTML"),
        pytest.param(b"TOKEN", id="nothing else"),
        pytest.param(b"\xff\xfeTOKEN\0", id="bytes"),
    ],
)
@pytest.mark.parametrize("coding", ["identity", *sorted(PACKERS)])
async def test_a_body_that_repeats_the_token_comes_without_it(
    client: Client, canary: Token, assert_no_canary: AssertNoCanary, sent: bytes, coding: str
) -> None:
    body = echoing(canary, sent)
    packed = PACKERS[coding](body) if coding in PACKERS else body
    async with FaultServer(Do.READ, answer(packed, f"Content-Encoding: {coding}", status="401 Unauthorized")) as server:
        met = await client.ask(server)
        assert isinstance(met, Answer)
        assert met.body == sent.replace(b"TOKEN", canary.id.encode())
        assert_no_canary("the answer", met)


async def test_headers_that_repeat_the_token_come_without_it(
    client: Client, canary: Token, assert_no_canary: AssertNoCanary
) -> None:
    fields = "Location: https://TOKEN.example/?token=TOKEN", "Retry-After: TOKEN"
    async with FaultServer(Do.READ, echoing(canary, answer(b"", *fields, status="302 TOKEN"))) as server:
        met = await client.ask(server)
        assert met == Answer(302, b"", canary.id, f"https://{canary.id}.example/?token={canary.id}")
        assert_no_canary("the answer", met)


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (answer(BODY, "Content-Encoding: TOKEN"), "malformed"),
        (answer(BODY, "Content-Encoding: xTOKEN, gzip"), "malformed"),
        (b"HTTP/1.1 TOKEN\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nTOKEN\r\n\r\n", "protocol"),
        (b"TOKEN\r\n\r\n", "protocol"),
    ],
)
async def test_what_cannot_be_read_and_repeats_the_token_comes_without_it(
    client: Client, canary: Token, assert_no_canary: AssertNoCanary, sent: bytes, kind: str
) -> None:
    async with FaultServer(Do.READ, echoing(canary, sent)) as server:
        met = await client.ask(server)
        assert ending(met) == kind
        assert_no_canary("what was made of it", met)


@pytest.mark.parametrize("steps", [(Do.READ, OK), (Do.READ, Do.RESET), (Do.READ, b"nonsense\r\n\r\n")])
async def test_asyncio_does_not_log_the_token_in_its_debug_mode(
    client: Client, caplog: pytest.LogCaptureFixture, canary_text: str, steps: tuple[Step, ...]
) -> None:
    async with FaultServer(*steps) as server:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.0
        with caplog.at_level(logging.DEBUG):
            await client.ask(server)
        loop.set_debug(False)
        await asyncio.sleep(0)  # the round that is under way is still watched
        assert len(caplog.records) > 10  # asyncio found everything slow, and said what it was
        assert not holds(caplog.text, canary_text)
        caplog.clear()


def texts_held_by(*roots: object) -> list[str | bytes]:
    """Return every text in reach of `roots`, except through tasks, the loop, modules, types and code."""
    aside = (types.ModuleType, type, types.FunctionType, types.FrameType, types.CoroutineType, asyncio.Task)
    waiting, seen, texts = list(roots), set(map(id, roots)), []
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, str | bytes | bytearray):
            texts.append(thing if isinstance(thing, str) else bytes(thing))
        elif not isinstance(thing, (*aside, Token, asyncio.AbstractEventLoop)):
            fresh = [inner for inner in gc.get_referents(thing) if id(inner) not in seen]
            seen.update(map(id, fresh))
            waiting += fresh
    return texts


@pytest.mark.parametrize("steps", [(Do.READ, OK), (Do.READ,), (Do.READ, OK[:-5])], ids=["afterwards", "head", "body"])
async def test_only_the_token_itself_holds_its_text(client: Client, canary_text: str, steps: tuple[Step, ...]) -> None:
    async with FaultServer(*steps) as server:
        transport = client.transport(server)
        async with transport.turn(client.operation()) as turn:
            attempt = asyncio.create_task(turn.attempt(client.question()))
            await asyncio.sleep(0.02)
            texts = texts_held_by(transport, turn)
            assert any(f"{HOST}:{server.port}" in text for text in texts if isinstance(text, str))
            assert not any(holds(text, canary_text) for text in texts)
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
