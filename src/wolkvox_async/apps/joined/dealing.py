"""What several machines of one command have in common, and what each has of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from wolkvox_async.apps.working.shares import Part
from wolkvox_async.planning import Subscription
from wolkvox_async.settings.composition import Parts
from wolkvox_async.settings.options import Options

from .errand import Errand, Joining, Kind
from .machine import Order


@dataclass(frozen=True, slots=True)
class Share:
    """What one machine has of the command: its part of the limits, and whether people look at it.

    `is_again`: it was lost, and what was read when the command began may be old.
    """

    options: Options
    most_in_flight: int | None = None
    is_first: bool = True
    is_again: bool = False


def dealt(options: Options, limits: Part, workers: int) -> list[Share]:
    """Return a share for each machine; they add up to `limits`, so there may be fewer."""
    parts = limits.split(workers)
    is_found = options.max_in_flight == "auto"
    return [
        Share(
            replace(options, per_server=part.per_server, max_in_flight="auto" if is_found else part.max_in_flight),
            part.max_in_flight,
            is_first=not number,
        )
        for number, part in enumerate(parts)
    ]


@dataclass(frozen=True, slots=True)
class Common:
    """What all machines have in memory."""

    order: Order
    subscriptions: tuple[Subscription, ...]
    joining: Joining
    kind: Callable[[Share], Kind]
    parts: Callable[[], Parts]

    def errand(self, share: Share, kind: Kind) -> Errand:
        """Return what a machine is to do."""
        order = self.order
        errand = Errand(order.tenants, self.subscriptions, share.options, order.drain, self.parts, kind)
        return replace(errand, most_in_flight=share.most_in_flight)
