"""A loop in virtual time: it waits for threads and for nothing else, and is the same every time."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from wolkvox_async.testing import VirtualLoop

T = TypeVar("T")


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def loop() -> VirtualLoop:
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualLoop)
    return running


def test_timers_ring_in_their_order_and_at_their_time() -> None:
    async def main() -> list[tuple[str, float]]:
        began, rung = loop().time(), list[tuple[str, float]]()

        def ring(name: str) -> None:
            rung.append((name, round(loop().time() - began, 6)))

        for name, seconds in (("month", 2_592_000.0), ("soon", 0.5), ("day", 86_400.0), ("as soon", 0.5)):
            loop().call_later(seconds, ring, name)
        await asyncio.sleep(2_592_001)
        return rung

    assert run(main) == [("soon", 0.5), ("as soon", 0.5), ("day", 86_400.0), ("month", 2_592_000.0)]


def test_time_stands_still_while_anything_is_ready() -> None:
    async def main() -> float:
        began = loop().time()
        for _ in range(1_000):
            await asyncio.sleep(0)
        return loop().time() - began

    assert run(main) == 0.0


def test_a_thread_takes_no_time_however_slow_it_is() -> None:
    async def main() -> tuple[str, float]:
        began = loop().time()
        at_work = threading.Event()
        timer = asyncio.create_task(asyncio.sleep(0.001))
        said = await asyncio.to_thread(lambda: str(at_work.wait(0.03)))
        assert not timer.done()
        return said, loop().time() - began

    assert run(main) == ("False", 0.0)


def test_closing_waits_for_a_thread_that_takes_its_time_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    shut_down = ThreadPoolExecutor.shutdown

    def slowly(pool: ThreadPoolExecutor, *arguments: bool, **options: bool) -> None:
        threading.Event().wait(0.03)
        shut_down(pool, *arguments, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", slowly)
    runner = asyncio.Runner(loop_factory=VirtualLoop)
    used = runner.get_loop()
    runner.run(asyncio.to_thread(int))
    before = used.time()
    runner.close()
    assert used.time() == before


def test_what_a_thread_hands_over_waits_until_nothing_else_is_ready() -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        handed = threading.Event()

        def hand_over(to: VirtualLoop) -> None:
            to.call_soon_threadsafe(seen.append, "thread")
            handed.set()

        thread = threading.Thread(target=hand_over, args=(loop(),))
        thread.start()
        assert handed.wait(10)
        for number in range(3):
            await asyncio.sleep(0)
            seen.append(str(number))
        await asyncio.sleep(1)
        thread.join()
        return seen

    assert run(main) == ["0", "1", "2", "thread"]


def test_time_does_not_go_on_while_somebody_answers_for_a_thread() -> None:
    async def main() -> float:
        began, let_go = loop().time(), threading.Event()
        heard: asyncio.Future[float] = loop().create_future()

        def work(to: VirtualLoop) -> None:
            let_go.wait(0.02)
            to.call_soon_threadsafe(lambda: heard.set_result(to.time()))

        thread = threading.Thread(target=work, args=(loop(),))
        loop().busy.append(thread.is_alive)
        thread.start()
        await asyncio.sleep(3600)
        thread.join()
        return heard.result() - began

    assert run(main) == 0.0


def test_a_handed_over_call_can_be_cancelled() -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        loop().call_soon_threadsafe(seen.append, "cancelled").cancel()
        loop().call_soon_threadsafe(seen.append, "kept")
        await asyncio.sleep(1)
        return seen

    assert run(main) == ["kept"]


def test_a_wait_that_would_never_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wolkvox_async.testing.virtual_loop._PATIENCE", 0.01)
    virtual = VirtualLoop()
    never = virtual.create_task(asyncio.Event().wait())
    with pytest.raises(RuntimeError, match="it would never end"):
        virtual.run_until_complete(never)
    never.cancel()
    with pytest.raises(asyncio.CancelledError):
        virtual.run_until_complete(never)
    virtual.close()


def test_there_are_no_sockets() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            with pytest.raises(RuntimeError, match="no sockets in virtual time"):
                loop().add_reader(ours, lambda: None)

    assert run(main) is None


def test_nothing_can_be_handed_to_a_loop_that_is_closed() -> None:
    virtual = VirtualLoop()
    virtual.close()
    with pytest.raises(RuntimeError, match="is closed"):
        virtual.call_soon_threadsafe(lambda: None)
