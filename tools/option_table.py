"""Option table: what may stand in a relay's configuration, as a table for docs/how-to/operate-a-relay.md.

Made from the options alone; `python -m tools.option_table` writes it between its two marks in the page,
and a law compares the two.
"""

from __future__ import annotations

import re
import sys
from enum import Enum
from pathlib import Path
from typing import get_type_hints

from reference.configuration import bounds, keys, kind_of
from reference.document import KINDS, written
from reference.options import Options
from reference.reload import RELOADED
from tools.ending import ending

PAGE = Path(__file__).resolve().parent.parent / "docs" / "how-to" / "operate-a-relay.md"
BEGIN, END = "<!-- options -->", "<!-- /options -->"
SPAN = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)


def drawn() -> str:
    """Return the table: a row for each key, with what it may be, its default, and whether it is reloaded."""
    columns = ("key", "value", "default", "SIGHUP", "meaning")
    rows = (_row(key, name) for key, name in keys().items())
    return "\n".join([_line(columns), "|" + "---|" * len(columns), *map(_line, rows)])


def inserted(text: str) -> str:
    """Return the text of the page with the table between the marks; raises ValueError without them."""
    if len(SPAN.findall(text)) != 1:
        raise ValueError(f"{PAGE.name} has no place for the table, or several")
    return SPAN.sub(lambda _: f"{BEGIN}\n\n{drawn()}\n\n{END}", text)


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _row(key: str, name: str) -> tuple[str, ...]:
    annotated = get_type_hints(Options, include_extras=True)[name]
    meaning = getattr(next(iter(getattr(annotated, "__metadata__", ())), None), "help", None)
    default = written(getattr(Options(), name))
    reloaded = "reloaded" if name in RELOADED else "restart"
    return f"`{key}`", _value(key), f"`{default}`", reloaded, meaning or key.replace("-", " ")


def _value(key: str) -> str:
    kind, (smallest, largest) = kind_of(key), bounds(key)
    if issubclass(kind, Enum):
        return ", ".join(f"`{written(one)}`" for one in kind)
    words = KINDS.get(kind, KINDS[str])
    words += "" if smallest is None else f" from {smallest}"
    return words if largest is None else f"{words} to {largest}"


def main(page: Path = PAGE) -> int:
    """Write the table into the page, if it is another one; return the exit status."""
    there = page.read_text(encoding="utf-8")
    wanted = inserted(there)
    if wanted != there:
        page.write_bytes(wanted.encode())
    return 0


if __name__ == "__main__":
    with ending("options"):
        sys.exit(main())
