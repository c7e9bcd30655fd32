"""Waiting is bounded: a ready token starts within its share of turns, whoever else has calls.

Counted in turns of equal length: while n tokens are ready and k slots exist, a ready token
starts within ceil(n / k) of them. Behind it stands one rule: first ready, first started.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from .desk import Desk

Batch: TypeAlias = list[tuple[str, str, int]]  # tokens, servers, how many calls

added = st.tuples(st.sampled_from("ABCDEFGHIJKL"), st.sampled_from(["0001", "0002", "0003"]), st.integers(1, 7))
arrivals = st.lists(st.lists(added, max_size=12), min_size=1, max_size=8)
few = st.integers(1, 4)


@dataclass
class Round:
    """One turn's time: the tokens ready at its beginning, each with its server, and those that started."""

    ready: dict[str, str]
    started: list[str]


@dataclass
class Crowd:
    """Tokens with calls to make; knows which are ready, in the order in which they became it."""

    desk: Desk
    count: int = 0
    left: dict[str, list[str]] = field(default_factory=dict)  # by token: the servers of its calls
    ready: list[str] = field(default_factory=list)

    def add(self, batch: Batch) -> None:
        for token, server, count in batch:
            for _ in range(count):
                self.count += 1
                self.desk.add(f"{token}{self.count}", server=server)
                self.left.setdefault(token, []).append(server)
            if token not in self.ready and token not in self.flying():
                self.ready.append(token)

    def flying(self) -> list[str]:
        return [name[0] for name in self.desk.flying]

    def ready_for(self) -> dict[str, str]:
        return {token: self.left[token][0] for token in self.ready}

    def start(self) -> list[str]:
        """Start all turns that may start now; return their tokens."""
        started = [name[0] for name in self.desk.start()]
        self.ready = [token for token in self.ready if token not in started]
        return started

    def end(self, name: str) -> None:
        """End a call; when that ends its token's turn and calls are left, the token is ready again."""
        following = self.desk.end(name).following
        token = name[0]
        del self.left[token][0]
        if following is None and self.left[token]:
            self.ready.append(token)

    def rounds(self, arrivals: list[Batch]) -> Iterator[Round]:
        """Let all turns last equally long; each batch arrives at the beginning of one."""
        batches = iter(arrivals)
        while (batch := next(batches, None)) is not None or self.ready:
            self.add(batch or [])
            yield Round(self.ready_for(), self.start())
            assert self.desk.flying or not self.ready, "somebody can always start"
            while self.desk.flying:
                self.end(self.desk.flying[0])


@given(arrivals=arrivals, slots=few, turn_calls=few)
def test_while_n_tokens_are_ready_for_k_slots_each_starts_within_its_share_of_turns(
    arrivals: list[Batch], slots: int, turn_calls: int
) -> None:
    rounds = list(Crowd(Desk(max_in_flight=slots, turn_calls=turn_calls)).rounds(arrivals))
    for first, now in enumerate(rounds):
        soon = rounds[first : first + ceil(len(now.ready) / slots)]
        assert set(now.ready) <= {token for each in soon for token in each.started}


@given(arrivals=arrivals, per_server=few, turn_calls=few)
def test_while_n_tokens_are_ready_for_a_server_each_starts_within_its_share_of_the_servers_turns(
    arrivals: list[Batch], per_server: int, turn_calls: int
) -> None:
    rounds = list(Crowd(Desk(per_server=per_server, turn_calls=turn_calls)).rounds(arrivals))
    for first, now in enumerate(rounds):
        for token, server in now.ready.items():
            n = list(now.ready.values()).count(server)
            soon = rounds[first : first + ceil(n / per_server)]
            assert any(token in each.started for each in soon)


@given(arrivals=arrivals, slots=few, per_server=few, turn_calls=few, ends=st.lists(st.integers(0, 3)))
def test_who_is_ready_first_for_a_server_starts_first_however_long_turns_are(
    arrivals: list[Batch], slots: int, per_server: int, turn_calls: int, ends: list[int]
) -> None:
    crowd = Crowd(Desk(max_in_flight=slots, per_server=per_server, turn_calls=turn_calls))
    batches = iter(arrivals)
    while (batch := next(batches, None)) is not None or crowd.ready or crowd.desk.flying:
        crowd.add(batch or [])
        waiting = crowd.ready_for()
        for token in crowd.start():
            assert token == next(first for first, server in waiting.items() if server == waiting[token])
            del waiting[token]
        flying = crowd.desk.flying
        assert flying or not crowd.ready, "somebody can always start"
        if flying:
            crowd.end(flying[(ends.pop() if ends else 0) % len(flying)])
