"""Metrics on a clock of their own, told events by a test and then asked."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.apps.serving.clusters import cluster
from tests.apps.serving.prospects import FAILED, NOW, Prospects, missed, operations, settled, subjects
from wolkvox_async.apps.serving.freshness import Freshness
from wolkvox_async.apps.serving.metrics import Metrics
from wolkvox_async.apps.serving.vitals import LifeSigns
from wolkvox_async.model import ErrorKind
from wolkvox_async.ports import Event
from wolkvox_async.scheduling.decisions import Snapshot
from wolkvox_async.scheduling.queues import State
from wolkvox_async.scheduling.subjects import Subject
from wolkvox_async.testing import ManualClock


class Scraped:
    """Metrics on a clock of their own, told events and then asked."""

    def __init__(self, *watched: Subject) -> None:
        self.clock = ManualClock(utc=NOW)
        self.freshness = Freshness(self.clock)
        self.metrics = Metrics(self.clock, self.freshness, LifeSigns(self.clock))
        self.watch = Prospects(*watched)
        self.freshness.follow(self.watch)

    def tell(self, *events: Event) -> None:
        for event in events:
            self.metrics.observe(event)
            self.freshness.observe(event)

    def text(self) -> str:
        status, content_type, body = self.metrics.answer()
        assert (status, content_type.split(";")[0]) == (200, "text/plain")
        return body.decode()

    def all(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the values of a sample by its labels' values, in the order of the labels' names."""
        return {
            tuple(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == name
        }

    def value(self, name: str, *labels: str) -> float:
        return self.all(name)[labels]


def one_subject() -> Subject:
    (subject,) = subjects(operations(1))
    return subject


def filled() -> Scraped:
    """Return metrics in which every family has a value."""
    subject = one_subject()
    scraped = Scraped(subject)
    scraped.tell(settled(subject), settled(subject, FAILED), missed(subject))
    snapshot = Snapshot({State.IDLE: 1}, 1, 1, {ErrorKind.CONNECT: 1}, {"0010": 1}, {"0010": 1.0})
    scraped.metrics.follow(lambda: snapshot, scraped.watch.started)
    scraped.metrics.show(cluster())
    return scraped
