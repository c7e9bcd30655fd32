"""What the simulator has to say about its clients, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Rule(StrEnum):
    """What a client may not do, and the last: what the simulator may not."""

    OVERLAP = "overlap"
    EARLY = "early"
    METHOD = "method"
    BODY = "body"
    TOKEN_MISSING = "token-missing"  # noqa: S105 - the name of a rule, as the next ones
    TOKEN_DUPLICATED = "token-duplicated"  # noqa: S105
    TOKEN_IN_URL = "token-in-url"  # noqa: S105
    WRONG_SERVER = "wrong-server"
    REFUSED_TOKEN_REUSED = "refused-token-reused"  # noqa: S105
    REDIRECT_FOLLOWED = "redirect-followed"
    CONNECTION_SHARED = "connection-shared"
    PIPELINED = "pipelined"
    MALFORMED = "malformed"
    SIMULATOR_ERROR = "simulator-error"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: when (monotonic seconds), where, by which token, in words."""

    rule: Rule
    at: float
    server: str
    token: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.rule} on {self.server} by {self.token or 'no token'}: {self.text}"


@dataclass(frozen=True, slots=True)
class Sent:
    """What came in and went out for one endpoint of a token.

    `answers` counts the good ones, empty ones among them; `rows` what they held. `items`
    is the sum over the rows that the vendor made itself; rows of a fault's own making
    add nothing to it.
    """

    requests: int
    answers: int
    rows: int
    items: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was broken, and the facts.

    `violations` counts every broken rule, `details` holds the first of them.
    `operations` and `servers` are those that were called, `answers` counts whole answers
    by status, `unanswered` the requests that got none, `in_flight_now` those still
    worked on. `sent` is by token id, then endpoint.
    """

    violations: Mapping[Rule, int]
    details: tuple[Violation, ...]
    requests: int
    answers: Mapping[int, int]
    unanswered: int
    operations: int
    servers: int
    connections: int
    connections_by_token: Mapping[str, int]
    in_flight_now: int
    max_in_flight: int
    max_in_flight_by_server: Mapping[str, int]
    sent: Mapping[str, Mapping[str, Sent]]

    @property
    def ok(self) -> bool:
        """Whether nothing was broken."""
        return not self.violations

    def __str__(self) -> str:
        summary = (
            f"{self.operations} operations, {self.servers} servers, {self.violations.get(Rule.OVERLAP, 0)} overlaps"
        )
        broken = [f"{count} x {rule}" for rule, count in self.violations.items() if rule is not Rule.OVERLAP]
        return ", ".join([summary, *broken])

    def document(self) -> dict[str, Any]:
        """Return the same as what JSON can hold."""
        return {
            "ok": self.ok,
            "summary": str(self),
            "violations": {rule.value: count for rule, count in self.violations.items()},
            "details": [_plain(violation) for violation in self.details],
            "requests": self.requests,
            "answers": {str(status): count for status, count in sorted(self.answers.items())},
            "unanswered": self.unanswered,
            "operations": self.operations,
            "servers": self.servers,
            "connections": self.connections,
            "connections_by_token": dict(self.connections_by_token),
            "in_flight_now": self.in_flight_now,
            "max_in_flight": self.max_in_flight,
            "max_in_flight_by_server": dict(self.max_in_flight_by_server),
            "sent": {token: {api: asdict(sent) for api, sent in apis.items()} for token, apis in self.sent.items()},
        }


def _plain(violation: Violation) -> dict[str, Any]:
    return {
        "rule": violation.rule.value,
        "at": round(violation.at, 6),
        "server": violation.server,
        "token": violation.token,
        "text": violation.text,
    }
