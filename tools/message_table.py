"""Message table: which message and which member exists since when, as a table for spec/phases.md.

Made from the schemas alone; `python -m tools.message_table` writes it between its two marks in the
chapter, and a law compares the two.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import schemas
from tools.ending import ending

CHAPTER = Path(__file__).resolve().parent.parent / "spec" / "phases.md"
BEGIN, END = "<!-- messages -->", "<!-- /messages -->"
SPAN = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
MISSING, NEW, MORE, SAME = "–", "new", "+", "="


def drawn() -> str:
    """Return the table: a row for each message, a column for each phase, and the members added since."""
    header = ("message", *schemas.PHASES, "members added since")
    lines = [_line(header), "|" + "---|" * len(header)]
    for stem in schemas.CHAPTERS:
        definitions = schemas.load(stem)["$defs"]
        lines += [_row(name, body) for name, body in definitions.items() if body.get("x-message")]
    return "\n".join(lines)


def inserted(text: str) -> str:
    """Return the text of the chapter with the table between the marks; raises ValueError without them."""
    if len(SPAN.findall(text)) != 1:
        raise ValueError(f"{CHAPTER.name} has no place for the table, or several")
    return SPAN.sub(lambda _: f"{BEGIN}\n\n{drawn()}\n\n{END}", text)


def _row(name: str, body: Mapping[str, Any]) -> str:
    ages: dict[str, list[str]] = {}
    for member, definition in body.get("properties", {}).items():
        ages.setdefault(definition["x-since"], []).append(f"`{member}`")
    born = schemas.PHASES.index(body["x-since"])
    later = {phase: ages[phase] for phase in schemas.PHASES[born + 1 :] if phase in ages}
    cells = (
        [MISSING] * born + [NEW] + [MORE if phase in later else SAME for phase in schemas.PHASES[born + 1 :]]
    )
    added = "; ".join(f"{phase}: {', '.join(members)}" for phase, members in later.items())
    return _line((f"`{name}`", *cells, added or MISSING))


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def main(chapter: Path = CHAPTER) -> int:
    """Write the table into the chapter, if it is another one; return the exit code."""
    there = chapter.read_text(encoding="utf-8")
    wanted = inserted(there)
    if wanted != there:
        chapter.write_bytes(wanted.encode())
    return 0


if __name__ == "__main__":
    with ending("schemas"):
        sys.exit(main())
