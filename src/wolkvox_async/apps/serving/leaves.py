"""The files of the page, and the headers that everything is sent with.

The page loads nothing from anywhere else, and the browser is told to hold it to that:
no script, style or frame but its own files, none of them written into the HTML.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Final

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
)

HEADERS: Final = {
    "Content-Security-Policy": POLICY.format(forms="'none'"),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Server": "wolkvox-async",
}
LOGIN_HEADERS: Final = {"Content-Security-Policy": POLICY.format(forms="'self'")}

_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A file of the page."""

    content_type: str
    body: bytes


def leaves() -> dict[str, Leaf]:
    """Read the files of the page, by name."""
    folder = files("wolkvox_async.apps.serving") / "page"
    found = {}
    for file in folder.iterdir():
        kind = _TYPES.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None:
            found[file.name] = Leaf(kind, file.read_bytes())
    return found
