"""The server that the benchmarks measure against: what it judges, in C and in Python alike."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from benchmarks.peers.loopback import operation_of
from benchmarks.peers.servers import Offer, Server, Workshop

APIS = ("interactions", "gamification")
ORDERLY = {
    "overlaps": 0,
    "repeated": 0,
    "no_token": 0,
    "wrong_path": 0,
    "pipelined": 0,
    "body": 0,
    "abandoned": 0,
}


@pytest.fixture(scope="module", params=["c", "python"])
def workshop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    made = Workshop(tmp_path_factory.mktemp("workshop"))
    if request.param == "python":
        made.compiled = None
    elif made.compiled is None:
        pytest.skip("no C compiler here: the benchmark uses the server in Python")
    return made


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    at = urlsplit(server.base_url.replace("{server}", "0001"))
    with socket.create_connection((at.hostname, at.port or 0), timeout=30) as connection:
        yield connection


def request(
    token: str | None, api: str = "interactions", *, path: str = "/0001/api/v2/billing.php", more: str = ""
) -> bytes:
    header = "" if token is None else f"wolkvox-token: {token}\r\n"
    return f"GET {path}?api={api} HTTP/1.1\r\nHost: x\r\n{header}{more}\r\n".encode()


def answer(connection: socket.socket) -> tuple[bytes, Any]:
    read = b""
    while b"\r\n\r\n" not in read:
        got = connection.recv(65536)
        if not got:
            return read, None
        read += got
    head, _, body = read.partition(b"\r\n\r\n")
    if b"200 OK" not in head:
        return head, None
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head, orjson.loads(body)


def judged(verdict: dict[str, Any]) -> dict[str, int]:
    return {rule: verdict[rule] for rule in ORDERLY}


def test_every_row_of_an_answer_is_its_tokens_own(workshop: Workshop) -> None:
    with workshop.serve(Offer(3, 0.0, APIS), None) as server, connected(server) as connection:
        for token in ("token-one", "token-two"):
            connection.sendall(request(token))
            _, told = answer(connection)
            assert told["code"] == 200
            assert [row["operation"] for row in told["data"]] == [operation_of(token)] * 3
    assert (server.verdict["answered"], server.verdict["tokens"], server.verdict["connections"]) == (2, 2, 1)
    assert judged(server.verdict) == ORDERLY


def test_a_large_answer_arrives_whole_at_a_slow_reader(workshop: Workshop) -> None:
    with workshop.serve(Offer(60_000, 0.0, APIS), None) as server, connected(server) as connection:
        connection.sendall(request("token-one"))
        _, told = answer(connection)
        assert {row["operation"] for row in told["data"]} == {operation_of("token-one")}
        assert len(told["data"]) == 60_000
    assert server.verdict["answered"] == 1


def test_a_second_request_on_a_token_that_waits_is_an_overlap(workshop: Workshop) -> None:
    with workshop.serve(Offer(1, 1.0, APIS), None) as server, ExitStack() as stack:
        first, second = (stack.enter_context(connected(server)) for _ in range(2))
        first.sendall(request("token-one"))
        second.sendall(request("token-one", "gamification"))
        assert answer(first)[1] is not None
        assert answer(second)[1] is not None
    assert judged(server.verdict) == {**ORDERLY, "overlaps": 1}
    assert server.verdict["most_in_flight"] == 2


@pytest.mark.parametrize(
    ("sent", "rule"),
    [
        (request(None), "no_token"),
        (request("token-one", "unheard_of"), "wrong_path"),
        (request("token-one") * 2, "pipelined"),
        (request("token-one", path="/0001/api/v2/other.php"), "wrong_path"),
        (request("token-one", more="Content-Length: 1\r\n"), "body"),
    ],
)
def test_a_wrong_request_is_refused_and_counted(workshop: Workshop, sent: bytes, rule: str) -> None:
    with workshop.serve(Offer(1, 0.0, APIS), None) as server, connected(server) as connection:
        connection.sendall(sent)
        assert answer(connection)[1] is None
    assert judged(server.verdict) == {**ORDERLY, rule: 1}
    assert server.verdict["answered"] == 0


def test_a_request_before_the_last_answer_is_pipelined(workshop: Workshop) -> None:
    with workshop.serve(Offer(1, 2.0, APIS), None) as server, connected(server) as connection:
        connection.sendall(request("token-one"))
        time.sleep(0.03)  # so that it is another segment
        connection.sendall(request("token-one", "gamification"))
        assert answer(connection)[1] is None
    assert judged(server.verdict)["pipelined"] == 1


def test_the_same_question_twice_is_repeated(workshop: Workshop) -> None:
    with workshop.serve(Offer(1, 0.0, APIS), None) as server, connected(server) as connection:
        for _ in range(2):
            connection.sendall(request("token-one"))
            assert answer(connection)[1] is not None
    assert judged(server.verdict) == {**ORDERLY, "repeated": 1}


def test_an_answer_that_nobody_waits_for_is_abandoned(workshop: Workshop) -> None:
    with workshop.serve(Offer(1, 1.0, APIS), None) as server:
        with connected(server) as connection:
            connection.sendall(request("token-one"))
        with connected(server) as connection:
            connection.sendall(request("token-two"))
            assert answer(connection)[1] is not None
    assert judged(server.verdict) == {**ORDERLY, "abandoned": 1}
