"""When questions were asked: by others, by us, or perhaps by somebody who cannot tell any more."""

from __future__ import annotations

import pytest

from wolkvox_async.apps.joined.asked import Asked
from wolkvox_async.testing import ManualClock

TOKEN, QUESTION = "tk_000000000001", "interactions"


def test_what_others_asked_counts_from_when_it_left() -> None:
    clock = ManualClock()
    asked = Asked(clock)
    assert asked.since(TOKEN, QUESTION) is None
    asked.learn(TOKEN, QUESTION, clock.utc().timestamp() - 40)
    assert asked.since(TOKEN, QUESTION) == pytest.approx(40, abs=0.01)
    asked.learn(TOKEN, QUESTION, clock.utc().timestamp() - 90)
    assert asked.since(TOKEN, QUESTION) == pytest.approx(40, abs=0.01)


def test_an_answer_that_is_not_delivered_takes_nothing_away_from_what_is_known() -> None:
    clock = ManualClock()
    asked = Asked(clock)
    asked.learn(TOKEN, QUESTION, clock.utc().timestamp() - 40)
    asked.arm(TOKEN, QUESTION, 3.0)
    assert asked.since(TOKEN, QUESTION) == pytest.approx(3)
    asked.disarm(TOKEN, QUESTION)
    assert asked.since(TOKEN, QUESTION) == pytest.approx(40, abs=0.01)


def test_what_is_settled_is_known() -> None:
    clock = ManualClock()
    asked = Asked(clock)
    asked.arm(TOKEN, QUESTION, 3.0)
    assert asked.answered_since(TOKEN, QUESTION) is None
    asked.settle(TOKEN, QUESTION, clock.utc().timestamp() - 3)
    asked.disarm(TOKEN, QUESTION)
    assert asked.answered_since(TOKEN, QUESTION) == pytest.approx(3)


def test_what_was_perhaps_asked_waits_and_is_not_answered() -> None:
    clock = ManualClock()
    asked = Asked(clock)
    asked.suppose(TOKEN, QUESTION, clock.utc().timestamp() - 5)
    assert asked.since(TOKEN, QUESTION) == pytest.approx(5, abs=0.01)
    assert asked.answered_since(TOKEN, QUESTION) is None
