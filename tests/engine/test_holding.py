"""A token is given back with the last reason to hold it."""

from __future__ import annotations

import pytest

from wolkvox_async.engine.holding import Holder
from wolkvox_async.ports import Claim, Closed, Granted, Taken, Unread


class Office:
    """Leases that answer what they are told to."""

    def __init__(self, answer: Claim) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.given_back: list[str] = []

    def claim(self, token: str) -> Claim:
        self.asked.append(token)
        return self.answer

    def want(self, token: str) -> None:
        raise AssertionError(token)

    def is_wanted(self, token: str) -> bool:
        raise AssertionError(token)

    def begin(self, token: str, hold: float) -> None:
        raise AssertionError((token, hold))

    def end(self, token: str, at_work: float, pause: float) -> None:
        raise AssertionError((token, at_work, pause))

    def release(self, token: str) -> None:
        self.given_back.append(token)


@pytest.mark.parametrize("answer", [Granted(), Unread()])
def test_a_token_is_asked_for_once_and_given_back_once(answer: Claim) -> None:
    office = Office(answer)
    holder = Holder(office)
    assert holder.claim("tk_1") == answer
    assert holder.claim("tk_1") == Granted()
    holder.keep("tk_1")
    holder.drop("tk_1")
    holder.drop("tk_1")
    assert office.given_back == []
    holder.drop("tk_1")
    assert (office.asked, office.given_back) == (["tk_1"], ["tk_1"])


@pytest.mark.parametrize("answer", [Taken(), Closed(12.0)])
def test_a_token_that_is_not_to_be_had_is_asked_for_again(answer: Claim) -> None:
    office = Office(answer)
    holder = Holder(office)
    assert holder.claim("tk_1") == holder.claim("tk_1") == answer
    assert office.asked == ["tk_1", "tk_1"]
    with pytest.raises(KeyError):
        holder.drop("tk_1")


def test_tokens_are_told_apart() -> None:
    office = Office(Granted())
    holder = Holder(office)
    holder.claim("tk_1")
    holder.claim("tk_2")
    holder.drop("tk_2")
    assert office.given_back == ["tk_2"]
