"""Made-up tenants: one operation each, its token, its server, and the tenants file that names them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.judging.evidence import Owner
from tests.judging.facts import token_id
from tests.judging.outputs import Question


@dataclass(frozen=True, slots=True)
class Population:
    """`tenants` of one operation each, dealt out to `servers`; each is asked for every one of `apis`."""

    tenants: int
    servers: int = 1
    apis: tuple[str, ...] = ("interactions", "gamification")

    @property
    def tokens(self) -> list[tuple[str, int]]:
        """The text of each token, and the number of its server."""
        return [(_token(number), number % self.servers) for number in range(self.tenants)]

    @property
    def planned(self) -> set[Question]:
        """What a run over all of them has to settle."""
        return {(token_id(text), api, "") for text, _ in self.tokens for api in self.apis}

    def owners(self, servers: Sequence[str]) -> dict[str, Owner]:
        """Return whose each token is, by its id."""
        return {
            token_id(text): Owner(_tenant(number), "main", servers[server])
            for number, (text, server) in enumerate(self.tokens)
        }

    def write(self, path: Path, servers: Sequence[str]) -> None:
        """Write the tenants file, for its owner's eyes: the tokens stand in it."""
        tenants = [
            {
                "name": _tenant(number),
                "operations": [{"name": "main", "server": servers[server], "token": text, "apis": list(self.apis)}],
            }
            for number, (text, server) in enumerate(self.tokens)
        ]
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"tenants": tenants}, file)


def _token(number: int) -> str:
    return hashlib.sha256(f"a made-up token, number {number}".encode()).hexdigest()[:40]


def _tenant(number: int) -> str:
    return f"tenant-{number:06}"
