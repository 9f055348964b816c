"""Tests of the filters of the index of requirements: what they show is what the chapters say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest
from playwright.sync_api import Browser, Page

import schemas
from tools import chapters
from tools.chapters import Requirement
from tools.site import holding, requirements

ASSETS = chapters.ROOT / "docs" / "assets"
SCRIPT = ASSETS / "requirements.js"
LARGEST = 5000
"""Bytes that the script may have."""
SHOWN = "[...document.querySelectorAll('tbody tr')].filter(it => it.getClientRects().length).map(it => it.id)"


def until(phase: str) -> frozenset[str]:
    """Return the phases up to this one."""
    return frozenset(schemas.PHASES[: schemas.PHASES.index(phase) + 1])


FILTERS: dict[str, tuple[dict[str, str], Callable[[Requirement], bool]]] = {
    "nothing": ({}, lambda _: True),
    "a role": ({"role": "client"}, lambda one: "client" in one.role),
    "a phase": ({"phase": "3.5"}, lambda one: one.since in until("3.5")),
    "a new phase": ({"phase": "new-5.5"}, lambda one: one.since == "5.5"),
    "a level": ({"level": "MUST NOT"}, lambda one: one.keywords == ("MUST NOT",)),
    "an area": ({"area": "CAND"}, lambda one: one.area == "CAND"),
    "words": ({"text": "busy OFFERS"}, lambda one: {"busy", "offers"} <= words_of(one)),
    "several": (
        {"role": "relay", "phase": "3", "level": "MUST NOT", "area": "CALL"},
        lambda one: (
            "relay" in one.role
            and one.since in until("3")
            and one.keywords == ("MUST NOT",)
            and one.area == "CALL"
        ),
    ),
    "none": ({"area": "REFL", "phase": "new-7"}, lambda _: False),
}
"""What is chosen, and which requirements it is to show."""


def words_of(one: Requirement) -> set[str]:
    """Return the two words looked for that stand in a row."""
    row = " ".join(requirements.cells(one)).lower()
    return {word for word in ("busy", "offers") if word in row}


def index() -> str:
    """Return the table of the index as a page, each cell as its text."""
    rows = "".join(
        f'<tr id="{one.id}">{"".join(f"<td>{escape(cell)}</td>" for cell in requirements.cells(one))}</tr>'
        for one in holding.in_order()
    )
    head = "".join(f"<th>{name}</th>" for name in requirements.COLUMNS)
    return (
        "<!doctype html><html lang='en'><title>index</title><div class='requirements'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"<script>{SCRIPT.read_text(encoding='utf-8')}</script></html>"
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the index stands."""
    path: Path = tmp_path_factory.mktemp("index") / "index.html"
    path.write_text(index(), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page in which no script fails."""
    made = browser.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    yield made
    made.close()
    assert [] == faults


def expected(fits: Callable[[Requirement], bool]) -> list[str]:
    """Return the ids that a choice is to show."""
    return [one.id for one in holding.in_order() if fits(one)]


def choose(page: Page, chosen: dict[str, str]) -> None:
    """Choose in the form as a reader does."""
    for name, value in chosen.items():
        field = page.locator(f"form [name={name}]")
        if name == "text":
            field.fill(value)
        else:
            field.select_option(value)


def test_the_script_is_small() -> None:
    """The script is below 5 kB."""
    assert LARGEST > SCRIPT.stat().st_size


@pytest.mark.parametrize("name", FILTERS)
def test_a_choice_shows_what_the_chapters_say(page: Page, address: str, name: str) -> None:
    """What is chosen is shown, counted and kept in the address."""
    chosen, fits = FILTERS[name]
    total = len(holding.in_order())
    page.goto(f"{address}?{name}")
    choose(page, chosen)
    assert expected(fits) == page.evaluate(SHOWN)
    assert f"{len(expected(fits))} of {total} requirements" == page.get_by_role("status").inner_text()
    state = page.evaluate("location.hash").removeprefix("#")
    assert {field: [value] for field, value in chosen.items()} == parse_qs(state)


def test_a_choice_is_in_the_address(page: Page, address: str) -> None:
    """The address of a choice shows it to whoever opens it, and to whoever goes there from another choice."""
    chosen, fits = FILTERS["several"]
    page.goto(f"{address}?linked#{urlencode(chosen)}")
    assert expected(fits) == page.evaluate(SHOWN)
    page.evaluate("location.hash = 'area=SEC'")
    page.wait_for_function("document.querySelector('[name=area]').value === 'SEC'")
    assert expected(lambda one: one.area == "SEC") == page.evaluate(SHOWN)


def test_each_choice_of_an_area_is_one_of_the_chapters(page: Page, address: str) -> None:
    """The areas, levels and phases to choose from are those that requirements have, each once."""
    page.goto(f"{address}?offered")
    offered = {
        name: page.locator(f"form [name={name}] option").evaluate_all("them => them.map(it => it.value)")
        for name in ("area", "level", "phase")
    }
    having = holding.in_order()
    phases = [phase for phase in schemas.PHASES if any(one.since == phase for one in having)]
    assert ["", *dict.fromkeys(one.area for one in having)] == offered["area"]
    assert {"", *(word for one in having for word in one.keywords)} == set(offered["level"])
    assert ["", *phases, *(f"new-{phase}" for phase in phases)] == offered["phase"]


def test_what_is_no_choice_is_none(page: Page, address: str) -> None:
    """An address with a choice that does not exist shows everything, and so does the way back."""
    everything = expected(lambda _: True)
    page.goto(f"{address}?none#area=NOWHERE&phase=99&level=%00&colour=blue")
    assert everything == page.evaluate(SHOWN)
    choose(page, {"area": "REG"})
    assert expected(lambda one: one.area == "REG") == page.evaluate(SHOWN)
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("location.hash === ''")
    assert everything == page.evaluate(SHOWN)


def test_the_form_is_used_by_keys_and_names(page: Page, address: str) -> None:
    """Every field has a label, and Enter in the text does not leave the page."""
    page.goto(f"{address}?keys")
    for label in ("Role", "Phase", "Level", "Area", "Text"):
        assert 1 == page.get_by_label(label, exact=True).count()
    page.get_by_label("Text", exact=True).fill("reflect")
    page.get_by_label("Text", exact=True).press("Enter")
    assert page.url.startswith(f"{address}?keys#text=reflect")
