from __future__ import annotations

import pytest

from wolkvox_async.model import Token
from wolkvox_async.references import (
    CommandReference,
    EnvReference,
    FileReference,
    KeyringReference,
    LiteralReference,
    TokenReference,
    describe,
)

TOKEN = "5f4dcc3b5aa765d61d8327deb882cf99"


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        (EnvReference("ACME_TOKEN"), "the environment variable ACME_TOKEN"),
        (FileReference("secrets/acme"), "the file secrets/acme"),
        (CommandReference(("pass", "show", TOKEN)), "the command pass"),
        (KeyringReference("wolkvox", "acme"), "the keyring entry wolkvox/acme"),
        (LiteralReference(Token(TOKEN)), f"the literal token {Token(TOKEN).id}"),
    ],
)
def test_a_reference_has_a_name_without_anything_secret(reference: TokenReference, name: str) -> None:
    assert describe(reference) == name
    assert TOKEN not in repr(reference)
    assert TOKEN not in repr({reference: [reference]})


def test_equal_references_are_one() -> None:
    assert len({CommandReference(("a", "b")), CommandReference(("a", "b")), LiteralReference(Token(TOKEN))}) == 2
    assert LiteralReference(Token(TOKEN)) == LiteralReference(Token(TOKEN))
