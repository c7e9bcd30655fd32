"""Rules for what people name themselves: tenants, operations, labels.

A name ends up in lines, in a terminal and in selectors (`tenant/operation`), so it has
no slash and nothing that a terminal would not print.
"""

from __future__ import annotations

from wolkvox_async.spelling import complain_about_text, shown


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
