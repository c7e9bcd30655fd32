"""How long the simulated vendor works on a call, as values.

Chance is passed in, so a seeded generator gives the same times again. All figures are
seconds.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

_SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s)?")


class Latency(Protocol):
    """A distribution of working times."""

    def draw(self, chance: Random) -> float:
        """Return the seconds that one call takes."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Every call takes `seconds`."""

    seconds: float = 0.0

    def draw(self, chance: Random) -> float:  # noqa: ARG002 - the protocol's signature
        """Return `seconds`."""
        return self.seconds


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any time from `least` to `most` is as likely as another."""

    least: float
    most: float

    def draw(self, chance: Random) -> float:
        """Return a time from `least` to `most`."""
        return chance.uniform(self.least, self.most)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Half of the calls take less than `median`; `sigma` is the spread of the logarithm.

    No call takes more than `most`.
    """

    median: float
    sigma: float = 0.5
    most: float = math.inf

    def draw(self, chance: Random) -> float:
        """Return a time up to `most`."""
        return min(self.most, chance.lognormvariate(math.log(self.median), self.sigma))


def parse_latency(text: str) -> Latency:
    """Read `0.2`, `200ms`, `50ms-300ms` (uniform) or `lognormal:200ms` and `lognormal:200ms,0.8`.

    Raises `ValueError` for anything else.
    """
    if text.startswith("lognormal:"):
        median, _, sigma = text.removeprefix("lognormal:").partition(",")
        if (middle := _seconds(median)) <= 0:
            raise ValueError("the median of a lognormal latency is above 0")
        return LogNormal(middle, _seconds(sigma) if sigma else 0.5)
    least, dash, most = text.partition("-")
    if not dash:
        return Fixed(_seconds(text))
    if _seconds(least) > _seconds(most):
        raise ValueError(f"{text!r} ends before it begins")
    return Uniform(_seconds(least), _seconds(most))


def _seconds(text: str) -> float:
    matched = _SECONDS.fullmatch(text)
    if matched is None:
        raise ValueError(f"{text!r} is no latency: write 0.2, 200ms, 50ms-300ms or lognormal:200ms,0.5")
    return float(matched[1]) / (1000 if matched[2] == "ms" else 1)
