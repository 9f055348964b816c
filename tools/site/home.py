"""Home: the first page, with the numbers that the gate holds, each from where it stands.

    spec/*.md                     how many requirements there are
    docs/results/kills.json       how many are checked, and proved to be
    docs/results/verdicts.json    what the suite says of the reference, where that was recorded

Rules of this file: no number is written here or in the page; what was not recorded is not told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tools import chapters

FOLDER = chapters.ROOT / "docs"
MARK = "{{ numbers }}"
"""Where the numbers stand in the page."""


def pages() -> dict[str, str | bytes]:
    """Return the first page with its numbers; raises ValueError when it has no place for them."""
    text = (FOLDER / "index.md").read_text(encoding="utf-8")
    if text.count(MARK) != 1:
        raise ValueError(f"docs/index.md has {text.count(MARK)} places {MARK}, not one")
    return {"index.md": text.replace(MARK, drawn(list(numbers())))}


def numbers() -> Iterator[tuple[str, str, str]]:
    """Yield each number, what it counts, and the page that has it in full."""
    yield str(len(chapters.every_requirement())), "numbered requirements", "spec/README.md"
    table = json.loads((FOLDER / "results" / "kills.json").read_text(encoding="utf-8"))
    held, seen = table["numbers"]["MUSTs"], table["numbers"]["observable"]
    yield f"{table['numbers']['checked']} of {seen}", "observable MUSTs have a check", "results/kills.md"
    killed = f"checks proved able to fail, by {len(table['mutants'])} mutants"
    yield f"{table['numbers']['killed alone']} of {seen}", killed, "results/kills.md"
    yield str(held - seen), "MUSTs no peer could see broken", "how-to/limits-of-the-suite.md"
    recorded = FOLDER / "results" / "verdicts.json"
    if recorded.is_file():
        yield from verdicts(json.loads(recorded.read_text(encoding="utf-8"))["runs"])


def verdicts(runs: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield how the reference did at its newest phase, in each role."""
    newest: dict[str, dict[str, Any]] = {}
    for one in runs:
        if float(one["phase"]) >= float(newest.get(one["role"], one)["phase"]):
            newest[one["role"]] = one
    for role, one in sorted(newest.items(), reverse=True):
        told, passed = one["verdicts"], one["verdicts"].get("pass", 0)
        words = f"pass: the reference as a {role} of phase {one['phase']}"
        yield f"{passed} of {sum(told.values())}", words, "results/verdicts.md"


def drawn(told: list[tuple[str, str, str]]) -> str:
    """Return the numbers as a list for the page."""
    items = [f"- **{number}** [{words}]({page})" for number, words, page in told]
    return "\n".join(['<div class="numbers" markdown>', "", *items, "", "</div>"])
