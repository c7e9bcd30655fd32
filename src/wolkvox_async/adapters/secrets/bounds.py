"""How much of other people's programs and code runs at once, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many commands and plug-ins run at once, and how many seconds each of them and the keyring has."""

    at_once: int = 16
    seconds: float = 30.0
