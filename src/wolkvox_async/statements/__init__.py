"""What records add up to: readings by month, what is missing, what it costs. Pure.

`Books` takes records as they come and keeps what a month needs of them: memory grows with
subjects and months, never with records. `draw_up` makes statements of it.
"""

from __future__ import annotations

from .books import Books, NewerError
from .clerk import draw_up
from .contents import Content, Lack, Number, Row
from .months import Calendar, Moment, days_in, is_whole_month, month_name, month_named
from .outages import Outage
from .spans import Span, Trouble
from .statement import Basis, Line, Report, Section, State, Statement
from .tariffs import Charge, Price, Rounding, Tariff, Tier

__all__ = [
    "Basis",
    "Books",
    "Calendar",
    "Charge",
    "Content",
    "Lack",
    "Line",
    "Moment",
    "NewerError",
    "Number",
    "Outage",
    "Price",
    "Report",
    "Rounding",
    "Row",
    "Section",
    "Span",
    "State",
    "Statement",
    "Tariff",
    "Tier",
    "Trouble",
    "days_in",
    "draw_up",
    "is_whole_month",
    "month_name",
    "month_named",
]
