"""The page's files: nothing from anywhere else, nothing inline, names only as text, colours that can be read."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from itertools import product
from pathlib import Path

import pytest

from wolkvox_async.apps.serving.conditions import LATE, STALE, Condition
from wolkvox_async.apps.serving.leaves import leaves
from wolkvox_async.apps.serving.stream import HEARTBEAT_EVERY
from wolkvox_async.model import GapReason

LEAVES = {name: leaf.body.decode() for name, leaf in leaves().items()}
SCRIPT, STYLE = LEAVES["page.js"], LEAVES["page.css"]
PAGES = [name for name in LEAVES if name.endswith(".html")]
INKS = [condition.value for condition in Condition]


def palettes(style: str) -> dict[str, dict[str, str]]:
    """Return the colours of the light and of the dark, by name."""
    light, dark = (dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{3,6})\b", block)) for block in roots(style))
    return {"light": light, "dark": {**light, **dark}}


def roots(style: str) -> list[str]:
    return re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]


def channels(colour: str) -> list[float]:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    return [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]


def luminance(colour: list[float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def mixed(one: list[float], other: list[float], share: float) -> list[float]:
    return [a * share + b * (1 - share) for a, b in zip(one, other, strict=True)]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_holds_no_script_and_no_style_of_its_own(name: str) -> None:
    assert re.findall(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|javascript:", LEAVES[name]) == []


@pytest.mark.parametrize("name", sorted(LEAVES))
def test_nothing_is_loaded_from_anywhere_else(name: str) -> None:
    text = LEAVES[name].replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"https?://|(?<!:)//[a-z0-9.-]+\.[a-z]{2,}|@import|url\(", text) == []


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_asks_for_is_there(name: str) -> None:
    asked = re.findall(r'(?:src|href)="/([a-z.]+\.(?:js|css|svg))"', LEAVES[name])
    assert asked
    assert set(asked) <= set(LEAVES)


def test_names_become_text_and_never_html() -> None:
    assert re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|srcdoc", SCRIPT) == []


def test_the_script_finds_what_it_looks_for() -> None:
    looked_for = set(re.findall(r'\$\("([a-z-]+)"\)', SCRIPT))
    there = set(re.findall(r'id="([a-z-]+)"', LEAVES["index.html"]))
    assert looked_for
    assert looked_for <= there


def test_the_page_and_the_board_know_the_same_conditions_in_the_same_order() -> None:
    table = SCRIPT[SCRIPT.index("const CONDITIONS") : SCRIPT.index("const SEVERITY")]
    assert re.findall(r"^  ([a-z]+): \{", table, re.MULTILINE) == INKS
    assert f"LATE = {LATE}, STALE = {STALE:g}" in SCRIPT


def test_the_page_has_a_word_for_every_reason() -> None:
    table = SCRIPT[SCRIPT.index("const REASONS") : SCRIPT.index("const REFUSALS")]
    assert re.findall(r"^  ([a-z]+): \[", table, re.MULTILINE) == [reason.value for reason in GapReason]


def test_the_page_waits_longer_than_it_is_silent_between_heartbeats() -> None:
    silence = re.search(r"SILENCE = (\d+)", SCRIPT)
    assert silence is not None
    assert int(silence[1]) > 2 * HEARTBEAT_EVERY


@pytest.mark.parametrize(("scheme", "ink"), list(product(("light", "dark"), ["text", "quiet", "accent", *INKS])))
def test_text_can_be_read_in_the_light_and_in_the_dark(scheme: str, ink: str) -> None:
    colours = {name: channels(colour) for name, colour in palettes(STYLE)[scheme].items()}
    grounds = [colours[ground] for ground in ("face", "back", "sunk")]
    if ink in INKS:
        grounds.append(mixed(colours[f"cell-{ink}"], colours["face"], 0.14))  # badges and chips
    assert min(contrast(colours[ink], ground) for ground in grounds) >= 4.5


@pytest.mark.parametrize(("scheme", "ink"), list(product(("light", "dark"), INKS)))
def test_the_shapes_of_trouble_stand_out(scheme: str, ink: str) -> None:
    colours = {name: channels(colour) for name, colour in palettes(STYLE)[scheme].items()}
    least = 2.2 if ink in ("fresh", "late", "pending") and scheme == "light" else 3.0
    assert contrast(colours[f"cell-{ink}"], colours["face"]) >= least


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_can_be_read_as_well(scheme: str) -> None:
    colours = {name: channels(colour) for name, colour in palettes(LEAVES["login.css"])[scheme].items()}
    pairs = [("text", "face"), ("quiet", "face"), ("wrong", "face"), ("text", "back"), ("on-accent", "accent")]
    assert min(contrast(colours[one], colours[other]) for one, other in pairs) >= 4.5


@pytest.mark.tree
def test_the_files_of_the_page_are_packed(tmp_path: Path) -> None:
    project = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=project,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if "/serving/page/" in name}
    assert packed == set(LEAVES)
