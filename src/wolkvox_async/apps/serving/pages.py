"""What each address answers with.

Whatever takes long is told in pieces, and the engine, which shares the event loop, runs in
between; whoever does not take a piece in time is dropped.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import orjson
from aiohttp import web

from wolkvox_async.ports import Clock

from .board import Board, milliseconds
from .documents import detail, history, status
from .guard import SESSION, Guard
from .leaves import LOGIN_HEADERS, Leaf, leaves
from .outlines import outline
from .stream import Feed, follow

Answer: TypeAlias = tuple[int, str, bytes]
Probe: TypeAlias = Callable[[], Answer]
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE: Final = "wolkvox_session"
SLOW: Final = 10.0  # seconds to take a piece of an answer
MOST_HISTORIES: Final = 250
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


def well() -> Answer:
    """Answer that the program runs, where nobody says more."""
    return 200, "text/plain", b"ok\n"


def no_metrics() -> Answer:
    """Answer that there are no metrics."""
    return 501, "text/plain", b"no metrics here: install wolkvox-async[metrics]\n"


@dataclass(frozen=True, slots=True)
class Site:
    """What is served: the board, and what answers the probes (status, content type, body)."""

    board: Board
    clock: Clock
    healthz: Probe = well
    readyz: Probe = well
    metrics: Probe = no_metrics


def admits(guard: Guard, request: web.Request) -> bool:
    """Tell whether whoever asks may look."""
    return guard.admits(request.headers.get("Authorization"), request.cookies.get(COOKIE))


class Pages:
    """Answers requests."""

    def __init__(self, site: Site, guard: Guard, feed: Feed) -> None:
        self._site: Final = site
        self._board: Final = site.board
        self._guard: Final = guard
        self._feed: Final = feed
        self._outlining: Final = asyncio.Lock()
        self._outline: tuple[str, bytes] = ("", b"")  # where the stream was, and the board then
        self.leaves: Final = leaves()

    def leaf(self, name: str) -> Handler:
        """Return what answers with a file of the page."""
        leaf: Leaf = self.leaves[name]

        async def handler(_: web.Request) -> web.Response:
            return web.Response(body=leaf.body, content_type=leaf.content_type, charset="utf-8")

        return handler

    def probe(self, probe: Probe) -> Handler:
        """Return what answers with what `probe` says."""

        async def handler(_: web.Request) -> web.Response:
            status, content_type, body = probe()
            return web.Response(status=status, body=body, headers={"Content-Type": content_type})

        return handler

    async def status(self, request: web.Request) -> web.StreamResponse:
        """Answer with the board for programs; `q` are words that all have to fit an operation."""
        if request.method == "HEAD":
            return web.Response(content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_compression()
        async with _under_way(request, response):
            async for piece in _in_between(status(self._board, self._now(), request.query.get("q", "")[:200])):
                await _send(response, piece)
        return response

    async def operation(self, request: web.Request) -> web.Response:
        """Answer with one operation, by its `key`."""
        post = self._board.posts.get(request.query.get("key", ""))
        if post is None:
            raise web.HTTPNotFound
        return _json(orjson.dumps(detail(self._board, post, self._now())))

    async def history(self, request: web.Request) -> web.Response:
        """Answer with the last slots of the lines whose numbers are in `n`, separated by commas."""
        asked, tracks = request.query.get("n", "").split(",")[:MOST_HISTORIES], self._board.tracks
        numbers = [int(part) for part in asked if _NUMBER.fullmatch(part)]
        found = {str(number): history(tracks[number]) for number in numbers if number in tracks}
        return _json(orjson.dumps(found))

    async def outline(self, request: web.Request) -> web.Response:
        """Answer with the board for the page; who reads it follows the stream from its mark."""
        async with self._outlining:
            self._feed.linger()
            mark = self._feed.mark
            if self._outline[0] != mark:
                outlined = outline(self._board, self._now(), mark)
                self._outline = mark, b"".join([piece async for piece in _in_between(outlined)])
            response = _json(self._outline[1])
        response.headers["X-Now"] = f"{self._now() / 1000}"  # what is kept may be older than that
        if self._guard.asks and COOKIE in request.cookies:
            response.headers["X-Signed-In"] = "1"  # there is a session to end
        return response

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Tell what changes since the mark in `Last-Event-ID` or `after`, for as long as it is listened to."""
        if self._feed.is_full:
            return web.Response(status=503, text="too many pages are open\n", headers={"Retry-After": "30"})
        with self._feed.reader():
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
            mark = request.headers.get("Last-Event-ID") or request.query.get("after")

            async def send(data: bytes) -> None:
                await _send(response, data)

            async with _under_way(request, response):
                await follow(self._feed, mark, send, lambda: admits(self._guard, request))
            return response

    async def login(self, request: web.Request) -> web.Response:
        """Answer with the form that asks for the bearer token."""
        if admits(self._guard, request):
            return web.Response(status=303, headers={"Location": "/"})
        return self._form("login.html", 200)

    async def sign_in(self, request: web.Request) -> web.Response:
        """Begin a session for whoever gives the bearer token in the form."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise web.HTTPForbidden
        given = (await request.post()).get("token")
        session = self._guard.sign_in(given.strip()) if isinstance(given, str) else None
        if session is None:
            return self._form("refused.html", 401)
        response = web.Response(status=303, headers={"Location": "/"})
        secure = request.headers.get("X-Forwarded-Proto") == "https"
        response.set_cookie(COOKIE, session, max_age=int(SESSION), httponly=True, samesite="Strict", secure=secure)
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session."""
        self._guard.sign_out(request.cookies.get(COOKIE, ""))
        response = web.Response(status=204)
        response.del_cookie(COOKIE, httponly=True, samesite="Strict")
        return response

    def _form(self, name: str, status: int) -> web.Response:
        body = self.leaves[name].body
        return web.Response(status=status, body=body, content_type="text/html", charset="utf-8", headers=LOGIN_HEADERS)

    def _now(self) -> int:
        return milliseconds(self._site.clock)


async def _in_between(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield `pieces`, and let others run before each."""
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


@asynccontextmanager
async def _under_way(request: web.Request, response: web.StreamResponse) -> AsyncIterator[None]:
    """Begin the answer; what goes wrong in the block cuts it off, for it is too late to say so."""
    await response.prepare(request)
    try:
        yield
    except Exception:
        if request.transport is not None:
            request.transport.abort()
        raise


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(SLOW):
        await response.write(data)


def _json(body: bytes) -> web.Response:
    response = web.Response(body=body, content_type="application/json")
    response.enable_compression()
    return response
