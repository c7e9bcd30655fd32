"""A Litestar service that asks wolkvox on behalf of its users.

    TENANTS=tenants.json PORT=8000 python litestar_app.py

The engine lives as long as the application: it is entered when the application starts,
and left when it stops, after the last response. Handlers share it; every token's calls
wait for one another in the engine, however many requests come in at once.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from litestar import Litestar, Request, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.response import Stream

from wolkvox_async import Engine, Options, UsageError, load_tenants, open_engine

# A mistake in the tenants file ends the program here, before it serves anybody.
TENANTS = load_tenants(os.environ["TENANTS"])
OPTIONS = Options(
    base_url=os.environ.get("BASE_URL", "https://wv{server}.wolkvox.com"),
    interval=float(os.environ.get("INTERVAL", "300")),
)


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    async with open_engine(TENANTS, OPTIONS) as engine:
        app.state.engine = engine
        yield


@get("/usage/{tenant:str}/{operation:str}/{api:str}")
async def usage(request: Request[Any, Any, State]) -> dict[str, Any]:
    """Make one call. That it failed is a value; that there is no such operation, the caller's mistake."""
    engine: Engine = request.app.state.engine
    asked = request.path_params
    try:
        result = await engine.call(f"{asked['tenant']}/{asked['operation']}", asked["api"])
    except UsageError as error:
        raise NotFoundException(str(error)) from None
    return {
        "outcome": result.outcome,
        "rows": result.rows,
        "error": None if result.error is None else result.error.message,
    }


@get("/records")
async def records(request: Request[Any, Any, State]) -> Stream:
    """Make one pass over all operations; a client that reads slowly slows down its own pass only.

    A client that goes away ends its pass: what was not called by then is not called.
    """
    engine: Engine = request.app.state.engine

    async def lines() -> AsyncIterator[bytes]:
        async with engine.fetch() as found:
            async for piece in found.lines():
                yield piece

    return Stream(lines(), media_type="application/x-ndjson")


app = Litestar([usage, records], lifespan=[lifespan])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning")
