"""What parent and child see of one another, and when a child that stands still has to be gone."""

from __future__ import annotations

import subprocess
import sys
from math import inf

from wolkvox_async.apps.joined.board import LeaseBoard
from wolkvox_async.apps.joined.permits import Permits

PARTITIONS = 8


def test_nothing_may_begin_without_a_permit() -> None:
    board = LeaseBoard(PARTITIONS)
    assert not any(board.may_begin(partition, 0.5, 0.5) for partition in range(PARTITIONS))


def test_what_begins_has_to_be_over_in_time() -> None:
    board = LeaseBoard(PARTITIONS)
    board.permit(3, 100.0)
    assert board.may_begin(3, 60.0, 40.0)
    assert not board.may_begin(3, 60.1, 40.0)
    assert not board.may_begin(2, 60.0, 40.0)
    board.revoke(3)
    assert not board.may_begin(3, 60.0, 40.0)


FORKED = """
import os
from wolkvox_async.apps.joined.board import LeaseBoard
board = LeaseBoard(8)
told, tell = os.pipe()
if os.fork() == 0:
    os.read(told, 1)
    board.beat(7.0 if board.may_begin(5, 10.0, 1.0) else 1.0)
    os._exit(0)
board.permit(5, 11.0)
os.write(tell, b".")
os.wait()
print(board.last_beat)
"""


def test_another_process_sees_what_is_written_after_both_have_parted() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.stderr) == ("7.0\n", "")


def test_the_first_permit_to_end_counts() -> None:
    permits = Permits(LeaseBoard(PARTITIONS), lambda: 5.0)
    assert permits.earliest_end() == inf
    permits.permit(1, 50.0)
    permits.permit(2, 40.0)
    permits.permit(2, 60.0)
    assert permits.earliest_end() == 50.0


def test_a_permit_that_was_revoked_counts_until_the_child_shows_that_it_has_gone_on() -> None:
    board = LeaseBoard(PARTITIONS)
    now = 10.0
    permits = Permits(board, lambda: now)
    board.beat(9.0)
    permits.permit(1, 50.0)
    permits.revoke(1)
    assert permits.earliest_end() == 50.0
    board.beat(10.5)
    assert permits.earliest_end() == inf
