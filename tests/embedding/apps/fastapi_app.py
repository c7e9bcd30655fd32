"""A FastAPI service that asks wolkvox on behalf of its users.

    TENANTS=tenants.json PORT=8000 python fastapi_app.py

The engine lives as long as the application: it is entered when the application starts,
and left when it stops, after the last response. Handlers share it; every token's calls
wait for one another in the engine, however many requests come in at once.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from wolkvox_async import Engine, Options, UsageError, load_tenants, open_engine

# A mistake in the tenants file ends the program here, before it serves anybody.
TENANTS = load_tenants(os.environ["TENANTS"])
OPTIONS = Options(
    base_url=os.environ.get("BASE_URL", "https://wv{server}.wolkvox.com"),
    interval=float(os.environ.get("INTERVAL", "300")),
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with open_engine(TENANTS, OPTIONS) as engine:
        yield {"engine": engine}


app = FastAPI(lifespan=lifespan)


def engine_of(request: Request) -> Engine:
    engine: Engine = request.state.engine
    return engine


TheEngine = Annotated[Engine, Depends(engine_of)]


@app.get("/usage/{tenant}/{operation}/{api}")
async def usage(tenant: str, operation: str, api: str, engine: TheEngine) -> dict[str, Any]:
    """Make one call. That it failed is a value; that there is no such operation, the caller's mistake."""
    try:
        result = await engine.call(f"{tenant}/{operation}", api)
    except UsageError as error:
        raise HTTPException(404, str(error)) from None
    return {
        "outcome": result.outcome,
        "rows": result.rows,
        "error": None if result.error is None else result.error.message,
    }


@app.get("/records")
async def records(engine: TheEngine) -> StreamingResponse:
    """Make one pass over all operations; a client that reads slowly slows down its own pass only.

    A client that goes away ends its pass: what was not called by then is not called.
    """

    async def lines() -> AsyncIterator[bytes]:
        async with engine.fetch() as found:
            async for piece in found.lines():
                yield piece

    return StreamingResponse(lines(), media_type="application/x-ndjson")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning")
