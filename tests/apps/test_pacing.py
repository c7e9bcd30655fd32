"""Which planned calls a pass would not make now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from wolkvox_async.adapters.state import LastCall, Survey, TokenState
from wolkvox_async.apps.pacing import Outlook, in_words, outlooks
from wolkvox_async.catalog import Endpoint
from wolkvox_async.model import Call, ErrorKind, Operation, Token
from wolkvox_async.planning import call
from wolkvox_async.ports import Refusal

NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)


def planned(name: str = "bogota", api: str = "interactions", *, text: str = "a-token-of-nobody") -> Call:
    return call(Operation("acme", name, "0010", Token(text)), Endpoint(api), run="0" * 26)


def asked(one: Call, since: float | None) -> LastCall:
    """Return the last call of a question: an answered request left so many seconds ago."""
    operation = one.operation
    names = (operation.tenant, operation.name, operation.server, operation.token.id, one.question)
    return LastCall(*names, "ok", None, None, NOW, 1, 1, "run-1", None, since, NOW)


def known(*calls: LastCall, **tokens: TokenState) -> Survey:
    return Survey(calls, tokens, (), {}, None)


def look(one: Call, survey: Survey | None, wait: float = 10) -> Outlook:
    (found,) = outlooks([one], survey, wait=wait, now=NOW)
    return found


def test_what_nothing_is_known_of_is_called_now() -> None:
    one = planned()
    assert look(one, None) == look(one, known()) == look(one, known(asked(one, None))) == Outlook(one)


def test_what_was_asked_within_its_interval_is_skipped_or_waited_for() -> None:
    one = planned()
    assert look(one, known(asked(one, 100))) == Outlook(one, NOW + timedelta(seconds=200), "not_due")
    assert look(one, known(asked(one, 292))) == Outlook(one, NOW + timedelta(seconds=8), None)
    assert look(one, known(asked(one, 292)), wait=5).skipped == "not_due"
    assert look(one, known(asked(one, 300))) == Outlook(one)


def test_another_question_or_another_token_does_not_count() -> None:
    one = planned()
    assert look(one, known(asked(planned(api="vision"), 1))) == Outlook(one)
    assert look(one, known(asked(planned(text="another-token-of-nobody"), 1))) == Outlook(one)


def test_two_operations_of_one_token_have_its_interval_in_common() -> None:
    one, other = planned(), planned("quito")
    seen = look(one, known(asked(one, 280), asked(other, 20)))
    assert (seen.due, seen.skipped) == (NOW + timedelta(seconds=280), "not_due")


def test_a_token_that_was_refused_or_has_no_quota_left_is_held() -> None:
    one = planned()
    refused = TokenState(refusal=Refusal(ErrorKind.UNAUTHORIZED, "no such token", 30))
    used_up = TokenState(refusal=Refusal(ErrorKind.QUOTA, "TOKEN LIMIT EXCEEDED", 60))
    assert look(one, known(**{one.operation.token.id: refused})).skipped == "held"
    assert look(one, known(**{one.operation.token.id: used_up})) == Outlook(one, NOW + timedelta(seconds=60), "quota")


def test_what_is_skipped_is_said_by_its_reason_and_what_is_called_is_not() -> None:
    one, due = planned(), NOW + timedelta(seconds=60)
    assert in_words([Outlook(one)], wait=10) == []
    lines = in_words([Outlook(one, due, "not_due"), Outlook(one, NOW, "not_due"), Outlook(one, due)], wait=10)
    assert lines == [
        "2 calls would be skipped: not due within --wait 10 s (--interval), the last until 2026-11-21T12:01:00.000Z",
        "1 call would be waited for (--wait), the last until 2026-11-21T12:01:00.000Z",
    ]
    assert "--retry-refused" in in_words([Outlook(one, due, "held")], wait=10)[0]
    assert "quota" in in_words([Outlook(one, due, "quota")], wait=10)[0]
