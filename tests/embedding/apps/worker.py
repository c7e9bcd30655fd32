from contextlib import AsyncExitStack
from typing import Annotated, Any

from taskiq import Context, InMemoryBroker, TaskiqDepends, TaskiqEvents, TaskiqState

from wolkvox_async import Engine, load_tenants, open_engine

TENANTS = load_tenants("tenants.json")
broker = InMemoryBroker()


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def start(state: TaskiqState) -> None:
    state.stack = AsyncExitStack()
    state.engine = await state.stack.enter_async_context(open_engine(TENANTS, state="state"))


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def stop(state: TaskiqState) -> None:
    await state.stack.aclose()


@broker.task
async def usage(operation: str, api: str, context: Annotated[Context, TaskiqDepends()]) -> dict[str, Any]:
    engine: Engine = context.state.engine
    result = await engine.read(operation, api)
    return {"outcome": result.outcome, "rows": result.rows}
