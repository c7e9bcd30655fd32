"""An aiohttp.web service that asks wolkvox on behalf of its users.

    TENANTS=tenants.json PORT=8000 python aiohttp_app.py

The engine lives as long as the application: it is entered when the application starts,
and left when it stops, after the last response. Handlers share it; every token's calls
wait for one another in the engine, however many requests come in at once.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from wolkvox_async import Engine, Options, UsageError, load_tenants, open_engine

# A mistake in the tenants file ends the program here, before it serves anybody.
TENANTS = load_tenants(os.environ["TENANTS"])
OPTIONS = Options(
    base_url=os.environ.get("BASE_URL", "https://wv{server}.wolkvox.com"),
    interval=float(os.environ.get("INTERVAL", "300")),
)
ENGINE = web.AppKey("engine", Engine)

routes = web.RouteTableDef()


async def engine_of(app: web.Application) -> AsyncIterator[None]:
    async with open_engine(TENANTS, OPTIONS) as engine:
        app[ENGINE] = engine
        yield


@routes.get("/usage/{tenant}/{operation}/{api}")
async def usage(request: web.Request) -> web.Response:
    """Make one call. That it failed is a value; that there is no such operation, the caller's mistake."""
    match = request.match_info
    try:
        result = await request.app[ENGINE].call(f"{match['tenant']}/{match['operation']}", match["api"])
    except UsageError as error:
        raise web.HTTPNotFound(text=str(error)) from None
    return web.json_response(
        {
            "outcome": result.outcome,
            "rows": result.rows,
            "error": None if result.error is None else result.error.message,
        }
    )


@routes.get("/records")
async def records(request: web.Request) -> web.StreamResponse:
    """Make one pass over all operations; a client that reads slowly slows down its own pass only."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    # A client that goes away ends its pass: what was not called by then is not called.
    with suppress(ConnectionResetError):
        async with request.app[ENGINE].fetch() as found:
            async for piece in found.lines():
                await response.write(piece)
    return response


def application() -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    app.cleanup_ctx.append(engine_of)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ["PORT"]), access_log=None, print=None)
