"""Every fault gives the bytes it promises."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Literal

import pytest

from tests.testing.raw_client import RawClient, call, request
from wolkvox_async.classify import classify
from wolkvox_async.model import Answer, Empty, ErrorKind, Failed, Ok
from wolkvox_async.testing import (
    FAULTS,
    Bomb,
    Cut,
    Drip,
    Ending,
    Fault,
    Huge,
    Profile,
    Raw,
    Simulator,
    Unasked,
    Whole,
    parse_script,
)
from wolkvox_async.testing.codings import bomb, pack
from wolkvox_async.testing.faults import Coding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NOON = datetime(2026, 11, 18, 17, tzinfo=UTC)
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": zstd.decompress,
}
WHOLE = [name for name, fault in FAULTS.items() if isinstance(fault.wire, Whole)]


@asynccontextmanager
async def broken_by(*faults: Fault) -> AsyncIterator[tuple[Simulator, RawClient]]:
    """Give a simulator whose only token meets these faults, call by call, and a connection to it."""
    profile = Profile(servers=1, operations=1, interval=0, faults={"0": faults})
    async with (
        Simulator(profile, unix=NOON.timestamp) as simulator,
        RawClient(simulator.operations[0].server) as client,
    ):
        yield simulator, client
    assert "simulator-error" not in simulator.verdict().violations


async def bytes_of(fault: Fault, *, within: float = 5.0) -> bytes:
    """Make a call and return everything that comes."""
    async with broken_by(fault) as (simulator, client):
        client.send(request(simulator.operations[0]))
        return await client.everything(within=within)


async def answer_of(fault: Fault) -> tuple[int, dict[str, str], bytes]:
    """Make a call and return its well-formed answer."""
    async with broken_by(fault) as (simulator, client):
        client.send(request(simulator.operations[0]))
        return await client.answer()


async def usual_bytes() -> bytes:
    return await bytes_of(replace(FAULTS["close-after"], name="usual"))


# every one of them


@pytest.mark.looptime
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_hits_one_call_and_the_next_one_is_fine(name: str) -> None:
    async with broken_by(FAULTS[name]) as (simulator, client):
        one = simulator.operations[0]
        client.send(request(one))
        with suppress(ConnectionResetError):
            await client.everything(within=2, most=2_000)
        client.writer.close()
        await asyncio.sleep(61)
        assert (await call(one))[0] == 200


@pytest.mark.parametrize("name", WHOLE)
async def test_what_a_fault_says_of_rows_and_refusals_is_what_a_careful_reader_finds(name: str) -> None:
    fault = FAULTS[name]
    status, headers, body = await answer_of(fault)
    if fault.coding:
        body = UNPACK[fault.coding](body)
    assert status == fault.status
    if "content-encoding" in headers and fault.coding is None:
        return
    outcome = classify(Answer(status, body, headers.get("retry-after"), headers.get("location")), now=NOON)
    refused = (ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN)
    assert (fault.effect.value == "granted") == isinstance(outcome, Ok | Empty)
    assert (fault.effect.value == "refused") == (isinstance(outcome, Failed) and outcome.error.kind in refused)
    if fault.rows is not None:
        assert fault.rows == (len(outcome.rows) if isinstance(outcome, Ok) else 0)


def test_names_and_descriptions_are_there_for_the_command_line() -> None:
    assert all(name == fault.name and fault.about for name, fault in FAULTS.items())
    assert len(FAULTS) >= 90


# headers


@pytest.mark.parametrize(
    ("name", "value"),
    [("seconds", "1"), ("past", "Wed, 21 Oct 2015 07:28:00 GMT"), ("absurd", "999999999999"), ("words", "in a while")],
)
async def test_retry_after_is_sent_as_named(name: str, value: str) -> None:
    status, headers, _ = await answer_of(FAULTS[f"retry-after-{name}"])
    assert (status, headers["retry-after"]) == (429, value)


async def test_a_dated_retry_after_is_two_seconds_ahead_of_the_clock_passed_in() -> None:
    _, headers, _ = await answer_of(FAULTS["retry-after-date"])
    assert (parsedate_to_datetime(headers["retry-after"]) - NOON).total_seconds() == 2


# pauses


@pytest.mark.looptime
@pytest.mark.parametrize(("part", "at_once"), [("head", 0), ("body", None)])
async def test_a_drip_sends_a_byte_a_second_and_in_the_end_everything(part: str, at_once: int | None) -> None:
    whole = await usual_bytes()
    async with broken_by(FAULTS[f"slow-{part}"]) as (simulator, client):
        client.send(request(simulator.operations[0]))
        await asyncio.sleep(10.5)
        early = await client.reader.read(65_536)
        rest = await client.everything(within=2)
    first = whole.index(b"\r\n\r\n") + 4 if at_once is None else at_once
    assert early == whole[: first + 10]
    assert early + rest == whole
    assert simulator.verdict().answers == {200: 1}


@pytest.mark.looptime
async def test_a_hang_sends_nothing_and_keeps_the_connection() -> None:
    async with broken_by(FAULTS["hang"]) as (simulator, client):
        client.send(request(simulator.operations[0]))
        assert await client.everything(within=1_000) == b""
        assert not client.reader.at_eof()


@pytest.mark.looptime
@pytest.mark.parametrize("name", ["endless-head-slow", "endless-body-slow"])
async def test_a_slow_endless_answer_goes_on_each_second(name: str) -> None:
    async with broken_by(FAULTS[name]) as (simulator, client):
        client.send(request(simulator.operations[0]))
        await asyncio.sleep(100.5)
        came = await client.reader.read(1_000_000)
        await asyncio.sleep(100)
        more = await client.reader.read(1_000_000)
    assert came.count(b"X-More" if "head" in name else b"40\r\n") == 100
    assert len(more) > 1_000
    assert (b"\r\n\r\n" in came) == ("body" in name)


@pytest.mark.parametrize("name", ["endless-head", "endless-body", "huge"])
async def test_an_answer_without_end_is_sent_no_faster_than_it_is_read(name: str) -> None:
    async with broken_by(FAULTS[name]) as (simulator, client):
        client.send(request(simulator.operations[0]))
        read = 0
        while read < 20_000_000:
            read += len(await client.reader.read(1_000_000))
        connection = next(iter(simulator._connections))
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < 1_000_000
    assert simulator.verdict().answers == {}


async def test_a_huge_answer_is_well_formed() -> None:
    _, _, body = await answer_of(replace(FAULTS["huge"], wire=Huge(3_000_000)))
    assert len(body) >= 3_000_000
    assert isinstance(classify(Answer(200, body), now=NOON), Ok)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_a_bomb_is_small_on_the_wire_and_huge_unpacked(coding: Literal["gzip", "zstd"]) -> None:
    _, headers, packed = await answer_of(replace(FAULTS["gzip-bomb"], wire=Bomb(coding, 20_000_000)))
    body = UNPACK[coding](packed)
    assert headers["content-encoding"] == coding
    assert len(packed) < 50_000
    assert len(body) > 20_000_000
    assert json.loads(body)["data"] == []


def test_a_full_size_bomb_is_made_piece_by_piece() -> None:
    pieces = list(islice(bomb("gzip", 300_000_000), 5))
    assert max(map(len, pieces)) < 5_000


# endings


@pytest.mark.parametrize("after", [0, 1, 20, 0.5, 0.99])
async def test_a_cut_sends_exactly_the_first_bytes(after: float) -> None:
    whole = await usual_bytes()
    came = await bytes_of(replace(FAULTS["close"], wire=Cut(after)))
    assert came == whole[: after if isinstance(after, int) else int(len(whole) * after)]


@pytest.mark.parametrize("name", ["reset", "reset-in-head", "reset-in-body"])
async def test_a_reset_is_a_reset_and_no_end(name: str) -> None:
    async with broken_by(FAULTS[name]) as (simulator, client):
        client.send(request(simulator.operations[0]))
        with pytest.raises(ConnectionResetError):
            await client.everything()


async def test_a_close_after_the_answer_is_not_announced() -> None:
    came = await usual_bytes()
    assert b"Connection" not in came
    assert came.endswith(b"}]}")


# framing


@pytest.mark.looptime
async def test_lengths_are_wrong_the_way_they_are_named() -> None:
    usual = await usual_bytes()
    _, _, body = usual.partition(b"\r\n\r\n")
    for name, length in (("too-long", b"100000"), ("too-short", b"10"), ("odd", b"many")):
        head, _, came = (await bytes_of(FAULTS[f"length-{name}"], within=5)).partition(b"\r\n\r\n")
        assert b"Content-Length: " + length in head
        assert came == body
    assert (await bytes_of(FAULTS["lengths"], within=5)).count(b"Content-Length") == 2


@pytest.mark.looptime
async def test_bytes_nobody_asked_for_come_at_once_or_later() -> None:
    usual = await usual_bytes()
    trailing = await bytes_of(FAULTS["trailing"], within=5)
    assert trailing.endswith(b"}]}}}\r\n")
    at_once, later = [await bytes_of(FAULTS[name], within=5) for name in ("unasked", "unasked-later")]
    assert at_once == later
    assert at_once.startswith(usual)
    assert at_once[len(usual) :].startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"SOMEBODY ELSE" in at_once[len(usual) :]


@pytest.mark.looptime
async def test_a_later_answer_comes_amid_the_next_call() -> None:
    fault = replace(FAULTS["unasked-later"], wire=Unasked(b"!!!", 10.0))
    async with broken_by(fault, FAULTS["hang"]) as (simulator, client):
        one = simulator.operations[0]
        assert (await client.ask(one))[0] == 200
        client.send(request(one, "vision"))
        assert await client.reader.read(10) == b"!!!"
    assert simulator.verdict().ok
    assert simulator.verdict().requests == 2


async def test_a_raw_answer_goes_out_as_it_is_with_its_marks_filled_in() -> None:
    wire = Raw(b"@LENGTH@ @OPERATION@ @ROW@ @USUAL@", Ending.CLOSE)
    came = await bytes_of(Fault("mine", "a test's own", wire=wire))
    length, _, rest = came.partition(b" ")
    assert rest.startswith(b'ACME BOG {"operation":"ACME BOG",')
    assert len(rest.partition(b"} {")[2]) + 1 == int(length)


@pytest.mark.looptime
async def test_uncommon_but_right_answers_are_right() -> None:
    for name in ("until-close", "early-hints", "created"):
        came = await bytes_of(FAULTS[name], within=5)
        assert json.loads(came[came.rindex(b"\r\n\r\n") :])["code"] == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_packing_can_be_undone(coding: Coding) -> None:
    assert UNPACK[coding](pack(b"abc" * 1_000, coding)) == b"abc" * 1_000


# scripts


def test_a_script_is_read_from_text() -> None:
    unavailable, reset = FAULTS["unavailable"], FAULTS["reset"]
    assert parse_script("reset") == reset
    assert parse_script("reset*1") == (reset,)
    assert parse_script("unavailable*2, ok,reset") == (unavailable, unavailable, None, reset)
    assert parse_script("ok") == ()


@pytest.mark.parametrize("text", ["", "nonsense", "reset,", "reset*x", "reset*-1", "RESET"])
def test_a_script_that_is_none_is_refused_with_the_names_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="reset-in-head"):
        parse_script(text)


def test_faults_are_values() -> None:
    assert replace(FAULTS["slow-body"], wire=Drip("body", 1, 1.0)) == FAULTS["slow-body"]
    assert len(set(FAULTS.values())) == len(FAULTS)
