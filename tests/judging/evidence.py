"""Rules over outputs and journal together: what was recorded is what happened. Pure.

A row says which answer it is of, and the journal knows to which question that was the
answer; so every row can be traced to the wire, and nothing has to be taken on trust.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .facts import Answered, Asked, Closed, Effect, Fact, Opened, Unasked
from .outputs import Output, Question, Record, committed, miscounted, question, torn_lines, uncommitted_rows
from .rules import Violation, broken_on_the_wire


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a token is."""

    tenant: str
    operation: str
    server: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client is measured by.

    `limit` is the vendor's, `interval` (0: none) the least time between two calls, both in
    seconds. `owners` go by token id. Every run of `planned` had those questions to settle.
    `repeats` is how many attempts may be on the wire without having been recorded, because
    their process was killed.
    """

    limit: float
    owners: Mapping[str, Owner]
    interval: float = 0.0
    planned: Mapping[str, Collection[Question]] = field(default_factory=dict)
    repeats: int = 0


# --- rows ---------------------------------------------------------------------------------


def foreign_rows(outputs: Sequence[Output], owners: Mapping[str, Owner]) -> Iterator[Violation]:
    """A row, or a call, stands under a tenant, operation or server that is not its token's."""
    for output in outputs:
        for record in output.records("row", "call"):
            token = record["token"] if record["type"] == "call" else _source(record)[0]
            owner = Owner(record["tenant"], record["operation"], record["server"])
            if owners.get(token) != owner:
                text = f"{record['type']} of {token} stands under {owner.tenant}/{owner.operation} at {owner.server}"
                yield Violation("foreign row", output.name, text)


