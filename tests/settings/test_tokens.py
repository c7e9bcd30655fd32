from __future__ import annotations

from wolkvox_async.model import Operation, Token
from wolkvox_async.settings.tokens import shared_tokens

from .samples import TOKEN


def operation(tenant: str, name: str, token: str) -> Operation:
    return Operation(tenant, name, "0010", Token(token))


def test_a_token_of_two_entries_is_named_once_with_both_and_never_shown() -> None:
    operations = [operation("acme", "bogota", TOKEN), operation("acme", "quito", "other-token")]
    assert shared_tokens(operations) == []
    [message] = shared_tokens([*operations, operation("globex", "main", TOKEN)])
    assert message.startswith("acme/bogota, globex/main have the same token (tk_")
    assert TOKEN not in message


def test_of_many_entries_with_one_token_the_first_are_named() -> None:
    [message] = shared_tokens(operation("acme", f"o{n}", TOKEN) for n in range(300))
    assert message.startswith("acme/o0, acme/o1, acme/o2, acme/o3, acme/o4 and 295 more have the same token")


def test_every_shared_token_has_a_message_of_its_own() -> None:
    pairs = [operation("acme", f"o{n}", f"token-number-{n // 2}") for n in range(6)]
    assert len(shared_tokens(pairs)) == 3
