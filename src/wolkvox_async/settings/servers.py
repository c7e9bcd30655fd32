"""What may be the name of a server.

The vendor's servers have four digits, and they are text: `0010` is not `10`. Behind a
base URL of one's own (a proxy, the simulator) a name is whatever may stand between two
dots of a host name.
"""

from __future__ import annotations

import re
from typing import Final

from wolkvox_async.spelling import shown

from .options import DEFAULT_BASE_URL

_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,63}")
_FOUR_DIGITS: Final = re.compile(r"[0-9]{4}")
_FEW_DIGITS: Final = re.compile(r"[0-9]{1,3}")


def has_vendor_names(base_url: str) -> bool:
    """Tell whether servers behind `base_url` have the vendor's names of four digits."""
    return base_url.rstrip("/") == DEFAULT_BASE_URL


def complain_about_server(name: str, *, four_digits: bool) -> str | None:
    """Return what is wrong with a normalised server name, or None."""
    if not _NAME.fullmatch(name):
        return f"{shown(name)} is no name of a server: write its four digits, for example 0010"
    if not four_digits or _FOUR_DIGITS.fullmatch(name):
        return None
    if _FEW_DIGITS.fullmatch(name):
        return f"a server has four digits: write {name.zfill(4)} instead of {name}"
    return f"a server has four digits, for example 0010: {shown(name)} has not"
