"""How machines that one command started have ended, and what that makes of the command. Pure.

A machine says at its end how it was, in one line of JSON to the process that forked it. Who was
killed says nothing, which is told from having nothing to say by that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson

from wolkvox_async.apps.exits import Exit, of_signal
from wolkvox_async.apps.passing import Ending
from wolkvox_async.errors import ConfigurationError

from .labour import Outcome

_BEFORE_SIGNALS: Final = (Exit.STATE, Exit.OUTPUT)


@dataclass(frozen=True, slots=True)
class Ended:
    """How one ended: by itself with an exit code, or lost, and then by what.

    `messages` is what it would have said on standard error, `counters` what its part of a pass came to.
    """

    code: int
    messages: Sequence[str] = ()
    counters: Mapping[str, Any] = field(default_factory=dict)
    lost: str | None = None

    @classmethod
    def decode(cls, told: bytes) -> Ended | None:
        """Read what a machine said; None when it did not get to the end of it."""
        try:
            return cls(**orjson.loads(told))
        except (orjson.JSONDecodeError, TypeError):
            return None

    @classmethod
    def because(cls, lost: str) -> Ended:
        """Return the end of one that was lost."""
        return cls(Exit.SOME_FAILED, lost=lost)

    def encode(self) -> bytes:
        """Write it."""
        return orjson.dumps(asdict(self))


def ending_of_all(ended: Sequence[Ended], received: int | None, usual: Callable[[Outcome], Ending]) -> Ending:
    """Return how the command ends; `usual` says it of a pass that came to its end.

    `received` is the first signal, if any came. Raises `ConfigurationError` with the mistakes of all.
    """
    for code in _BEFORE_SIGNALS:
        if any(one.code == code for one in ended):
            return Ending(code, message="\n".join(_said(ended, code)))
    if received is not None:
        return Ending(of_signal(received))
    if any(one.code == Exit.USAGE for one in ended):
        raise ConfigurationError(_said(ended, Exit.USAGE))
    ending = usual(Outcome(stopped=False, counters=added(one.counters for one in ended)))
    # What a lost one counted is not known.
    is_whole = not any(one.lost for one in ended)
    return ending if is_whole else Ending(Exit.SOME_FAILED, message=ending.message)


def added(counters: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several counted, as one; `due` is the latest."""
    found: dict[str, Any] = {}
    for name, value in (pair for one in counters for pair in one.items() if pair[1] is not None):
        found[name] = max(found.get(name, value), value) if name == "due" else found.get(name, 0) + value
    return found


def _said(ended: Iterable[Ended], code: Exit) -> list[str]:
    return list(dict.fromkeys(message for one in ended if one.code == code for message in one.messages))
