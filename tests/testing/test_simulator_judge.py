"""The judge alone: journals in, verdicts out, compared with slower and simpler judges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.testing import (
    Answered,
    Asked,
    Crashed,
    Disconnected,
    Dropped,
    Effect,
    Event,
    Gibberish,
    Judge,
    Overhasty,
    Rule,
    Rules,
    Verdict,
)

LIMIT = 60.0


def asked(number: int, at: float, token_id: str = "tk_a", query: str = "q") -> Asked:  # noqa: S107 - an id, not a token
    return Asked(
        at=at,
        request=number,
        connection=number,
        server="1",
        method="GET",
        tokens=(token_id,),
        home="1",
        api=query,
        query=query,
    )


def judged(*events: Event, rules: Rules | None = None) -> Verdict:
    judge = Judge(rules or Rules(interval=0, limit=LIMIT))
    for event in events:
        judge.see(event)
    return judge.verdict()


@dataclass(frozen=True)
class Visit:
    """A request as an oracle sees it: when it came, when it ended, and how."""

    start: float
    length: float
    whole: bool
    token: str
    query: str
    effect: Effect

    @property
    def end(self) -> float:
        return self.start + self.length


seconds = st.integers(0, 400).map(lambda n: n / 4)
visits = st.lists(
    st.builds(
        Visit,
        start=seconds,
        length=st.integers(1, 400).map(lambda n: n / 4),
        whole=st.booleans(),
        token=st.sampled_from(["tk_a", "tk_b"]),
        query=st.sampled_from(["p", "q"]),
        effect=st.sampled_from([Effect.GRANTED, Effect.NEITHER]),
    ),
    max_size=12,
    unique_by=lambda visit: visit.start,
)


def told(found: list[Visit], rules: Rules) -> tuple[Verdict, list[bool]]:
    """Play the visits to a judge as the simulator does; return its verdict and which visits met a busy token."""
    judge, turned_away = Judge(rules), [False] * len(found)
    moments = [(visit.start, 1, n) for n, visit in enumerate(found)] + [(v.end, 0, n) for n, v in enumerate(found)]
    for at, begins, n in sorted(moments):
        visit = found[n]
        if begins:
            turned_away[n] = judge.is_busy(visit.token, at)
            judge.see(asked(n, at, visit.token, visit.query))
            if turned_away[n]:
                judge.see(Answered(at, n, 403, Effect.NEITHER))
        elif not turned_away[n]:
            judge.see(Answered(at, n, 200, visit.effect) if visit.whole else Dropped(at, n, at + 10))
    return judge.verdict(), turned_away


def busy_with(visit: Visit) -> tuple[float, float]:
    return visit.start, min(visit.start + LIMIT, visit.end + (0 if visit.whole else 10))


def overlaps(found: list[Visit]) -> Iterator[int]:
    """Yield the visits that come while an earlier one, itself not turned away, keeps the token busy."""
    let_in: list[Visit] = []
    for n in sorted(range(len(found)), key=lambda n: found[n].start):
        at = found[n].start
        if any(v.token == found[n].token and busy_with(v)[0] <= at < busy_with(v)[1] for v in let_in):
            yield n
        else:
            let_in.append(found[n])


@given(visits)
def test_it_finds_the_overlaps_that_a_comparison_of_all_pairs_finds(found: list[Visit]) -> None:
    verdict, turned_away = told(found, Rules(interval=0, limit=LIMIT))
    expected = set(overlaps(found))
    assert {n for n, away in enumerate(turned_away) if away} == expected
    assert verdict.violations.get(Rule.OVERLAP, 0) == len(expected)
    assert set(verdict.violations) <= {Rule.OVERLAP}


@given(visits, st.sampled_from([5.0, 30.0, 90.0]))
def test_it_finds_the_early_calls_that_a_comparison_of_all_pairs_finds(found: list[Visit], interval: float) -> None:
    verdict, turned_away = told(found, Rules(interval=interval, jitter=1, limit=LIMIT))
    let_in = [visit for n, visit in enumerate(found) if not turned_away[n]]
    expected = 0
    for visit in let_in:
        before = [v for v in let_in if _armed(v, visit)]
        last = max((v.start for v in before), default=None)
        expected += last is not None and visit.start < last + interval - 1
    assert verdict.violations.get(Rule.EARLY, 0) == expected


def _armed(earlier: Visit, later: Visit) -> bool:
    same = (earlier.token, earlier.query) == (later.token, later.query)
    return same and earlier.whole and earlier.effect is Effect.GRANTED and earlier.end <= later.start


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0.01, 100), st.booleans()), max_size=20))
def test_a_client_that_waits_for_every_end_breaks_nothing(steps: list[tuple[float, float, bool]]) -> None:
    events: list[Event] = []
    at = 0.0
    for n, (pause, wanted, whole) in enumerate(steps):
        end = at + min(wanted, LIMIT)
        events.append(asked(n, at))
        events.append(Answered(end, n, 200, Effect.GRANTED) if whole else Dropped(end, n, float("inf")))
        at = (end if whole else at + LIMIT) + pause
    assert judged(*events).ok


@given(visits)
def test_the_most_in_flight_is_what_a_sweep_over_the_moments_counts(found: list[Visit]) -> None:
    verdict, turned_away = told(found, Rules(interval=0, limit=LIMIT))
    let_in = [visit for n, visit in enumerate(found) if not turned_away[n]]
    # A request that is turned away is in flight for the moment that this takes.
    peaks = [sum(v.start <= visit.start < v.end for v in let_in) + (visit not in let_in) for visit in found]
    assert verdict.max_in_flight == max(peaks, default=0)
    assert verdict.in_flight_now == 0
    assert verdict.requests == len(found) == sum(verdict.answers.values()) + verdict.unanswered


def test_a_token_is_free_at_the_very_end_of_the_limit() -> None:
    begun = (asked(1, 0.0), Dropped(1.0, 1, float("inf")))
    assert judged(*begun, asked(2, LIMIT)).ok
    assert judged(*begun, asked(2, LIMIT - 0.001)).violations == {Rule.OVERLAP: 1}


def test_a_call_that_is_never_answered_holds_its_token_no_longer_than_the_limit() -> None:
    assert judged(asked(1, 0.0), asked(2, LIMIT)).ok


def test_a_second_of_jitter_is_forgiven() -> None:
    first = (asked(1, 0.0), Answered(200.0, 1, 200, Effect.GRANTED))
    rules = Rules(interval=300, jitter=1)
    assert judged(*first, asked(2, 299.0), rules=rules).ok
    assert judged(*first, asked(2, 298.9), rules=rules).violations == {Rule.EARLY: 1}
    assert judged(*first, asked(2, 298.9), rules=Rules(interval=0)).ok


def test_details_say_which_rule_where_by_whom_and_are_bounded() -> None:
    wrong = [replace(asked(n, float(n)), method="POST") for n in range(1_000)]
    ends = [Answered(n + 0.5, n, 405, Effect.NEITHER) for n in range(1_000)]
    verdict = judged(*(event for pair in zip(wrong, ends, strict=True) for event in pair))
    assert verdict.violations == {Rule.METHOD: 1_000}
    assert len(verdict.details) == 100
    assert str(verdict.details[0]) == "method on 1 by tk_a: the method was POST"
    assert str(verdict) == "1 operations, 1 servers, 0 overlaps, 1000 x method"


def test_rules_on_connections_forget_what_was_disconnected() -> None:
    first = (replace(asked(1, 0.0), connection=7), Answered(1.0, 1, 200, Effect.GRANTED))
    second = replace(asked(2, 3.0, "tk_b"), connection=7)
    assert judged(*first, second).violations == {Rule.CONNECTION_SHARED: 1}
    assert judged(*first, Disconnected(2.0, 7), second).ok
    assert judged(*first, second, rules=Rules(interval=0, shared_connections=True)).ok


def test_bytes_that_are_no_request_and_failures_of_its_own_make_it_not_ok() -> None:
    assert judged(Gibberish(0.0, 1, "1")).violations == {Rule.MALFORMED: 1}
    assert judged(Overhasty(0.0, 1, "1")).violations == {Rule.PIPELINED: 1}
    assert judged(Crashed(0.0, "1", "KeyError")).violations == {Rule.SIMULATOR_ERROR: 1}
    assert not judged(Crashed(0.0, "1", "KeyError")).ok


def test_what_it_keeps_does_not_grow_with_strange_tokens_dates_or_endpoints() -> None:
    judge = Judge(Rules(interval=300))
    for n in range(12_000):
        at = n * 10.0
        judge.see(replace(asked(2 * n, at, f"tk_{n}"), home=None, connection=1))
        judge.see(Answered(at, 2 * n, 403, Effect.REFUSED))
        judge.see(replace(asked(2 * n + 1, at, "tk_a", f"q{n}"), connection=2))
        judge.see(Answered(at, 2 * n + 1, 200, Effect.GRANTED))
    verdict = judge.verdict()
    assert len(verdict.connections_by_token) <= 10_001
    assert len(verdict.sent["tk_a"]) <= 201
    assert sum(sent.answers for sent in verdict.sent["tk_a"].values()) == 12_000
    assert len(judge._books["tk_a"].granted) <= 100
    assert verdict.operations == 1
