"""The questions of `init`, for what its options leave open.

An answer that cannot be is answered with what is wrong, and the question put again. A token as
an answer is kept nowhere, unless its owner wants it written into a file of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wolkvox_async.apps.drafts import Draft, free_secret
from wolkvox_async.apps.languages import translated
from wolkvox_async.model import Token, normalise_server
from wolkvox_async.settings.names import complain_about_name
from wolkvox_async.settings.servers import complain_about_server
from wolkvox_async.spelling import looks_like_a_token

from .keyboard import Keyboard
from .speech import say
from .whereabouts import WAYS, Way, pasted, reference

_A_NUMBER: Final = 8  # characters: whoever types more has not typed one
_OPERATION: Final = "main"
_YES: Final = frozenset({"y", "yes", "s", "si", "sí"})
_NO: Final = frozenset({"n", "no"})
_FEW_DIGITS: Final = re.compile(r"[0-9]{1,3}")
_NO_NAME: Final = "this looks like a token: it was not shown and is kept nowhere; where it is found is asked for below"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What options say of the operation; None where they say nothing. `taken` are those that are there."""

    tenants: Path
    name: str | None
    server: str | None
    operation: str | None
    token: dict[str, Any] | None
    taken: Collection[str]
    four_digits: bool


def name_complaint(name: str) -> str | None:
    """Return what is wrong with the name of a tenant or an operation, or None."""
    return _NO_NAME if looks_like_a_token(name) else complain_about_name(name)


def server_complaint(server: str, *, four_digits: bool) -> str | None:
    """Return what is wrong with a server, however it is spelled, or None."""
    if looks_like_a_token(server):  # which may be a name behind a base URL of one's own
        return _NO_NAME
    return complain_about_server(normalise_server(server), four_digits=four_digits)


class Interview:
    """Asks a person at a keyboard."""

    def __init__(self, keyboard: Keyboard) -> None:
        self._keyboard: Final = keyboard

    def agrees(self, question: str, *, unless: bool = True) -> bool:
        """Ask for yes or no; `unless` is what an empty answer means."""
        yes_or_no = translated("[Y/n]") if unless else translated("[y/N]")
        while True:
            said = self._keyboard.ask(f"{question} {yes_or_no} ", _A_NUMBER).casefold()
            if not said:
                return unless
            if said in _YES | _NO:
                return said in _YES

    def file(self, there: Path) -> Path:
        """Ask what to do, because the tenants file is there: another name, or the same to add to it."""
        question = translated(
            "{file} is there already, and stays. Enter adds to it; or type the name of another file: ", file=there
        )
        while True:
            said = self._keyboard.ask(question)
            if not said:
                return there
            other = there.parent / said
            if looks_like_a_token(other.name):
                say(_NO_NAME)
            elif os.path.lexists(other):
                say(f"{other}: this is there as well")
            elif not other.parent.is_dir():
                say(f"{other.parent}: there is no such folder")
            else:
                return other

    def draft(self, wanted: Wanted) -> Draft:
        """Ask for what is open."""
        name = wanted.name or self._text(translated("Tenant (a customer of yours, such as acme)"), None, name_complaint)
        server = wanted.server or self._server(wanted)
        operation = wanted.operation or self._operation(wanted, name)
        token, secret = (wanted.token, None) if wanted.token else self._token(wanted, name, operation)
        return Draft(name, operation, normalise_server(server), token or {}, secret)

    def _server(self, wanted: Wanted) -> str:
        question, guess = translated("Server (the four digits of https://wv0010.wolkvox.com)"), None
        while True:
            said = self._ask(question, guess)
            problem = server_complaint(said, four_digits=wanted.four_digits)
            if problem is None:
                return said
            say(problem)
            guess = said.zfill(4) if _FEW_DIGITS.fullmatch(said) else None

    def _operation(self, wanted: Wanted, name: str) -> str:
        def problem(operation: str) -> str | None:
            is_there = f"{name}/{operation}" in wanted.taken
            return f"{name}/{operation} is in the file already" if is_there else name_complaint(operation)

        guess = None if f"{name}/{_OPERATION}" in wanted.taken else _OPERATION
        return self._text(translated("Operation (a server and a token of this tenant)"), guess, problem)

    def _text(self, question: str, guess: str | None, problem: Callable[[str], str | None]) -> str:
        while True:
            said = self._ask(question, guess)
            if (wrong := problem(said)) is None:
                return said
            say(wrong)

    def _ask(self, question: str, guess: str | None) -> str:
        """Ask; an empty answer is the guess."""
        shown = f"{question}: " if guess is None else f"{question} [{guess}]: "
        return self._keyboard.ask(shown) or guess or ""

    # --- the token ----------------------------------------------------------------------------

    def _token(self, wanted: Wanted, name: str, operation: str) -> tuple[dict[str, Any], Token | None]:
        """Ask where the token is; return its reference, and the token itself if it is to be written there."""
        say(translated("Where is the token of {path}? The tenants file holds only that.", path=f"{name}/{operation}"))
        for number, way in enumerate(WAYS, 1):
            say(f"  {number}  {translated(way.place)}")
        say(translated("  or paste it: it is not shown, and goes into a file that only you can read"))
        while True:
            said = self._keyboard.ask(translated("1 to {most}, or the token [1]: ", most=len(WAYS)), _A_NUMBER) or "1"
            if said.isdecimal() and len(said) < _A_NUMBER:
                found = self._chosen(int(said), wanted.tenants, f"{name}/{operation}")
            else:
                found = self._kept(said, wanted.tenants, f"{name}/{operation}")
            if found is not None:
                return found

    def _chosen(self, number: int, tenants: Path, path: str) -> tuple[dict[str, Any], Token | None] | None:
        if 1 <= number <= len(WAYS):
            return self._found(WAYS[number - 1], tenants, path)
        say(f"there is no {number}: write a number from 1 to {len(WAYS)}, or paste the token")
        return None

    def _found(self, way: Way, tenants: Path, path: str) -> tuple[dict[str, Any], Token | None] | None:
        guess = variable_of(path) if way.key == "env" else None
        said = self._ask("  " + translated(way.question), guess)
        if pasted(said) is not None:
            return self._kept(said, tenants, path)
        written, wrong = reference(way, said)
        if written is None:
            say(wrong)
            return None
        return written, None

    def _kept(self, said: str, tenants: Path, path: str) -> tuple[dict[str, Any], Token | None] | None:
        """Offer to write down a token that was given as an answer."""
        try:
            token = Token(said)
        except ValueError as error:
            problem = str(error)
        else:
            file = free_secret(tenants, *path.split("/"))
            say(translated("Taken for the token itself ({id}): it was not shown, and is kept nowhere.", id=token.id))
            question = translated("Write it into {file}, which only you can read (mode 0600)?", file=file)
            return ({"file": file}, token) if self.agrees(question) else None
        say(problem)
        return None


def variable_of(path: str) -> str:
    """Return a name for the environment variable that holds an operation's token."""
    return re.sub(r"[^A-Z0-9]+", "_", f"{path}_token".upper()).strip("_")
