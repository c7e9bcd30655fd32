"""Content encodings: what was asked for is read, whatever its spelling; anything else is malformed, and said so."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.http.clients import BODY, Client, answer, chunked, ending, headed
from tests.adapters.http.packing import PACKERS, in_parts, raw_deflate, zstd_with_window
from tests.faultserver import Do, FaultServer
from wolkvox_async.adapters.http.bodies import ACCEPTED, BodyError, pieces
from wolkvox_async.model import Answer, Breakdown

GZIP, DEFLATE, BROTLI, ZSTD = (PACKERS[coding](BODY) for coding in ("gzip", "deflate", "br", "zstd"))
READ = {
    "gzip": ("gzip", GZIP),
    "gzip by its old name": ("x-gzip", GZIP),
    "gzip in odd case": ("GZip", GZIP),
    "gzip between blanks": (" \t gzip \t", GZIP),
    "gzip in parts": ("gzip", in_parts(PACKERS["gzip"], BODY)),
    "gzip with a name in it": ("gzip", b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"data.json\0" + GZIP[10:]),
    "deflate as the standard has it": ("deflate", DEFLATE),
    "deflate as servers have it": ("Deflate", raw_deflate(BODY)),
    "brotli": ("br", BROTLI),
    "zstd": ("zstd", ZSTD),
    "zstd in frames": ("ZSTD", in_parts(PACKERS["zstd"], BODY)),
    "zstd with the largest window of the web": ("zstd", zstd_with_window(BODY, 23)),
    "none": ("identity", BODY),
    "an empty name": ("", BODY),
}
NOT_READ = {
    "cut off gzip": ("gzip", GZIP[:-9]),
    "gzip without its check sum": ("gzip", GZIP[:-8]),
    "gzip with a wrong check sum": ("gzip", GZIP[:-8] + b"\0" * 8),
    "gzip and garbage": ("gzip", GZIP + b"garbage"),
    "gzip and zeros": ("gzip", GZIP + b"\0" * 512),
    "gzip in a thousand parts": ("gzip", PACKERS["gzip"](b"") * 1000 + GZIP),
    "plain text that calls itself gzip": ("gzip", BODY),
    "nothing that calls itself brotli": ("br", b""),
    "cut off deflate": ("deflate", DEFLATE[:-5]),
    "deflate and garbage": ("deflate", DEFLATE + b"garbage"),
    "cut off raw deflate": ("deflate", raw_deflate(BODY)[:-3]),
    "nothing that calls itself deflate": ("deflate", b""),
    "cut off brotli": ("br", BROTLI[:-2]),
    "brotli and garbage": ("br", BROTLI + b"garbage"),
    "cut off zstd": ("zstd", ZSTD[:-2]),
    "zstd and garbage": ("zstd", ZSTD + b"garbage"),
    "zstd in a thousand frames": ("zstd", PACKERS["zstd"](b"") * 1000 + ZSTD),
    "zstd with a window of 128 MiB": ("zstd", zstd_with_window(BODY, 27)),
    "twice gzip": ("gzip, gzip", PACKERS["gzip"](GZIP)),
    "gzip in brotli": ("gzip, br", PACKERS["br"](GZIP)),
    "compress": ("compress", b"\x1f\x9d\x90"),
    "a made-up one": ("wolkzip", BODY),
    "bytes that are no text": ("\xff\xfe", BODY),
}


def cases(table: dict[str, tuple[str, bytes]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("coding", "packed"), [pytest.param(*case, id=name) for name, case in table.items()])


@cases(READ)
async def test_an_encoding_that_was_asked_for_is_read(
    client: Client, server: FaultServer, coding: str, packed: bytes
) -> None:
    server.on_connection(Do.READ, answer(packed, f"Content-Encoding: {coding}"), Do.REPEAT)
    assert await client.ask_often(2, server) == [Answer(200, BODY)] * 2
    assert [len(seen.heads) for seen in server.journal] == [2]


@cases(READ)
async def test_an_encoding_goes_with_chunks(client: Client, server: FaultServer, coding: str, packed: bytes) -> None:
    head = headed("Transfer-Encoding: chunked", f"Content-Encoding: {coding}")
    server.on_connection(Do.READ, head + chunked(*(packed[at : at + 7] for at in range(0, len(packed), 7))))
    assert await client.ask(server) == Answer(200, BODY)


@cases(NOT_READ)
async def test_an_encoding_that_cannot_be_read_is_malformed_and_over(
    client: Client, server: FaultServer, coding: str, packed: bytes
) -> None:
    server.on_connection(Do.READ, answer(packed, f"Content-Encoding: {coding}"), Do.REPEAT)
    mets = await client.ask_often(2, server)
    assert [ending(met) for met in mets] == ["malformed"] * 2
    # It was read whole: the vendor works on it no more, and the connection is sound.
    assert [met.unanswered_since for met in mets if isinstance(met, Breakdown)] == [None] * 2
    assert [len(seen.heads) for seen in server.journal] == [2]


async def test_two_headers_are_two_encodings(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, answer(GZIP, "Content-Encoding: br", "Content-Encoding: gzip"))
    met = await client.ask(server)
    assert isinstance(met, Breakdown)
    assert "'br, gzip'" in met.message


async def test_an_empty_body_with_an_encoding_is_an_empty_body(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, answer(b"", "Content-Encoding: gzip"))
    assert await client.ask(server) == Answer(200, b"")


def test_all_that_is_asked_for_is_tested() -> None:
    assert set(ACCEPTED.split(", ")) == set(PACKERS)


@given(coding=st.sampled_from(sorted(PACKERS)), body=st.binary(max_size=300), times=st.integers(1, 2000))
def test_a_body_comes_out_as_it_went_in(coding: str, body: bytes, times: int) -> None:
    assert b"".join(pieces(PACKERS[coding](body * times), coding)) == body * times


def unpacked(packed: bytes, coding: str) -> bytes | str:
    try:
        return b"".join(pieces(packed, coding))
    except BodyError as error:
        return str(error)


@given(coding=st.sampled_from(sorted(PACKERS)), junk=st.binary(max_size=200), cut=st.integers(0, 80))
def test_junk_decodes_or_is_a_body_error(coding: str, junk: bytes, cut: int) -> None:
    assert unpacked(junk, coding) != ""
    assert unpacked(PACKERS[coding](BODY)[:cut] + junk, coding) != ""


@pytest.mark.parametrize("coding", sorted(PACKERS))
@pytest.mark.parametrize("body", [bytes(20_000_000), os.urandom(300_000)], ids=["a bomb", "noise"])
def test_no_piece_is_much_larger_than_64_kib(coding: str, body: bytes) -> None:
    assert max(map(len, pieces(PACKERS[coding](body), coding))) <= 2 * 65_536
