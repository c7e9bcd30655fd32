"""Options of the commands, made from the table in `settings.options`.

Values arrive here as text, from the command line or the environment, and are read all
together, so that every mistake is reported at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from wolkvox_async.errors import Mistake
from wolkvox_async.settings.options import (
    ENGINE_OPTIONS,
    STATE_OPTIONS,
    Option,
    Options,
    conflicts,
    one_of,
    read_options,
    seconds,
    text,
)

if TYPE_CHECKING:
    from wolkvox_async.planning import DateRange

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def date(value: str) -> str:
    """Check that `value` is a date; what it means is decided in each operation's timezone."""
    from datetime import UTC  # noqa: PLC0415 - not for --help

    from wolkvox_async.windows import parse_start  # noqa: PLC0415

    parse_start(value, UTC)
    return value


TENANTS: Final = Option("tenants", "tenants.json", text, "FILE", "the tenants file")
SECRETS_DIR: Final = Option(
    "secrets-dir",
    None,
    text,
    "DIR",
    'folder of {"secret": NAME}  [default: as in the tenants file, else /run/secrets]',
)
OUTPUT: Final = Option("output", "-", text, "FILE", "where records go; - is standard output, a file is appended to")
FORMAT: Final = Option(
    "format", "jsonl", one_of("jsonl", "singer"), "jsonl|singer", "records as JSON lines, or Singer messages of them"
)
RUN: Final = Option(
    "run", None, text, "NAME", "name of the run: what ended ok or empty in it is never called again in it"
)
DRAIN: Final = Option("drain", 10.0, seconds, "SECONDS", "after SIGINT or SIGTERM: time for calls in flight to end")
LOG_FORMAT: Final = Option(
    "log-format", None, one_of("console", "json"), "console|json", "of the log; console on a terminal, else json"
)
LOG_LEVEL: Final = Option(
    "log-level", "info", one_of("debug", "info", "warning", "error"), "LEVEL", "debug, info, warning or error"
)
FROM: Final = Option("from", None, date, "DATE", "first second for dated endpoints: ISO 8601 or YYYYmmddHHMMSS")
TO: Final = Option("to", None, date, "DATE", "last second, included; without it until now")
LOGGING: Final = (LOG_FORMAT, LOG_LEVEL)
DATES: Final = (FROM, TO)
API: Final = Option("api", None, text, "NAME", "only this endpoint of those in the tenants file (repeats)")
ONLY: Final = Option(
    "only", None, text, "SELECTOR", "only tenant, tenant/operation (wildcards) or label=value (repeats)"
)


class _CommaSeparated(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """Text that the environment separates by commas where the command line repeats it."""

    name = "text"
    envvar_list_splitter = ","


def options(table: Iterable[Option], *, repeated: Iterable[Option] = ()) -> Callable[[Decorated], Decorated]:
    """Return a decorator that adds `table` to a command, every value as text."""

    def decorate(command: Decorated) -> Decorated:
        for option in reversed((*table, *repeated)):
            many = option in tuple(repeated)
            default = "" if option.default is None else f"  [default: {_shown(option.default)}]"
            command = click.option(
                f"--{option.name}",
                option.field if option.name != "from" else "from_",
                envvar=option.variable,
                metavar=option.metavar,
                help=option.help + default,
                multiple=many,
                type=_CommaSeparated() if many else str,
            )(command)
        return command

    return decorate


def _shown(default: Any) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


@dataclass(frozen=True, slots=True)
class Read:
    """What the options of one command line came to."""

    values: dict[str, Any]
    mistakes: list[Mistake]

    def engine(self) -> Options:
        """Return the engine's options; only when there is no mistake."""
        names = {option.field for option in (*ENGINE_OPTIONS, *STATE_OPTIONS)}
        return Options(**{name: value for name, value in self.values.items() if name in names})

    def engine_with_state(self, *, retry_refused: bool = False) -> Options:
        """Return the engine's options with a state folder, the user's own unless one was named.

        Raises `StateError` when there is none.
        """
        from wolkvox_async.adapters.state import default_folder  # noqa: PLC0415 - not for --help

        folder = self.values["state"] or str(default_folder(os.environ, sys.platform))
        return replace(self.engine(), state=folder, retry_refused=retry_refused)

    def dates(self) -> DateRange | None:
        """Return the range of `--from` and `--to`, if there is one."""
        from wolkvox_async.planning import DateRange  # noqa: PLC0415 - not for --help

        start = self.values.get("from")
        return None if start is None else DateRange(start, self.values.get("to"))


def read(given: dict[str, Any], table: Sequence[Option]) -> Read:
    """Read the values that click collected; defaults fill what is missing."""
    texts = {o.name: value for o in table if isinstance(value := given.get(_parameter(o)), str)}
    values, mistakes = read_options(texts, tuple(table))
    defaults = {o.field: o.default for o in table}
    if "to" in values and "from" not in texts:
        mistakes.append(Mistake("--to needs --from: from when on?"))
    # A value that was given and is wrong is nothing: the default was not asked for.
    wrong = {o.field: None for o in table if o.name in texts and o.field not in values}
    return Read({**defaults, **values, **wrong}, mistakes + conflicts(values))


def _parameter(option: Option) -> str:
    return "from_" if option.name == "from" else option.field
