"""Answers whose beginning, length or end is odd: rows, nothing, or a named error, and no connection kept in doubt."""

from __future__ import annotations

import pytest

from tests.adapters.http.clients import BODY, CHUNKED, OK, Client, answer, chunked, ending, headed
from tests.faultserver import Do, Drip, FaultServer
from wolkvox_async.model import Answer, Breakdown

EMPTY = b'{"code":404,"error":null,"msg":"Validate dates entered","data":null}'


def bare(sent: bytes) -> bytes:
    """Return an answer with bare line feeds where its lines should end in CR LF."""
    return sent.replace(b"\r\n", b"\n")


KEPT = {
    "a length": OK,
    "a length with zeros in front": answer(length=f"000{len(BODY)}"),
    "chunks": CHUNKED + chunked(BODY),
    "many chunks": CHUNKED + chunked(*(bytes([byte]) for byte in BODY)),
    "chunks with extensions": CHUNKED + b"%X;name=value\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    "a status line without a reason": answer(status="200"),
    "HTTP/1.0 that keeps the connection": answer(BODY, "Connection: keep-alive").replace(b"/1.1", b"/1.0", 1),
    "an error that is empty": answer(EMPTY, status="404 Not Found"),
}
NOT_KEPT = {
    "an interim answer": headed(status="100 Continue") + OK,
    "several interim answers": headed("Link: </x>; rel=preload", status="103 Early Hints") * 3 + OK,
    "an interim answer with a body": headed("Content-Length: 5", status="150 Odd") + b"12345" + OK,
    "trailers": CHUNKED + chunked(BODY).removesuffix(b"\r\n") + b"X-Checksum: 1\r\n\r\n",
    "an extension of the last chunk": CHUNKED + chunked(BODY).replace(b"\r\n0\r\n", b"\r\n0;a=b\r\n"),
    "HTTP/1.0": OK.replace(b"/1.1", b"/1.0", 1),
    "bytes behind the length": OK + b"{}",
    "too short a length": answer(BODY + b"\r\n\r\n ", length=len(BODY)),
    "a line too much": OK + b"\r\n",
    "garbage behind the last chunk": CHUNKED + chunked(BODY) + b"oops",
    "a line behind the last chunk": CHUNKED + chunked(BODY) + b"\r\n",
    "a second answer": OK + answer(b'{"code":200,"data":[{"items":"666"}]}'),
    "bare line feeds in the head": bare(OK.removesuffix(BODY)) + BODY + b"\r\n\r\n",
}
CLOSED = {
    "no length": headed() + BODY,
    "no length, HTTP/1.0": headed().replace(b"/1.1", b"/1.0") + BODY,
    "no length, though it would keep the connection": headed("Connection: keep-alive") + BODY,
    "an unknown transfer coding": headed("Transfer-Encoding: identity") + BODY,
}
PROTOCOL = {
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n",
    "HTML without a head": b"<html><body>hello</body></html>\r\n\r\n",
    "JSON without a head": BODY + b"\r\n\r\n",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
    "another version": OK.replace(b"HTTP/1.1", b"HTTP/3.7", 1),
    "no version": OK.replace(b"HTTP/1.1", b"ICY", 1),
    "a status of letters": OK.replace(b"200", b"2OO", 1),
    "a status of two digits": OK.replace(b"200", b"20", 1),
    "a blank line first": b"\r\n" + OK,
    "a header without a colon": answer(BODY, "No colon here"),
    "a header name with a space": answer(BODY, "X Y: z"),
    "a NUL in a header": answer(BODY, "X-Nul: a\0b"),
    "a negative length": answer(length=-1),
    "a length with a plus": answer(length=f"+{len(BODY)}"),
    "a length in hexadecimal": answer(length="0x10"),
    "a length of letters": answer(length="many"),
    "a length of nothing": answer(length=""),
    "a list of lengths": answer(length=f"{len(BODY)}, {len(BODY)}"),
    "a length beyond 64 bits": answer(length=2**64),
    "a length of a thousand digits": answer(length="0" * 5000 + str(len(BODY))),
    "two equal lengths": answer(BODY, f"Content-Length: {len(BODY)}"),
    "two lengths": answer(BODY, "Content-Length: 3"),
    "a length and chunks": answer(chunked(BODY), "Transfer-Encoding: chunked"),
    "chunks without a size": CHUNKED + BODY + b"\r\n0\r\n\r\n",
    "a chunk size of letters": CHUNKED + b"size\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-5\r\n{}\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"1" + b"0" * 16 + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"2\r\n" + BODY + b"\r\n0\r\n\r\n",
    "chunks with bare line feeds": CHUNKED + bare(chunked(BODY)),
    "another protocol": headed("Upgrade: h2c", "Connection: Upgrade", status="101 Switching Protocols") + b"PRI *",
    "an interim answer with a long body": headed("Content-Length: 5000", status="150 Odd") + OK,
    "a header line of 9 KiB": answer(BODY, "X-Long: " + "x" * 9_000),
    "too many headers": answer(BODY, *(f"X-{n}: {n}" for n in range(200))),
    "a head of 70 KiB": answer(BODY, *(f"X-{n}: " + "x" * 1_000 for n in range(70))),
    "a head of 70 KiB that does not end": headed(*(f"X-{n}: " + "x" * 1_000 for n in range(70)))[:-2],
    "interim answers of 70 KiB": headed(status="100 Continue") * 3_000 + OK,
    "a flood of blank lines": b"\r\n" * 50_000,
}
BODILESS = {
    "204": headed(status="204 No Content"),
    "204 with a length of 0": headed("Content-Length: 0", status="204 No Content"),
    "200 with a length of 0": answer(b""),
    "200 with no chunks": CHUNKED + chunked(),
}


