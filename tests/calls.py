"""A call as an example, and the moment at which it ended."""

from datetime import UTC, datetime

from wolkvox_async.model import Call, Operation, Token

AT = datetime(2026, 11, 21, 21, 43, 47, 733_000, UTC)
CALL = Call(
    "01KAJ4N0QGZZZZZZZZZZZZZZZZ",
    Operation("acme", "bogota", "0010", Token("made-up-token-0001")),
    "interactions",
    "billing",
    (("api", "interactions"),),
)
