from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from aiohttp import web

from wolkvox_async import Engine, UsageError, load_tenants, open_engine

TENANTS = load_tenants("tenants.json")
ENGINE = web.AppKey("engine", Engine)
routes = web.RouteTableDef()


async def engine_of(app: web.Application) -> AsyncIterator[None]:
    async with open_engine(TENANTS, state="state") as engine:
        app[ENGINE] = engine
        yield


@routes.get("/usage/{tenant}/{operation}/{api}")
async def usage(request: web.Request) -> web.Response:
    match = request.match_info
    try:
        result = await request.app[ENGINE].read(f"{match['tenant']}/{match['operation']}", match["api"])
    except UsageError as error:
        raise web.HTTPNotFound(text=str(error)) from None
    return web.json_response(
        {
            "outcome": result.outcome,
            "rows": result.rows,
            "at": result.at.isoformat(),
            "error": None if result.error is None else result.error.message,
        }
    )


@routes.get("/records")
async def records(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    with suppress(ConnectionResetError):  # the client went away
        async with request.app[ENGINE].fetch() as found:
            async for piece in found.lines():
                await response.write(piece)
    return response


def application(_arguments: Sequence[str]) -> web.Application:
    app = web.Application()
    app.add_routes(routes)
    app.cleanup_ctx.append(engine_of)
    return app
