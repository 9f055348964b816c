"""Looks: opens pages in every look and tells what a reader would not like about them.

A look is a width and a colour scheme. What is asked of each page in each look: nothing in the console, no
request that leaves the site, nothing wider than the window, no text that is cut off; and of accessibility
what axe-core calls serious or critical.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

SIZES = [(1280, 900), (390, 844)]
SCHEMES = {"light": "default", "dark": "slate"}
GRAVE = {"serious", "critical"}
AXE = {"resultTypes": ["violations"], "iframes": False}
JUDGED: dict[str, tuple[str, ...]] = {
    "1280 wide, light": (),
    "1280 wide, dark": ("color-contrast",),
    "390 wide, dark": ("scrollable-region-focusable", "target-size"),
}
"""The looks in which axe-core judges, and by which of its rules: what a look cannot change is asked once."""
PATIENCE = 20_000
"""Milliseconds after which a page that is not there is broken."""
SETTLED = """async scheme => {
  document.querySelector('.md-header') && document.body.setAttribute('data-md-color-scheme', scheme);
  document.querySelectorAll('details').forEach(it => { it.open = true });
  if (!document.getElementById('at-rest')) document.head.insertAdjacentHTML('beforeend',
    '<style id="at-rest">* { transition: none !important; animation: none !important }</style>');
  await document.fonts.ready;
  await new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)));
}"""
"""Shows a page in a scheme with all that is folded, without movement, and waits until it is drawn."""
CUT_OFF = """() => {
  const found = [];
  for (const one of document.querySelectorAll('.md-main *, .md-header *')) {
    if (![...one.childNodes].some(it => it.nodeType === 3 && it.data.trim())) continue;
    if (!one.getClientRects().length || one.closest('[hidden], .md-search, .md-header__topic')) continue;
    if (one instanceof SVGElement) {
      const [text, drawing] = [one, one.ownerSVGElement].map(it => it.getBoundingClientRect());
      if (one.tagName === 'text' && (text.left < drawing.left - 1 || text.right > drawing.right + 1))
        found.push(`svg ${one.textContent.slice(0, 40)}`);
      continue;
    }
    const style = getComputedStyle(one);
    const hides = ['hidden', 'clip'].includes(style.overflowX);
    if (hides && style.display !== 'inline' && one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1)
      found.push(`${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 40)}`);
  }
  return found;
}"""


def paths(site: Path) -> list[str]:
    """Return the addresses of all pages of a built site, relative to it."""
    found = [path.relative_to(site).as_posix() for path in site.rglob("*.html")]
    return sorted(found)


def faults(browser: Browser, base: str, pages: Iterable[str], judged: Iterable[str]) -> list[str]:
    """Return what is wrong with pages of a site, a sentence each; axe-core judges those in `judged` too."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    heard: list[str] = []
    page.on("console", lambda message: heard.extend(_said(message)))
    page.on("pageerror", lambda error: heard.append(f"has an error: {error}"))
    page.on("request", lambda request: heard.extend(_asked(request, base)))
    found: list[str] = []
    judged = set(judged)
    for path in pages:
        page.goto(base + path)
        found += [f"{path}: {fault}" for fault in _faults(page, judge=path in judged)]
        found += [f"{path} {fault}" for fault in heard]
        heard.clear()
    context.close()
    return found


def _said(message: ConsoleMessage) -> Iterator[str]:
    if message.type in {"error", "warning"}:
        yield f"says in the console: {message.text}"


def _asked(request: Request, base: str) -> Iterator[str]:
    if not request.url.startswith((base, "data:", "blob:")):
        yield f"asks for {request.url[:80]}"


def _faults(page: Page, *, judge: bool) -> Iterator[str]:
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for name, scheme in SCHEMES.items():
            page.emulate_media(color_scheme="dark" if name == "dark" else "light")
            page.evaluate(SETTLED, scheme)
            look = f"{width} wide, {name}"
            window, needed = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
            if needed > window:
                yield f"{look}: {needed - window} pixels wider than the window"
            yield from (f"{look}: cut off: {text}" for text in page.evaluate(CUT_OFF))
            if judge and look in JUDGED:
                yield from (f"{look}: {fault}" for fault in inaccessible(page, JUDGED[look]))


def inaccessible(page: Page, rules: Sequence[str]) -> Iterator[str]:
    """Yield what axe-core finds grave in a page as it is shown now, by these rules of its or by all."""
    options: dict[str, Any] = {**AXE, **({"runOnly": list(rules)} if rules else {})}
    for one in Axe().run(page, options=options).response["violations"]:
        if one["impact"] in GRAVE:
            yield f"{one['id']} ({one['help']}): {one['nodes'][0]['html'][:120]}"
