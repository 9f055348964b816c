"""Tests of the site in a browser: every page in every look, search, weight, and reading without script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.pages import looks
from tests.pages.built import served
from tools import gate
from tools.chapters import every_requirement

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 600
"""Seconds that building the site may take before it is broken."""
THREADS = 2
ALIKE = ("api/", "code/", "schemas/")
"""Rooms whose pages are made alike: axe-core judges one of RARE in a commit, of the others one of OFTEN."""
RARE, OFTEN = 24, 6
ALWAYS = {"index.html", "spec/call.html", "spec/requirements.html", "schemas/playground.html"}
"""Pages that axe-core judges in every commit."""
EVERYTHING = "EVERY_PAGE"
"""A variable of the environment that, when it is set, lets axe-core judge every page."""
FIRST_PAGE = 500_000
"""Bytes that the first page may take on its way, with all that it loads before anybody has done anything."""
SOUGHT = {"AcceptGeneric": "/spec/", "CALL-3": "/spec/", "tls_fingerprint": "/spec/"}
"""What is typed into the search field, and the room of the first page that is offered."""


@pytest.fixture(scope="module")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built anew; without a browser nothing is built."""
    del chromium
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "tools.site", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)  # noqa: S603 - our own
    assert 0 == done.returncode, done.stdout + done.stderr
    return out / "site"


@pytest.fixture(scope="module")
def base(site: Path) -> Iterator[str]:
    """The address of the site on loopback."""
    with served(site) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page."""
    made = browser.new_page()
    made.set_default_timeout(looks.PATIENCE)
    yield made
    made.close()


def judged(paths: list[str]) -> list[str]:
    """Return the pages that axe-core judges in this commit; after some commits it has judged all."""
    turn, _, parts = gate.turn().partition("/")
    assert int(parts) == RARE
    return [
        path
        for number, path in enumerate(paths, int(turn))
        if path in ALWAYS
        or number % (RARE if path.startswith(ALIKE) else OFTEN) == 0
        or os.environ.get(EVERYTHING)
    ]


def test_every_page_is_quiet_fits_and_can_be_read(chromium: str, site: Path, base: str) -> None:
    """In each width and scheme no page complains, leaves the site, scrolls sideways or cuts a text off."""
    paths = looks.paths(site)
    assert {*ALWAYS, "404.html", "schemas/index.html"} <= set(paths)
    grave = judged(paths)
    assert ALWAYS < set(grave)

    def look(part: int) -> list[str]:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium)
            mine = paths[part::THREADS]
            found = looks.faults(browser, base, mine, grave)
            browser.close()
            return found

    with ThreadPoolExecutor(THREADS) as threads:
        found = [fault for part in threads.map(look, range(THREADS)) for fault in part]
    assert [] == found


@pytest.mark.parametrize("path", ["schemas/Hangup.html", "code/errors.html"])
def test_a_message_with_its_reason_reaches_the_reader(page: Page, base: str, path: str) -> None:
    """Behind a link Hangup{Busy} is read as written: a builder takes braces for settings of the link."""
    page.goto(base + path)
    read = page.locator("article").inner_text()
    written = [
        one.sentence.replace("`", "")
        for one in every_requirement().values()
        if "{" in one.sentence and one.id in read.split()
    ]
    assert written
    assert [] == [sentence for sentence in written if sentence not in read]


@pytest.mark.parametrize("word", SOUGHT)
def test_search_finds(page: Page, base: str, word: str) -> None:
    """What a reader types is found, and the first page that is offered has it and is where it belongs."""
    page.goto(base, wait_until="networkidle")
    field = page.locator("input.md-search__input")
    field.fill(
        word
    )  # whole at once: each key of a word asks anew, and what is offered changes under the reader
    field.press("End")
    first = page.locator(".md-search-result__item a").first
    expect(first).to_have_attribute("href", re.compile(SOUGHT[word]))
    page.goto(str(first.get_attribute("href")))
    assert word in page.locator("article").inner_text()


def test_the_first_page_is_light(page: Page, base: str) -> None:
    """Whoever comes for the first time gets no more than FIRST_PAGE on the wire."""
    sizes: dict[str, int] = {}
    page.on("response", lambda got: sizes.update({got.url: int(got.headers.get("content-length", "0"))}))
    page.goto(base, wait_until="networkidle")
    assert len(sizes) > 1
    assert FIRST_PAGE >= sum(sizes.values()), sizes


def test_the_site_reads_without_script(browser: Browser, site: Path) -> None:
    """Without script, and from a disk, the text is there, links lead on and nothing waits to be shown."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert page.locator("article h1").is_visible()
    page.locator("article a[href*='spec/']").first.click()
    assert page.locator("article h1").is_visible()
    page.goto((site / "spec" / "call.html").as_uri())
    assert page.locator("article svg").first.is_visible()
    assert page.locator("[id='CALL-3']").count() == 1
    context.close()
