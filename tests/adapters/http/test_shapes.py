"""Heads that are known by their shape: what is found without a parser is what the parser would have read."""

from __future__ import annotations

import asyncio
import re
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wolkvox_async.adapters.http.framing import AnswerReader, FramingError
from wolkvox_async.adapters.http.heads import Head, KnownHeads, RawAnswer, head_of
from wolkvox_async.adapters.http.parts import answer_parser
from wolkvox_async.adapters.http.shapes import shape

LINES: Final = (
    b"Date: Sat, 21 Nov 2026 21:43:47 GMT",
    b"x-request-id: 7f3a",
    b"Server: nginx",
    b"Content-Type: application/json",
    b"Connection: keep-alive",
    b"Keep-Alive: timeout=5, max=99",
    b"Content-Encoding: gzip",
    b"Set-Cookie: a=b; path=/",
    b"X-Empty:",
)
PIECES: Final = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b": ",
        b"0",
        b"9",
        b"-1",
        b"\0",
        b"\xff",
        b"a",
        b"\r\nContent-Length: 2",
        b"\r\nConnection: close",
        b"\r\nTransfer-Encoding: chunked",
        b"\r\nRetry-After: 1",
        b"\r\n\r\n",
        b"Date: x\r\n",
        b" folded\r\n",
    ]
)


def built(lines: list[bytes], body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"Content-Length: %d" % len(body), b"", body))


async def read(data: bytes) -> tuple[AnswerReader, Head, bytes] | None:
    """Read one answer as the parser does; None when that is not all of `data`, or breaks the rules."""
    reader = AnswerReader()
    try:
        body = reader.feed(answer_parser(asyncio.get_running_loop()), data)
    except FramingError:
        return None
    return (reader, head_of(reader), body) if reader.complete and not reader.surplus else None


async def learnt(*answers: bytes) -> KnownHeads:
    heads = KnownHeads()
    for data in answers:
        met = await read(data)
        assert met is not None
        heads.learn(met[0], met[1])
    return heads


async def found_and_read(lines: list[bytes], data: bytes) -> tuple[RawAnswer | None, RawAnswer | None]:
    """Return what is found of `data` without a parser, and what the parser reads of it, unless that is the last."""
    heads = await learnt(built(lines, b"{}"), built(lines, b"{ }"))
    met = await read(data)
    return heads.find(data), None if met is None or met[0].is_last else met[1:]


@given(
    lines=st.lists(st.sampled_from(LINES), unique=True),
    body=st.binary(max_size=20),
    changes=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 4), PIECES), max_size=3),
)
@example(lines=[LINES[0]], body=b"", changes=[(23, 0, b" folded\r\n")])
@example(lines=[LINES[0]], body=b"{}", changes=[(23, 0, b"\r\nConnection: close")])
def test_what_is_found_is_what_the_parser_reads(
    lines: list[bytes], body: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    data = built(lines, body)
    for at, size, piece in changes:
        data = data[:at] + piece + data[at + size :]
    found, parsed = asyncio.run(found_and_read(lines, data))
    assert found is None or found == parsed


@given(values=st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=200)))
def test_whatever_an_idle_header_says_is_found_and_means_nothing(values: list[str]) -> None:
    async def ask() -> None:
        heads = await learnt(*(built([b"Date: x", b"X-Request-Id: y"], body) for body in (b"{}", b"{ }")))
        for value in values:
            data = built([b"Date: " + value.encode(), b"X-Request-Id: " + value.encode()], b"[]")
            assert heads.find(data) == (Head(200, "", None, None, is_plain=True), b"[]")
            met = await read(data)
            assert met is not None
            assert met[1:] == heads.find(data)

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"200", b"201", id="another status"),
        pytest.param(b"nginx", b"apache", id="another value of another header"),
        pytest.param(b"Length: 2", b"Length: 3", id="a byte too few"),
        pytest.param(b"Length: 2", b"Length: 1", id="a byte too many"),
        pytest.param(b"Length: 2", b"Length: 02", id="a zero in front"),
        pytest.param(b"Length: 2", b"Length: +2", id="a sign"),
        pytest.param(b"Length: 2", b"Length: 2 ", id="a blank behind"),
        pytest.param(b"Date: x", b"Date: x\n", id="a bare line feed"),
        pytest.param(b"Date: x", b"Date: x\r\n y", id="a folded line"),
        pytest.param(b"Date: x", b"Date: x\xff", id="a byte that is not ASCII"),
        pytest.param(b"Date: x", b"Date: " + b"x" * 201, id="a long value"),
        pytest.param(b"Date: x\r\n", b"", id="a header less"),
        pytest.param(b"Date: x", b"Date: x\r\nDate: x", id="a header more"),
    ],
)
async def test_a_head_of_another_shape_is_not_known(before: bytes, after: bytes) -> None:
    lines = [b"Server: nginx", b"Date: x"]
    heads = await learnt(built(lines, b"{}"), built(lines, b"{ }"))
    data = built(lines, b"[]")
    assert heads.find(data) is not None
    changed = data.replace(before, after, 1)
    assert changed != data
    assert heads.find(changed) is None


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nDate: x\r\n\r\n", id="no length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 02\r\n\r\n", id="an odd length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: x\r\n y\r\n\r\n", id="a folded line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\n", id="bare line feeds"),
    ],
)
def test_an_odd_head_has_no_shape(head: bytes) -> None:
    assert shape(head) is None


def test_a_shape_takes_nothing_of_a_head_for_a_pattern() -> None:
    head = b"HTTP/1.1 200 (O.K|)\r\nX: a+[b]{2}\r\nContent-Length: 2\r\n\r\n"
    made = shape(head)
    assert made is not None
    assert re.fullmatch(made, head) is not None
    assert re.fullmatch(made, head.replace(b"O.K", b"OaK")) is None
