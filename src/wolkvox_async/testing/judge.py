"""The judge: events of the journal in, violations out. Pure; it knows nothing of clients.

A token is *busy* from the last byte of a request until the last bytes of its answer are
handed over; when there is no whole answer, until the time that the vendor may still be
working on it is over, and in any case no longer than the vendor's limit. A request that
meets a busy token is an overlap; it is turned away and does not keep the token busy.

What is kept grows with tokens and with requests in flight, never with requests made.
Of tokens that nobody gave out, the first 10,000 are remembered; of the endpoints that a
token was used for, the first 200 are counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, assert_never

from .faults import Effect
from .journal import Answered, Asked, Crashed, Disconnected, Dropped, Event, Gibberish, Overhasty
from .verdict import Rule, Sent, Verdict, Violation

MAX_DETAILS: Final = 100

_MAX_STRANGERS: Final = 10_000
_MANY_QUERIES: Final = 64
_MAX_APIS: Final = 200
_OTHER_APIS: Final = "..."


@dataclass(frozen=True, slots=True)
class Rules:
    """What is expected of clients; seconds.

    `interval` is the least time between two calls of a token for the same thing, of which
    `jitter` is forgiven; 0 switches the rule off. `limit` is how long the vendor works on
    one request at most. `shared_connections` allows a connection to serve several tokens.
    """

    interval: float = 300.0
    jitter: float = 1.0
    limit: float = 60.0
    shared_connections: bool = False


@dataclass(slots=True)
class _Book:
    """What the judge keeps about one token.

    `holder` is the request that keeps the token busy, no longer than until `until`;
    `granted` is when each query that ended well was last asked.
    """

    known: bool
    holder: int | None = None
    until: float = 0.0
    refused: bool = False
    connections: int = 0
    granted: dict[str, float] = field(default_factory=dict)
    # By endpoint: requests, good answers, rows, items.
    sent: dict[str, list[int]] = field(default_factory=dict)

    def tally(self, api: str) -> list[int]:
        found = self.sent.get(api)
        if found is None:
            found = self.sent.setdefault(api if len(self.sent) < _MAX_APIS else _OTHER_APIS, [0, 0, 0, 0])
        return found


@dataclass(slots=True)
class _Load:
    now: int = 0
    most: int = 0

    def rise(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)


class Judge:
    """Sees events in the order of their time and comes to a verdict."""

    def __init__(self, rules: Rules) -> None:
        self._rules: Final = rules
        self._books: Final[dict[str, _Book]] = {}
        self._strangers = 0
        self._open: Final[dict[int, Asked]] = {}
        # The first token seen on each open connection.
        self._connections: Final[dict[int, str | None]] = {}
        self._connections_seen = 0
        self._load: Final = _Load()
        self._loads: Final[dict[str, _Load]] = {}
        self._requests = 0
        self._unanswered = 0
        self._answers: Final[Counter[int]] = Counter()
        self._violations: Final[Counter[Rule]] = Counter()
        self._details: Final[list[Violation]] = []

    def is_busy(self, token: str, at: float) -> bool:
        """Tell whether the vendor is working on a request with that token."""
        book = self._books.get(token)
        return book is not None and book.holder is not None and at < book.until

    def forgive_refusals(self) -> None:
        """Forget which tokens were refused: the client begins a new run."""
        for book in self._books.values():
            book.refused = False

    def see(self, event: Event) -> None:
        """Take notice of one event."""
        match event:
            case Asked():
                self._see_asked(event)
            case Answered():
                self._see_answered(event)
            case Dropped():
                self._see_dropped(event)
            case Disconnected():
                self._connections.pop(event.connection, None)
            case Overhasty():
                self._blame(Rule.PIPELINED, event, self._connections.get(event.connection), _OVERHASTY)
            case Gibberish():
                self._blame(Rule.MALFORMED, event, self._connections.get(event.connection), _GIBBERISH)
            case Crashed():
                self._blame(Rule.SIMULATOR_ERROR, event, None, event.what)
            case _ as never:
                assert_never(never)

    def _see_asked(self, asked: Asked) -> None:
        self._requests += 1
        self._open[asked.request] = asked
        self._load.rise()
        load = self._loads.get(asked.server)
        if load is None:
            load = self._loads[asked.server] = _Load()
        load.rise()
        token = asked.tokens[0] if asked.tokens else None
        self._see_connection(asked, token)
        for rule, text in _broken_in_itself(asked):
            self._blame(rule, asked, token, text)
        if token is not None and not asked.trapped:
            self._see_token(asked, token)

    def _see_connection(self, asked: Asked, token: str | None) -> None:
        first = self._connections.get(asked.connection, "")
        if first == "":
            self._connections_seen += 1
        if not first:
            self._connections[asked.connection] = token
            if token is not None:
                self._book(token, asked.home).connections += 1
        elif token not in (first, None) and not self._rules.shared_connections:
            self._blame(Rule.CONNECTION_SHARED, asked, token, f"its connection served {first} before")

    def _see_token(self, asked: Asked, token: str) -> None:
        book = self._book(token, asked.home)
        book.tally(asked.api)[0] += 1
        if book.refused:
            self._blame(Rule.REFUSED_TOKEN_REUSED, asked, token, "it had been refused")
        if asked.home not in (None, asked.server):
            self._blame(Rule.WRONG_SERVER, asked, token, f"it belongs to server {asked.home}")
        if book.holder is not None and asked.at < book.until:
            held = self._open.get(book.holder)
            since = f", asked {asked.at - held.at:.3f} s before," if held else ", given up by the client,"
            self._blame(Rule.OVERLAP, asked, token, f"request {book.holder}{since} was being worked on")
            return
        book.holder = asked.request
        book.until = asked.at + self._rules.limit
        if self._rules.interval and (before := book.granted.get(asked.query)) is not None:
            due = before + self._rules.interval - self._rules.jitter
            if asked.at < due:
                self._blame(Rule.EARLY, asked, token, f"{asked.api} was asked for {asked.at - before:.3f} s before")

    def _see_answered(self, answered: Answered) -> None:
        asked = self._close(answered.request)
        self._answers[answered.status] += 1
        if not asked.tokens:
            return
        book = self._book(asked.tokens[0], asked.home)
        if book.holder == asked.request:
            book.holder = None
        if answered.effect is Effect.REFUSED:
            book.refused = True
        if answered.effect is Effect.GRANTED and self._rules.interval:
            self._grant(book, asked)
        if answered.rows or answered.effect is Effect.GRANTED:
            tally = book.tally(asked.api)
            tally[1] += 1
            tally[2] += answered.rows
            tally[3] += answered.items

    def _grant(self, book: _Book, asked: Asked) -> None:
        if len(book.granted) > _MANY_QUERIES and asked.query not in book.granted:
            over = asked.at - self._rules.interval
            book.granted = {query: at for query, at in book.granted.items() if at > over}
        book.granted[asked.query] = asked.at

    def _see_dropped(self, dropped: Dropped) -> None:
        asked = self._close(dropped.request)
        self._unanswered += 1
        book = self._book(asked.tokens[0], asked.home) if asked.tokens else None
        if book is not None and book.holder == asked.request:
            book.until = min(book.until, dropped.until)

    def _close(self, request: int) -> Asked:
        asked = self._open.pop(request)
        self._load.now -= 1
        self._loads[asked.server].now -= 1
        return asked

    def _book(self, token: str, home: str | None) -> _Book:
        book = self._books.get(token)
        if book is None:
            book = _Book(known=home is not None)
            self._strangers += home is None
            if home is not None or self._strangers <= _MAX_STRANGERS:
                self._books[token] = book
        return book

    def _blame(self, rule: Rule, event: Asked | Overhasty | Gibberish | Crashed, token: str | None, text: str) -> None:
        self._violations[rule] += 1
        if len(self._details) < MAX_DETAILS:
            self._details.append(Violation(rule, event.at, event.server, token, text))

    def verdict(self) -> Verdict:
        """Return what was broken so far, and the facts."""
        known = {token: book for token, book in self._books.items() if book.known}
        return Verdict(
            violations=dict(self._violations),
            details=tuple(self._details),
            requests=self._requests,
            answers=dict(self._answers),
            unanswered=self._unanswered,
            operations=len(known),
            servers=len(self._loads),
            connections=self._connections_seen,
            connections_by_token={token: book.connections for token, book in self._books.items()},
            in_flight_now=self._load.now,
            max_in_flight=self._load.most,
            max_in_flight_by_server={server: load.most for server, load in self._loads.items()},
            sent={token: {api: Sent(*counts) for api, counts in book.sent.items()} for token, book in known.items()},
        )


_OVERHASTY: Final = "bytes came before the answer was complete"
_GIBBERISH: Final = "what came is no HTTP/1.1 request"


def _broken_in_itself(asked: Asked) -> Iterator[tuple[Rule, str]]:
    """Yield the rules that a request breaks whatever came before it."""
    if asked.method != "GET":
        yield Rule.METHOD, f"the method was {asked.method[:20]}"
    if asked.has_body:
        yield Rule.BODY, "the request had a body"
    if asked.credential_in_url:
        yield Rule.TOKEN_IN_URL, "the address held a token"
    if asked.trapped:
        yield Rule.REDIRECT_FOLLOWED, "the request went where a redirect pointed"
    elif not asked.tokens:
        yield Rule.TOKEN_MISSING, "the request had no wolkvox-token header"
    if len(asked.tokens) > 1:
        yield Rule.TOKEN_DUPLICATED, f"the request had {len(asked.tokens)} wolkvox-token headers"
