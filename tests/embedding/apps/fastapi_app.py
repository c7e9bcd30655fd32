from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from wolkvox_async import Engine, UsageError, load_tenants, open_engine

TENANTS = load_tenants("tenants.json")  # a mistake in it ends the program here, before it serves anybody


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with open_engine(TENANTS, state="state") as engine:
        yield {"engine": engine}


def engine_of(request: Request) -> Engine:
    engine: Engine = request.state.engine
    return engine


TheEngine = Annotated[Engine, Depends(engine_of)]
app = FastAPI(lifespan=lifespan)


@app.get("/usage/{tenant}/{operation}/{api}")
async def usage(tenant: str, operation: str, api: str, engine: TheEngine) -> dict[str, Any]:
    try:
        result = await engine.read(f"{tenant}/{operation}", api)
    except UsageError as error:  # no such operation or endpoint
        raise HTTPException(404, str(error)) from None
    return {
        "outcome": result.outcome,
        "rows": result.rows,
        "at": result.at.isoformat(),
        "error": None if result.error is None else result.error.message,
    }


@app.get("/records")
async def records(engine: TheEngine) -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        async with engine.fetch() as found:
            async for piece in found.lines():
                yield piece

    return StreamingResponse(lines(), media_type="application/x-ndjson")
