"""Rules for what people name themselves: tenants, operations, labels.

A name ends up in lines, in a terminal and in selectors (`tenant/operation`), so it has
no slash and nothing that a terminal would not print.
"""

from __future__ import annotations

from typing import Final

from wolkvox_async.spelling import shown

LONGEST: Final = 200


def complain_about_name(name: str) -> str | None:
    """Return what is wrong with the name of a tenant or an operation, or None."""
    if "/" in name:
        return f"the name {shown(name)} has a slash: selectors write tenant/operation"
    return complain_about_text(name, "the name")


def complain_about_label(label: str) -> str | None:
    """Return what is wrong with a label's own name, or None."""
    if "=" in label:
        return f"the label {shown(label)} has an equals sign: selectors write label=value"
    return complain_about_text(label, "the label")


def complain_about_text(text: str, noun: str) -> str | None:
    """Return what is wrong with a short text that people read, or None."""
    if not text or text.isspace():
        return f"{noun} is empty"
    if len(text) > LONGEST:
        return f"{noun} has {len(text)} characters: at most {LONGEST} are allowed"
    if not text.isprintable():
        return f"{noun} {shown(text)} has characters that cannot be printed"
    if text != text.strip():
        return f"{noun} {shown(text)} begins or ends with a space"
    return None
