"""`tap-wolkvox`: `fetch` as a Singer tap, for Meltano and its like.

Its settings are the options of `fetch` by their names, with underscores; what Singer calls
a state is not the state folder, whose setting is `state`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
import orjson

from wolkvox_async import __version__
from wolkvox_async.errors import Mistake
from wolkvox_async.settings.options import Option
from wolkvox_async.spelling import did_you_mean, kind_of, shown

from . import fetch
from .group import run_program
from .machines import MACHINES
from .options import API, FORMAT, ONLY, OUTPUT, RUN
from .speech import refuse

NAME: Final = "tap-wolkvox"
_CAPABILITIES: Final = ("about", "catalog", "discover", "state")
_NOT_OURS: Final = frozenset(option.name for option in (OUTPUT, FORMAT, RUN, *MACHINES))
_TAP_NAME: Final = "name"
_FLAGS: Final = {"retry_refused": "forget that tokens were refused earlier"}
_REPEATED: Final = (API, ONLY)


@click.command(NAME, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", multiple=True, metavar="FILE", help="settings, as a JSON object (repeats)")
@click.option("--state", metavar="FILE", help="the last STATE that the target printed")
@click.option("--catalog", "--properties", metavar="FILE", help="which streams and columns, as --discover prints them")
@click.option("--discover", is_flag=True, help="print the catalogue of streams and end")
@click.option("--about", is_flag=True, help="print settings and capabilities as JSON and end")
@click.version_option(__version__, prog_name=NAME)
def command(config: tuple[str, ...], state: str | None, catalog: str | None, discover: bool, about: bool) -> int:
    """Make one pass over the tenants; Singer messages go to standard output.

    What a target has not confirmed (--state) is handed on again from a file in the state folder; no
    call is repeated for it.
    """
    from wolkvox_async import singer  # noqa: PLC0415 - `--help` needs none of it

    if discover or about:
        click.echo(orjson.dumps(singer.catalog() if discover else _about(), option=orjson.OPT_INDENT_2))
        return 0
    told = _Told()
    settings = {name: value for file in config for name, value in told.read(file, "config").items()}
    arguments = list(told.arguments(settings))
    last = {} if state is None else told.read(state, "state")
    selection = singer.EVERYTHING
    if catalog is not None:
        try:
            selection = singer.selected(told.read(catalog, "catalog"))
        except ValueError as error:
            told.mistakes.append(Mistake(f"--catalog: {error}"))
    if os.environ.get("WOLKVOX_JOIN"):
        told.mistakes.append(Mistake("WOLKVOX_JOIN: a tap is one machine; `records --join` reads what many wrote"))
    if told.mistakes:
        raise refuse(told.mistakes)
    from wolkvox_async.apps.tapping import Tap  # noqa: PLC0415 - aiohttp, once it is needed

    tap = Tap(str(settings.get(_TAP_NAME, "")), last, selection)
    code: int = fetch.command.main(["--no-progress", *arguments], NAME, standalone_mode=False, obj=tap)
    return code


@dataclass(slots=True)
class _Told:
    """What the tap was told, and what is wrong with it."""

    mistakes: list[Mistake] = field(default_factory=list)

    def read(self, file: str, what: str) -> dict[str, Any]:
        """Read a file that holds a JSON object; a state may be empty: that of a target that has said none yet."""
        try:
            text = Path(file).read_bytes()
            found = {} if what == "state" and not text.strip() else orjson.loads(text)
        except OSError as error:
            self.mistakes.append(Mistake(f"--{what}: this cannot be read: {(error.strerror or '').lower()}", file))
        except orjson.JSONDecodeError:
            self.mistakes.append(Mistake(f"--{what}: this is no JSON", file))
        else:
            if isinstance(found, dict):
                return found
            self.mistakes.append(Mistake(f"--{what}: this is {kind_of(found)} and not an object", file))
        return {}

    def arguments(self, settings: Mapping[str, Any]) -> Iterator[str]:
        """Yield `settings` as arguments of `fetch`."""
        known = {option.field: option for option in _settings()}
        for name, value in settings.items():
            option = known.get(name)
            if option is not None and value is not None:
                yield from self._argument(option, value)
            elif name in _FLAGS and isinstance(value, bool):
                yield from [f"--{name.replace('_', '-')}"] * value
            elif name not in known and name not in (*_FLAGS, _TAP_NAME):
                near = did_you_mean(name, (*known, *_FLAGS, _TAP_NAME))
                self.mistakes.append(Mistake(f"--config: there is no setting {shown(name)}{near}"))

    def _argument(self, option: Option, value: Any) -> Iterator[str]:
        values = value if isinstance(value, list) and option in _REPEATED else [value]
        for one in values:
            if isinstance(one, bool) or not isinstance(one, str | int | float):
                self.mistakes.append(Mistake(f"--config: {option.field} is {kind_of(one)}: write text or a number"))
            elif option in _REPEATED:
                yield from (f"--{option.name}={part.strip()}" for part in str(one).split(",") if part.strip())
            else:
                yield f"--{option.name}={one}"


def _settings() -> tuple[Option, ...]:
    return (*(option for option in fetch.TABLE if option.name not in _NOT_OURS), *_REPEATED)


def _about() -> dict[str, Any]:
    described = [
        {"name": option.field, "default": option.default, "description": option.help} for option in _settings()
    ]
    described += [{"name": name, "default": False, "description": text} for name, text in _FLAGS.items()]
    told_apart = "tells taps over one tenants file apart"
    return {
        "name": NAME,
        "version": __version__,
        "description": "Readings of the wolkvox Billing API, many operations at once.",
        "capabilities": list(_CAPABILITIES),
        "settings": [*described, {"name": _TAP_NAME, "default": "", "description": told_apart}],
    }


def main(args: list[str] | None = None) -> Any:
    """Run the tap; this is the console script."""
    run_program(command, NAME, args)


if __name__ == "__main__":
    main()
