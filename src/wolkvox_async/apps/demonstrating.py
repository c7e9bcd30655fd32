"""The demonstration: simulator in a process of its own, one pass against it, its verdict."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Any, Final

import click
import orjson

from wolkvox_async.settings.options import Options
from wolkvox_async.settings.tenants import load_tenants

from . import logs, passing, simulating
from .exits import Exit
from .languages import translated
from .progress import duration

_APIS: Final = ("interactions", "gamification", "ivr_minutes")
# What a vendor does on a normal day: passing errors, and operations with nothing to report.
_NORMAL_DAY: Final = ("unavailable*2,ok", "not-found", "busy*1,ok", "rate-limited*1,ok")
_PATIENCE: Final = 30.0  # seconds for the simulator to start or to end


@dataclass(slots=True)
class Stage:
    """The running simulator; its verdict is there once it has ended."""

    base_url: str
    tenants: Path
    verdict: dict[str, Any] | None = None


def run(operations: int, servers: int, folder: Path) -> Exit:
    """Show it; the exit code is 0 when the simulator has nothing to complain about."""
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "usage.jsonl"
    output.unlink(missing_ok=True)
    logs.configure(None, "error")
    with _simulator(operations, servers, folder) as stage:
        said = "simulating {operations} operations on {servers} servers of this machine"
        click.echo(translated(said, operations=operations, servers=servers), err=True)
        order = passing.Order(load_tenants(stage.tenants), Options(base_url=stage.base_url), str(output), progress=None)
        ending = passing.run(lambda: passing.run_pass(order))
    return _tell(ending, stage, output)


def _tell(ending: passing.Ending, stage: Stage, output: Path) -> Exit:
    verdict = stage.verdict
    if ending.summary is None or verdict is None:
        click.echo(ending.message or translated("the demonstration was interrupted"), err=True)
        return ending.code or Exit.SOME_FAILED
    counters, seconds = ending.summary.counters, ending.summary.seconds
    said = (
        "{calls} calls in {time}: {ok} ok, {empty} empty, {failed} failed, {skipped} skipped; "
        "{requests} requests, at most {most} at once"
    )
    click.echo(
        translated(
            said,
            calls=counters.ok + counters.empty + counters.failed + counters.skipped,
            time=duration(seconds) if seconds >= 60 else f"{seconds:.1f} s",
            ok=counters.ok,
            empty=counters.empty,
            failed=counters.failed,
            skipped=counters.skipped,
            requests=counters.attempts,
            most=verdict["max_in_flight"],
        )
    )
    click.echo(translated("{rows} rows in {file}", rows=counters.rows, file=output))
    click.echo(translated("the simulator's verdict: {verdict}", verdict=simulating.in_words(verdict)))
    _report(output)
    return Exit.OK if verdict["ok"] and not counters.failed else Exit.SOME_FAILED


def _report(output: Path) -> None:
    """Make a report of what was fetched, and say how a statement for one tenant is made."""
    made, prices = output.with_name("report.html"), output.with_name("prices.json")
    if find_spec("jinja2") is None:
        how = "a report of it: pip install 'wolkvox-async[report]', then {command}"
        click.echo(translated(how, command=f"wolkvox-async report {quote(str(output))}"))
        return
    from .reporting import program  # noqa: PLC0415 - only where there is jinja2

    prices.write_bytes(program.EXAMPLE_PRICES.read_bytes())
    now = datetime.now(UTC)  # noqa: TID251 - the boundary: everything below takes the time
    order = program.Order((str(output),), str(made), prices=str(prices), now=round(now.timestamp() * 1000))
    made.unlink(missing_ok=True)
    done = program.make(order)
    tenant = done.report.statements[0].tenant
    statement = output.with_name(f"{tenant}.html")
    files = f"{quote(str(output))} --tenant {quote(tenant)} --prices {quote(str(prices))}"
    click.echo(translated("a report of it, with made-up prices: {file}", file=made))
    command = f"wolkvox-async report {files} --output {quote(str(statement))}"
    click.echo(translated("a statement for one tenant: {command}", command=command))


@contextmanager
def _simulator(operations: int, servers: int, folder: Path) -> Iterator[Stage]:
    """Run the simulator; when the block ends, it is stopped and its verdict read."""
    arguments = ["--operations", str(operations), "--servers", str(servers), "--port", "0", "--write", str(folder)]
    arguments += ["--latency", "lognormal:0.25,0.5", *[f"--api={api}" for api in _APIS]]
    arguments += [
        f"--fault={n}={script}" for n, script in zip(range(0, operations, 25), _NORMAL_DAY * 99, strict=False)
    ]
    process = subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, "-m", "wolkvox_async", "simulate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the client; the simulator judges to the end
    )
    try:
        if process.stdout is None:
            raise AssertionError("the simulator's output is a pipe")
        ready = orjson.loads(process.stdout.readline() or b"{}")
        if "base_url" not in ready:
            raise click.ClickException("the simulator did not start: run `wolkvox-async simulate` to see why")
        stage = Stage(ready["base_url"], Path(ready["tenants"]))
        yield stage
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=_PATIENCE)
        stage.verdict = orjson.loads(said)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
