"""Where a token may be: the ways that `init` knows, and what is wrong with an answer that names one.

An answer may be the token itself. It is then a `Token` at once, and nothing quotes it.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any, Final

from wolkvox_async.model import Token
from wolkvox_async.spelling import is_a_token_by_looks, looks_like_a_token

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Nobody gives such a name to an entry of a password store.
_VENDORS_TOKEN: Final = re.compile(r"[0-9a-f]{32,}")
_PASTED: Final = (
    "this looks like a token itself; it was not shown and is kept nowhere: here belongs only where the token is found"
)


@dataclass(frozen=True, slots=True)
class Way:
    """A key of a token's reference; `place` says where a token is then, `question` asks for the value."""

    key: str
    place: str
    question: str
    metavar: str
    help: str


WAYS: Final = (
    Way("env", "in an environment variable", "name of the variable", "NAME", "the environment variable that holds it"),
    Way("file", "in a file", "the file", "FILE", "the file that holds it, seen from the tenants file"),
    Way("command", "a command prints it (pass, op, vault)", "the command", "COMMAND", "the command that prints it"),
    Way("keyring", "in the system's keyring", "the entry, as service/name", "SERVICE/NAME", "its entry in the keyring"),
    Way("secret", "in a folder of secrets (Docker, Kubernetes)", "its name in there", "NAME", "its name among secrets"),
)


def reference(way: Way, answer: str) -> tuple[dict[str, Any] | None, str]:
    """Return the reference that an answer comes to, as a tenants file writes it; or None, and what is wrong."""
    if _is_pasted(way, answer):
        return None, _PASTED
    value: Any = answer
    if way.key == "env" and not _VARIABLE.fullmatch(answer):  # not quoted: it may be a token of some other form
        return None, "the name of a variable has letters, digits and underscores only, and no digit in front"
    if way.key == "command":
        try:
            value = shlex.split(answer)
        except ValueError:
            return None, "a quote is not closed"
        if any(_VENDORS_TOKEN.fullmatch(word) for word in value):
            return None, _PASTED
    wrong = _complaints({way.key: value})
    return (None, wrong) if wrong else ({way.key: value}, "")


def pasted(answer: str) -> Token | None:
    """Return the token that an answer is, if it is one and nothing else."""
    if not looks_like_a_token(answer) or "/" in answer:
        return None
    try:
        return Token(answer)
    except ValueError:
        return None


def _is_pasted(way: Way, answer: str) -> bool:
    if way.key in ("command", "file", "secret"):  # paths and commands may well hold long words
        return is_a_token_by_looks(answer)
    return looks_like_a_token(answer)


def _complaints(written: dict[str, Any]) -> str:
    from wolkvox_async.settings.complaints import Complaints  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.settings.documents import Source  # noqa: PLC0415
    from wolkvox_async.settings.tokens import Plugins, read_reference  # noqa: PLC0415

    complaints = Complaints()
    read_reference(written, (), complaints, Plugins())
    return "; ".join(mistake.message.partition(": ")[2] for mistake in complaints.mistakes(Source()))
