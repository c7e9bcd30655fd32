"""Exit codes follow from how a pass went."""

import signal

import pytest

from wolkvox_async.apps.exits import Exit, of_pass, of_signal
from wolkvox_async.counters import Counters


@pytest.mark.parametrize(
    ("counters", "code"),
    [
        (Counters(), Exit.OK),
        (Counters(ok=1), Exit.OK),
        (Counters(empty=1), Exit.OK),
        (Counters(ok=2, skipped=1), Exit.OK),  # not due is no trouble
        (Counters(ok=1, failed=1), Exit.SOME_FAILED),
        (Counters(empty=1, skipped=1, held=1), Exit.SOME_FAILED),
        (Counters(failed=3), Exit.NOTHING_WORKED),
        (Counters(skipped=2, held=2), Exit.NOTHING_WORKED),
    ],
)
def test_a_pass_that_ran_to_its_end(counters: Counters, code: Exit) -> None:
    assert of_pass(counters) is code


def test_a_signal_gives_the_codes_that_shells_know() -> None:
    assert of_signal(signal.SIGINT) == 130
    assert of_signal(signal.SIGTERM) == 143
