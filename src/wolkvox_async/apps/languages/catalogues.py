"""Catalogues of texts, in the form that translators' tools know (gettext's .po).

Of that form this reads what our catalogues have: pairs of `msgid` and `msgstr`, each a text in
quotes that may go on in further quotes below; comments, and empty lines between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import orjson

_PART: Final = re.compile(r'(?:(msgid|msgstr) )?("(?:[^"\\]|\\.)*")')


def read(text: str) -> Mapping[str, str]:
    """Return the texts by their keys, without those that have no translation; raises `ValueError` for bad lines."""
    pairs = _pairs(text)
    return {key: said for key, said in pairs if said and key}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    parts = {"msgid": "", "msgstr": ""}
    now = "msgstr"
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        found = _PART.fullmatch(line)
        if found is None:
            raise ValueError(f'line {number}: write msgid "..." and msgstr "..."')
        word, quoted = found.groups()
        if word == "msgid":
            yield parts["msgid"], parts["msgstr"]
            parts = {"msgid": "", "msgstr": ""}
        now = word or now
        parts[now] += orjson.loads(quoted)
    yield parts["msgid"], parts["msgstr"]
