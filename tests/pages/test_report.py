"""Tests of report.html in a browser: real runs, two widths, light and dark, and what a target may say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from conformance import report
from tests.suite.test_reports import hostile

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60
RUNS = {
    "fails": ("mutant:CALL-3", "CALL-3", 1),
    "misses": ("mutant:CALL-10", "CALL-10", 1),
    "passes": ("ref:", "CALL-3", 0),
}
"""Runs whose pages are opened: the target, what is judged, and the exit status."""
HOSTILE = "hostile"
SIZES = [(1280, 900), (390, 844)]
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
FOLLOWED = 25
"""Links that are followed; of the others it is looked whether their place is there."""
READABLE = 4.5
"""The contrast that a text needs (WCAG 2.2, 1.4.3)."""
CONTRASTS = """() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const behind = one => {
    for (let at = one; at; at = at.parentElement) {
      if (at instanceof SVGElement) {
        const box = at.tagName === 'text' && at.previousElementSibling;
        const band = at.classList.contains('offence') ? at.querySelector('.band')
          : box && box.tagName === 'rect' ? box : null;
        if (band) return numbers(getComputedStyle(band).fill);
        continue;
      }
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const worst = new Map();
  for (const one of document.body.querySelectorAll('*')) {
    const said = [...one.childNodes].some(it => it.nodeType === 3 && it.data.trim());
    if (!said || !one.getClientRects().length) continue;
    const style = getComputedStyle(one);
    const colour = one.tagName === 'text' ? style.fill : style.color;
    const found = ratio(light(numbers(colour)), light(behind(one)));
    const name = `${one.tagName} ${one.getAttribute('class')} ${colour}`;
    if (found < (worst.get(name) ?? 99)) worst.set(name, found);
  }
  return [...worst];
}"""


class Opened(NamedTuple):
    """A page, and what it did that a report does not do."""

    page: Page
    faults: list[str]


@pytest.fixture(scope="module")
def folder(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reports of every run; without a browser nothing is run."""
    del browser
    made = tmp_path_factory.mktemp("reports")

    def judge(name: str) -> subprocess.CompletedProcess[str]:
        target, only, _ = RUNS[name]
        command = [sys.executable, "-m", "conformance", "run", "--role", "relay", "--target", target]
        return subprocess.run(  # noqa: S603 - our own command
            [*command, "--only", only, "--out", str(made / name)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    with ThreadPoolExecutor() as threads:
        for name, done in zip(RUNS, threads.map(judge, RUNS), strict=True):
            assert RUNS[name][2] == done.returncode, done.stdout + done.stderr
    report.write(report.build(hostile()), made / HOSTILE)
    return made


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Iterator[Opened]:
    """A page that tells of every error and of every request for anything but the reports."""
    page = browser.new_page()
    faults: list[str] = []

    def complain(message: ConsoleMessage) -> None:
        faults.append(f"{message.type}: {message.text}")

    def ask(asked: Request) -> None:
        if not asked.url.startswith((f"{folder.as_uri()}/", "data:,")):
            faults.append(f"asks for {asked.url[:80]}")

    page.on("console", complain)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", ask)
    yield Opened(page, faults)
    page.close()
    assert [] == faults


def show(page: Page, folder: Path, name: str) -> None:
    """Open the page of a run."""
    page.goto((folder / name / "report.html").as_uri())


def looks(page: Page) -> Iterator[str]:
    """Let the page be looked at in every way: two widths, light and dark; yield the name of each."""
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            yield f"{width} wide, {scheme}"


def measured(page: Page, expression: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return what an expression is in the page."""
    return page.evaluate(expression)


@pytest.mark.parametrize("name", [*RUNS, HOSTILE])
def test_a_page_is_quiet_and_fits(opened: Opened, folder: Path, name: str) -> None:
    """A page asks for nothing, has no error, is no wider than the window, and all its text can be read."""
    page = opened.page
    show(page, folder, name)
    measured(page, "document.querySelectorAll('details').forEach(it => { it.open = true })")
    for look in looks(page):
        wide = "[innerWidth, document.documentElement.scrollWidth]"
        window, needed = measured(page, wide)
        assert window >= needed, look
        contrasts = measured(page, CONTRASTS)
        assert len(contrasts) > len(SIZES)
        assert [] == [(what, found) for what, found in contrasts if found < READABLE], look


@pytest.mark.parametrize(("name", "kind"), [("fails", "wrong"), ("misses", "missing")])
def test_the_failing_arrow_is_in_sight(opened: Opened, folder: Path, name: str, kind: str) -> None:
    """Who follows the link to the failing step sees its arrow, its sign and its words."""
    page = opened.page
    show(page, folder, name)
    for look in looks(page):
        measured(page, "location.hash = ''")
        page.click(".failure .dialogue a[href$='-step']")
        boxes = measured(
            page,
            f"""() => ['.{kind} .arrow', '.{kind} .label', '.cross', '.verdict'].map(part => {{
              const box = document.querySelector('.offence:target ' + part).getBoundingClientRect();
              return [box.left, box.top, innerWidth - box.right, innerHeight - box.bottom];
            }})""",
        )
        assert [] == [box for box in boxes if min(box) < 0], look


def test_every_link_leads_into_the_page(opened: Opened, folder: Path) -> None:
    """Each link is to a place of the page that has its room there, or to a record that is beside it."""
    page = opened.page
    show(page, folder, "fails")
    others = "[...document.querySelectorAll('a:not([href^=\"#\"])')].map(it => it.getAttribute('href'))"
    assert ["CALL-3/wire.pcapng", "CALL-3/dialogue.jsonl", "CALL-3/"] == measured(page, others)
    assert [] == [one for one in measured(page, others) if not (folder / "fails" / one).exists()]
    links = (
        "[...new Set([...document.querySelectorAll('a[href^=\"#\"]')].map(it => it.getAttribute('href')))]"
    )
    lost = f"{links}.filter(it => !document.getElementById(it.slice(1))?.getBoundingClientRect().height)"
    assert [] == measured(page, lost)
    hidden = """.filter(it => {
      location.hash = it;
      const box = document.querySelector(':target').getBoundingClientRect();
      return box.bottom < 0 || box.top > innerHeight;
    })"""
    assert [] == measured(page, f"{links}.slice(0, {FOLLOWED}){hidden}")


def test_the_filter_needs_no_script(opened: Opened, folder: Path) -> None:
    """Choosing a verdict or a role leaves the requirements of that kind; a link still finds the others."""
    page = opened.page
    show(page, folder, "fails")
    visible = page.locator(".requirement:visible")
    page.check("#show-fail")
    assert ["CALL-3"] == visible.evaluate_all("those => those.map(it => it.id)")
    page.check("#show-all")
    page.check("#role-client")
    roles = visible.evaluate_all("those => those.map(it => it.dataset.roles)")
    assert {"client", "relay client"} == set(roles)
    page.check("#show-fail")
    measured(page, "location.hash = 'WIRE-1'")
    assert page.locator("#WIRE-1").is_visible()
    assert 0 == page.locator("script").count()
