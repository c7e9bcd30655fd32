"""Statements: lines, changes, days, amounts."""

from decimal import Decimal

from wolkvox_async.statements import Basis, Price, Tariff, Tier, month_name

from .told import CALENDAR, answer, failed, line, report, statement, utc


def test_a_number_is_compared_with_that_of_the_month_before() -> None:
    found = line(answer("2026-10-30 10:00", 100), answer("2026-11-29 10:00", 130))
    assert (found.previous, found.change, found.basis) == (100, 30, Basis.MONTH)


def test_a_month_two_months_before_is_not_the_month_before() -> None:
    assert line(answer("2026-09-30 10:00", 100), answer("2026-11-29 10:00", 130)).previous is None


def test_while_a_month_is_not_over_usage_is_compared_with_the_same_day() -> None:
    now = CALENDAR.moment(utc("2026-11-10 12:00")).at
    records = (answer("2026-10-10 10:00", 30), answer("2026-10-30 10:00", 100), answer("2026-11-10 10:00", 33))
    found = line(*records, now=now)
    assert (found.previous, found.basis) == (30, Basis.DAYS)
    level = [{**one, "api": "chat_licenses"} for record in records for one in record]
    assert (line(level, now=now).previous, line(level, now=now).basis) == (100, Basis.MONTH)


def test_the_rows_of_an_answer_are_compared_by_their_names() -> None:
    def row(name: str, number: int) -> dict[str, object]:
        return {"number": number, "row": {"description": name, "items": str(number)}}

    found = line(
        answer("2026-10-30 10:00", row("chat", 1), row("voice", 2)),
        answer("2026-11-30 10:00", row("voice", 5), row("mail", 4)),
    )
    assert found.rows == (2, None)


def test_a_day_has_its_last_number_and_a_day_without_a_reading_none() -> None:
    found = line(answer("2026-11-02 10:00", 1), answer("2026-11-02 11:00", 2), answer("2026-11-04 10:00", 4))
    assert found.days[:5] == (None, 2, None, 4, None)
    assert (len(found.days), found.covered, found.wanted) == (30, 2, 30)


def test_lines_stand_in_the_order_of_the_catalogue_and_operations_by_name() -> None:
    found = statement(
        answer("2026-11-02 10:00", 1, operation="quito"),
        answer("2026-11-02 10:00", 1, api="zzz"),
        answer("2026-11-02 10:00", 1),
        answer("2026-11-02 10:00", 1, api="ivr_minutes"),
    )
    assert [(section.operation, [each.key.api for each in section.lines]) for section in found.sections] == [
        ("bogota", ["ivr_minutes", "interactions", "zzz"]),
        ("quito", ["interactions"]),
    ]


def test_statements_stand_by_tenant_the_newest_month_first() -> None:
    found = report(
        answer("2026-11-02 10:00", 1, tenant="globex"), answer("2026-11-02 10:00", 1), answer("2026-10-02 10:00", 1)
    )
    told = [(one.tenant, month_name(one.month)) for one in found.statements]
    assert told == [("acme", "2026-11"), ("acme", "2026-10"), ("globex", "2026-11")]


def test_totals_add_up_what_is_printed() -> None:
    third = Tariff("USD", {"interactions": Price((Tier(None, Decimal("0.333")),))})
    names = [f"o{n}" for n in range(7)]
    found = statement(*(answer("2026-11-02 10:00", 1, operation=name) for name in names), tariff=third)
    amounts = [each.charge.amount for each in found.lines if each.charge is not None]
    assert amounts == [Decimal("0.33")] * 7
    assert found.amount == sum(amounts) == sum(section.amount or 0 for section in found.sections)


def test_what_has_no_number_or_no_price_costs_nothing_and_is_no_zero() -> None:
    tariff = Tariff("USD", {"interactions": Price((Tier(None, Decimal(1)),))})
    found = statement(
        answer("2026-11-02 10:00", {"number": None, "row": {"items": "1,234"}}),
        answer("2026-11-02 10:00", 5, api="ivr_minutes"),
        tariff=tariff,
    )
    assert [each.charge for each in found.lines] == [None, None]
    assert found.amount == Decimal("0.00")


def test_names_stand_as_people_look_for_them() -> None:
    names = ["zeta", "Ángel", "acme", "Acme", "ACME", "Müller", "munich", "ñandú"]
    found = report(*(answer("2026-11-02 10:00", 1, tenant=name, operation=name) for name in names))
    assert [one.tenant for one in found.statements] == [
        *("ACME", "Acme", "acme", "Ángel", "Müller", "munich", "ñandú", "zeta"),
    ]
    sections = statement(*(answer("2026-11-02 10:00", 1, operation=name) for name in names)).sections
    assert [section.operation for section in sections] == [one.tenant for one in found.statements]


def test_in_a_month_that_is_not_over_no_closing_reading_is_missing() -> None:
    found = statement(failed("2026-11-05 10:00"), now=CALENDAR.moment(utc("2026-11-21 00:00")).at)
    assert (found.troubled(), found.without) == ((0, 0, 1, 0), 1)
    over = statement(failed("2026-11-05 10:00"))
    assert (over.troubled(), over.without) == ((1, 0, 1, 0), 0)
