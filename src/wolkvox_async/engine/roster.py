"""The operations that an engine covers, by the name that people use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wolkvox_async.errors import UsageError
from wolkvox_async.model import Operation
from wolkvox_async.planning import Subscription


class Roster:
    """Subscriptions in the order of the tenants file, found by `tenant/operation`."""

    def __init__(self, subscriptions: Iterable[Subscription]) -> None:
        self._by_path = {subscription.operation.path: subscription for subscription in subscriptions}

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Return them all, with the tokens that are known now."""
        return tuple(self._by_path.values())

    def operation(self, path: str) -> Operation:
        """Return the operation called `path`; `UsageError` when there is none."""
        found = self._by_path.get(path)
        if found is None:
            raise UsageError(f"no operation is called {path!r}: write tenant/operation as in the tenants file")
        return found.operation

    def renew(self, operations: Iterable[Operation]) -> None:
        """Take in operations whose token changed."""
        for operation in operations:
            self._by_path[operation.path] = replace(self._by_path[operation.path], operation=operation)
