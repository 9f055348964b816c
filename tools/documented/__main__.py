"""`python -m tools.documented`: runs the pages that show commands, several at a time.

    python -m tools.documented                              every page
    python -m tools.documented docs/tutorial/race.md        this one
    python -m tools.documented --write docs/tutorial/race.md     and writes what came into it, every line

Ends with exit status 1 when a page is not as it says, and tells the line and what came.
"""

from __future__ import annotations

import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from tools.chapters import ROOT
from tools.documented import pages
from tools.documented.blocks import PageError, blocks
from tools.documented.calls import held

AT_ONCE = 3
"""Pages that run beside each other: most of the time each waits for a call."""


def every_page() -> list[str]:
    """Return the pages of the tree that may show something, by their path."""
    found = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    return [place.relative_to(ROOT).as_posix() for place in found]


def one(path: str, *, writes: bool) -> str:
    """Run one page and return a line about it; raises PageError."""
    text = (ROOT / path).read_text(encoding="utf-8")
    there = sum(block.runs for block in blocks(path, text))
    began = time.monotonic()
    came = pages.run(path, text, writes=writes)
    if came != text:
        (ROOT / path).write_text(came, encoding="utf-8")
    held(path, came)
    return f"{path}: {there} blocks in {time.monotonic() - began:.1f} s" + (
        " (written)" if came != text else ""
    )


def shows(path: str) -> bool:
    """Tell whether a page has something to run; raises PageError."""
    return any(block.runs for block in blocks(path, (ROOT / path).read_text(encoding="utf-8")))


def main(
    paths: Annotated[list[Path] | None, typer.Argument(help="pages; none is all of them")] = None,
    *,
    write: Annotated[bool, typer.Option("--write", help="write what came into the pages")] = False,
) -> None:
    """Run what the pages show."""
    if shutil.which("bash") is None:
        print("SKIPPED the pages: there is no bash to run their commands")
        return
    failed = 0
    try:
        chosen = [path.resolve().relative_to(ROOT).as_posix() for path in paths or ()] or every_page()
        chosen = [path for path in chosen if shows(path)]
    except (OSError, ValueError) as error:
        sys.exit(f"no page of the tree: {error}")
    except PageError as error:
        sys.exit(str(error))
    with ThreadPoolExecutor(max_workers=AT_ONCE) as lanes:
        for run in [lanes.submit(one, path, writes=write) for path in chosen]:
            try:
                print(run.result(), flush=True)
            except PageError as error:
                failed += 1
                print(error, file=sys.stderr, flush=True)
    print(f"{len(chosen) - failed} pages are as they say, {failed} are not")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
