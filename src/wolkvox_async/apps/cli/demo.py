"""`demo`: see it work, with nothing but this package."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--operations", type=click.IntRange(1), default=400, show_default=True, help="how many operations")
@click.option("--servers", type=click.IntRange(1), default=12, show_default=True, help="how many servers")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="where the lines are left",
)
def command(operations: int, servers: int, folder: Path) -> int:
    """Fetch from a simulated vendor, and have the simulator judge it.

    Nothing is installed, no token is needed and nothing leaves this machine.
    """
    from wolkvox_async.apps import demonstrating  # noqa: PLC0415 - only when it runs

    return int(demonstrating.run(operations, servers, folder))
