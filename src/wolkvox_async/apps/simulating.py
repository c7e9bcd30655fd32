"""The simulator as a program: ready line, verdict, exit code."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from wolkvox_async.testing import FAULTS, Profile, Rule, Simulator, Verdict, parse_latency, parse_script

from .exits import Exit
from .languages import translated


def fault_names() -> list[str]:
    """Return the names that `--fault` takes."""
    return sorted(FAULTS)


def profile(given: Mapping[str, Any]) -> Profile:
    """Return the profile that the options describe; raises `ValueError` for what cannot be."""
    faults = {}
    for text in given["fault"]:
        which, equals, name = text.partition("=")
        if not equals:
            raise ValueError(f"--fault {text}: write an operation's path or number, = and a fault, such as 3=hang")
        faults[which] = parse_script(name)
    names = ("servers", "operations", "host", "port", "seed", "rows", "poison", "interval", "limit")
    return Profile(
        **{name: given[name] for name in names},
        apis=tuple(given["api"]) or Profile().apis,
        latency=parse_latency(given["latency"]),
        faults=faults,
        shared_connections=given["shared_connections"],
    )


def run(given: Mapping[str, Any], say: Callable[[str], None]) -> Exit:
    """Serve until told to stop; the verdict decides about the exit code."""
    verdict = asyncio.run(_serve(profile(given), given))
    sys.stdout.buffer.write(orjson.dumps(verdict.document(), option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.flush()
    say(in_words(verdict.document()))
    for violation in verdict.details:
        say(f"  {violation}")
    return Exit.OK if verdict.ok else Exit.SOME_FAILED


def in_words(verdict: Mapping[str, Any]) -> str:
    """Say to a person in one line what a verdict comes to, which is given as the document that it is for programs."""
    broken = dict(verdict["violations"])
    summary = "{operations} operations, {servers} servers, {overlaps} overlaps"
    counts = {"operations": verdict["operations"], "servers": verdict["servers"]}
    said = translated(summary, **counts, overlaps=broken.pop(Rule.OVERLAP, 0))
    return ", ".join([said, *(f"{count} x {rule}" for rule, count in broken.items())])


async def _serve(wanted: Profile, given: Mapping[str, Any]) -> Verdict:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Simulator(wanted, tls=_tls(given["cert"], given["key"])) as simulator:
        ready = {"base_url": simulator.base_url, "servers": sorted({o.server for o in simulator.operations})}
        if given["write"] is not None:
            folder: Path = given["write"]
            ready["tenants"] = str(await asyncio.to_thread(simulator.write_tenants, folder))
        sys.stdout.buffer.write(orjson.dumps(ready, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.flush()
        try:
            async with asyncio.timeout(given["seconds"]):
                await stop.wait()
        except TimeoutError:
            pass
        return simulator.verdict()


def _tls(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    if cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
