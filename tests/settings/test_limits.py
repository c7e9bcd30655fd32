"""How many calls may be in flight: as asked for, or found while calls are made."""

from __future__ import annotations

from typing import Any

from wolkvox_async.settings.limits import choose_limits
from wolkvox_async.settings.options import Options


class Deaf:
    """A log that keeps nothing."""

    def warning(self, message: str, **facts: Any) -> None:
        """Ignore it."""


def test_what_is_asked_for_is_what_there_is() -> None:
    chosen = choose_limits(Options(max_in_flight=50, per_server=7, token_gap=0.5), now=0.0, log=Deaf())
    assert (chosen.most.max_in_flight, chosen.most.per_server, chosen.most.token_gap) == (50, 7, 0.5)
    assert chosen.first is chosen.most
    assert chosen.flow is None


def test_auto_starts_low_and_has_a_ceiling() -> None:
    chosen = choose_limits(Options(max_in_flight="auto", per_server=32, token_gap=0.5), now=0.0, log=Deaf())
    assert chosen.flow is not None
    assert 1 <= chosen.first.max_in_flight <= 128 <= chosen.most.max_in_flight <= 10_000
    assert chosen.first.per_server < chosen.most.per_server == 32
    assert chosen.first.token_gap == 0.5
    assert chosen.first.max_in_flight == chosen.flow.total
