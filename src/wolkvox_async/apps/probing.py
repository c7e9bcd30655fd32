"""One call per token, to see whether it works."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from wolkvox_async.catalog import Dates
from wolkvox_async.engine import CallResult
from wolkvox_async.model import Token
from wolkvox_async.planning import Wanted
from wolkvox_async.settings.composition import open_engine
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options
from wolkvox_async.settings.wanted import DEFAULT_APIS


@dataclass(frozen=True, slots=True)
class Probe:
    """How many tokens were probed, and a line for each that does not work."""

    probed: int
    lines: tuple[str, ...]


async def probe(tenants: Tenants, options: Options) -> Probe:
    """Call the first endpoint of the first operation of every token, whenever it was called last.

    An endpoint that needs dates or parameters is passed over: `interactions` tells as well. Remembered
    refusals are forgotten first. Raises `StateError`.
    """
    options = replace(options, interval=0.0, retry_refused=True)
    api = {entry.path: _easiest(entry.wanted) for entry in tenants.entries if entry.wanted}
    async with open_engine(tenants, options) as engine:
        first: dict[Token, str] = {}
        for operation in engine.operations():
            if operation.path in api:
                first.setdefault(operation.token, operation.path)
        results = await asyncio.gather(*[engine.call(path, api[path]) for path in first.values()])
    failures = [_line(path, result) for path, result in zip(first.values(), results, strict=True) if not result.ok]
    return Probe(len(first), tuple(failures))


def _easiest(wanted: Iterable[Wanted]) -> str:
    names = (
        one.endpoint.name for one in wanted if one.endpoint.dates is not Dates.REQUIRED and not one.endpoint.params
    )
    return next(names, DEFAULT_APIS[0])


def _line(path: str, result: CallResult) -> str:
    token, error = result.settlement.call.operation.token.id, result.error
    return f"{path} ({token}): {error.kind}: {error.message}" if error else f"{path} ({token})"
