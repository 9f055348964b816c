"""Laws of the tree: what its files may not contain, and what has to agree with what."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import pins, tree

HOSTS = {
    "bford.info": "a paper on NATs",
    "directcall.invalid": "a name that is nobody's",
    "json-schema.org": "the name of the dialect, in every schema",
    "keepachangelog.com": "the form of the changelog",
    "semver.org": "how versions are counted",
    "www.apache.org": "the licence",
    "www.rfc-editor.org": "the standards that are cited",
    "www.w3.org": "the name space of SVG",
    "127.0.0.1": "this machine",
    "localhost": "this machine",
}
"""Every host that a file may name; no package index, mirror or place of work is among them."""

ADDRESS = re.compile(r"\b[a-z][a-z+]*://(?P<host>\[[^]/\s]+\]|[^/\s:\"'`)>#\\]+)")
MACHINE_PATH = re.compile(r"(?<![\w.~*-])/(?:work|root|home|Users|opt|mnt|srv|tmp|var/tmp)/\w")
# A letter of each word stands in brackets, so that this file does not find itself.
NOT_OF_THE_PROJECT = re.compile(
    r"\bl[l]ms?\b|langu[a]ge model|\bcl[a]ude\b|anthr[o]pic|\bcop[i]lot\b|open[a]i|chatg[p]t|\bA[I]\b[- ]"
    r"|integr[a]tor|\bsub-?ag[e]nt|\bthe br[i]ef\b|\bmy t[a]sk\b|\bthe fact sh[e]et|\bC[E]O\b",
    re.IGNORECASE,
)
EVERYTHING = tree.select("*")


def lines() -> Iterator[tuple[Path, int, str]]:
    """Yield every line of every text of the project."""
    for path in EVERYTHING:
        for number, line in enumerate((tree.text(path) or "").splitlines(), 1):
            yield path, number, line


def test_the_tree_is_read() -> None:
    """The files that these laws are about are found, also those whose names begin with a dot."""
    found = {str(path) for path in EVERYTHING}
    assert {".ci/run", ".gitignore", "LICENSE", "Makefile", "pyproject.toml", "requirements/dev.txt"} <= found


def test_no_file_names_a_host_it_should_not() -> None:
    """Addresses lead to standards and to this machine, to nothing else."""
    found = [
        (path, number, match["host"]) for path, number, line in lines() for match in ADDRESS.finditer(line)
    ]
    assert found
    assert [] == [(str(path), number, host) for path, number, host in found if host not in HOSTS]


def test_no_file_names_a_place_on_a_machine() -> None:
    """No path of somebody's machine stands in a file."""
    assert [] == [
        f"{path}:{number}: {line[:80]}" for path, number, line in lines() if MACHINE_PATH.search(line)
    ]


def test_the_files_speak_of_the_project_alone() -> None:
    """No file says how or by whom it was written."""
    found = [
        f"{path}:{number}: {line[:80]}" for path, number, line in lines() if NOT_OF_THE_PROJECT.search(line)
    ]
    assert [] == found


@pytest.mark.parametrize("before", ["", "see ", "'", "=", "file://"])
@pytest.mark.parametrize("folder", ["home", "root", "work", "tmp"])
def test_the_law_of_paths_sees_a_path(before: str, folder: str) -> None:
    """A path is found at the start of a line, in quotes and after a sign."""
    assert MACHINE_PATH.search(f"{before}/{folder}/x")


def test_the_pins_agree_with_the_project() -> None:
    """Everything that pyproject.toml asks for is pinned, with hashes, at a version it allows."""
    assert [] == pins.drift()


def test_every_dependency_is_explained() -> None:
    """Each library that pyproject.toml names stands in the decision page on dependencies."""
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {one.name for one in pins.declared(project, project["optional-dependencies"])}
    page = (tree.ROOT / "docs/decisions/0002-dependencies.md").read_text(encoding="utf-8")
    explained = {
        name.strip()
        for line in page.splitlines()
        if line.startswith("|")
        for name in line.split("|")[1].split(",")
    }
    assert wanted == explained - {"library", "---"}


def test_what_builds_the_wheel_is_pinned() -> None:
    """The build backend is among the pins, because nothing is fetched while the tree is installed."""
    build = tomllib.loads((tree.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    lock = (tree.ROOT / "requirements/dev.txt").read_text(encoding="utf-8")
    wanted = [*map(Requirement, build["requires"]), Requirement("editables")]
    assert [] == pins.complaints("requirements/dev.txt", lock, wanted)


def test_every_target_is_one_line_of_work() -> None:
    """Each target of the Makefile has exactly one line beneath it."""
    text = (tree.ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = re.findall(r"^([a-z]+):[^=\n]*\n((?:\t.*\n)*)", text, re.MULTILINE)
    counts = {name: body.count("\n") for name, body in recipes}
    assert {"demo", "test", "check", "docs", "bench", "lab"} <= set(counts)
    assert {1} == set(counts.values())


def test_the_gate_can_be_run() -> None:
    """The gate of a fresh machine is a program."""
    assert os.access(tree.ROOT / ".ci" / "run", os.X_OK)


def test_the_changelog_has_its_headings() -> None:
    """What is not released yet is told under the five headings, in their order."""
    text = (tree.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    _, _, unreleased = text.partition("## [Unreleased]\n")
    section = re.split(r"^## ", unreleased, maxsplit=1, flags=re.MULTILINE)[0]
    headings = re.findall(r"^### (.+)$", section, re.MULTILINE)
    assert ["Spec", "Schemas", "Suite", "Reference", "Site"] == headings


def test_decisions_are_numbered_and_have_one_form() -> None:
    """Decision pages are numbered without a gap, and each has its three headings."""
    pages = tree.select("docs/decisions/[0-9]*.md")
    assert [f"{number:04}" for number in range(1, len(pages) + 1)] == [path.name[:4] for path in pages]
    for path in pages:
        headings = re.findall(r"^## (.+)$", tree.text(path) or "", re.MULTILINE)
        assert ["Context", "Decision", "Consequence"] == headings, path


PAGES = tree.select("README.md", "CONTRIBUTING.md", "docs/*.md")


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_every_command_of_a_page_exists(path: Path) -> None:
    """What a page tells people to make is a target, and what it tells them to run is a module of the tree."""
    makefile = (tree.ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):[^=]", makefile, re.MULTILINE))
    page = tree.text(path) or ""
    assert set() == set(re.findall(r"^(?:\$ )?make ([a-z]+)|`make ([a-z]+)`", page, re.MULTILINE)) - {
        pair for name in targets for pair in ((name, ""), ("", name))
    }
    for name in set(re.findall(r"python -m ([a-z_.]+)", page)) - {"http.server", "pytest"}:
        place = tree.ROOT.joinpath(*name.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), name
