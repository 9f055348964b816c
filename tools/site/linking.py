"""Linking: leads every link of a page to the page that stands for its target, and every id home.

The repository's files link each other where they stand; the site has them elsewhere. A target that has no
page is named instead of linked. An id of a requirement that no chapter has is a complaint.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection

from tools import chapters

FENCED = re.compile(r"^([^\S\n]*```[^\n]*\n.*?^[^\S\n]*```[^\S\n]*$)", re.MULTILINE | re.DOTALL)
PARTS = re.compile(
    r"(?P<heading>^\#{1,6}\s[^\n]*$)"
    r"|(?P<code>(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<drawing><(?P<element>svg|script|style|a|button|code|pre|option|title)\b.*?</(?P=element)>)"
    r"|(?P<tag><[a-zA-Z/!][^>]*>)"
    r"|(?P<text>!?\[(?:[^\[\]\n]|\[[^\]\n]*\])+\])\((?P<target>[^)\s]+)(?P<title>\s+\"[^\"]*\")?\)"
    r"|(?<=\w)(?P<variant>\{[^{}\n]*\})"
    r"|(?<![\w/-])(?P<id>(?P<area>[A-Z]{2,})-[1-9][0-9]*)(?![\w-])",
    re.MULTILINE | re.DOTALL,
)
"""What a text outside of fenced blocks is made of, as far as links are concerned."""
WHOLE = "{ .whole }"
"""What keeps an id on one line (docs/assets/site.css)."""


class Linking:
    """Links the pages of one tree; what is wrong is added to `complaints`, a sentence each."""

    def __init__(self, pages: Collection[str], complaints: list[str]) -> None:
        """Take the paths of all files of the tree."""
        self._pages = pages
        self._complaints = complaints
        self._known = chapters.every_requirement()
        self._areas = {requirement.area for requirement in self._known.values()}

    def linked(self, path: str, text: str) -> str:
        """Return the text of a page with its links mended and its ids linked."""
        parts = FENCED.split(text)
        return "".join(
            part if number % 2 else PARTS.sub(lambda found: self._one(path, found), part)
            for number, part in enumerate(parts)
        )

    def _one(self, path: str, found: re.Match[str]) -> str:
        if found["id"]:
            return self._home(path, found)
        if found["variant"]:  # Hangup{Busy}, which a builder would take for the end of an attribute list
            return f"\\{found['variant'][:-1]}\\}}"
        return self._mended(path, found) if found["target"] else found[0]

    def _home(self, path: str, found: re.Match[str]) -> str:
        """Link an id to its sentence."""
        requirement = self._known.get(found["id"])
        if requirement is None:
            if found["area"] in self._areas:
                self._complaints.append(f"{path} names {found['id']}, which is no requirement")
            return found[0]
        there = self._relative(path, f"spec/{requirement.chapter}.md")
        return f"[{requirement.id}]({there}#{requirement.id}){WHOLE}"

    def _mended(self, path: str, found: re.Match[str]) -> str:
        """Lead a link to the page that stands for its target; name a target that has no page."""
        text, title = found["text"], found["title"] or ""
        target, _, fragment = found["target"].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return found[0]
        rule = text[1:-1] in self._known
        if rule:
            fragment = text[1:-1]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        place = place.removeprefix("../")  # docs/ is the root of the site; one above it is that of the tree
        place = place.removeprefix("docs/")
        for candidate in (place, f"{place}/README.md", f"{place}/index.md"):
            if candidate in self._pages:
                there = self._relative(path, candidate)
                return f"{text}({there}{'#' + fragment if fragment else ''}{title}){WHOLE if rule else ''}"
        if (chapters.ROOT / place).exists():
            return f"{text[1:-1]} (`{place}` in the tree)"
        self._complaints.append(f"{path} links {found['target']}, which is not there")
        return found[0]

    @staticmethod
    def _relative(path: str, target: str) -> str:
        return posixpath.relpath(target, posixpath.dirname(path) or ".")
