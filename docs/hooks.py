"""Hook of the site: publishes the chapters and the schemas from where they stand, and links their ids.

Rules of this file: nothing is copied into docs/; what is wrong in a page is a warning, and the
site is built with warnings as errors. It speaks to the site builder only; reading, drawing and
tabulating are in tools/ (chapters, diagram, schema_pages).
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from tools import chapters, diagram, schema_pages

LOG = logging.getLogger("mkdocs.hooks.directcall")
READING_ORDER = (
    *("README", "conventions", "transport", "wire", "registration", "reflection", "call", "privacy"),
    *("candidates", "race", "agreement", "media", "federation", "errors", "phases", "security", "deployed"),
)
DECISIONS = Path(__file__).parent / "decisions"
STATES = re.compile(r"^```states from=(?P<chapter>[a-z]+)\n```$", re.MULTILINE)
TRANSITIONS = re.compile(r"^<!-- transitions -->$", re.MULTILINE)
EXAMPLE = re.compile(r"^\{\{ (?P<name>examples/[a-z_.]+) \}\}$", re.MULTILINE)
LENGTH = re.compile(r"\{\{ lines of (?P<name>examples/[a-z_.]+) \}\}")
LINK = re.compile(r"(?P<text>\[[^]\n]+\])\((?P<target>[^)\s]+)\)")
UNLINKED = frozenset({"a", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "svg", "title"})
TAG = re.compile(r"(<[^>]+>)")


def chapter_names() -> list[str]:
    """Return the stems of the chapters that there are, in reading order."""
    there = set(chapters.chapters())
    for stranger in sorted(there - set(READING_ORDER)):
        LOG.warning("spec/%s.md has no place in the reading order of docs/hooks.py", stranger)
    return [stem for stem in READING_ORDER if stem in there]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the sections whose pages are found rather than listed."""
    decisions = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    config.nav = [
        *(config.nav or []),
        {"Specification": [f"spec/{stem}.md" for stem in chapter_names()]},
        {"Schemas": ["schemas/README.md", *(f"schemas/{stem}.md" for stem in schema_pages.sources())]},
        {"Decisions": ["decisions/index.md", *(f"decisions/{name}" for name in decisions)]},
    ]
    config.watch.extend(str(folder) for folder in (chapters.SPEC, schema_pages.SCHEMAS))
    chapters.chapters.cache_clear()
    chapters.every_requirement.cache_clear()
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the chapters, the schemas and a page about each schema."""
    for stem in chapter_names():
        path = chapters.SPEC / f"{stem}.md"
        files.append(File.generated(config, f"spec/{stem}.md", abs_src_path=str(path)))
    files.append(File.generated(config, "schemas/README.md", content=schema_pages.index()))
    for stem, path in schema_pages.sources().items():
        files.append(File.generated(config, f"schemas/{stem}.md", content=schema_pages.page(stem)))
        files.append(File.generated(config, f"schemas/{path.name}", abs_src_path=str(path)))
    for view in schema_pages.views():
        path = schema_pages.SCHEMAS / view
        files.append(File.generated(config, f"schemas/{view.as_posix()}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Draw the tables, anchor the requirements, and mend the links that lead out of the site."""
    del config
    text = EXAMPLE.sub(lambda place: _example(page, place["name"]), markdown)
    text = LENGTH.sub(lambda place: str(_length(_example(page, place["name"]))), text)
    text = STATES.sub(lambda fence: _drawn(fence["chapter"], fence[0]), text)
    stem = posixpath.basename(page.file.src_uri).removesuffix(".md")
    text = TRANSITIONS.sub(lambda mark: _drawn(stem, mark[0]), text)
    text = _outside_fences(text, lambda part: LINK.sub(lambda link: _mended(link, page, files), part))
    return _outside_fences(text, _anchored) if page.file.src_uri.startswith("spec/") else text


def _example(page: Page, name: str) -> str:
    """Return the text of a program that a page shows, from where it stands and is run."""
    path = Path(page.file.abs_src_path or "").parent / name
    if not path.is_file():
        LOG.warning("%s shows %s, which is not there", page.file.src_uri, name)
        return ""
    return path.read_text(encoding="utf-8").rstrip()


def _length(program: str) -> int:
    """Return how many lines of a program are not blank."""
    return sum(bool(line.strip()) for line in program.splitlines())


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts = re.split(r"^(```[^\n]*\n.*?^```[^\S\n]*$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else change(part) for part in parts)


def _drawn(chapter: str, otherwise: str) -> str:
    """Return the drawing of a chapter's transition table: in its fence, or where the table is marked."""
    try:
        table = chapters.table(chapter, "from", "event", "to")
        return f"\n{diagram.draw(table, f'States of {chapter}, drawn from the table of transitions')}\n"
    except (KeyError, ValueError) as error:
        LOG.warning("no states to draw from %r: %s", chapter, error)
        return otherwise


def _anchored(text: str) -> str:
    """Give each requirement its anchor and permalink, and each of its notes a line of its own."""
    anchor = r'<a id="\g<id>"></a>**[\g<id>](#\g<id> "Permalink to \g<id>")** '
    text = re.sub(r"^\*\*(?P<id>[A-Z]+-[1-9][0-9]*)\*\* (?=\()", anchor, text, flags=re.MULTILINE)
    return re.sub(r"^> (?P<name>Why|Seen|Check): ", r">\n> *\g<name>:* ", text, flags=re.MULTILINE)


def _mended(link: re.Match[str], page: Page, files: Files) -> str:
    """Lead a link to the page that stands for its target; name a target that has no page."""
    target, _, fragment = link["target"].partition("#")
    cited = link["text"][1:-1]
    if cited in chapters.every_requirement():
        fragment = cited
    if not target or "://" in target or target.startswith("mailto:"):
        return link[0]
    place = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), target))
    if place.startswith("../"):  # docs/ is the root of the site; one above it is that of the tree
        place = place.removeprefix("../")
    for candidate in (place, f"{place}/README.md", f"{place}/index.md"):
        if files.get_file_from_path(candidate):
            there = posixpath.relpath(candidate, posixpath.dirname(page.file.src_uri) or ".")
            return f"{link['text']}({there}{'#' + fragment if fragment else ''})"
    if (chapters.ROOT / place).exists():
        return f"{link['text'][1:-1]} (`{place}` in the tree)"
    return link[0]


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Link every id of a requirement, wherever it is named, to its sentence."""
    del config
    known = chapters.every_requirement()
    areas = {requirement.area for requirement in known.values()}

    def linked(match: re.Match[str]) -> str:
        requirement = known.get(match["id"])
        if requirement is None:
            if match["area"] in areas:
                LOG.warning("%s names %s, which is no requirement", page.file.src_uri, match["id"])
            return match[0]
        there = files.get_file_from_path(f"spec/{requirement.chapter}.md")
        address = get_relative_url(there.url, page.url) if there else ""
        return f'<a href="{address}#{requirement.id}">{requirement.id}</a>'

    pieces, inside = list[str](), list[str]()
    for piece in TAG.split(html):
        tag = re.match(r"</?([a-z][a-z0-9]*)", piece)
        if tag and tag[1] in UNLINKED:
            if piece.startswith("</"):
                inside.pop()
            elif not piece.endswith("/>"):
                inside.append(tag[1])
        pieces.append(piece if tag or inside else chapters.CITED.sub(linked, piece))
    return "".join(pieces)
