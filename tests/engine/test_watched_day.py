"""A day of watching, with the turn of a month in it, before the judge: in virtual time, with the state in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.virtual_month import TURN, Month, play

DAY = Month(operations=16, days=1.0)


@pytest.mark.timeout(900)
def test_on_a_good_day_every_slot_has_its_reading_and_the_month_its_last(tmp_path: Path) -> None:
    day = play(replace(DAY, operations=100, folder=tmp_path))
    audit = day.audit
    assert day.complaints() == []
    assert (audit.ends, audit.expected) == (100 * 288, 100 * 288)
    # Behind a closing reading one slot is dropped: nothing is asked twice within an interval.
    assert (audit.calls, audit.gaps) == ({"ok": 100 * 287}, {"closing": 100})
    assert {closing.end for closing in audit.closings} == {"ok"}
    assert len({closing.path for closing in audit.closings}) == 100
    for closing in audit.closings:
        assert closing.at is not None
        assert TURN - 180 < closing.due / 1000 <= closing.at / 1000 < TURN


@pytest.mark.parametrize("seed", [1, 2])
def test_on_a_bad_day_every_slot_ends_once_and_every_gap_says_why(tmp_path: Path, seed: int) -> None:
    day = play(replace(DAY, folder=tmp_path, seed=seed, with_mishaps=True))
    audit = day.audit
    assert day.complaints() == []
    assert (audit.ends, day.lives) == (audit.expected, 2)
    assert {"stopped", "suspended", "closing"} <= set(audit.gaps)
    befell = {name for name, _ in audit.explained}
    assert {"killed", "suspended", "frozen", "clock set forward"} <= befell
    taken = [closing for closing in audit.closings if closing.end == "ok"]
    assert len(audit.closings) == 16
    assert 0 < len(taken) < 16


def test_the_same_day_gives_the_same_output_to_the_byte() -> None:
    first, again, other = (play(replace(DAY, days=0.5, seed=seed, with_mishaps=True)) for seed in (3, 3, 4))
    assert first.audit.sha256 == again.audit.sha256 != other.audit.sha256
