"""The page, and the sheet with the same figures."""

from __future__ import annotations

import csv
import itertools
import re
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.statements.told import CALENDAR, NOW, ZONE, answer, failed, gap, item, report, run, told, utc
from wolkvox_async.apps.reporting.page import Setting, open_templates, page
from wolkvox_async.apps.reporting.sheet import BEGINS, COLUMNS, sheet
from wolkvox_async.apps.reporting.sources import Source
from wolkvox_async.statements import Price, Rounding, Tariff, Tier

TARIFF = Tariff("COP", {"interactions": Price((Tier(Decimal(100), Decimal("12.5")), Tier(None, Decimal(10))))})
TEMPLATES = open_templates()
VOID = {"meta", "link", "br", "img", "input", "circle", "path"}


def html(*records: Any, sources: tuple[Source, ...] = (), **more: Any) -> str:
    """Return the page of records."""
    setting = Setting(
        more.get("language", "en"), "America/Bogota", ZONE, more.get("tenant"), tariff := more.get("tariff")
    )
    found = report(*records, tariff=tariff, tenant=setting.tenant, now=more.get("now", NOW))
    return "".join(page(found, sources, setting, TEMPLATES))


def words(text: str) -> str:
    """Return what a reader sees."""
    body = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body))).replace("\u00a0", " ")


