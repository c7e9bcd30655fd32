"""`init`: the first tenants file, or one operation more in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from wolkvox_async.settings.options import ENGINE_OPTIONS, STATE_OPTIONS, Option, text

from .options import LOGGING, SECRETS_DIR, TENANTS, options, read
from .whereabouts import WAYS

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

NAME: Final = Option("name", None, text, "NAME", "how the tenant is called")
SERVER: Final = Option("server", None, text, "SERVER", "its server: 0010, wv0010 or the full address")
OPERATION: Final = Option("operation", None, text, "NAME", "how the operation is called  [default: main]")
TOKENS: Final = tuple(
    Option(f"token-{way.key}", None, text, way.metavar, f"where the token is: {way.help}") for way in WAYS
)
_CALLING: Final = ("base-url", "ca-file", "timeout", "connect-timeout", "proxy", "state")
CALLING: Final = tuple(option for option in (*ENGINE_OPTIONS, *STATE_OPTIONS) if option.name in _CALLING)
TABLE: Final = (TENANTS, NAME, SERVER, OPERATION, *TOKENS, SECRETS_DIR, *CALLING, *LOGGING)


@click.command()
@options(TABLE)
@click.option("--add", is_flag=True, envvar="WOLKVOX_ADD", help="add to a tenants file that is there")
@click.option(
    "--probe/--no-probe",
    default=None,
    envvar="WOLKVOX_PROBE",
    help="make one call with the token  [default: asks, with --yes it does]",
)
@click.option("--yes", is_flag=True, envvar="WOLKVOX_YES", help="ask nothing: the options say all")
def command(add: bool, probe: bool | None, yes: bool, **given: Any) -> int:
    """Make the tenants file: its first tenant, or one operation more; then check it.

    It asks for what the options leave open, and shows and keeps no token: the file says where
    the token is found. A file that is there is never overwritten. Where nobody can be asked
    (no terminal), or with --yes, the options have to say all:

    \b
    wolkvox-async init --name acme --server 0010 --token-env ACME_TOKEN --yes
    """  # noqa: D301 - a backspace, which click takes as: do not fill this
    from .beginning import Order, begin  # noqa: PLC0415 - `--help` needs none of it

    can_ask = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    return begin(Order(read(given, TABLE), add=add, probe=probe, yes=yes, can_ask=can_ask))
