"""A whole pass in memory, for a notebook or a script: everything at once, instead of as it comes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Unpack

from wolkvox_async.engine import Summary
from wolkvox_async.errors import UsageError
from wolkvox_async.planning import DateRange
from wolkvox_async.records import CallRecord, RowRecord

from .changes import Changes
from .composition import Parts, open_engine
from .entries import Tenants
from .options import Options
from .tenants import load_tenants

MOST_ROWS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a pass brought: every row, how every call ended, and what it came to."""

    rows: list[RowRecord]
    calls: list[CallRecord]
    summary: Summary

    @property
    def missing(self) -> list[CallRecord]:
        """The calls that brought nothing because they failed or were skipped; an empty answer is an answer."""
        return [call for call in self.calls if call["outcome"] in ("failed", "skipped")]


class Opening(Changes, total=False):
    """What `open_engine` takes beside tenants."""

    options: Options | None
    parts: Parts | None


async def fetch_all(
    tenants: Tenants | str | os.PathLike[str] | Mapping[str, Any],
    *,
    apis: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
    dates: DateRange | None = None,
    most: int = MOST_ROWS,
    **opening: Unpack[Opening],
) -> Gathered:
    """Make one pass over the tenants and return all of it, in memory.

        found = await fetch_all("tenants.json", apis=["interactions"], state="state")

    `tenants` is what `load_tenants` takes, or what it made of that; `apis`, `only` and `dates` are as in
    `Engine.fetch`, and `opening` goes to `open_engine` (`state="state"`, `options=...`, `parts=...`).

    Everything stands in memory: about 1 KiB for each row (as the vendor's billing rows are) and each
    call. Raises `UsageError` once there are more than `most` rows, so that a mistake costs no
    more than that; `Engine.fetch` gives them one after the other in bounded memory. Raises
    `ConfigurationError` and `SelectionError` for mistakes in files and names; failed calls are in `missing`.
    """
    loaded = tenants if isinstance(tenants, Tenants) else load_tenants(tenants)
    rows: list[RowRecord] = []
    calls: list[CallRecord] = []
    async with (
        open_engine(loaded, **opening) as engine,
        engine.fetch(apis=apis, only=only, dates=dates) as records,
    ):
        async for record in records:
            if record["type"] == "call":
                calls.append(record)
            elif record["type"] == "row":
                rows.append(record)
                if len(rows) > most:
                    raise UsageError(f"more than {most} rows: go through them with engine.fetch(), or raise `most`")
        return Gathered(rows, calls, records.summary())
