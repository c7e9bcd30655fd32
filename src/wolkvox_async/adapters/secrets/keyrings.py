"""Tokens of the system's keyring, by the package `keyring` (an extra), which is imported when it is needed.

One entry at a time: a keyring that is locked asks for its password, and several such
questions at once are nobody's wish.
"""

from __future__ import annotations

import importlib
import shlex
from dataclasses import dataclass
from typing import Final, assert_never

from wolkvox_async.references import KeyringReference

from .found import Resolution, handed_over, unresolved
from .threads import Came, Raised, Silent, Stuck, Threads

_OTHERWISE: Final = 'on a server there mostly is none, so keep the token elsewhere ("secret", "file", "command")'


class _NotInstalledError(Exception):
    """The package `keyring` is not there."""


@dataclass(frozen=True, slots=True)
class _Nothing:
    """The keyring has no such entry; `is_off` when it never has any."""

    is_off: bool


async def from_keyring(reference: KeyringReference, threads: Threads, seconds: float) -> Resolution:
    """Return the token that the keyring holds."""
    match await threads.run(lambda: _asked(reference), seconds):
        case Came(value=_Nothing(is_off=True)):
            return unresolved(reference, f"does not exist: the keyring is switched off (null backend); {_OTHERWISE}")
        case Came(value=_Nothing()):
            return unresolved(reference, f"does not exist: {_storing(reference)} asks for the token and stores it")
        case Came(value=value):
            return handed_over(reference, value)
        case Raised() as raised:
            return unresolved(reference, _failure(raised))
        case Silent():
            return unresolved(
                reference, f"did not come within {seconds:g} s: is the keyring locked, or asking somebody something?"
            )
        case Stuck():
            return unresolved(reference, "was not asked for: the keyring has not answered an earlier question")
        case _ as never:
            assert_never(never)


def _asked(reference: KeyringReference) -> object:
    """Ask the keyring; to be called in a thread, because importing takes its time as well."""
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        raise _NotInstalledError from None
    text = keyring.get_password(reference.service, reference.username)
    if text is not None:
        return text
    return _Nothing(is_off=type(keyring.get_keyring()).__module__ == "keyring.backends.null")


def _failure(raised: Raised) -> str:
    kinds = raised.kinds
    if "_NotInstalledError" in kinds:
        return "needs an extra: pip install 'wolkvox-async[keyring]'"
    if "NoKeyringError" in kinds:
        return (
            f"cannot be read, because no keyring is there: {_OTHERWISE}, "
            "or install a backend and name it in PYTHON_KEYRING_BACKEND"
        )
    if "KeyringLocked" in kinds:
        return "cannot be read, because the keyring is locked: unlock it (log in at the desktop), then try again"
    if "ImportError" in kinds:
        return "cannot be read: is the backend that PYTHON_KEYRING_BACKEND or keyringrc.cfg names installed?"
    return f"cannot be read ({raised.kind}): `python -m keyring diagnose` says what the keyring is"


def _storing(reference: KeyringReference) -> str:
    return f"`keyring set {shlex.quote(reference.service)} {shlex.quote(reference.username)}`"
