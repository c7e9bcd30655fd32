"""Whatever comes, in whatever pieces: the reader of answers knows where one ends, or says that it does not."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.adapters.http.clients import CHUNKED, answer, chunked, headed
from wolkvox_async.adapters.http.framing import AnswerReader, FramingError
from wolkvox_async.adapters.http.parts import answer_parser

Read: TypeAlias = tuple[str, int, bytes, bool]
MANY: Final = settings(max_examples=150)


def read(pieces: Iterable[bytes]) -> Read:
    """Read one answer and say how that ended, its status, its body, and whether anything else came."""
    parser, reader, body, waiting = answer_parser(asyncio.get_running_loop()), AnswerReader(), b"", list(pieces)
    while waiting and not reader.complete:
        try:
            body += reader.feed(parser, waiting.pop(0))
        except FramingError:
            return "broken", 0, b"", True
    if reader.message is None:
        return "open", 0, b"", False
    state = "whole" if reader.complete else "open"
    return state, reader.message.code, body, reader.surplus or any(waiting)


def chop(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def is_one_answer(data: bytes) -> bool:
    """Judge, slowly and without help, whether `data` is one answer from its first byte to its last."""
    head, blank, body = data.partition(b"\r\n\r\n")
    if re.search(rb"\n\r?\n", data[: len(head) + 3]):  # a blank line of bare line feeds comes first
        head, blank, body = re.split(rb"(\n\r?\n)", data, maxsplit=1)
    status = re.match(rb"HTTP/\d\.\d (\d{3})\b", head)
    if not blank or status is None or int(status[1]) < 200:
        return False
    if int(status[1]) in (204, 304):
        return not body
    fields = {name.strip().lower(): value.strip().lower() for name, _, value in fields_of(head)}
    if b"transfer-encoding" in fields:
        return fields[b"transfer-encoding"].endswith(b"chunked") and rest_of_chunks(body) == b""
    return fields.get(b"content-length", b"").isdigit() and len(body) == int(fields[b"content-length"])


def fields_of(head: bytes) -> Iterable[tuple[bytes, bytes, bytes]]:
    return (line.partition(b":") for line in re.sub(rb"\r?\n[ \t]+", b" ", head).split(b"\n")[1:])


def rest_of_chunks(data: bytes) -> bytes | None:
    """Return what follows the last chunk; None when there is none."""
    while sized := re.match(rb"([0-9a-fA-F]+)[ \t]*(?:;[^\r\n]*)?\r?\n", data):
        size, data = int(sized[1], 16), data[sized.end() :]
        if size == 0:
            ended = re.match(rb"(?:[^\r\n]+\r?\n)*\r?\n", data)
            return None if ended is None else data[ended.end() :]
        ended = re.match(rb"\r?\n", data[size:])
        if ended is None:
            return None
        data = data[size + ended.end() :]
    return None


BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"\r\n0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\n\n"]),
)
STATUSES = st.sampled_from(["200 OK", "200", "404 Not Found", "500 X", "204 No Content", "304 Not Modified"])
EXTRA = st.lists(st.sampled_from(["Server: x", "Connection: keep-alive", "X-Empty:", "X-Fold: a\r\n b"]), max_size=3)


@st.composite
def with_length(draw: st.DrawFn) -> bytes:
    return answer(
        draw(BODIES), *draw(EXTRA), status=draw(STATUSES), length=draw(st.one_of(st.none(), st.integers(0, 50)))
    )


@st.composite
def with_chunks(draw: st.DrawFn) -> bytes:
    sent = headed("Transfer-Encoding: chunked", *draw(EXTRA), status=draw(STATUSES))
    return sent + chunked(*filter(None, draw(st.lists(BODIES, max_size=4))))


ANYTHING = st.one_of(
    with_length(),
    with_chunks(),
    BODIES,
    st.sampled_from([headed(), headed(status="100 Continue"), headed("Content-Length: 3", status="150 Odd"), CHUNKED]),
)
CUTS = st.lists(st.integers(0, 400), max_size=12)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Some answers and other things in a row, some bytes of which were changed, left out or doubled."""
    data = bytearray(b"".join(draw(st.lists(ANYTHING, min_size=1, max_size=4))))
    if draw(st.booleans()):
        data = data.replace(b"\r\n", b"\n", draw(st.integers(1, 9)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.one_of(st.binary(max_size=3), st.just(b"\r\n\r\n")))
    return bytes(data)


@MANY
@given(data=streams(), cuts=CUTS)
@example(data=b"HTTP/1.1 200 OK\nContent-Length: 10\n\nab\r\n\r\n1234HTTP/1", cuts=[])
@example(data=CHUNKED + chunked(b"x") + b"\r\n", cuts=[])
@example(data=answer(b"x") + b"\r\n\r\n", cuts=[])
async def test_what_is_whole_and_alone_is_one_answer(data: bytes, cuts: list[int]) -> None:
    state, _, _, surplus = read(chop(data, cuts))
    assert state in ("whole", "open", "broken")
    assert state != "whole" or surplus or is_one_answer(data)


@MANY
@given(data=st.binary(max_size=200), cuts=CUTS)
async def test_noise_breaks_or_stays_open(data: bytes, cuts: list[int]) -> None:
    assert read(chop(data, cuts))[0] in ("open", "broken")


@MANY
@given(data=streams(), cuts=CUTS)
async def test_it_makes_no_difference_in_which_pieces_an_answer_comes(data: bytes, cuts: list[int]) -> None:
    assert read(chop(data, cuts)) == read([data])


@MANY
@given(bodies=st.lists(st.tuples(st.lists(BODIES, max_size=4), st.booleans(), CUTS), min_size=1, max_size=5))
async def test_one_parser_reads_answer_after_answer(bodies: list[tuple[list[bytes], bool, list[int]]]) -> None:
    parser = answer_parser(asyncio.get_running_loop())
    for parts, in_chunks, cuts in bodies:
        body = b"".join(parts)
        sent = CHUNKED + chunked(*filter(None, parts)) if in_chunks else answer(body)
        reader = AnswerReader()
        assert b"".join(reader.feed(parser, piece) for piece in chop(sent, cuts)) == body
        assert (reader.complete, reader.surplus) == (True, False)
