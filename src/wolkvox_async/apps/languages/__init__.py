"""The languages in which the command line speaks of itself: English, and those that have a catalogue.

Texts are written in English where they are used, and are their own keys: `es.po` beside this
file holds what each is in Spanish. A text that stands in no catalogue is shown in English. What
programs read (records, JSON, exit codes, log events) has no language, and error messages stay
English, so that what one user quotes another one finds.

Which language is spoken belongs to a run of the command line, as a context variable: whoever
embeds the library never chooses one and gets English. A catalogue is read when the first text
is asked for in its language; English costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

Language: TypeAlias = Literal["en", "es"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "es")
ENGLISH: Final = "en"
VARIABLE: Final = "WOLKVOX_LANG"

_SPOKEN: Final[ContextVar[Language]] = ContextVar("language of the command line", default=ENGLISH)


def spoken() -> Language:
    """Return the language in which texts are shown."""
    return _SPOKEN.get()


def speak(language: str) -> None:
    """Show texts in `language` from now on; one that there is not is English."""
    _SPOKEN.set(next((one for one in LANGUAGES if one == language), ENGLISH))


def asked_for(arguments: list[str], environment: Mapping[str, str]) -> str:
    """Return the language that a command line asks for, wherever its `--lang` stands; else that of the environment.

    Help is shown before options are read, so this does not wait for that.
    """
    found = environment.get(VARIABLE, ENGLISH)
    for place, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--lang":
            found = "".join(arguments[place + 1 : place + 2])
        elif argument.startswith("--lang="):
            found = argument.partition("=")[2]
    return found


def translated(text: str, /, **facts: Any) -> str:
    """Return `text` in the language that is spoken, with `facts` filled in where it has {names}.

    What stands before its first letter is kept: a line is indented alike in all languages.
    """
    language = _SPOKEN.get()
    if language != ENGLISH:
        bare = text.lstrip(" ")
        text = text[: len(text) - len(bare)] + catalogue(language).get(bare, bare)
    return text.format(**facts) if facts else text


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the texts of `language` by the English ones."""
    from .catalogues import read  # noqa: PLC0415 - English has none

    return read(Path(__file__).with_name(f"{language}.po").read_text(encoding="utf-8"))
