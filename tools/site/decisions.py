"""Decisions: the page that leads to all of them, each by its title."""

from __future__ import annotations

import re

from tools.chapters import ROOT

FOLDER = ROOT / "docs" / "decisions"
TITLE = re.compile(r"# (?P<title>(?P<number>\d{4}): \S.*)\n")


def pages() -> dict[str, str | bytes]:
    """Return the index of the decisions; raises ValueError for a title without the number of its file."""
    text = (FOLDER / "index.md").read_text(encoding="utf-8")
    titles = [f"- [{title(place.name)}]({place.name})" for place in sorted(FOLDER.glob("[0-9]*.md"))]
    return {"decisions/index.md": "\n".join([text, *titles, ""])}


def title(name: str) -> str:
    """Return the title of the decision in a file of this name."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    found = TITLE.match(text)
    if not found or found["number"] != name[:4]:
        first = text.partition("\n")[0]
        raise ValueError(f"docs/decisions/{name} begins with {first!r}, not with # {name[:4]}: and its title")
    return found["title"]
