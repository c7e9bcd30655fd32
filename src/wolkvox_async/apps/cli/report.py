"""`report`: records in; a page for people, and a sheet, out."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.languages import spoken
from wolkvox_async.errors import Mistake, one_line
from wolkvox_async.settings.options import Option, one_of, text
from wolkvox_async.windows import DEFAULT_TIMEZONE, timezone

from .options import options, read
from .speech import refuse, say


def _timezone(value: str) -> str:
    timezone(value)
    return value


OUTPUT: Final = Option("output", "report.html", text, "FILE", "where the page goes; - is standard output")
CSV: Final = Option("csv", None, text, "FILE", "the same figures as CSV")
TENANT: Final = Option("tenant", None, text, "NAME", "a statement for this tenant, with nothing of another in it")
LANGUAGE: Final = Option("lang", "en", one_of("en", "es"), "en|es", "language of the page")
PRICES: Final = Option("prices", None, text, "FILE", "prices of endpoints, for amounts")
TIMEZONE: Final = Option("timezone", DEFAULT_TIMEZONE, _timezone, "NAME", "in which months turn and times are shown")
TENANTS: Final = Option("tenants", None, text, "FILE", "the tenants file, for kinds of endpoints of your own")
MONTH: Final = Option("month", None, text, "YYYY-MM", "only this month (repeats)  [default: all there are]")
TABLE: Final = (OUTPUT, CSV, TENANT, LANGUAGE, PRICES, TENANTS, TIMEZONE)


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE|PATTERN|-]...")
@options(TABLE, repeated=(MONTH,))
def command(files: tuple[str, ...], month: tuple[str, ...], **given: Any) -> int:
    """Make a report of records: one HTML file that needs nothing else, and prints well.

    What is missing stands first; then a summary; then, for each tenant and operation, a statement
    of every month. FILE may be packed (.zst), a PATTERN such as 'usage-2026-*.jsonl.zst', or - for standard
    input, which is read where no file is named.

    \b
    wolkvox-async report demo/usage.jsonl
    wolkvox-async report 'usage-*.jsonl.zst' --month 2026-11 --tenant acme --prices prices.json --lang es
    """  # noqa: D301 - a backspace, which click takes as: do not fill this
    said = read(given, TABLE)
    if not files and sys.stdin is not None and sys.stdin.isatty():
        said.mistakes.append(Mistake("name files of records, or - for standard input"))
    from datetime import UTC, datetime  # noqa: PLC0415 - not for --help

    from wolkvox_async.apps.reporting.program import Order, make, told  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.errors import ConfigurationError, OutputError  # noqa: PLC0415 - as above

    values = said.values
    now = datetime.now(UTC)  # noqa: TID251 - the boundary: everything below takes the time
    order = Order(
        files or ("-",),
        values["output"] or "-",
        round(now.timestamp() * 1000),
        values["csv"],
        month,
        values["tenant"],
        spoken(),
        values["prices"],
        values["timezone"] or "UTC",
        values["tenants"],
    )
    try:
        with _tidy_at_the_end():
            done = make(order, said.mistakes)
    except ConfigurationError as error:
        raise refuse(error.mistakes, error.unlisted) from None
    except OutputError as error:
        say(one_line(str(error)))
        return Exit.OUTPUT
    for line in told(done, order):
        say(line)
    return Exit.OK


@contextmanager
def _tidy_at_the_end() -> Iterator[None]:
    """Let a program that is ended remove what it has half written, as one that is interrupted does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are not for this one
        return
    usual = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(Exit.TERMINATED)
