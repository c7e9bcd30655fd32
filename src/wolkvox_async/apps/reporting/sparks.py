"""Sparklines: a month of daily values as the paths of a small drawing. Pure.

What is consumed grows from zero, so its line is drawn from zero, over its area. What is active
stays for weeks and moves by little: its line has steps, and its scale is around them. Days
without a number are holes, and a number between two holes is a dot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

WIDTH: Final = 124
HEIGHT: Final = 26

_EDGE: Final = 3.0

Points: TypeAlias = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Spark:
    """What is drawn: lines and areas as path data, dots, and where the last value stands."""

    lines: tuple[str, ...]
    areas: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    last: tuple[float, float]


def spark(days: Sequence[float | None], *, steps: bool) -> Spark | None:
    """Draw the daily values of a month; None where there is none."""
    values = [value for value in days if value is not None]
    if not values:
        return None
    least, most = min(values), max(values)
    margin = max((most - least) / 2, abs(most) / 10)
    low, high = (least - margin, most + margin) if steps else (min(0.0, least), max(0.0, most))
    runs = list(_runs(days, low, high if high > low else low + 1.0))
    drawn = [_stepped(run) if steps else run for run in runs]
    return Spark(
        tuple(_path(run) for run in drawn if len(run) > 1),
        () if steps else tuple(_area(run) for run in drawn if len(run) > 1),
        tuple(run[0] for run in runs if len(run) == 1),
        runs[-1][-1],
    )


def _runs(days: Sequence[float | None], low: float, high: float) -> Iterator[Points]:
    """Yield the points of consecutive days that have values."""
    across = (WIDTH - 2 * _EDGE) / max(1, len(days) - 1)
    run: Points = []
    for place, value in enumerate(days):
        if value is not None:
            height = (value - low) / (high - low)
            run.append((round(_EDGE + place * across, 1), round(HEIGHT - _EDGE - height * (HEIGHT - 2 * _EDGE), 1)))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _stepped(run: Points) -> Points:
    stepped = run[:1]
    for x, y in run[1:]:
        if y != stepped[-1][1]:
            stepped.append((x, stepped[-1][1]))
        stepped.append((x, y))
    return stepped


def _path(points: Points) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _area(points: Points) -> str:
    floor = HEIGHT - _EDGE
    return f"{_path(points)}L{points[-1][0]:g} {floor:g}L{points[0][0]:g} {floor:g}Z"
