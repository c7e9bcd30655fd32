"""The service over real sockets: who may look, and what is answered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import pytest
import structlog

from tests.apps.serving.shown import BEGUN, INTERVAL, Played, board_of, missed, operation, rows, settled, subjects
from wolkvox_async.apps.serving import pages, stream
from wolkvox_async.apps.serving.board import Board, BoardHook
from wolkvox_async.apps.serving.door import Door
from wolkvox_async.apps.serving.guard import MOST_SESSIONS, SESSION, Address, Guard
from wolkvox_async.apps.serving.pages import COOKIE, Site
from wolkvox_async.apps.serving.server import Served, serve
from wolkvox_async.apps.serving.stream import LINGER, MOST_FRAMES, MOST_STREAMS, Feed
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.model import GapReason, Token
from wolkvox_async.testing import ManualClock

LOCAL = Address("127.0.0.1", 0)
ONE = subjects(operation(), operation("globex/main"))


def clock_at(begun: int = BEGUN) -> ManualClock:
    return ManualClock(utc=datetime.fromtimestamp(begun / 1000, UTC))


@asynccontextmanager
async def served(
    board: Board | None = None, *, bearer: Token | None = None, log: Any = None, every: float = 0.02, **probes: Any
) -> AsyncIterator[tuple[aiohttp.ClientSession, Served]]:
    site = Site(board or board_of(*ONE)[0], clock_at(), **probes)
    async with serve(site, LOCAL, bearer=bearer, log=log, every=every) as running:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(running.url, cookie_jar=jar) as session:
            yield session, running


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, Any]]:
    """Yield id, name and data of each event."""
    found: dict[str, str] = {}
    async for raw in answer.content:
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if name:
            found[name] = value
        elif "event" in found:
            yield found.get("id", ""), found["event"], orjson.loads(found["data"])
            found = {}


async def test_it_answers_where_it_says() -> None:
    async with served() as (session, running):
        assert running.address.port > 0
        async with session.get("/", allow_redirects=False) as page:
            assert (page.status, page.content_type) == (200, "text/html")


async def test_nothing_listens_any_more_behind_the_block() -> None:
    async with served() as (_, running):
        address = running.address
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address.host, address.port)


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/metrics", 501)])
async def test_probes_say_something_plain_when_nobody_says_more(path: str, status: int) -> None:
    async with served() as (session, _), session.get(path, allow_redirects=False) as answer:
        assert (answer.status, answer.content_type) == (status, "text/plain")


async def test_probes_say_what_they_are_given() -> None:
    kind = "text/plain; version=0.0.4; charset=utf-8"
    async with served(metrics=lambda: (200, kind, b"up 1\n"), readyz=lambda: (503, "application/json", b"{}")) as it:
        async with it[0].get("/metrics", allow_redirects=False) as metrics:
            assert (metrics.headers["Content-Type"], await metrics.read()) == (kind, b"up 1\n")
        async with it[0].get("/readyz", allow_redirects=False) as ready:
            assert (ready.status, ready.content_type) == (503, "application/json")


@pytest.fixture
def logs() -> Iterator[list[structlog.typing.EventDict]]:
    """Collect what is logged; afterwards structlog is configured as little as before."""
    with structlog.testing.capture_logs() as found:
        yield found
    structlog.reset_defaults()


async def test_a_probe_that_fails_is_reported_by_its_kind_alone(
    canary: Token, logs: list[structlog.typing.EventDict]
) -> None:
    def fail() -> tuple[int, str, bytes]:
        raise RuntimeError(canary.reveal())

    async with (
        served(healthz=fail, log=structlog.get_logger()) as (session, _),
        session.get("/healthz", allow_redirects=False) as answer,
    ):
        assert (answer.status, await answer.text()) == (500, "this went wrong inside: see the log\n")
    assert [(line["event"], line["error"]) for line in logs] == [("the service failed to answer", "RuntimeError")]


async def test_a_watch_that_raises_is_reported_once_and_the_page_goes_on(
    logs: list[structlog.typing.EventDict],
) -> None:
    class Ended(Played):
        def subjects(self) -> list[Any]:
            raise RuntimeError("the watch is over")

    board = Board()
    played = Ended([])
    board.follow(Played([]), BEGUN)
    async with served(board, log=structlog.get_logger(), every=0.002) as (session, _):
        board._prospect = played
        played.version = 2
        while not logs:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.03)
        async with session.get("/healthz") as answer:
            assert answer.status == 200
    assert [line["error"] for line in logs] == ["RuntimeError"]


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/icon.svg", "/status.json", "/events", "/nothing"])
async def test_everything_is_sent_with_headers_that_hold_the_browser_to_it(path: str) -> None:
    async with served() as (session, _), session.get(path, allow_redirects=False) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';")
        assert "unsafe" not in policy
        assert "form-action 'none'; frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "wolkvox-async"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/status.json", "/login", "/logout"])
async def test_nothing_is_taken_but_get_and_head(method: str, path: str) -> None:
    async with served() as (session, _), session.request(method, path, allow_redirects=False) as answer:
        assert answer.status in (404, 405)


@pytest.mark.parametrize("path", ["/", "/status.json", "/healthz", "/outline.json"])
async def test_a_head_has_no_body(path: str) -> None:
    async with served() as (session, _), session.head(path, allow_redirects=False) as answer:
        assert (answer.status, await answer.read()) == (200, b"")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "a@localhost"]
)
async def test_a_name_that_is_not_this_machine_s_is_turned_away(host: str) -> None:
    async with served() as (session, _), session.get("/status.json", headers={"Host": host}) as answer:
        assert answer.status in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "127.8.8.8", "[::1]:9464", "LOCALHOST"])
async def test_this_machine_s_names_are_let_in_at_any_port(host: str) -> None:
    async with served() as (session, _), session.get("/status.json", headers={"Host": host}) as answer:
        assert answer.status == 200


async def test_the_board_is_told_as_json() -> None:
    board, _ = board_of(*ONE)
    board.observe(settled(ONE[0], rows(12)), BEGUN)
    async with served(board) as (session, _), session.get("/status.json?q=acme") as answer:
        shown = await answer.json()
    assert (shown["schema"], shown["shown"], shown["operations"][0]["watched"][0]["last"]["items"]) == (1, 1, 12)


async def test_one_operation_is_told_by_its_key() -> None:
    board, _ = board_of(*ONE)
    async with served(board) as (session, _):
        for key, post in board.posts.items():
            async with session.get("/operation.json", params={"key": key}) as answer:
                assert (await answer.json())["tenant"] == post.place.tenant
        async with session.get("/operation.json?key=nobody") as answer:
            assert answer.status == 404


async def test_slots_are_told_by_the_numbers_of_lines() -> None:
    board, _ = board_of(*ONE)
    board.observe(settled(ONE[1], rows(5)), BEGUN)
    async with served(board) as (session, _), session.get("/history.json?n=2,99,x,-1," + "9" * 5000) as answer:
        assert await answer.json() == {"2": {"count": 1, "at": [BEGUN // 1000], "ending": ["ok"], "items": [5.0]}}


async def test_what_changes_behind_the_mark_of_the_board_is_told() -> None:
    board, _ = board_of(*ONE)
    async with served(board) as (session, _):
        async with session.get("/outline.json") as answer:
            mark = (await answer.json())["mark"]
        board.observe(settled(ONE[1], rows(5)), BEGUN)
        async with session.get("/events", params={"after": mark}) as followed:
            _, name, told = await anext(events(followed))
    assert (name, [line[:4] for line in told["lines"]]) == ("lines", [[2, BEGUN // 1000, "ok", 5]])
    assert told["totals"]["ok"] == 1


async def test_who_comes_back_goes_on_where_he_was() -> None:
    board, _ = board_of(*ONE)
    async with served(board) as (session, _):
        async with session.get("/outline.json") as answer:
            mark = (await answer.json())["mark"]
        async with session.get("/events", params={"after": mark}) as followed:
            board.observe(settled(ONE[0], rows(1)), BEGUN)
            mark, _, _ = await anext(events(followed))
        board.observe(missed(ONE[1], GapReason.DOWN), BEGUN)
        async with session.get("/events?after=old", headers={"Last-Event-ID": mark}) as followed:
            _, name, told = await anext(events(followed))
    assert (name, [line[0] for line in told["lines"]]) == ("lines", [2])


@pytest.mark.parametrize("mark", [None, "", "nonsense", "a.b.c", "01K00000000000000000000000.1.99999", "x.1.²"])
async def test_who_was_nowhere_is_told_to_read_the_board(mark: str | None) -> None:
    asked = {} if mark is None else {"after": mark}
    async with served() as (session, _), session.get("/events", params=asked) as followed:
        _, name, _ = await anext(events(followed))
    assert name == "reset"


async def test_a_reload_has_everybody_read_the_board_anew() -> None:
    board, played = board_of(*ONE)
    async with served(board) as (session, _):
        async with session.get("/outline.json") as answer:
            mark = (await answer.json())["mark"]
        async with session.get("/events", params={"after": mark}) as followed:
            played.replace(ONE[:1])
            _, name, _ = await anext(events(followed))
        async with session.get("/outline.json") as answer:
            assert (name, len((await answer.json())["posts"])) == ("reset", 1)


async def test_only_so_many_streams_are_open_at_once() -> None:
    async with served() as (session, _):
        answers = [await session.get("/events") for _ in range(MOST_STREAMS)]
        async with session.get("/events") as refused:
            assert (refused.status, {answer.status for answer in answers}) == (503, {200})
        for answer in answers:
            answer.close()


async def test_who_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SLOW", 0.05)
    monkeypatch.setattr(stream, "MOST_STREAMS", 1)
    watched = subjects(*(operation(f"tenant{number}/main") for number in range(1_500)))
    board, _ = board_of(*watched)
    changes = [settled(subject, rows(1)) for subject in watched]
    async with served(board, every=0.005) as (session, running):
        with socket.create_connection((running.address.host, running.address.port)) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            status = 503
            while status == 503:
                for change in changes:
                    board.observe(change, BEGUN)
                await asyncio.sleep(0.01)
                async with session.get("/events") as answer:
                    status = answer.status
    assert status == 200


async def test_streams_end_with_the_service() -> None:
    site = Site(board_of(*ONE)[0], clock_at())
    async with aiohttp.ClientSession() as session:
        async with serve(site, LOCAL, every=0.02) as running:
            followed = await session.get(f"{running.url}events")
            await anext(events(followed))
        assert b"reset" not in await followed.read()


def feed_of(*watched: Any) -> tuple[Feed, Board, Played, ManualClock]:
    board, played = board_of(*watched)
    clock = clock_at()
    feed = Feed(board, clock)
    feed.linger()
    feed.step()
    return feed, board, played, clock


async def test_a_frame_is_made_only_when_something_changed() -> None:
    feed, board, _, _ = feed_of(*ONE)
    feed.step()
    mark = feed.mark
    feed.step()
    assert feed.mark == mark
    board.observe(settled(ONE[0], rows(1)), BEGUN)
    feed.step()
    assert feed.mark != mark


async def test_what_changes_without_an_event_is_told_as_well() -> None:
    feed, _, played, _ = feed_of(*ONE)
    feed.step()
    mark = feed.mark
    played.waiting[ONE[1].key] = GapReason.QUOTA
    feed.step()
    found = feed.after(mark)
    assert found is not None
    assert [b'"quota"' in frame for frame in found[1]] == [True]


async def test_the_frames_that_are_kept_are_bounded() -> None:
    feed, board, _, _ = feed_of(*ONE)
    feed.step()
    first = feed.mark
    marks = []
    for number in range(MOST_FRAMES + 1):
        board.observe(settled(ONE[0], rows(number)), BEGUN)
        feed.step()
        marks.append(feed.mark)
    kept = feed.after(marks[0])
    assert (feed.after(first), kept and len(kept[1])) == (None, MOST_FRAMES)


async def test_nothing_is_kept_while_nobody_looks() -> None:
    feed, board, _, clock = feed_of(*ONE)
    mark = feed.mark
    clock.advance(LINGER + 1)
    board.observe(settled(ONE[0], rows(1)), BEGUN)
    feed.step()
    assert (feed.after(mark), board.take_changes(), feed.after(feed.mark)) == (None, set(), (feed.mark, []))


BEARER = Token("a-made-up-bearer-token")
AUTHORIZED = {"Authorization": "Bearer a-made-up-bearer-token"}
GUARDED = ["/status.json", "/metrics", "/events", "/outline.json", "/operation.json", "/page.js", "/nothing"]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Basic a-made-up-bearer-token", "a-made-up-bearer-token", "Bearer"]
)
async def test_who_has_no_bearer_token_sees_nothing(path: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with served(bearer=BEARER) as (session, _), session.get(path, headers=headers) as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("path", ["/status.json", "/metrics", "/outline.json", "/page.js", "/"])
async def test_who_has_it_sees_everything(path: str) -> None:
    async with served(bearer=BEARER) as (session, _), session.get(path, headers=AUTHORIZED) as answer:
        assert answer.status in (200, 501)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_of_life_ask_for_no_token(path: str) -> None:
    async with served(bearer=BEARER) as (session, _), session.get(path) as answer:
        assert answer.status == 200


async def test_the_name_does_not_matter_where_a_token_is_asked_for() -> None:
    headers = {**AUTHORIZED, "Host": "watch.example"}
    async with served(bearer=BEARER) as (session, _), session.get("/status.json", headers=headers) as answer:
        assert answer.status == 200


async def test_a_token_in_the_address_counts_for_nothing() -> None:
    async with (
        served(bearer=BEARER) as (session, _),
        session.get("/status.json", params={"token": BEARER.reveal(), "access_token": BEARER.reveal()}) as it,
    ):
        assert it.status == 401


async def test_a_browser_signs_in_and_out_by_a_form() -> None:
    async with served(bearer=BEARER) as (session, _):
        async with session.get("/", allow_redirects=False) as turned_away:
            assert (turned_away.status, turned_away.headers["Location"]) == (303, "/login")
        async with session.get("/login", allow_redirects=False) as form:
            assert (form.status, "form-action 'self'" in form.headers["Content-Security-Policy"]) == (200, True)
        async with session.post("/login", data={"token": f" {BEARER.reveal()} "}, allow_redirects=False) as signed_in:
            cookie = signed_in.cookies[COOKIE]
            assert (signed_in.status, cookie["httponly"], cookie["samesite"]) == (303, True, "Strict")
            assert (cookie["secure"], BEARER.reveal() in cookie.value) == ("", False)
        async with session.get("/outline.json") as board:
            assert (board.status, board.headers["X-Signed-In"]) == (200, "1")
        async with session.get("/login", allow_redirects=False) as again:
            assert again.headers["Location"] == "/"
        async with session.post("/logout", allow_redirects=False) as out:
            assert out.status == 204
        async with session.get("/outline.json", cookies={COOKIE: cookie.value}) as board:
            assert board.status == 401


async def test_a_session_over_tls_is_for_tls_only() -> None:
    headers = {"X-Forwarded-Proto": "https"}
    async with (
        served(bearer=BEARER) as (session, _),
        session.post("/login", data={"token": BEARER.reveal()}, headers=headers, allow_redirects=False) as answer,
    ):
        assert answer.cookies[COOKIE]["secure"] is True


@pytest.mark.parametrize("form", [{"token": "wrong"}, {"token": ""}, {}, {"other": "a-made-up-bearer-token"}])
async def test_a_wrong_token_begins_no_session(form: dict[str, str]) -> None:
    async with served(bearer=BEARER) as (session, _), session.post("/login", data=form) as answer:
        assert (answer.status, answer.cookies.get(COOKIE)) == (401, None)


async def test_another_site_signs_nobody_in() -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    form = {"token": BEARER.reveal()}
    async with served(bearer=BEARER) as (session, _), session.post("/login", data=form, headers=headers) as answer:
        assert answer.status == 403


async def test_a_form_that_is_too_large_is_refused() -> None:
    form = {"token": "x" * 100_000}
    async with served(bearer=BEARER) as (session, _), session.post("/login", data=form) as answer:
        assert answer.status == 413


async def test_a_bearer_token_is_in_nothing_that_is_sent_or_kept(canary: Token) -> None:
    async with served(bearer=canary) as (session, _):
        async with session.post("/login", data={"token": canary.reveal()}, allow_redirects=False) as answer:
            sent = [str(answer.headers), str(answer.cookies)]
        async with session.get("/status.json", headers={"Authorization": f"Bearer {canary.reveal()}"}) as answer:
            sent.append(await answer.text())
    assert [canary.reveal() in text for text in sent] == [False, False, False]


async def test_a_session_ends_by_itself() -> None:
    clock = clock_at()
    guard = Guard(LOCAL, BEARER, clock.now)
    session = guard.sign_in(BEARER.reveal())
    assert guard.admits(None, session)
    clock.advance(SESSION)
    assert not guard.admits(None, session)


async def test_only_so_many_sessions_are_kept() -> None:
    guard = Guard(LOCAL, BEARER, clock_at().now)
    sessions = [guard.sign_in(BEARER.reveal()) for _ in range(MOST_SESSIONS + 1)]
    assert [guard.admits(None, session) for session in (sessions[0], sessions[1], sessions[-1])] == [False, True, True]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "watch.example", "127.example"])  # noqa: S104
def test_beyond_this_machine_a_bearer_token_is_required(host: str) -> None:
    with pytest.raises(ConfigurationError, match="needs a bearer token: say where one is"):
        Guard(Address(host, 9464), None, clock_at().now)
    assert Guard(Address(host, 9464), BEARER, clock_at().now).asks


def test_a_bearer_token_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 16 characters"):
        Guard(LOCAL, Token("short-one"), clock_at().now)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9464", Address("127.0.0.1", 9464)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:9464", Address("::1", 9464)),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, address: Address) -> None:
    assert (Address.parse(text), str(address), address.is_local) == (address, text, True)


@pytest.mark.parametrize(
    "text", ["", "9464", ":9464", "127.0.0.1", "127.0.0.1:70000", "::1:9464", "http://x:1", "a b:1", "h:x"]
)
def test_what_is_no_address_is_a_mistake(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no HOST:PORT"):
        Address.parse(text)


async def test_an_address_that_is_taken_is_a_mistake_with_advice() -> None:
    async with served() as (_, running):
        with pytest.raises(ConfigurationError, match="choose another address with --listen"):
            async with serve(Site(Board(), clock_at()), running.address):
                pass


async def test_too_many_connections_are_hung_up_on() -> None:
    class Full:
        connections = (object(),) * 3

        def __call__(self) -> asyncio.BaseProtocol:
            return asyncio.Protocol()

    door = Door(Full(), most=3)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(door, "127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    finally:
        server.close()
    assert isinstance(Door(Full(), most=4)(), asyncio.Protocol)  # type: ignore[arg-type]


async def test_a_request_that_is_none_is_answered_and_logged_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as (_, running):
        with socket.create_connection((running.address.host, running.address.port)) as raw:
            raw.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(raw, b"GET / HTTP/1.1\r\nAuthorization Bearer abc\r\n\r\n")
            assert b"400" in await loop.sock_recv(raw, 100)
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_the_hook_tells_the_board_and_when() -> None:
    board, _ = board_of(*ONE)
    clock = clock_at()
    clock.advance(INTERVAL / 1000)
    BoardHook(board, clock).observe(settled(ONE[0], rows(1)))
    assert board.tracks[1].at == BEGUN + INTERVAL
