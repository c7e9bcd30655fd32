"""The calls of the whole run, as far as the parent has to know them: how many, and which nobody is left to make."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from wolkvox_async.errors import SelectionError
from wolkvox_async.planning import counts, left_of, plan
from wolkvox_async.scheduling.skipping import STOPPING
from wolkvox_async.settlements import Settlement

from .job import Job


def how_many(job: Job, at: datetime) -> int:
    """Return how many calls a run makes that is planned as of `at`; raises `SelectionError` for wrong dates."""
    try:
        return sum(counts(job.subscriptions, now=at, dates=job.terms.dates))
    except ValueError as error:
        mistake = str(error)
    raise SelectionError(mistake)


def left_over(job: Job, run: str, at: datetime, done: Collection[str], now: datetime) -> Iterator[Settlement]:
    """Yield the calls of a run, planned as of `at`, whose tails are not among `done`: as skipped `now`."""
    terms = job.terms
    for call in plan(job.subscriptions, run=run, now=at, dates=terms.dates, interval=terms.options.interval):
        for left in left_of(call, run, done):
            yield Settlement(left, STOPPING, 0, now, 0.0)
