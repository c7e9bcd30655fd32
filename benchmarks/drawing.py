"""Charts as SVG, written by hand: they need nothing to be drawn, and read well in a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
OURS = "#0b6e4f"
OTHERS = "#8a94a6"
INK = "#1f2430"
FAINT = "#d9dde5"
FONT = "font-family='Helvetica, Arial, sans-serif'"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it is of, how long, what is written behind it, whether it is ours."""

    label: str
    value: float
    text: str
    ours: bool = False


def bars(title: str, note: str, shown: Sequence[Bar], most: float) -> str:
    """Draw horizontal bars, from top to bottom as they are given; one above `most` is cut off, and looks it."""
    left, step, top = 290, 26, 64
    longest = min(most, max((bar.value for bar in shown), default=most))
    scale = (WIDTH - left - 150) / longest
    parts = []
    for n, bar in enumerate(shown):
        y, long = top + n * step, max(1.0, min(bar.value, longest) * scale)
        parts.append(_text(left - 8, y + 13, bar.label, anchor="end", bold=bar.ours))
        parts.append(
            f"<rect x='{left}' y='{y}' width='{long:.1f}' height='18' rx='2' fill='{OURS if bar.ours else OTHERS}'/>"
        )
        if bar.value > longest:
            parts.append(f"<path d='M{left + long - 24:.1f} {y + 20} l8 -22 h6 l-8 22 z' fill='#ffffff'/>")
        parts.append(_text(left + long + 6, y + 13, bar.text, bold=bar.ours))
    return _page(title, note, top + len(shown) * step + 12, parts)


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: its name, its points, how a value is written."""

    label: str
    points: Sequence[tuple[float, float]]
    unit: str


def curves(title: str, note: str, lines: Sequence[Line]) -> str:
    """Draw curves over a logarithmic axis, one above the other, each with a scale from zero."""
    top, height, gap = 84, 130, 70
    parts = []
    for n, line in enumerate(lines):
        parts += _curve(line, top + n * (height + gap), height)
    return _page(title, note, top + len(lines) * (height + gap) - 36, parts)


def _curve(line: Line, top: float, height: float) -> list[str]:
    left, right = 90.0, WIDTH - 60.0
    ends = [math.log10(x) for x, _ in line.points]
    span = (max(ends) - min(ends)) or 1.0
    most = max(y for _, y in line.points) * 1.25 or 1.0
    at = [
        (left + (math.log10(x) - min(ends)) / span * (right - left), top + height - y / most * height, x, y)
        for x, y in line.points
    ]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in at)
    parts = [_text(16, top - 8, line.label, bold=True)]
    parts.append(f"<line x1='{left}' y1='{top + height}' x2='{right}' y2='{top + height}' stroke='{FAINT}'/>")
    parts.append(f"<polyline points='{drawn}' fill='none' stroke='{OURS}' stroke-width='2'/>")
    for x, y, number, value in at:
        parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.5' fill='{OURS}'/>")
        parts.append(
            _text(
                x, y - 9, f"{value:,.3g} {line.unit}" if value < 1000 else f"{value:,.0f} {line.unit}", anchor="middle"
            )
        )
        parts.append(_text(x, top + height + 17, f"{number:,.0f}", anchor="middle"))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    style = f"font-size='13' {FONT} fill='{INK}' text-anchor='{anchor}'" + (" font-weight='bold'" if bold else "")
    return f"<text x='{x:.1f}' y='{y:.1f}' {style}>{escape(text)}</text>"


def _page(title: str, note: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height:.0f}' width='{WIDTH}' "
        f"height='{height:.0f}' role='img' aria-label='{escape(title, quote=True)}'>\n"
        f"<rect width='100%' height='100%' rx='6' fill='#ffffff'/>\n"
        f"<text x='16' y='26' font-size='16' font-weight='bold' {FONT} fill='{INK}'>{escape(title)}</text>\n"
        f"<text x='16' y='46' font-size='12' {FONT} fill='{INK}'>{escape(note)}</text>\n"
    )
    return head + "\n".join(parts) + "\n</svg>\n"
