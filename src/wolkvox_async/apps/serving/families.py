"""What is exposed to a monitoring system: names, labels and where each value comes from.

Everything is read off when somebody asks. A label is an endpoint, a reason, a server, or
the name of a tenant's operation: never a token, nor its id. What grows has a bound. Above
a thousand operations (or two thousand endpoints of theirs) only the twenty endpoints with
the oldest readings, in intervals of their own, are named, and how old readings are is told
by a histogram of them all; servers after the first two hundred are one, called `other`.
"""

from __future__ import annotations

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import nlargest
from itertools import accumulate
from typing import Final, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from wolkvox_async import __version__
from wolkvox_async.model import Outcome, Skipped
from wolkvox_async.scheduling.decisions import Snapshot

from .freshness import Freshness, Reading
from .health import BOUNDS, liveness, readiness
from .machines import Cluster
from .tallies import OUTCOMES, SERVERS, Distribution, Tallies
from .vitals import LifeSigns

Word = TypeVar("Word", bound=str)

NAMED_OPERATIONS: Final = 1_000
NAMED_ENDPOINTS: Final = 2_000  # each is a line, and lines are what asking costs
OLDEST: Final = 20

AGES: Final = (60, 150, 300, 360, 450, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)


@dataclass(slots=True)
class Sources:
    """Where values come from; `snapshot` and `started` (Unix seconds) are there once a watch runs.

    `cluster` is there on a machine of one.
    """

    tallies: Tallies
    freshness: Freshness
    signs: LifeSigns
    snapshot: Callable[[], Snapshot] | None = None
    started: float | None = None
    cluster: Cluster | None = None


class Families(Collector):
    """Makes the families of metrics of what the sources say, each time somebody asks."""

    def __init__(self, sources: Sources) -> None:
        self._sources: Final = sources

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry need not ask beforehand."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        sources = self._sources
        yield from _program(sources)
        yield from _calls(sources.tallies)
        yield from _slots(sources.tallies)
        yield from _servers(sources.tallies)
        yield from _readings(sources.freshness)
        if sources.snapshot is not None:
            yield from _scheduler(sources.snapshot(), sources.tallies)
        if sources.cluster is not None:
            yield from _cluster(sources.cluster)


# --- the program ------------------------------------------------------------------------


def _program(sources: Sources) -> Iterator[Metric]:
    build = {"version": __version__, "python": platform.python_version()}
    yield _labelled("wolkvox_build_info", "What runs; always 1.", tuple(build), [(tuple(build.values()), 1)])
    if sources.started is not None:
        yield _gauge("wolkvox_run_start_time_seconds", "When this run of watch began (Unix time).", sources.started)
    vitals = sources.signs.vitals()
    yield _gauge("wolkvox_alive", "1 while /healthz says so, else 0.", liveness(vitals).ok)
    yield _gauge(
        "wolkvox_output_busy_seconds",
        "For how long the output has been at what it was given; 0 while there is nothing to take.",
        vitals.output or 0.0,
    )
    yield _gauge(
        "wolkvox_state_busy_seconds",
        "For how long the state has been asked without an answer; 0 while nothing is asked.",
        vitals.state or 0.0,
    )
    yield _gauge("wolkvox_state_failed", "1 once the state cannot be used, else 0.", bool(vitals.failures))
    lag = HistogramMetricFamily(
        "wolkvox_event_loop_lag_seconds", "How late the event loop came to what was due, tried twice a second."
    )
    _add(lag, (), sources.signs.loop.lags)
    yield lag


# --- what was done ------------------------------------------------------------------------


def _calls(tallies: Tallies) -> Iterator[Metric]:
    calls = CounterMetricFamily("wolkvox_calls", "Calls that ended, by outcome.", labels=("api", "outcome"))
    rows = CounterMetricFamily("wolkvox_rows", "Rows that answers held.", labels=("api",))
    duration = HistogramMetricFamily(
        "wolkvox_call_duration_seconds", "How long the last attempt of each call took.", labels=("api",)
    )
    for name, api in tallies.apis.items():
        for outcome, count in _outcomes(api.outcomes):
            calls.add_metric((name, outcome), count)
        rows.add_metric((name,), api.rows)
        _add(duration, (name,), api.seconds)
    yield from (calls, rows, duration)
    yield CounterMetricFamily("wolkvox_attempts", "Attempts of calls that ended.", value=tallies.attempts)
    yield _counted("wolkvox_attempts_failed", "Attempts that failed, retried or not.", "kind", tallies.failures)
    yield _counted("wolkvox_tokens_closed", "Times that a token was put out of use.", "kind", tallies.closures)


def _slots(tallies: Tallies) -> Iterator[Metric]:
    yield _counted("wolkvox_gaps", "Slots in which nothing was captured, by reason.", "reason", tallies.gaps)
    yield _counted(
        "wolkvox_closing_readings",
        "Last readings of a month; missed: the call failed or the slot became a gap.",
        "result",
        {"taken": tallies.closings_taken, "missed": tallies.closings_missed},
    )
    lateness = HistogramMetricFamily(
        "wolkvox_slot_lateness_seconds",
        "From when a slot was due until the attempt began that brought its reading.",
    )
    _add(lateness, (), tallies.lateness)
    yield lateness


def _servers(tallies: Tallies) -> Iterator[Metric]:
    calls = CounterMetricFamily(
        "wolkvox_server_calls", "Calls that ended, by server and outcome.", labels=("server", "outcome")
    )
    for server, outcomes in tallies.servers.items():
        for outcome, count in _outcomes(outcomes):
            calls.add_metric((server, outcome), count)
    yield calls


# --- what is watched ------------------------------------------------------------------------


