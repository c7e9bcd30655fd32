"""`simulate`: the vendor's API on loopback, with a judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .speech import refuse, say


@click.command()
@click.option("--servers", type=click.IntRange(1), default=4, show_default=True, help="how many servers")
@click.option("--operations", type=click.IntRange(1), default=40, show_default=True, help="how many operations")
@click.option("--host", default="127.0.0.1", show_default=True, help="a loopback address")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8700, show_default=True, help="the first server's; 0: any"
)
@click.option("--seed", type=int, default=1, show_default=True, help="same seed, same names, tokens and figures")
@click.option("--latency", default="0.2", show_default=True, help="seconds per call: 0.2, 0.1-0.5, lognormal:0.2,0.6")
@click.option("--rows", type=click.IntRange(0), default=1, show_default=True, help="rows per answer")
@click.option("--api", multiple=True, metavar="NAME", help="endpoints that the written tenants file asks for (repeats)")
@click.option(
    "--fault", multiple=True, metavar="WHICH=NAME", help="what is wrong with an operation (repeats); see --faults"
)
@click.option("--poison", type=click.FloatRange(0, 1), default=0.0, help="share of operations that are broken")
@click.option(
    "--interval", type=click.FloatRange(0), default=300.0, show_default=True, help="seconds; sooner calls are early"
)
@click.option(
    "--limit", type=click.FloatRange(0), default=60.0, show_default=True, help="seconds it works on an abandoned call"
)
@click.option("--shared-connections", is_flag=True, help="do not mind a connection that serves several tokens")
@click.option("--cert", type=click.Path(exists=True, dir_okay=False), help="serve HTTPS with this certificate chain")
@click.option("--key", type=click.Path(exists=True, dir_okay=False), help="the certificate's private key")
@click.option("--write", type=click.Path(file_okay=False, path_type=Path), help="write a tenants file into this folder")
@click.option("--for", "seconds", type=click.FloatRange(0), help="stop by itself after so many seconds")
@click.option("--faults", "list_faults", is_flag=True, help="list the names of the faults and exit")
def command(list_faults: bool, **given: Any) -> int:
    """Run the vendor's API on this machine, and judge its clients.

    It prints one JSON line when it is ready and its verdict when it ends (SIGINT,
    SIGTERM or --for). The exit code is 1 if a client broke a rule. `GET /_simulator`
    on any server shows the verdict so far.
    """
    from wolkvox_async.apps import simulating  # noqa: PLC0415 - only when it runs

    if list_faults:
        click.echo("\n".join(simulating.fault_names()))
        return 0
    try:
        return int(simulating.run(given, say))
    except (ValueError, KeyError, OSError) as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        raise refuse([str(text)]) from None
