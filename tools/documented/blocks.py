"""Blocks: the fenced blocks of a page that say something can be run or read by a program.

Rules of this file: a word behind the language that is not known is an error, so that nothing is left out by a
slip of the pen; what is not run says why.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools import chapters

RUN = ("console", "sh", "python")
"""Languages that are run."""
READ = {"json": json.loads, "toml": tomllib.loads}
"""Languages that are read, by what reads them."""
WORDS = {
    "console": {"terminal", "stays", "status", "counts", "norun"},
    "sh": {"terminal", "norun"},
    "python": {"file", "from", "norun"},
    "json": {"file", "norun"},
    "toml": {"file", "norun"},
}
"""What may stand behind each language."""
MAIN = "main"
"""The terminal of a block that names none."""
PROMPT = "$ "
ANY = "…"
"""In a line: anything; alone in it: any lines."""
INTERRUPT = "^C"


class PageError(Exception):
    """A page cannot be run as it is written; the text names it, the line and the fault."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the words behind it, its text, and the line where the text begins."""

    language: str
    words: dict[str, str]
    text: str
    line: int

    @property
    def runs(self) -> bool:
        """Whether something is run for it, or written for what is run."""
        return not {"norun", "from"} & set(self.words) and (self.language in RUN or "file" in self.words)

    @property
    def terminal(self) -> str:
        """The name of the terminal in which it is run."""
        return self.words.get("terminal", MAIN)

    def parts(self) -> list[Part]:
        """Return the commands of the block, each with what stands beneath it.

        The first one is None where the block goes on with what a command of an earlier block prints.
        """
        shows = self.language == "console"
        if not shows and self.language != "sh":
            return []
        parts: list[Part] = []
        for number, line in _joined(self.text.splitlines(), PROMPT if shows else ""):
            if shows and not line.startswith(PROMPT):
                parts = parts or [Part(None, (), number)]
                parts[-1] = parts[-1].with_line(line)
            elif shows or (line.strip() and not line.lstrip().startswith("#")):
                command = line.removeprefix(PROMPT) if shows else line
                behind = number + len(line.split("\n"))
                parts.append(Part(command, () if shows else (ANY,), behind))
        return [Part(part.command, part.lines, self.line + part.line) for part in parts]


@dataclass(frozen=True, slots=True)
class Part:
    """A command, or None for one that still runs; the lines that it is to print, and where these begin."""

    command: str | None
    lines: tuple[str, ...]
    line: int

    def with_line(self, line: str) -> Part:
        """Return the part with one more line beneath."""
        return Part(self.command, (*self.lines, line), self.line)


def _joined(lines: list[str], prompt: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers; a command that goes on behind a backslash is one of several lines."""
    waiting: list[str] = []
    for number, line in enumerate(lines):
        waiting.append(line)
        if not (waiting[0].startswith(prompt) and line.endswith("\\")):
            yield number + 1 - len(waiting), "\n".join(waiting)
            waiting = []
    if waiting:
        yield len(lines) - len(waiting), "\n".join(waiting)


def blocks(path: str, text: str) -> list[Block]:
    """Return the blocks of a page in RUN and READ; raises PageError for one that cannot be followed."""
    found: list[Block] = []
    for fence in chapters.fences(text):
        try:
            language, *words = shlex.split(fence.info) or [""]
        except ValueError as error:
            raise PageError(f"{path}:{fence.line - 1}: {fence.info!r} cannot be read: {error}") from error
        if language not in WORDS:
            continue
        said = dict(word.partition("=")[::2] for word in words)
        block = Block(language, said, fence.text, fence.line)
        complaint = _complaint(block)
        if complaint:
            raise PageError(f"{path}:{fence.line - 1}: {complaint}")
        found.append(block)
    return found


def _complaint(block: Block) -> str:
    """Return what is wrong with a block, or nothing."""
    unknown = sorted(set(block.words) - WORDS[block.language])
    if unknown:
        there = ", ".join(sorted(WORDS[block.language]))
        return f"{unknown[0]!r} says nothing behind {block.language}: there is {there}"
    if "norun" in block.words:
        return "" if len(block.words["norun"].split()) > 1 else "norun has to say why in some words"
    if not re.fullmatch(r"[0-9]{1,3}", block.words.get("status", "0")):
        return f"status={block.words['status']} is no exit status"
    if block.words.get("counts", "vary") != "vary":
        return f"counts={block.words['counts']}: they vary, or nothing is said of them"
    name = block.words.get("file", "x")
    if Path(name).is_absolute() or ".." in Path(name).parts or not name:
        return f"file={name} is no name of a file in the folder"
    try:
        READ.get(block.language, str)(block.text)
    except ValueError as error:
        return f"this is no {block.language}: {error}"
    return ""
