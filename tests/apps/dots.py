"""A language that has dots for letters: what is still a word was never handed to whoever translates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from wolkvox_async.apps import languages
from wolkvox_async.apps.languages import speak, spoken

_PART = re.compile(r"(\{[^}]*\})|[^\W\d_]")


class Dots(dict[str, str]):
    """A catalogue that knows every text."""

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ARG002 - a dictionary's signature
        return _PART.sub(lambda found: found[1] or "·", key)


@contextmanager
def dots() -> Iterator[None]:
    """Speak it for the length of the block."""
    before = spoken()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(languages, "catalogue", lambda _: Dots())
        speak("es")
        try:
            yield
        finally:
            speak(before)


def words(text: str, *facts: str) -> list[str]:
    """Return the words of a text that are no `facts`."""
    for fact in sorted(facts, key=len, reverse=True):
        text = text.replace(fact, "")
    return re.findall(r"[^\W\d_]{2,}", text)
