from collections.abc import AsyncIterator
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

from wolkvox_async import UsageError, load_tenants, open_engine

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"])
TENANTS = load_tenants("tenants.json")
django = get_asgi_application()


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "lifespan":
        await django(scope, receive, send)
        return
    await receive()  # the server starts
    async with open_engine(TENANTS, state="state") as engine:
        scope["state"]["engine"] = engine  # the server hands it to every request
        await send({"type": "lifespan.startup.complete"})
        await receive()  # the server has sent its last response
    await send({"type": "lifespan.shutdown.complete"})


async def usage(request: HttpRequest, tenant: str, operation: str, api: str) -> JsonResponse:
    try:
        result = await request.scope["state"]["engine"].read(f"{tenant}/{operation}", api)
    except UsageError as error:
        return JsonResponse({"error": str(error)}, status=404)
    return JsonResponse(
        {
            "outcome": result.outcome,
            "rows": result.rows,
            "at": result.at.isoformat(),
            "error": None if result.error is None else result.error.message,
        }
    )


async def records(request: HttpRequest) -> StreamingHttpResponse:
    async def lines() -> AsyncIterator[bytes]:
        async with request.scope["state"]["engine"].fetch() as found:
            async for piece in found.lines():
                yield piece

    return StreamingHttpResponse(lines(), content_type="application/x-ndjson")


urlpatterns = [path("usage/<tenant>/<operation>/<path:api>", usage), path("records", records)]
