from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Request, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.response import Stream

from wolkvox_async import UsageError, load_tenants, open_engine

TENANTS = load_tenants("tenants.json")


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    async with open_engine(TENANTS, state="state") as engine:
        app.state.engine = engine
        yield


@get("/usage/{tenant:str}/{operation:str}/{api:str}")
async def usage(request: Request[Any, Any, State], state: State) -> dict[str, Any]:
    asked = request.path_params
    try:
        result = await state.engine.read(f"{asked['tenant']}/{asked['operation']}", asked["api"])
    except UsageError as error:
        raise NotFoundException(str(error)) from None
    return {
        "outcome": result.outcome,
        "rows": result.rows,
        "at": result.at.isoformat(),
        "error": None if result.error is None else result.error.message,
    }


@get("/records")
async def records(state: State) -> Stream:
    async def lines() -> AsyncIterator[bytes]:
        async with state.engine.fetch() as found:
            async for piece in found.lines():
                yield piece

    return Stream(lines(), media_type="application/x-ndjson")


app = Litestar([usage, records], lifespan=[lifespan])
