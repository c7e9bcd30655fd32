"""Rules over what many machines wrote together, and over the vendor's journal. Pure.

The rules for lines and rows are those of every output (`tests.judging`). What is added is about
slots: each ends once, in its order, and none is missing between the first and the last.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TypeAlias

from tests.judging.evidence import Terms, foreign_rows, lost_and_doubled, unequal_attempts
from tests.judging.facts import Answered, Asked, Fact
from tests.judging.outputs import Output, Question, Record, question, torn_lines, uncommitted_rows
from tests.judging.rules import Arrivals, Violation, broken_on_the_wire, early_calls

Subject: TypeAlias = tuple[str, str, str]  # tenant, operation, endpoint

RULES = ("lost slot", "odd slot", "doubled slot", "slot out of order", "doubled call")


@dataclass(frozen=True, slots=True)
class _Ended:
    due: int  # Unix milliseconds
    how: str


def judge(journal: Sequence[Fact], output: Output, terms: Terms, heard_within: float) -> list[Violation]:
    """Return everything that was broken, on the wire and in the records.

    `terms.interval` is the grid's, too. An answer that took longer than `heard_within` seconds may have
    been given up before, and does not forbid to ask again.
    """
    found = broken_on_the_wire(journal, limit=terms.limit)
    found += early_calls(_heard(journal, heard_within), terms.interval)
    found += [*torn_lines(output), *uncommitted_rows(output)]
    found += foreign_rows([output], terms.owners)
    found += lost_and_doubled([output], journal)
    found += unequal_attempts([output], journal, repeats=terms.repeats)
    found += doubled_calls(output)
    found += broken_slots(output, terms.interval)
    return found


def _heard(journal: Sequence[Fact], seconds: float) -> list[Fact]:
    arrivals = Arrivals(journal)
    asked = {fact.request: arrivals.earliest(fact) for fact in journal if isinstance(fact, Asked)}
    return [fact for fact in journal if not isinstance(fact, Answered) or fact.at <= asked[fact.request] + seconds]


def doubled_calls(output: Output) -> Iterator[Violation]:
    """Yield the calls that have two `call` records: while watching each has its own id."""
    for call, times in Counter(record["call"] for record in output.records("call")).items():
        if times > 1:
            yield Violation("doubled call", f"call {call}", f"it has {times} records")


def broken_slots(output: Output, interval: float) -> Iterator[Violation]:
    """Yield what is wrong with subjects whose slots are not all there, each once and in order."""
    for subject, ended in slots(output).items():
        about, step = "/".join(subject), round(interval * 1000)
        yield from _out_of_order(about, ended)
        yield from _not_on_the_grid(about, sorted({one.due for one in ended}), step)


def slots(output: Output) -> dict[Subject, list[_Ended]]:
    """Return how the slots of each subject ended, in the order in which that was written; without closing ones."""
    found: defaultdict[Subject, list[_Ended]] = defaultdict(list)
    for record in output.records("call", "gap"):
        if record["slot"] is not None and not record["closing"]:
            found[_subject(record)].append(_Ended(_due(record), _how(record)))
    return dict(found)


def _subject(record: Record) -> Subject:
    return record["tenant"], record["operation"], record["api"]


def _due(record: Record) -> int:
    return round(datetime.fromisoformat(record["slot"]).timestamp() * 1000)


def _how(record: Record) -> str:
    return f"call, {record['outcome']}" if record["type"] == "call" else f"gap, {record['reason']}"


def _out_of_order(about: str, ended: Sequence[_Ended]) -> Iterator[Violation]:
    seen: dict[int, str] = {}
    latest = ended[0].due
    for one in ended:
        if one.due in seen:
            text = f"slot {one.due} ended twice: {seen[one.due]}; {one.how}"
            yield Violation("doubled slot", about, text)
        elif one.due < latest:
            yield Violation("slot out of order", about, f"slot {one.due} ({one.how}) came after slot {latest}")
        seen.setdefault(one.due, one.how)
        latest = max(latest, one.due)


def _not_on_the_grid(about: str, dues: Sequence[int], step: int) -> Iterator[Violation]:
    for before, due in pairwise(dues):
        if (due - before) % step:
            yield Violation("odd slot", about, f"slot {due} is {due - before} ms after the one before")
        elif due - before > step:
            yield Violation("lost slot", about, f"{(due - before) // step - 1} slots before {due} did not end")


def unrecorded(journal: Sequence[Fact], output: Output) -> int:
    """Count the requests of which no `call` record tells: their machine was killed before it could."""
    made = Counter[Question]((fact.token, fact.api, fact.query) for fact in journal if isinstance(fact, Asked))
    told = Counter[Question]()
    for record in output.records("call"):
        told[question(record)] += record["attempts"]
    return (made - told).total()
