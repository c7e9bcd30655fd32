"""Mishaps, done: each begins when the plan says so, and is over when it says so."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import Final, assert_never

from .lab import Lab
from .machines import Machine
from .plan import Kind, Mishap

_AT_ONCE: Final = 0.2  # seconds between the standing still of a child and its parent's death


async def conduct(lab: Lab, mishaps: Sequence[Mishap]) -> None:
    """Have all of it happen; returns when it is over."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one(mishap: Mishap) -> None:
        await asyncio.sleep(began + mishap.at - loop.time())
        lab.write_down(f"begins: {mishap}")
        await happen(lab, mishap)
        lab.write_down(f"over:   {mishap}")

    async with asyncio.TaskGroup() as group:
        for mishap in mishaps:
            group.create_task(one(mishap))


async def happen(lab: Lab, mishap: Mishap) -> None:
    """Have one thing happen."""
    match mishap.kind:
        case Kind.KILL_READER:
            lab.reader.kill()
            await asyncio.sleep(mishap.seconds)
            lab.reader.start()
        case Kind.KILL_BROKER | Kind.STOP_BROKER | Kind.LEADER | Kind.FULL:
            await _to_a_broker(lab, mishap)
        case _:
            await _to_a_machine(lab.machines[mishap.target], mishap)


async def _to_a_broker(lab: Lab, mishap: Mishap) -> None:
    brokers, node = lab.brokers, lab.brokers.nodes[mishap.target]
    match mishap.kind:
        case Kind.KILL_BROKER:
            node.send(signal.SIGKILL)
            await asyncio.sleep(mishap.seconds)
            node.start()
        case Kind.STOP_BROKER:
            node.send(signal.SIGSTOP)
            await asyncio.sleep(mishap.seconds)
            node.send(signal.SIGCONT)
        case Kind.LEADER:
            await brokers.elect()
        case _:
            await brokers.fill()
            await asyncio.sleep(mishap.seconds)
            await brokers.empty()


async def _to_a_machine(machine: Machine, mishap: Mishap) -> None:
    machine.is_wanted = mishap.kind not in (Kind.KILL_MACHINE, Kind.LEAVE, Kind.ORPHAN)
    try:
        await _begin(machine, mishap)
        await asyncio.sleep(mishap.seconds)
    finally:
        machine.resume()
        machine.mend()
        machine.set_clock(0.0)
        machine.is_wanted = True


async def _begin(machine: Machine, mishap: Mishap) -> None:
    kind = mishap.kind
    match kind:
        case Kind.KILL_MACHINE:
            machine.kill()
        case Kind.KILL_CHILD:
            machine.kill_child()
        case Kind.LEAVE:
            machine.leave()
        case Kind.STOP_PARENT | Kind.STOP_CHILD | Kind.STOP_BOTH:
            machine.halt(parent=kind is not Kind.STOP_CHILD, child=kind is not Kind.STOP_PARENT)
        case Kind.ORPHAN:
            machine.halt(parent=False, child=True)
            await asyncio.sleep(_AT_ONCE)
            machine.kill()
        case Kind.CUT:
            machine.cut()
        case Kind.CLOCK:
            machine.set_clock(mishap.by)
        case Kind.KILL_BROKER | Kind.STOP_BROKER | Kind.LEADER | Kind.FULL | Kind.KILL_READER:
            raise AssertionError(f"{kind} is not done to a machine")
        case _:
            assert_never(kind)
