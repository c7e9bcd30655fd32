"""Which transport makes the attempts, and what it is told.

The fast one is built on parts of aiohttp that are not documented. Where they do not fit
the aiohttp that is installed, the one that needs nothing but its documentation is used
instead: it makes a connection for every attempt, so it costs several times as much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.request import getproxies, proxy_bypass  # noqa: TID251 - reads the environment, requests nothing

import aiohttp

from wolkvox_async import __version__
from wolkvox_async.adapters.http import HttpSettings, misfit
from wolkvox_async.errors import UsageError
from wolkvox_async.ports import Transport

from .options import Options, conflicts


def make_transport(
    options: Options,
    connector: aiohttp.BaseConnector | None,
    log: Any,
    *,
    may_send: Callable[[str], bool] | None = None,
) -> Transport:
    """Return the fast transport, or with a warning the one that always fits; to be called in the event loop.

    `may_send` is asked, with a token's id, right before a request leaves.
    Raises `UsageError` for a connector of somebody's own that would keep connections, where these cannot be checked.
    """
    settings = HttpSettings(
        base_url=options.base_url,
        timeout=options.timeout,
        connect_timeout=options.connect_timeout,
        max_body=options.max_body,
        ca_file=options.ca_file,
        proxy=_proxy(options),
        user_agent=f"wolkvox-async/{__version__}",
        connections=options.connections,
        may_send=may_send,
    )
    why = misfit()
    if why is None:
        from wolkvox_async.adapters.http.transport import HttpTransport  # noqa: PLC0415 - only where it fits

        return HttpTransport(settings, connector=connector)
    return _that_always_fits(settings, connector, why, log)


def _that_always_fits(settings: HttpSettings, connector: aiohttp.BaseConnector | None, why: str, log: Any) -> Transport:
    from wolkvox_async.adapters.http.session import SessionTransport  # noqa: PLC0415 - hardly ever needed

    log.warning(
        "the installed aiohttp lacks what the fast transport is built on: each attempt connects anew, which costs "
        "several times as much, and --connections shared is without effect; install the version that is asked for",
        aiohttp=aiohttp.__version__,
        why=why,
    )
    try:
        return SessionTransport(settings, connector=connector)
    except ValueError as error:
        mistake = str(error)
    raise UsageError(mistake)


def _proxy(options: Options) -> str | None:
    if options.proxy != "env":
        return options.proxy
    scheme, _, rest = options.base_url.replace("{server}", "0000").partition("://")
    host = rest.partition("/")[0]
    found = None if proxy_bypass(host) else getproxies().get(scheme)
    # Plain http goes to this machine, and no further.
    return None if found and conflicts({"proxy": found, "base_url": options.base_url}) else found
