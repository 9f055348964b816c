"""Assembly: every file of the site's tree, gathered from where it stands, with its text completed.

    docs/        as it is, but for examples (programs stand beside the pages that show them)
    spec/        the chapters, each requirement with its anchor and what holds it, the states drawn
    conformance/ the shapes of what the suite reads and writes
    ROOMS        pages that are generated, each room a module of this package

Rules of this file: nothing is copied into the repository; what is wrong in a page is a complaint that names
the page, and a site with complaints is not built.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from tools import chapters, diagram
from tools.site import (
    api,
    changes,
    code,
    decisions,
    dialogues,
    holding,
    home,
    messages,
    playground,
    requirements,
    results,
)
from tools.site.linking import Linking

Pages = dict[str, str | bytes]
"""Files of the site's tree by their path in it: text of a page, or the bytes of another file."""
DOCS = chapters.ROOT / "docs"
EXAMPLES = DOCS / "how-to" / "examples"
ROOMS: tuple[Callable[[], Pages], ...] = (
    messages.pages,
    playground.pages,
    requirements.pages,
    changes.pages,
    code.pages,
    api.pages,
    dialogues.pages,
    results.pages,
    decisions.pages,
    home.pages,
)
"""What generates pages."""
WEIGHTS = {"spec/changes": 0.3, "spec/": 4, "schemas/": 3, "api/": 0.5, "results/": 0.2, "decisions/": 0.5}
"""What a word counts for the search in the pages of a room; 1 where nothing is said."""
RULE = re.compile(r"^\*\*(?P<id>[A-Z]+-[1-9][0-9]*)\*\* \((?P<scope>[^)]*)\): ", re.MULTILINE)
HEAD = re.compile(r"---\n(?P<said>.*?)^---$", re.MULTILINE | re.DOTALL)
"""What a page says of itself to the builder."""
STATES = re.compile(r"^```states from=(?P<chapter>[a-z]+)\n```$", re.MULTILINE)
SHAPES = "conformance/{}.schema.json"
"""What the suite reads and writes, by the names of its files."""
TRANSITIONS = re.compile(r"^<!-- transitions -->$", re.MULTILINE)
EXAMPLE = re.compile(
    r"^(?:\{\{ (?P<name>examples/[\w./-]+) \}\}"
    r"|(?P<fence>```\w+) from=(?P<shown>examples/[\w./-]+)\n```)$",
    re.MULTILINE,
)
"""Where a program is shown: in a block, or as the whole of one, which a formatter of code leaves alone."""
SAID = re.compile(r"^(?P<fence>```\w+)[^\S\n][^\n{]*$", re.MULTILINE)
"""What a block says beside its language, of its phase or how it is run, which is not for a builder."""
LENGTH = re.compile(r"\{\{ lines of (?P<name>examples/[\w./-]+) \}\}")


def assemble() -> tuple[Pages, list[str]]:
    """Return the files of the site by path, and what is wrong with them, a sentence each."""
    complaints: list[str] = []
    pages = gathered()
    for path in [f"spec/{stem}.md" for stem in chapters.chapters()]:
        text = holding.styled(str(pages[path]))
        pages[path] = outside_fences(text, holding.beneath)
    linking = Linking(frozenset(pages), complaints)
    for path, content in pages.items():
        if isinstance(content, str) and path.endswith(".md"):
            pages[path] = weighed(path, linking.linked(path, completed(path, content, complaints)))
    return pages, complaints


def gathered() -> Pages:
    """Return every file as it stands, or as its room generates it."""
    pages: Pages = {}
    for place in sorted(DOCS.rglob("*")):
        if place.is_file() and not place.is_relative_to(EXAMPLES) and "__pycache__" not in place.parts:
            path = place.relative_to(DOCS).as_posix()
            pages[path] = place.read_text("utf-8") if place.suffix == ".md" else place.read_bytes()
    pages |= {f"spec/{stem}.md": text for stem, text in chapters.chapters().items()}
    for shape in ("control", "plan", "results"):
        pages[SHAPES.format(shape)] = (chapters.ROOT / SHAPES.format(shape)).read_bytes()
    for room in ROOMS:
        pages |= room()
    return pages


def weighed(path: str, text: str) -> str:
    """Return a page with its weight for the search, if its room has one and the page says nothing of it.

    What a page says of itself stands at its very beginning, so this is the last that is done to a page.
    """
    weight = next((weight for room, weight in WEIGHTS.items() if path.startswith(room)), None)
    head = HEAD.match(text)
    said = head["said"] if head else ""
    if weight is None or "search:" in said:
        return text
    return f"---\n{said}search:\n  boost: {weight}\n---\n\n{text[head.end() if head else 0 :].lstrip()}"


def completed(path: str, text: str, complaints: list[str]) -> str:
    """Return a page with the programs it shows, the states it draws and the anchors of its requirements."""

    def example(name: str) -> str:
        program = DOCS / posixpath.dirname(path) / name
        if program.is_file():
            return program.read_text(encoding="utf-8").rstrip()
        complaints.append(f"{path} shows {name}, which is not there")
        return f"{{{{ {name} }}}}"

    def shown(place: re.Match[str]) -> str:
        text = example(place["name"] or place["shown"])
        return text if place["name"] else f"{place['fence']}\n{text}\n```"

    def length(place: re.Match[str]) -> str:
        return str(sum(bool(line.strip()) for line in example(place["name"]).splitlines()))

    def drawn(chapter: str, otherwise: str) -> str:
        try:
            table = chapters.table(chapter, "from", "event", "to")
            return f"\n{diagram.draw(table, f'States of {chapter}, drawn from the table of transitions')}\n"
        except (KeyError, ValueError) as error:
            complaints.append(f"{path}: no states to draw from {chapter!r}: {error}")
            return otherwise

    text = LENGTH.sub(length, EXAMPLE.sub(shown, text))
    text = STATES.sub(lambda fence: drawn(fence["chapter"], fence[0]), text)
    text = SAID.sub(r"\g<fence>", text)
    stem = Path(path).stem
    text = TRANSITIONS.sub(lambda mark: drawn(stem, mark[0]), text)
    return anchored(text) if path.startswith("spec/") else text


def anchored(text: str) -> str:
    """Make each requirement a heading, which links and the search find, and each of its notes a line."""

    def change(part: str) -> str:
        heading = r'#### \g<id> { #\g<id> .rule }\n\n<span class="scope">\g<scope></span> '
        part = re.sub(RULE, heading, part)
        return re.sub(r"^> (?P<name>Why|Seen|Check): ", r">\n> *\g<name>:* ", part, flags=re.MULTILINE)

    return outside_fences(text, change)


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """Return a text with `change` made to what stands outside of its fenced blocks."""
    parts = re.split(r"^(```[^\n]*\n.*?^```[^\S\n]*$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else change(part) for part in parts)
