"""What the person who waits is told."""

import pytest
from rich.console import Console

from wolkvox_async.apps.progress import Moment, Picture, _block, duration, picture_of
from wolkvox_async.counters import Counters

MIDDLE = Picture(
    done=30,
    planned=120,
    ok=25,
    empty=2,
    failed=1,
    skipped=2,
    in_flight=8,
    per_second=9.0,
    waiting=(("maintenance", 3), ("for a free slot", 12)),
)


def test_a_line_says_how_far_how_fast_and_what_is_waited_for() -> None:
    assert MIDDLE.line() == (
        "30 of 120 calls | 9/s | ok 25, empty 2, failed 1, skipped 2 | 8 in flight | "
        "tokens waiting: 3 maintenance, 12 for a free slot | about 10 s left"
    )


def test_before_the_first_call_nothing_is_guessed() -> None:
    seen = Picture(0, 5, 0, 0, 0, 0, 1, 0.0, ())
    assert seen.seconds_left is None
    assert "left" not in seen.line()


def test_a_run_that_is_taken_up_is_as_fast_as_it_is_now() -> None:
    seen = picture_of(Counters(ok=320), Moment(400, 1, 0, {}, elapsed=10.0, before=300))
    assert (seen.per_second, seen.seconds_left) == (2.0, 40.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.9, "1 min 0 s"), (61, "1 min 1 s"), (7322, "2 h 2 min")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_live_block_shows_the_same() -> None:
    console = Console(width=100, color_system=None, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(_block(MIDDLE))
    shown = captured.get()
    for part in ("30 of 120 calls", "9/s", "ok 25", "failed 1", "in flight 8", "3 maintenance", "12 for a free slot"):
        assert part in shown
