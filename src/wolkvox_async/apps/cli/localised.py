"""Commands that show their help in the language that is spoken, and `--lang`, which says which that is.

Everything that help shows goes through the formatter, so that is where it is translated: each
paragraph and each option's text is a key of the catalogue. No command knows of this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import copy
from typing import Final

import click

from wolkvox_async.apps.languages import ENGLISH, LANGUAGES, VARIABLE, spoken, translated

_PLACEHOLDER: Final = re.compile(r"[A-Z]{2,}")
_EXTRAS: Final = re.compile(r"(.*?)(?:  \[(.*)\])?", re.DOTALL)
_DEFAULT: Final = "default: "
_AS_IT_IS: Final = "\b"  # click's mark of a paragraph that is not filled


def language_option() -> click.Option:
    """Return `--lang`; it is read before all options are, so here it is only checked."""
    return click.Option(
        ["--lang"],
        type=click.Choice(LANGUAGES),
        envvar=VARIABLE,
        expose_value=False,
        help=f"language of this program's own texts; error messages stay English  [default: {ENGLISH}]",
    )


class Formatter(click.HelpFormatter):
    """Writes help in the language that is spoken."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line that says how a command is called."""
        super().write_usage(prog, _placeholders(args), prefix or translated("Usage:") + " ")

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        super().write_heading(translated(heading))

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        super().write_text("\n\n".join(map(_paragraph, text.split("\n\n"))))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write options, or commands, and what each does."""
        super().write_dl([(_placeholders(term), _entry(text)) for term, text in rows], col_max, col_spacing)


class Context(click.Context):
    """A context whose help is in the language that is spoken."""

    formatter_class = Formatter


def localised(command: click.Command) -> click.Command:
    """Return `command` with `--lang`, and with help in the language that is spoken."""
    own = copy(command)
    own.context_class = Context
    if not any("--lang" in parameter.opts for parameter in command.params):
        own.params = [*command.params, language_option()]
    return own


def _paragraph(text: str) -> str:
    return text if text.startswith(_AS_IT_IS) else translated(" ".join(text.split()))


def _placeholders(text: str) -> str:
    """Translate the words in capitals, which stand for values."""
    if spoken() == ENGLISH:
        return text
    return _PLACEHOLDER.sub(lambda found: translated(found.group()), text)


def _entry(text: str) -> str:
    """Translate what an option does, and what stands in brackets behind it."""
    found = _EXTRAS.fullmatch(text)
    if spoken() == ENGLISH or found is None:
        return text
    said, extras = found.groups()
    said = _paragraph(said)
    return said if extras is None else f"{said}  [{'; '.join(map(_extra, extras.split('; ')))}]"


def _extra(text: str) -> str:
    if not text.startswith(_DEFAULT):
        return text if "=" in text else translated(text)  # a range is the same in all languages
    value = text.removeprefix(_DEFAULT)
    return translated("default: {value}", value=translated(value) if " " in value else value)