def cases(table: dict[str, bytes]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in table.items()])


@cases(KEPT)
@pytest.mark.parametrize("size", [1, 7, 10**6])
async def test_an_answer_in_good_order_keeps_the_connection(
    client: Client, server: FaultServer, sent: bytes, size: int
) -> None:
    server.on_connection(Do.READ, Drip(sent, size), Do.REPEAT)
    mets = await client.ask_often(2, server)
    assert [met.body for met in mets if isinstance(met, Answer)] == [EMPTY if EMPTY in sent else BODY] * 2
    assert [len(seen.heads) for seen in server.journal] == [2]


@cases(NOT_KEPT)
@pytest.mark.parametrize("pause", [(), (0.002,)], ids=["at once", "later"])
async def test_an_answer_with_something_odd_counts_and_costs_the_connection(
    client: Client, server: FaultServer, sent: bytes, pause: tuple[float, ...]
) -> None:
    server.on_connection(Do.READ, sent, *pause, Do.REPEAT)
    server.on_connection(Do.READ, OK)
    assert await client.ask_often(2, server) == [Answer(200, BODY)] * 2
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


@cases(CLOSED)
async def test_an_answer_without_a_length_ends_with_the_connection(
    client: Client, server: FaultServer, sent: bytes
) -> None:
    server.on_connection(Do.READ, sent, Do.CLOSE)
    server.on_connection(Do.READ, sent, Do.SHUT)
    assert await client.ask_often(2, server) == [Answer(200, BODY)] * 2
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_an_answer_without_a_length_that_is_cut_off_is_malformed(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, headed() + BODY[:-1], Do.CLOSE)
    assert ending(await client.ask(server)) == "malformed"
    assert len(server.requests) == 1


async def test_an_answer_without_a_length_that_is_reset_is_lost(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, headed() + BODY, 0.01, Do.RESET)
    assert ending(await client.ask(server)) == "disconnected"
    assert len(server.requests) == 1


@cases(PROTOCOL)
async def test_what_is_no_http_is_a_named_error(client: Client, server: FaultServer, sent: bytes) -> None:
    server.on_connection(Do.READ, sent)
    met = await client.ask(server)
    assert isinstance(met, Breakdown)
    assert ending(met) == "protocol"
    assert met.message.startswith("the server broke HTTP: ")
    assert met.unanswered_since is not None
    assert len(server.requests) == len(server.journal) == 1


@cases(BODILESS)
async def test_an_answer_without_a_body_is_no_answer_of_the_vendors(
    client: Client, server: FaultServer, sent: bytes
) -> None:
    server.on_connection(Do.READ, sent, Do.REPEAT)
    mets = await client.ask_often(2, server)
    assert [ending(met) for met in mets] == ["malformed"] * 2
    assert [len(seen.heads) for seen in server.journal] == [2]


async def test_an_unchanged_answer_that_nobody_asked_for_is_a_named_error(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, headed("Content-Length: 100", "ETag: 1", status="304 Not Modified"))
    assert ending(await client.ask(server)) == "redirect"
    assert len(server.requests) == 1


async def test_a_body_in_a_transfer_coding_nobody_asked_for_is_malformed(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, headed("Transfer-Encoding: gzip, chunked") + chunked(b"\x1f\x8b\x08"))
    assert ending(await client.ask(server)) == "malformed"
    assert len(server.requests) == 1


@pytest.mark.looptime
async def test_too_long_a_length_ends_with_the_time_or_the_connection(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, answer(length=len(BODY) + 1))
    server.on_connection(Do.READ, answer(length=len(BODY) + 1), Do.CLOSE)
    assert [ending(met) for met in await client.ask_often(2, server)] == ["timeout", "disconnected"]
    assert len(server.requests) == 2
