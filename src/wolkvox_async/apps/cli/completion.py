"""`completion`: what a shell has to source."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

_PROGRAM: Final = "wolkvox-async"
_VARIABLE: Final = "_WOLKVOX_ASYNC_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print shell completion: `wolkvox-async completion bash > ~/.wolkvox-completion`."""
    from .group import cli  # noqa: PLC0415 - the group imports this module

    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(completion(cli, {}, _PROGRAM, _VARIABLE).source())
