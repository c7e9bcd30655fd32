"""The service over HTTP: routes, who may use them, and its lifetime as a block.

    site = Site(board, clock, healthz=..., readyz=..., metrics=...)
    async with serve(site, Address.parse("127.0.0.1:9464")) as served:
        log.info("listening", url=served.url)

`GET` and `HEAD` only, but for signing in and out. `/healthz` and `/readyz` are open to all:
the init system and orchestrators have no token. Errors of ours are reported by their type
alone, and nothing of a request is logged: its headers hold the bearer token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
from aiohttp import web

from wolkvox_async.errors import ConfigurationError
from wolkvox_async.model import Token

from .door import Door
from .guard import Address, Guard
from .leaves import HEADERS
from .pages import Handler, Pages, Site, admits
from .stream import EVERY, Feed

_OPEN: Final = frozenset({"/healthz", "/readyz", "/login", "/login.css", "/icon.svg"})
_LARGEST_FORM: Final = 4_096


@dataclass(frozen=True, slots=True)
class Served:
    """A service that listens."""

    address: Address

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{self.address}/"


@asynccontextmanager
async def serve(
    site: Site, address: Address, *, bearer: Token | None = None, log: Any = None, every: float = EVERY
) -> AsyncIterator[Served]:
    """Serve `site` for the length of the block; what changed is told each `every` seconds.

    Raises `ConfigurationError` when it cannot listen there, or may not without a `bearer` token.
    """
    guard = Guard(address, bearer, site.clock.now)
    feed = Feed(site.board, site.clock)
    runner = web.AppRunner(_app(site, guard, feed, log), access_log=None, logger=_silence(), shutdown_timeout=1.0)
    await runner.setup()
    making = asyncio.create_task(_keep_making(feed, every, log), name="wolkvox_async page feed")
    try:
        listening = await _listen(runner, address)
        try:
            yield Served(Address(address.host, listening.sockets[0].getsockname()[1]))
        finally:
            listening.close()
            feed.close()
    finally:
        with anyio.CancelScope(shield=True):  # at most the second that connections have to end
            making.cancel()
            await asyncio.wait((making,))
            await runner.cleanup()


async def _keep_making(feed: Feed, every: float, log: Any) -> None:
    said = None
    while True:
        await asyncio.sleep(every)
        failure = _step(feed)
        if failure not in (None, said) and log is not None:
            log.error("the page could not be brought up to date", error=failure)
            said = failure


def _step(feed: Feed) -> str | None:
    """Make a frame; whatever the watch raises, the page goes on with the next one."""
    try:
        feed.step()
    except Exception as error:  # noqa: BLE001 - as the sentence above says
        return type(error).__name__
    return None


async def _listen(runner: web.AppRunner, address: Address) -> asyncio.Server:
    server = runner.server
    if server is None:
        raise AssertionError("a runner that is set up has a server")
    try:
        return await asyncio.get_running_loop().create_server(Door(server), address.host, address.port)
    except OSError as error:
        why = error.strerror or type(error).__name__
    raise ConfigurationError(f"cannot listen on {address}: {why}; choose another address with --listen")


def _app(site: Site, guard: Guard, feed: Feed, log: Any) -> web.Application:
    app = web.Application(middlewares=[_Gate(guard, log)], client_max_size=_LARGEST_FORM)
    app.on_response_prepare.append(_add_headers)
    pages = Pages(site, guard, feed)
    routes = {
        "/healthz": pages.probe(site.healthz),
        "/readyz": pages.probe(site.readyz),
        "/metrics": pages.probe(site.metrics),
        "/status.json": pages.status,
        "/operation.json": pages.operation,
        "/outline.json": pages.outline,
        "/history.json": pages.history,
        "/": pages.leaf("index.html"),
        "/login": pages.login,
    }
    routes.update({f"/{name}": pages.leaf(name) for name in pages.leaves if not name.endswith(".html")})
    for path, handler in routes.items():
        app.router.add_get(path, handler)
    app.router.add_get("/events", pages.events, allow_head=False)
    if guard.asks:
        app.router.add_post("/login", pages.sign_in)
        app.router.add_post("/logout", pages.sign_out)
    return app


class _Gate:
    """The middleware that lets in, and that turns errors into answers."""

    __middleware_version__: Final = 1

    def __init__(self, guard: Guard, log: Any) -> None:
        self._guard: Final = guard
        self._log: Final = log

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._guard.knows_host(request.headers.get("Host")):
            return web.Response(status=421, text="ask for this machine by its address or as localhost\n")
        if request.path not in _OPEN and not admits(self._guard, request):
            return _turned_away(request)
        try:
            return await handler(request)
        except web.HTTPException as answer:
            return web.Response(status=answer.status, text=f"{answer.reason}\n", headers=_allowed(answer))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a probe raises, the service goes on
            if self._log is not None:
                self._log.error("the service failed to answer", path=request.path, error=type(error).__name__)
            return web.Response(status=500, text="this went wrong inside: see the log\n")


def _allowed(answer: web.HTTPException) -> dict[str, str]:
    return {"Allow": answer.headers["Allow"]} if "Allow" in answer.headers else {}


def _turned_away(request: web.Request) -> web.Response:
    if request.path == "/":
        return web.Response(status=303, headers={"Location": "/login"})
    return web.Response(status=401, text="a bearer token is needed\n", headers={"WWW-Authenticate": "Bearer"})


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        if name == "Server" or name not in response.headers:
            response.headers[name] = value


def _silence() -> logging.Logger:
    """Return a logger that nobody hears: what aiohttp says of requests may hold their headers."""
    logger = logging.Logger("wolkvox_async.serving", logging.CRITICAL + 1)  # noqa: LOG001 - known to nobody else
    logger.addHandler(logging.NullHandler())
    return logger
