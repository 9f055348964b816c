"""`python -m tools.site`: assembles the tree of pages in out/docs/, and builds the site out/site/ from it.

Any complaint of the assembly or of the builder ends it with exit status 1, and so does a file that cannot be
written; ctrl-C with 130.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tools.chapters import ROOT
from tools.ending import ending
from tools.site import assembly, configuration, crawl

OUT = ROOT / "out"
LIMIT = 300.0
"""Seconds after which a builder that does not end is broken."""
COMMANDS = {
    "mkdocs": ("-m", "mkdocs", "build", "--strict", "--quiet", "--config-file"),
    "zensical": ("-m", "zensical", "build", "--strict", "--clean", "--config-file"),
}
Builder = Literal["mkdocs", "zensical", "none"]


def write(pages: assembly.Pages, tree: Path) -> None:
    """Write the pages whose content changed, and remove the files that are no page any more."""
    for path, content in pages.items():
        place = tree / path
        there = content if isinstance(content, bytes) else content.encode()
        if not place.is_file() or place.read_bytes() != there:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(there)
    for place in [found for found in tree.rglob("*") if found.is_file()]:
        if place.relative_to(tree).as_posix() not in pages:
            place.unlink()


def build(builder: Builder, out: Path) -> list[str]:
    """Let a builder make the site of the tree in `out`; return what is wrong with it, a sentence each."""
    if builder == "none":
        return []
    command = [sys.executable, *COMMANDS[builder], str(out / "mkdocs.yml")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=LIMIT, check=False)
    if done.returncode:
        return [f"{builder} ended with status {done.returncode}"]
    return crawl.complaints(out / "site")


def main(
    builder: Annotated[Builder, typer.Option(help="What makes HTML of the tree.")] = "mkdocs",
    out: Annotated[Path, typer.Option(help="Where the tree and the site are written.")] = OUT,
    *,
    versions: Annotated[bool, typer.Option("--versions", help="Show a selector of versions.")] = False,
) -> None:
    """Assemble the pages, build the site and follow its links."""
    with ending("docs"):
        pages, complaints = made(builder, out, versions=versions)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if complaints:
        raise typer.Exit(1)
    print(f"{pages} files became {out / 'site'}")


def made(builder: Builder, out: Path, *, versions: bool) -> tuple[int, list[str]]:
    """Write the tree and build its site; return how many files it has and what is wrong, a sentence each."""
    pages, complaints = assembly.assemble()
    if not complaints:
        write(pages, out / "docs")
        (out / "mkdocs.yml").write_text(configuration.written(pages, versions=versions), encoding="utf-8")
        complaints = build(builder, out)
    return len(pages), complaints


if __name__ == "__main__":
    typer.run(main)
