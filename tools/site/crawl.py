"""Crawl: follows every link and address of the built site, within it, and names what leads nowhere.

The builder checks the links that it has seen in Markdown; what is raw HTML it takes as it is. Here the built
pages count, as a browser gets them.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

ROOT = "https://directcall.invalid/"
"""An address for the site's root that no page can mean by chance (RFC 2606, section 2)."""
ADDRESSES = {"href", "src"}
NAMES = {"id", "name"}
ELSEWHERE = {"http", "https", "mailto", "data", "javascript"}


class Built(HTMLParser):
    """One built page: the addresses it has, and the places in it that an address may name."""

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.addresses: set[str] = set()
        self.places: set[str] = {"", "top", "__top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element leads to, and what it is called."""
        del tag
        for name, value in attrs:
            if name in ADDRESSES and value is not None:
                self.addresses.add(value)
            if name in NAMES and value:
                self.places.add(value)


def complaints(site: Path) -> list[str]:
    """Return a sentence for each address of the pages below `site` that leads nowhere, in order."""
    pages = {
        path.relative_to(site).as_posix(): Built(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }
    return [
        f"{name} leads to {address}, {fault}"
        for name, page in pages.items()
        for address in sorted(page.addresses)
        for fault in _fault(site, pages, name, address)
    ]


def _fault(site: Path, pages: dict[str, Built], name: str, address: str) -> Iterator[str]:
    """Yield what is wrong with an address of a page, if anything is."""
    target = urlsplit(urljoin(ROOT + name, address))
    if urlsplit(address).scheme in ELSEWHERE or (name == "404.html" and address.startswith("/")):
        return
    path = unquote(target.path).removeprefix("/")
    if (site / path).is_dir():
        path = f"{path.rstrip('/')}/index.html".removeprefix("/")
    if not (site / path).is_file():
        yield "which is not there"
    elif path in pages and unquote(target.fragment) not in pages[path].places:
        yield f"and {path} has no place of that name"
