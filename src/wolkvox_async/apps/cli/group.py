"""The commands by name; each is imported when it is used.

`--help` must not pay for what it does not show: this file imports click and the
version, nothing else.
"""

from __future__ import annotations

import os
import sys
from contextvars import copy_context
from importlib import import_module
from typing import Any, Final

import click

from wolkvox_async import __version__
from wolkvox_async.apps.languages import asked_for, speak
from wolkvox_async.apps.streams import hold_standard_streams

from .localised import Context, language_option, localised

_COMMANDS: Final = {
    "demo": "See it work: simulator, fetch, verdict; needs no token.",
    "init": "Make the first tenants file, or add to one: asks, writes, checks.",
    "fetch": "Make one pass over the tenants; records go out as JSON lines.",
    "watch": "Ask everything on its own grid, for ever; metrics, health, status page.",
    "report": "Make a report of records: a page for people, and a sheet.",
    "plan": "Show what would be called and how long it takes; calls nothing.",
    "status": "Show how every call ended last, and when it is due.",
    "why": "Say what each token of a tenant waits for.",
    "check": "Check the tenants file and every token reference.",
    "tokens": "List the tokens: where from, last used, last refused.",
    "apis": "List the endpoints.",
    "schema": "Print the JSON Schema of the tenants file or of the records.",
    "simulate": "Run the vendor's API on this machine, and judge its clients.",
    "broker": "Run the broker that many machines share: a nats-server.",
    "records": "Read what all machines of a cluster store, as JSON lines.",
    "cluster": "Show who holds what in a cluster, and whether it lives.",
    "completion": "Print shell completion.",
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and imports one when it is called."""

    context_class = Context

    def main(self, *args: Any, **extra: Any) -> Any:
        """Speak a language for the length of this run, and leave nothing of it to whoever called us."""
        return copy_context().run(super().main, *args, **extra)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Find out which language is to be spoken before anything is said."""
        speak(asked_for(args, os.environ))
        return super().make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of a newcomer's way."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"wolkvox_async.apps.cli.{cmd_name}").command
        return localised(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may be meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches  # noqa: PLC0415 - only for typing errors

            near = get_close_matches(args[0] if args else "", _COMMANDS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"{error.message}{hint}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Show the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=LazyGroup, params=[language_option()], context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wolkvox-async")
def cli() -> None:
    """Read the consumption of every wolkvox operation you cover, each token one call at a time."""


def main(args: list[str] | None = None) -> Any:
    """Run the command line; this is the console script."""
    run_program(cli, "wolkvox-async", args)


def run_program(program: click.Command, name: str, args: list[str] | None) -> Any:
    """Run `program`, and exit with what it returns."""
    hold_standard_streams()
    if os.environ.get("NO_COLOR"):
        click_color: bool | None = False
    else:
        click_color = True if os.environ.get("FORCE_COLOR") else None
    try:
        code = program.main(args, prog_name=name, standalone_mode=False, color=click_color)
    except click.ClickException as error:
        from wolkvox_async.spelling import without_tokens  # noqa: PLC0415 - only for mistakes

        setattr(error, "message", without_tokens(error.message))  # noqa: B010 - it quotes what was typed, and is Final
        error.show()  # in English, with the usage that it shows: the run, and with it its language, is over
        code = error.exit_code
    except click.Abort:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
