"""The token goes into its header and nowhere else: no message, repr, exception, log or memory of ours keeps it."""

from __future__ import annotations

import asyncio
import gc
import logging
import types
from collections.abc import Callable
from typing import Final

import pytest

from tests.adapters.http.clients import BODY, OK, Client, answer, ending, headed
from tests.adapters.http.packing import PACKERS
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


def failures() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("steps", [pytest.param(steps, id=name) for name, steps in FAILURES.items()])


def echoing(canary: Token, head: bytes) -> bytes:
    return head.replace(b"TOKEN", canary.reveal().encode())


@failures()
@pytest.mark.looptime
async def test_a_breakdown_does_not_hold_the_token(
    client: Client, assert_no_canary: AssertNoCanary, steps: tuple[Step, ...] | None
) -> None:
    async with FaultServer(*steps or ()) as server:
        if steps is None:
            await server.stop()
        async with client.turn(server) as turn:
            met = await turn.attempt(client.question())
            assert isinstance(met, Breakdown)
            assert_no_canary("the breakdown", met, met.message, turn, client.opened)


@failures()
@pytest.mark.looptime
async def test_no_exception_that_lives_on_holds_the_token(
    client: Client, canary_text: str, steps: tuple[Step, ...] | None
) -> None:
    async with FaultServer(*steps or ()) as server:
        if steps is None:
            await server.stop()
        async with client.turn(server) as turn:
            assert isinstance(await turn.attempt(client.question()), Breakdown)
            alive = [thing for thing in gc.get_objects() if isinstance(thing, BaseException)]
            assert [leak for error in alive for leak in leaks_in_exception(error, canary_text)] == []


@pytest.mark.parametrize("steps", [(Do.AWAIT,), (Do.READ,), (Do.READ, OK[:-5])], ids=["unread", "unanswered", "half"])
async def test_a_cancelled_attempt_does_not_show_the_token_in_its_traceback(
    client: Client, server: FaultServer, canary_text: str, steps: tuple[Step, ...]
) -> None:
    server.on_connection(*steps)
    async with client.turn(server) as turn:
        attempt = asyncio.create_task(turn.attempt(client.question()))
        await asyncio.sleep(0.02)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await attempt
        assert leaks_in_exception(caught.value, canary_text) == []


async def test_a_header_that_cannot_be_written_does_not_show_the_token(
    client: Client, server: FaultServer, canary_text: str
) -> None:
    with pytest.raises(UnicodeError) as caught:
        await client.ask(server, user_agent="wølkvox")  # a mistake of the program's own
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
    client: Client, server: FaultServer, canary: Token, assert_no_canary: AssertNoCanary, sent: bytes, coding: str
) -> None:
    body = echoing(canary, sent)
    packed = PACKERS[coding](body) if coding in PACKERS else body
    server.on_connection(Do.READ, answer(packed, f"Content-Encoding: {coding}", status="401 Unauthorized"))
    met = await client.ask(server)
    assert isinstance(met, Answer)
    assert met.body == sent.replace(b"TOKEN", canary.id.encode())
    assert_no_canary("the answer", met)


async def test_headers_that_repeat_the_token_come_without_it(
    client: Client, server: FaultServer, canary: Token, assert_no_canary: AssertNoCanary
) -> None:
    lines = "Location: https://TOKEN.example/?token=TOKEN", "Retry-After: TOKEN"
    server.on_connection(Do.READ, echoing(canary, answer(b"", *lines, status="302 TOKEN")))
    met = await client.ask(server)
    assert met == Answer(302, b"", canary.id, f"https://{canary.id}.example/?token={canary.id}")
    assert_no_canary("the answer", met)


@pytest.mark.parametrize("line", ["Content-Encoding: TOKEN", "Content-Encoding: xTOKEN, gzip"])
async def test_an_encoding_that_repeats_the_token_comes_without_it(
    client: Client, server: FaultServer, canary: Token, assert_no_canary: AssertNoCanary, line: str
) -> None:
    server.on_connection(Do.READ, echoing(canary, answer(BODY, line)))
    met = await client.ask(server)
    assert ending(met) == "malformed"
    assert_no_canary("the breakdown", met)


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 TOKEN\r\n\r\n", b"HTTP/1.1 200 OK\r\nTOKEN\r\n\r\n", b"TOKEN\r\n\r\n"])
async def test_garbage_that_repeats_the_token_comes_without_it(
    client: Client, server: FaultServer, canary: Token, canary_text: str, garbage: bytes
) -> None:
    server.on_connection(Do.READ, echoing(canary, garbage))
    met = await client.ask(server)
    assert ending(met) == "protocol"
    assert not holds(met, canary_text)


@pytest.mark.parametrize("steps", [(Do.READ, OK), (Do.READ, Do.RESET), (Do.READ, b"nonsense\r\n\r\n")])
async def test_asyncio_does_not_log_the_token_in_its_debug_mode(
    client: Client, server: FaultServer, caplog: pytest.LogCaptureFixture, canary_text: str, steps: tuple[Step, ...]
) -> None:
    server.on_connection(*steps)
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


@pytest.mark.parametrize("steps", [(Do.READ, OK), (Do.READ, OK[:-5])], ids=["afterwards", "while it waits"])
async def test_only_the_token_itself_holds_its_text(
    client: Client, server: FaultServer, canary_text: str, steps: tuple[Step, ...]
) -> None:
    server.on_connection(*steps)
    transport = client.transport(server)
    async with transport.turn(client.operation()) as turn:
        attempt = asyncio.create_task(turn.attempt(client.question()))
        await asyncio.sleep(0.02)
        texts = texts_held_by(transport, turn)
        assert any(f"{HOST}:{server.port}" in text for text in texts if isinstance(text, str))
        assert not any(holds(text, canary_text) for text in texts)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