def _source(row: Record) -> tuple[str, int, int]:
    """Return the token, the answer and the place in it that a row is of."""
    said = row["row"].get("description", "") if isinstance(row["row"], dict) else ""
    token, _, rest = str(said).partition(":")
    answer, _, place = rest.partition(":")
    return (token, int(answer), int(place)) if answer.isdigit() and place.isdigit() else ("?", 0, 0)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A whole answer: what it answers (None: nothing), what it means and how many rows it has."""

    question: Question | None
    effect: Effect
    rows: int


def _answers(journal: Sequence[Fact]) -> dict[int, _Answer]:
    asked = {fact.request: (fact.token, fact.api, fact.query) for fact in journal if isinstance(fact, Asked)}
    found = {}
    for fact in journal:
        if isinstance(fact, Answered):
            found[fact.answer] = _Answer(asked[fact.request], fact.effect, fact.rows)
        elif isinstance(fact, Unasked):
            found[fact.answer] = _Answer(None, Effect.OK, fact.rows)
    return found


def lost_and_doubled(outputs: Sequence[Output], journal: Sequence[Fact]) -> Iterator[Violation]:
    """The rows of a call are not those of exactly one answer to it, or another call has them too."""
    answers = _answers(journal)
    empty = {answer.question for answer in answers.values() if answer.effect is Effect.EMPTY}
    used: dict[int, str] = {}
    for output in outputs:
        for mark, rows in committed(output):
            about = f"call {mark['call']}"
            if mark["outcome"] != "ok":
                yield from _without_rows(mark, rows, empty, about)
                continue
            sources = [_source(row) for row in rows]
            yield from _one_whole_answer(mark, sources, answers, about)
            for answer in {source[1] for source in sources}:
                if answer in used:
                    yield Violation("doubled rows", about, f"answer {answer} was also used by {used[answer]}")
                used[answer] = about


def _without_rows(
    mark: Record, rows: Sequence[Record], empty: Collection[Question | None], about: str
) -> Iterator[Violation]:
    if rows:
        yield Violation("doubled rows", about, f"it is {mark['outcome']}, and has {len(rows)} rows")
    if mark["outcome"] == "empty" and question(mark) not in empty:
        yield Violation("lost rows", about, "it is empty, and no answer to it was")


def _one_whole_answer(
    mark: Record, sources: Sequence[tuple[str, int, int]], answers: Mapping[int, _Answer], about: str
) -> Iterator[Violation]:
    if not sources:
        yield Violation("lost rows", about, "it is ok, and has no rows")
        return
    number = sources[0][1]
    answer = answers.get(number)
    if answer is None:
        yield Violation("misplaced rows", about, f"no answer {number} was ever completed")
        return
    if answer.question is None:
        yield Violation("misplaced rows", about, f"nobody asked for answer {number}")
    elif answer.question != question(mark):
        yield Violation("misplaced rows", about, f"answer {number} was to {answer.question}")
    token = mark["token"]
    there = Counter(sources)
    whole = Counter((token, number, place) for place in range(1, answer.rows + 1))
    if missing := whole - there:
        yield Violation("lost rows", about, f"{missing.total()} rows of answer {number} are missing")
    if surplus := there - whole:
        yield Violation("doubled rows", about, f"{surplus.total()} rows beside those of answer {number}")
    if there == whole and [place for *_, place in sources] != sorted(place for *_, place in sources):
        yield Violation("misplaced rows", about, f"the rows of answer {number} are in another order")


# --- calls --------------------------------------------------------------------------------


def unsettled(outputs: Sequence[Output], planned: Mapping[str, Collection[Question]]) -> Iterator[Violation]:
    """A planned call of a run has no record, one beside the plan has, or one goes on after it ended well."""
    settled: defaultdict[str, set[Question]] = defaultdict(set)
    calls: defaultdict[tuple[str, ...], list[Record]] = defaultdict(list)
    for output in outputs:
        for record in output.records("call"):
            asked = question(record)
            settled[record["run"]].add(asked)
            calls[record["run"], record["tenant"], record["operation"], *asked].append(record)
    for run, questions in planned.items():
        for asked in set(questions) - settled[run]:
            yield Violation("unsettled", f"run {run}", f"{asked} has no call record")
        for asked in settled[run] - set(questions):
            yield Violation("unsettled", f"run {run}", f"{asked} was not planned")
    for (run, *asked_by), marks in calls.items():
        if any(mark["outcome"] in ("ok", "empty") for mark in marks[:-1]):
            yield Violation("settled twice", f"run {run}", f"{asked_by} had ended well before")
        if len({mark["call"] for mark in marks}) > 1:
            yield Violation("settled twice", f"run {run}", f"{asked_by} has two call ids")


def unequal_attempts(outputs: Sequence[Output], journal: Sequence[Fact], *, repeats: int = 0) -> Iterator[Violation]:
    """There were other attempts on the wire than the `call` records say; `repeats` may be unrecorded.

    A connection on which nothing was asked, and a request that broke off, are attempts
    too, of whomever: the wire does not show whose.
    """
    whole = Counter((fact.token, fact.api, fact.query) for fact in journal if isinstance(fact, Asked))
    nameless = _nameless(journal)
    recorded: Counter[Question] = Counter()
    for output in outputs:
        for record in output.records("call"):
            recorded[question(record)] += record["attempts"]
    unrecorded, unseen = (whole - recorded).total(), (recorded - whole).total()
    if unrecorded > repeats:
        worst = max(whole, key=lambda asked: whole[asked] - recorded[asked])
        text = f"{unrecorded} requests beyond those recorded, of which {repeats} may be; the most for {worst}"
        yield Violation("hidden attempts", "all", text)
    if unseen > nameless:
        yield Violation("invented attempts", "all", f"{unseen} were recorded and not seen, {nameless} broke off")
    if unrecorded + nameless - unseen > repeats >= unrecorded:
        text = f"{nameless} broke off, of which {unseen} were recorded, and {repeats} may not be"
        yield Violation("hidden attempts", "all", text)


def _nameless(journal: Sequence[Fact]) -> int:
    opened = {fact.connection for fact in journal if isinstance(fact, Opened)}
    begun = {fact.connection for fact in journal if isinstance(fact, Closed) and fact.begun} & opened
    silent = opened - {fact.connection for fact in journal if isinstance(fact, Asked)} - begun
    return len(begun) + len(silent)


def wire_attempts(journal: Sequence[Fact]) -> int:
    """Count the attempts that the wire saw, those included of which it does not know whose they were."""
    return sum(isinstance(fact, Asked) for fact in journal) + _nameless(journal)


def judge(journal: Sequence[Fact], outputs: Sequence[Output], terms: Terms) -> list[Violation]:
    """Return everything that was broken, on the wire and in the outputs."""
    found = broken_on_the_wire(journal, limit=terms.limit, interval=terms.interval)
    for output in outputs:
        found += [*torn_lines(output), *uncommitted_rows(output), *miscounted(output)]
    found += foreign_rows(outputs, terms.owners)
    found += lost_and_doubled(outputs, journal)
    found += unsettled(outputs, terms.planned)
    found += unequal_attempts(outputs, journal, repeats=terms.repeats)
    return found