class Balance(HTMLParser):
    """Finds tags that are not closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


MONTH = (
    run("started", calls=3),
    answer("2026-10-30 10:00", 1000),
    answer("2026-11-20 10:00", 1234567),
    answer("2026-11-30 23:58", 1234568, slot=utc("2026-11-30 23:58"), closing=True),
    answer("2026-11-30 23:58", 40, api="chat_licenses", slot=utc("2026-11-30 23:58"), closing=True),
    gap("2026-11-12 10:00"),
    gap("2026-11-12 10:05"),
    answer("2026-11-12 10:10", 1),
    failed("2026-11-13 10:00", "timeout", operation="quito"),
)


def test_the_page_is_one_well_formed_file_without_script_or_address() -> None:
    text = html(*MONTH, tariff=TARIFF)
    assert text.startswith("<!doctype html>")
    balance = Balance()
    balance.feed(text)
    assert (balance.open, balance.wrong) == ([], [])
    assert "<script" not in text
    assert re.findall(r"""(?:src|href)="(?!#)|(?:src|href)=[^"]|url\(|https?:|//[a-z]""", text) == []
    assert "default-src 'none'" in text


def test_what_is_missing_stands_before_every_number() -> None:
    said = words(html(*MONTH))
    missing = said.index("What is missing")
    assert missing < said.index("2 slots without a reading") < said.index("Summary") < said.index("1,234,568")
    assert "the vendor's server was down" in said
    assert "no answer in time" in said
    assert "The watch that began" in said


def test_a_pass_without_an_end_is_missing_and_a_watch_is_not() -> None:
    began = run("started", calls=400)
    watch = words(html(began, answer("2026-11-20 10:00", 5, slot=utc("2026-11-20 10:00")), now=0))
    assert "Nothing is missing so far" in watch
    assert "is still going on, or was stopped hard" in watch
    unfinished = words(html(began, answer("2026-11-20 10:00", 5), now=0))
    assert unfinished.index("What is missing") < unfinished.index("does not end in these records")
    assert "1 of 400 calls are told of" in unfinished


def test_where_nothing_is_missing_that_is_said() -> None:
    closing = answer("2026-11-30 23:58", 5, slot=utc("2026-11-30 23:58"), closing=True)
    assert "Nothing is missing: every closing reading is there" in words(html(closing))
    open_month = words(html(answer("2026-11-20 10:00", 5), now=0))
    assert "Nothing is missing so far" in open_month
    assert "What is missing" not in open_month


def test_numbers_are_written_as_the_language_does() -> None:
    english, spanish = words(html(*MONTH, tariff=TARIFF)), words(html(*MONTH, tariff=TARIFF, language="es"))
    assert "1,234,568" in english
    assert "+1,233,568" in english
    assert "1.234.568" in spanish
    assert "Noviembre de 2026" in spanish
    # 100 x 12.5 and 1,234,468 x 10
    assert "12,345,930.00" in english
    assert "12.345.930,00" in spanish
    assert "100 \N{MULTIPLICATION SIGN} 12.5 + 1,234,468 \N{MULTIPLICATION SIGN} 10" in english


def test_levels_and_usages_stand_apart() -> None:
    said = words(html(*MONTH))
    usage, level = said.index("Consumed in the month"), said.index("Active at the last reading")
    assert "interactions" in said[usage:level]
    assert "chat_licenses" in said[level:]


def test_what_has_no_number_says_why() -> None:
    said = words(
        html(
            answer("2026-11-20 10:00", 7),
            told("2026-11-21 10:00", outcome="empty", rows=0),
            answer("2026-11-21 10:00", item("storage", None), api="rec_screen"),
            answer("2026-11-21 10:00", {"row": {"id": 1}}, api="information/token_info"),
            told("2026-11-21 10:00", rows=3, api="vision"),
            tariff=TARIFF,
        )
    )
    assert "empty answer before that 7 (20 Nov 10:00)" in said
    assert "not a number: None" in said
    assert "1 rows" in said
    assert "rows missing" in said
    assert "Not in the amount: interactions (empty answer)" in said


def test_a_number_that_gave_way_to_an_empty_answer_is_missing_and_no_amount_hides_it() -> None:
    closing = told("2026-11-30 23:58", outcome="empty", rows=0, slot=utc("2026-11-30 23:58"), closing=True)
    text = html(answer("2026-11-20 10:00", 20000, slot=utc("2026-11-20 10:00")), closing, tariff=TARIFF)
    said = words(text)
    assert said.index("What is missing") < said.index("1 without a number") < said.index("Summary")
    assert "bogota : No number: interactions (empty answer)" in said
    assert '<span class="amount red">COP \N{EN DASH}</span>' in text
    # Where there never was a number, the vendor has nothing to say, and nothing is missing.
    alone = words(html(closing, tariff=TARIFF))
    assert "Nothing is missing" in alone
    assert "COP \N{EN DASH}" in alone


def test_an_amount_is_red_where_what_has_a_price_may_be_more() -> None:
    unclosed, closed = answer("2026-11-20 10:00", 5), answer("2026-11-30 23:58", 5, closing=True)
    assert '<span class="amount red">COP 62.50' in html(unclosed, tariff=TARIFF)
    assert '<td class="n red">62.50</td></tr></tfoot>' in html(unclosed, tariff=TARIFF)
    unpriced = [{**one, "api": "ivr_minutes"} for one in unclosed]
    assert '<span class="amount">COP 62.50' in html(closed, unpriced, tariff=TARIFF)


def test_a_month_without_a_reading_says_of_what() -> None:
    said = words(html(answer("2026-09-30 10:00", 9), answer("2026-11-30 10:00", 9), tenant="acme"))
    assert "October 2026 : 1 closing reading is missing" in said
    assert "bogota : No reading at all: interactions" in said
    still_open = words(html(failed("2026-11-05 10:00"), tenant="acme", now=CALENDAR.moment(utc("2026-11-06 00:00")).at))
    assert "1 call failed, 1 without a number" in still_open
    assert "closing reading is missing" not in still_open


@pytest.mark.parametrize(
    ("decimals", "rounding", "english", "spanish"),
    [
        (0, Rounding.HALF_UP, "to whole units, a half upwards;", "a unidades enteras, la mitad hacia arriba;"),
        (1, Rounding.HALF_EVEN, "to 1 decimal, a half to the even neighbour;", "a 1 decimal, la mitad al vecino par;"),
        (3, Rounding.DOWN, "to 3 decimals, always downwards;", "a 3 decimales, siempre hacia abajo;"),
    ],
)
def test_how_amounts_are_rounded_is_said(decimals: int, rounding: Rounding, english: str, spanish: str) -> None:
    tariff = Tariff("CLP", {"interactions": Price((Tier(None, Decimal(1)),))}, decimals, rounding)
    assert f"rounded line by line, {english}" in words(html(*MONTH, tariff=tariff))
    said = words(html(*MONTH, tariff=tariff, language="es"))
    assert f"redondean línea por línea, {spanish}" in said
    assert "tramos" not in said
    assert "escalonados" in words(html(*MONTH, tariff=TARIFF, language="es"))


def test_headings_go_down_by_one_and_cells_know_what_they_are_of() -> None:
    for tenant in (None, "acme"):
        text = html(*MONTH, answer("2026-11-20 10:00", item("voice", 3), item("chat", 4)), tenant=tenant, tariff=TARIFF)
        levels = [int(level) for level in re.findall(r"<h(\d)", text)]
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
        heads = [head for head in re.findall(r"<th[ >][^>]*", text) if "colspan" not in head]
        assert [head for head in heads if "scope=" not in head] == []
        rows = re.findall(r"<tr[^>]*>\s*<(t[hd])", text)
        assert set(rows) == {"th"}


def _light(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_can_be_read_in_the_light_and_in_the_dark(scheme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", html(*MONTH), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    for text, behind in (
        *((name, place) for name in ("text", "quiet", "red") for place in ("face", "back", "red-face")),
        *(("green", "green-face"), ("green", "face")),
    ):
        lights = sorted(_light(colours[name]) for name in (text, behind))
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5, (text, behind)


def test_rows_of_an_answer_stand_below_its_sum() -> None:
    said = words(html(answer("2026-11-20 10:00", item("voice", 3), item("chat", 4), item("TOTAL", 9))))
    assert re.search(r"interactions 7 the vendor's own total says 9 .* voice 3 .*chat 4", said)
    assert "TOTAL" not in said


def test_sources_that_are_odd_are_named() -> None:
    odd = Source("usage.jsonl", Path("usage.jsonl"), strange=3, first_strange=1200, torn=True, cut=True, differs=True)
    said = words(html(answer("2026-11-20 10:00", 7), sources=(odd,), now=0))
    assert "usage.jsonl: 3 lines are no records (the first is line 1,200)" in said
    assert "torn off" in said
    assert "ends in the middle" in said
    assert "manifest" in said


HOSTILE = "<script>alert(1)</script>&\"'"


def test_names_and_texts_of_others_are_text() -> None:
    text = html(
        answer("2026-11-20 10:00", item(HOSTILE, 7), tenant=HOSTILE, operation=HOSTILE, server=HOSTILE, api=HOSTILE),
        failed("2026-11-21 10:00", HOSTILE, tenant=HOSTILE),
        {
            **failed("2026-11-22 10:00", tenant=HOSTILE),
            "error": {"kind": "timeout", "message": HOSTILE, "retryable": True},
        },
        answer("2026-11-22 10:00", item("x", 1), tenant=HOSTILE, params={HOSTILE: HOSTILE}),
        sources=(Source(HOSTILE, None, torn=True),),
    )
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    balance = Balance()
    balance.feed(text)
    assert (balance.open, balance.wrong) == ([], [])


CANARY = "canary-of-another"
OTHERS = (
    {**run("started", calls=987654), "run": CANARY},
    answer("2026-11-20 10:00", item(CANARY, 987654), tenant=CANARY, operation=CANARY, api=CANARY, run=CANARY),
    answer("2026-08-20 10:00", 987654, tenant=CANARY, server=CANARY),
    gap("2026-11-20 10:05", CANARY, tenant=CANARY),
    failed("2027-02-20 10:05", CANARY, tenant=CANARY),
    answer("2026-11-20 10:00", item(CANARY, 987654), tenant=CANARY)[0],
)


@pytest.mark.parametrize(
    "other", ["ACME", "acme ", " acme", "acme-2", "acm", "acme/bogota", "\u0430cme", "<b>acme</b>", "acme*"]
)
def test_tenants_of_similar_names_are_told_apart(other: str) -> None:
    beside = [answer("2026-11-30 23:58", 987654, tenant=other, closing=True), gap("2026-11-12 10:00", tenant=other)]
    for find in (_page_of_acme, _sheet_of_acme):
        assert find(*beside, *MONTH) == find(*MONTH, *beside) == find(*MONTH)


def _page_of_acme(*records: Any) -> str:
    return html(*records, tenant="acme", tariff=TARIFF)


def _sheet_of_acme(*records: Any) -> str:
    return "".join(sheet(report(*records, tenant="acme", tariff=TARIFF), TARIFF))


def test_a_statement_for_one_tenant_leaves_out_what_is_for_whoever_fetches() -> None:
    error = {"kind": "connect", "message": "the proxy cannot be reached: check --proxy", "retryable": True}
    lost = {**failed("2026-11-20 10:00"), "error": error}
    assert "check --proxy" in words(html(lost))
    said = words(html(lost, tenant="acme"))
    assert "no connection to the vendor (1 call failed) bogota: interactions" in said
    assert "proxy" not in said


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_statement_for_one_tenant_holds_nothing_of_another(language: str) -> None:
    odd = Source(CANARY, None, strange=987654, first_strange=987654, torn=True)
    own = html(*MONTH, tenant="acme", tariff=TARIFF, language=language, sources=(odd,))
    beside = html(*OTHERS, *MONTH, *OTHERS, tenant="acme", tariff=TARIFF, language=language, sources=(odd,))
    assert own == beside
    assert CANARY not in beside
    assert "987" not in beside
    assert "acme" in beside
    everything = html(*OTHERS, *MONTH, tariff=TARIFF, language=language, sources=(odd,))
    assert CANARY in everything


def test_the_sheet_has_the_same_figures() -> None:
    found = report(*MONTH, tariff=TARIFF)
    text = "".join(sheet(found, TARIFF))
    rows = list(csv.DictReader(StringIO(text)))
    assert text.encode().startswith(BEGINS)
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == sum(len(list(one.lines)) for one in found.statements)
    (row,) = [one for one in rows if one["month"] == "2026-11" and one["endpoint"] == "interactions" and one["value"]]
    assert (row["value"], row["previous"], row["change"], row["state"]) == ("1234568", "1000", "1233568", "closing")
    assert (row["amount"], row["currency"], row["gaps"], row["read_at"]) == (
        "12345930.00",
        "COP",
        "2",
        "2026-12-01T04:58:00.000Z",
    )
    assert sum(Decimal(one["amount"] or 0) for one in rows) == sum(one.amount or 0 for one in found.statements)


def test_rows_of_an_answer_are_not_added_twice_in_the_sheet() -> None:
    found = report(answer("2026-11-20 10:00", item("=HYPERLINK(1)", 3), item("chat", 4), tenant="@cme"))
    rows = list(csv.DictReader(StringIO("".join(sheet(found, None)))))
    assert [(one["row"], one["value"], one["row_value"]) for one in rows] == [
        ("", "7", ""),
        ("'=HYPERLINK(1)", "", "3"),
        ("chat", "", "4"),
    ]
    assert {one["tenant"] for one in rows} == {"'@cme"}


def test_no_text_of_the_sheet_is_a_formula_and_every_number_is_one() -> None:
    window = {"from": "20261101000000", "to": "=cmd()"}
    hostile = {"tenant": "\uff1dA1", "operation": "\n=A1", "server": "-1+2", "api": "+x", "params": {"=a": "=b"}}
    found = report(
        answer("2026-10-20 10:00", 9),
        answer("2026-11-20 10:00", -3),
        answer("2026-11-20 10:00", 1, **hostile),
        tariff=TARIFF,
    )
    rows = list(csv.DictReader(StringIO("".join(sheet(found, TARIFF)))))
    begins = {value[0] for row in rows for value in row.values() if value and not re.fullmatch(r"-?[\d.]+", value)}
    assert begins.isdisjoint("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
    (row,) = [one for one in rows if one["value"] == "-3"]
    assert (row["change"], row["amount"]) == ("-12", "-37.50")
    dated = report(answer("2026-11-20 10:00", 1, window=window))
    (row,) = csv.DictReader(StringIO("".join(sheet(dated, None))))
    assert row["dates"] == "20261101000000-=cmd()"