def _readings(freshness: Freshness) -> Iterator[Metric]:
    readings, now = freshness.readings(), freshness.now()
    yield _gauge("wolkvox_watched_operations", "Operations that are watched.", freshness.operations)
    yield _gauge("wolkvox_watched_endpoints", "Endpoints of operations that are watched.", len(readings))
    bound = BOUNDS.intervals
    stale = sum(now - reading.read_at > bound * reading.interval for reading in readings)
    yield _gauge("wolkvox_readings_stale", "Endpoints whose last reading is older than three intervals.", stale)
    health = readiness(freshness.silent(), now)
    overdue = len(health.reasons) + health.unlisted
    yield _gauge("wolkvox_endpoints_overdue", "Endpoints without a call or a gap for three intervals.", overdue)
    yield _counts("wolkvox_slots_waiting", "Slots whose call waits, by what for.", "reason", freshness.waiting())
    yield _ages(readings, now)
    yield from _named_readings(readings, now, are_many=freshness.operations > NAMED_OPERATIONS)


def _named_readings(readings: list[Reading], now: float, *, are_many: bool) -> Iterator[Metric]:
    intervals: dict[str, float] = {}
    for reading in readings:
        api = reading.subject.api
        intervals[api] = max(reading.interval, intervals.get(api, 0.0))
    yield _counts("wolkvox_reading_interval_seconds", "How often an endpoint is read.", "api", intervals)
    if are_many or len(readings) > NAMED_ENDPOINTS:
        readings = nlargest(OLDEST, readings, key=lambda reading: (now - reading.read_at) / reading.interval)
    yield _labelled(
        "wolkvox_reading_age_seconds",
        "Age of the last reading, or time watched without one; of very many only the 20 oldest.",
        ("tenant", "operation", "api"),
        ((_place(reading), reading.age(now)) for reading in readings),
    )


def _place(reading: Reading) -> tuple[str, str, str]:
    operation = reading.subject.operation
    return operation.tenant, operation.name, reading.subject.api


def _ages(readings: list[Reading], now: float) -> Metric:
    counts, ages = [0] * (len(AGES) + 1), [now - reading.read_at for reading in readings]
    for age in ages:
        counts[bisect_left(AGES, age)] += 1
    bounds = (*(f"{age}.0" for age in AGES), "+Inf")
    return HistogramMetricFamily(
        "wolkvox_freshness_seconds",
        "Ages of all last readings, as they are now: to be looked at without rate().",
        buckets=list(zip(bounds, accumulate(counts), strict=True)),
        sum_value=max(0.0, sum(ages)),
    )


# --- what waits ------------------------------------------------------------------------------


def _scheduler(snapshot: Snapshot, tallies: Tallies) -> Iterator[Metric]:
    yield _gauge("wolkvox_calls_in_flight", "Attempts that wait for their answer.", snapshot.in_flight)
    yield _gauge("wolkvox_calls_queued", "Calls that have not ended, those in flight included.", snapshot.queued)
    states = {state.name.lower(): count for state, count in snapshot.tokens.items()}
    yield _counts("wolkvox_tokens", "Tokens by what they do.", "state", states)
    after = {kind.value: count for kind, count in snapshot.waiting_after.items()}
    yield _counts("wolkvox_tokens_waiting", "Tokens that wait after a failure, by its kind.", "kind", after)
    yield _gauge("wolkvox_servers_down", "Servers that are taken to be down.", len(snapshot.down))
    busy: dict[str, int] = {}
    for server, used in snapshot.servers.items():
        name = tallies.place(server)
        busy[name] = busy.get(name, 0) + used
    yield _counts("wolkvox_server_calls_in_flight", "Attempts in flight, by server.", "server", busy)
    down = dict.fromkeys(sorted(snapshot.down)[:SERVERS], 1)
    yield _counts("wolkvox_server_down", "1 for each server that is taken to be down.", "server", down)


# --- which machines there are ----------------------------------------------------------------


def _cluster(cluster: Cluster) -> Iterator[Metric]:
    held = {"ours": cluster.ours, "others": cluster.others, "nobody": cluster.nobody}
    yield _counts("wolkvox_cluster_partitions", "Partitions of the cluster, by whose they are.", "state", held)
    able = {str(is_able).lower(): count for is_able, count in cluster.able().items()}
    yield _counts("wolkvox_cluster_workers", "Machines, by whether they can reach the vendor.", "able", able)
    yield _gauge(
        "wolkvox_cluster_unstored_parts", "Calls and gaps of this machine that are not stored yet.", cluster.unstored
    )
    yield _gauge("wolkvox_cluster_stuck_tokens", "Tokens not called because the store has no room.", cluster.stuck)
    yield _gauge("wolkvox_cluster_current", "1 while the store of the cluster answers, else 0.", cluster.current)


# --- small things ------------------------------------------------------------------------------


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(
    name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for given, value in values:
        family.add_metric(given, value)
    return family


def _counts(name: str, text: str, label: str, counts: Mapping[Word, float]) -> Metric:
    return _labelled(name, text, (label,), (((str(key),), count) for key, count in counts.items()))


def _counted(name: str, text: str, label: str, counts: Mapping[Word, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for key, count in counts.items():
        family.add_metric((str(key),), count)
    return family


def _outcomes(outcomes: Mapping[type[Outcome], int]) -> Iterator[tuple[str, int]]:
    """Yield outcomes by name and their numbers; what never skips has none of it."""
    return ((OUTCOMES[kind], count) for kind, count in outcomes.items() if count or kind is not Skipped)


def _add(family: HistogramMetricFamily, labels: tuple[str, ...], values: Distribution) -> None:
    family.add_metric(labels, buckets=list(values.buckets()), sum_value=values.total)
