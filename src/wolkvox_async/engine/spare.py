"""What a backfill may take of the daily quotas of tokens, where licences are known.

The vendor allows licences x 1,000 calls a day (DOC), whoever makes them. What watching
everything else takes for a day is left to it, whether anybody watches or not; at least a
tenth is the backfill's. It is counted by the pass: what others called today is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from wolkvox_async.classify import error
from wolkvox_async.model import Call, ErrorKind, Skipped
from wolkvox_async.planning import DateRange, Subscription

CALLS_PER_LICENCE: Final = 1_000  # a day, as the vendor documents

_DAY: Final = 86_400.0  # seconds
_AT_LEAST: Final = 10  # the part of a quota that is the backfill's in any case, as its inverse


class Spare:
    """Counts the calls of one backfill; `interval` is the least time between two that ask the same, in seconds."""

    def __init__(self, subscriptions: Iterable[Subscription], interval: float) -> None:
        licences: dict[str, int] = {}
        needed = Counter[str]()
        for subscription in subscriptions:
            token = subscription.operation.token.id
            # Entries with one token are one operation of the vendor's, and its licences count once.
            if subscription.licences is not None:
                licences[token] = max(subscription.licences, licences.get(token, 0))
            needed[token] += _calls_a_day(subscription, interval)
        self._left: Final = {token: _allowed(count, needed[token]) for token, count in licences.items()}

    def refusal(self, call: Call) -> Skipped | None:
        """Take one call of its token's, or say why it is not to be made today."""
        token = call.operation.token.id
        left = self._left.get(token)
        if left is None:
            return None
        if left:
            self._left[token] = left - 1
            return None
        message = (
            "not called: the rest of the token's daily quota (licences x 1,000) is left to other calls than "
            "those of a backfill; take the run up again tomorrow"
        )
        return Skipped(error(ErrorKind.QUOTA, message))


def _calls_a_day(subscription: Subscription, interval: float) -> int:
    pauses = (one.endpoint.pause(interval) for one in subscription.wanted if not isinstance(one.dates, DateRange))
    return sum(int(_DAY // pause) for pause in pauses if pause)


def _allowed(licences: int, needed: int) -> int:
    quota = licences * CALLS_PER_LICENCE
    return max(quota - needed, quota // _AT_LEAST)
