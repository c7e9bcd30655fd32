"""The cluster as programs, monitoring and the page are told of it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import aiohttp
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apps.serving.clusters import cluster, seen
from tests.apps.serving.scraped import Scraped, one_subject
from tests.apps.serving.shown import BEGUN, Played, board_of, operation, rows, settled, subjects
from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.apps.serving.board import Board
from wolkvox_async.apps.serving.documents import status
from wolkvox_async.apps.serving.guard import Address
from wolkvox_async.apps.serving.lookout import Lookout, Window
from wolkvox_async.apps.serving.machines import Cluster
from wolkvox_async.apps.serving.outlines import outline
from wolkvox_async.apps.serving.stream import Feed
from wolkvox_async.scheduling.decisions import Snapshot
from wolkvox_async.testing import ManualClock

HOSTILE = ["<script>alert(1)</script>", '"quoted"', "\u202edrawkcab", "x" * 300]


def told(board: Board) -> Any:
    return orjson.loads(b"".join(status(board, BEGUN)))


def outlined(board: Board) -> Any:
    return orjson.loads(b"".join(outline(board, BEGUN, "a mark")))


# --- what is made of what is seen -------------------------------------------------------------


def test_a_machine_that_has_joined_nobody_has_no_cluster() -> None:
    assert Cluster.told({}) is None
    board, _ = board_of(*subjects(operation()))
    assert (told(board)["cluster"], outlined(board)["cluster"]) == (None, None)
    assert [name for name in Scraped(one_subject()).text().split() if "cluster" in name] == []


def test_programs_are_told_who_has_what() -> None:
    board, _ = board_of(*subjects(operation()))
    board.cluster = cluster()
    assert told(board)["cluster"] == {
        "partitions": 10,
        "ours": 4,
        "nobody": 3,
        "workers": [
            {"id": "id of berlin", "name": "berlin", "able": True, "partitions": 4},
            {"id": "id of bogota", "name": "bogota", "able": False, "partitions": 3},
        ],
        "unstored": 2,
        "stuck": 1,
        "current": True,
    }


def test_the_page_is_told_the_same_as_programs() -> None:
    board, _ = board_of(*subjects(operation()))
    board.cluster = cluster(current=False)
    assert outlined(board)["cluster"] == told(board)["cluster"]


@given(st.integers(0, 300), st.lists(st.integers(0, 300), max_size=4), st.integers(1, 300))
def test_whatever_is_seen_nothing_is_counted_below_nought(ours: int, others: list[int], partitions: int) -> None:
    # What is ours is as of now, what is seen of the store is older: they may contradict each other.
    workers = [(f"m{number}", True, held) for number, held in enumerate((0, *others))]
    found = cluster(*workers, ours=ours, partitions=partitions)
    assert min(found.others, found.nobody) >= 0
    assert found.nobody <= partitions - min(partitions, ours)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_of_a_machine_comes_out_as_it_is(name: str) -> None:
    board, _ = board_of(*subjects(operation()))
    board.cluster = cluster((name, True, 10))
    assert told(board)["cluster"]["workers"][0]["name"] == name
    assert outlined(board)["cluster"]["workers"][0]["name"] == name


# --- what is told as it changes ---------------------------------------------------------------


def feed_of(board: Board) -> Feed:
    feed = Feed(board, ManualClock())
    feed.linger()
    feed.step()
    return feed


def frames_since(feed: Feed, mark: str) -> list[Any]:
    found = feed.after(mark)
    assert found is not None
    return [orjson.loads(frame.decode().partition("data: ")[2]) for frame in found[1]]


def test_a_cluster_that_changes_is_told_and_one_that_does_not_is_not_told_again() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    feed = feed_of(board)
    mark = feed.mark
    board.cluster = cluster()
    feed.step()
    board.cluster = cluster()
    feed.step()
    board.observe(settled(subject, rows(1)), BEGUN)
    feed.step()
    first, second = frames_since(feed, mark)
    assert (first["lines"], first["cluster"]) == ([], cluster().document())
    assert (len(second["lines"]), "cluster" in second) == (1, False)


def test_who_reads_the_board_has_its_cluster_and_is_not_told_it_again() -> None:
    board, _ = board_of(*subjects(operation()))
    board.cluster = cluster()
    feed = feed_of(board)
    mark = feed.mark
    feed.step()
    assert feed.mark == mark


# --- metrics ----------------------------------------------------------------------------------


def test_partitions_are_counted_by_whose_they_are_and_machines_by_ability() -> None:
    scraped = Scraped(one_subject())
    scraped.metrics.show(cluster(("berlin", True, 4), ("bogota", False, 3), ("cali", True, 1)))
    assert scraped.all("wolkvox_cluster_partitions") == {("ours",): 4, ("others",): 4, ("nobody",): 2}
    assert scraped.all("wolkvox_cluster_workers") == {("true",): 2, ("false",): 1}


@pytest.mark.parametrize("current", [True, False])
def test_what_waits_for_the_store_and_whether_it_answers_are_told(current: bool) -> None:
    scraped = Scraped(one_subject())
    scraped.metrics.show(cluster(unstored=12, stuck=5, current=current))
    names = ("unstored_parts", "stuck_tokens", "current")
    assert [scraped.value(f"wolkvox_cluster_{name}") for name in names] == [12, 5, current]


def test_no_name_of_a_machine_is_a_label() -> None:
    scraped = Scraped(one_subject())
    scraped.metrics.show(cluster(("berlin", True, 4)))
    assert "wolkvox_cluster_workers" in scraped.text()
    assert "berlin" not in scraped.text()


# --- the lookout ------------------------------------------------------------------------------


class Watched(Played):
    """A watch, and the engine below it, as far as they are looked at."""

    size = 1
    counters = SimpleNamespace(ok=0, empty=0, gaps=0)

    def snapshot(self) -> Snapshot:
        return Snapshot({}, 0, 0, {}, {}, {})


class Nowhere:
    async def write(self, lines: bytes) -> int | None:
        raise AssertionError(lines)


@asynccontextmanager
async def looked_at(lookout: Lookout) -> AsyncIterator[None]:
    watched: Any = Watched(subjects(operation()))
    async with lookout.at(watched, watched, Nowhere()):
        yield


async def test_what_was_shown_before_anybody_could_look_is_there_and_what_is_shown_later_too() -> None:
    log = MagicMock()
    lookout = Lookout(LoopClock(), None, Window(Address("127.0.0.1", 0)), log)
    lookout.show(seen(unstored=2))
    async with looked_at(lookout), aiohttp.ClientSession(log.info.call_args.kwargs["url"]) as session:
        async with session.get("/status.json") as answer:
            first = (await answer.json())["cluster"]
        lookout.show(seen(unstored=7))
        async with session.get("/metrics") as answer:
            later = await answer.text()
    assert first["unstored"] == 2
    assert "wolkvox_cluster_unstored_parts 7.0" in later


@pytest.mark.parametrize(("pid", "is_alive"), [(4711, True), (None, False)])
async def test_a_child_speaks_for_the_process_that_the_supervisor_knows(
    pid: int | None, is_alive: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(address))
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.setenv("WATCHDOG_PID", "4711")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(address))
        listening.setblocking(False)
        async with looked_at(Lookout(LoopClock(), None, None, MagicMock(), pid)):
            heard = heard_on(listening)
    assert ("WATCHDOG=1" in heard, any(said.startswith("READY=1") for said in heard)) == (is_alive, True)


def heard_on(listening: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listening.recv(4096).decode())
        except BlockingIOError:
            return found
