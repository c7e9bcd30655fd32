"""Numbers, money, dates as people of a language write them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from wolkvox_async.statements import Number

Language: TypeAlias = Literal["en", "es"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "es")

# fmt: off
_MONTHS: Final[dict[Language, tuple[str, ...]]] = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
    "es": ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
           "noviembre", "diciembre"),
}
# fmt: on
_SWAPPED: Final = str.maketrans(",.", ".,")
_MOST_DIGITS: Final = 24
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR


class Formats:
    """How a language writes things; moments are shown in `zone`."""

    def __init__(self, language: Language, zone: tzinfo) -> None:
        self._language: Final = language
        self._zone: Final = zone

    def number(self, value: Number | float | Fraction | None) -> str:
        """Write `1,234,567.5` or `1.234.567,5`, with every digit that there is."""
        if value is None:
            return ""
        if isinstance(value, Fraction):
            value = Decimal(value.numerator) / Decimal(value.denominator)
        if isinstance(value, float):
            value = int(value) if value.is_integer() else Decimal(repr(value))
        if isinstance(value, Decimal) and abs(value.adjusted()) > _MOST_DIGITS:
            return self._spoken(f"{value:.6E}")
        text = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,d}"
        return self._spoken(text.rstrip("0").rstrip(".") if "." in text else text)

    def money(self, value: Decimal | None) -> str:
        """Write an amount with all decimals of its currency."""
        return "" if value is None else self._spoken(f"{value:,f}")

    def price(self, value: Decimal) -> str:
        """Write a price with the decimals that it was given."""
        return self._spoken(f"{value:,f}")

    def signed(self, value: Number | None) -> str:
        """Write a change, with its sign."""
        return "" if value is None else ("+" if value > 0 else "") + self.number(value)

    def percent(self, part: Number | None, whole: Number | None) -> str:
        """Write what share a change is; nothing where that means nothing."""
        if not part or not whole:
            return ""
        share = Fraction(part) * 100 / abs(Fraction(whole))
        if abs(share) >= 10_000:
            return ""
        text = self._spoken(f"{float(share):+.1f}")
        return f"{text}\u00a0%" if self._language == "es" else f"{text}%"

    def month(self, month: int, *, begins: bool = False) -> str:
        """Write `November 2026`; in Spanish only what `begins` a line or a sentence has a capital."""
        name, of = _MONTHS[self._language][month % 12], " de " if self._language == "es" else " "
        return f"{name.capitalize() if begins else name}{of}{month // 12}"

    def moment(self, at: int, *, year: bool = True) -> str:
        """Write a moment (Unix ms) to the minute: `30 Nov 2026 23:58`."""
        local = self._local(at)
        name = _MONTHS[self._language][local.month - 1][:3]
        parts = [str(local.day), name, *([str(local.year)] if year else []), f"{local:%H:%M}"]
        return "\u00a0".join(parts)

    def span(self, first: int, last: int) -> str:
        """Write from when to when something lasted."""
        begin = self.moment(first, year=False)
        if self.moment(last, year=False) == begin:
            return begin
        same_day = self._local(first).date() == self._local(last).date()
        end = f"{self._local(last):%H:%M}" if same_day else self.moment(last, year=False)
        return f"{begin} \N{EN DASH} {end}"

    def duration(self, milliseconds: int) -> str:
        """Write a length of time by its largest units: `3 d 4 h`, `12 min`."""
        minutes = milliseconds // 60_000
        if milliseconds >= _DAY:
            days, hours = divmod(minutes // 60, 24)
            return f"{days}\u00a0d {hours}\u00a0h" if hours else f"{days}\u00a0d"
        hours, minutes = divmod(minutes, 60)
        return f"{hours}\u00a0h {minutes}\u00a0min" if hours else f"{minutes}\u00a0min"

    def _spoken(self, text: str) -> str:
        return text.translate(_SWAPPED) if self._language == "es" else text

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at // 1000, UTC).astimezone(self._zone)
