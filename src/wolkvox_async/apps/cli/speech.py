"""What the commands say on standard error, and how mistakes end a command."""

from __future__ import annotations

from collections.abc import Iterable

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.errors import ConfigurationError, Mistake


class Refused(click.exceptions.Exit):
    """The command ends before anything was called; its mistakes have been said."""

    def __init__(self) -> None:
        super().__init__(Exit.USAGE)


def say(line: str) -> None:
    """Write a line to standard error."""
    click.echo(line, err=True)


def refuse(mistakes: Iterable[Mistake | str], unlisted: int = 0) -> Refused:
    """Say every mistake, one per line, and return what to raise; `unlisted` more are only counted."""
    for line in ConfigurationError(mistakes, unlisted).lines():
        say(line)
    return Refused()
