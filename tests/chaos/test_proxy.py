"""The wire that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from torture.chaos.proxy import HOST, Wire


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """Answer every line with itself."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async with await asyncio.start_server(answer, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with echo() as port:
        wire = Wire(port)
        await wire.start()
        yield wire
        await wire.close()


async def line_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.readline()


async def is_silent(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(0.1):
            await reader.readline()
    except TimeoutError:
        return True
    return False


async def test_what_is_sent_goes_through(wire: Wire) -> None:
    reader, writer = await asyncio.open_connection(HOST, wire.port)
    writer.write(b"one\n")
    assert await line_of(reader) == b"one\n"
    writer.close()


async def test_a_cut_wire_swallows_everything_and_ends_nothing(wire: Wire) -> None:
    reader, writer = await asyncio.open_connection(HOST, wire.port)
    writer.write(b"one\n")
    await line_of(reader)
    wire.cut()
    writer.write(b"two\n")
    writer.write_eof()
    assert await is_silent(reader)
    wire.mend()
    assert await line_of(reader) == b"two\n"
    assert await line_of(reader) == b""
    writer.close()


async def test_whoever_connects_to_a_cut_wire_hears_nothing_until_it_is_mended(wire: Wire) -> None:
    wire.cut()
    reader, writer = await asyncio.open_connection(HOST, wire.port)
    writer.write(b"one\n")
    assert await is_silent(reader)
    wire.mend()
    assert await line_of(reader) == b"one\n"
    writer.close()


async def test_where_nobody_listens_the_connection_ends() -> None:
    async with echo() as port:
        pass
    wire = Wire(port)
    await wire.start()
    reader, writer = await asyncio.open_connection(HOST, wire.port)
    assert await line_of(reader) == b""
    writer.close()
    await wire.close()
