"""Requirements: the index of all of them, as a table that reads without a script.

docs/assets/requirements.js adds filters: it reads the cells of this table, so what it filters by is what the
chapters say. The order of COLUMNS is known to it and to docs/assets/specification.css.
"""

from __future__ import annotations

from collections.abc import Sequence

from tools.chapters import Requirement
from tools.site import holding
from tools.site.holding import Part

COLUMNS = ("id", "requirement", "role", "since", "level", "chapter", "judged", "mutant")
PATH = "spec/requirements.md"
HEAD = """---
title: All requirements
hide:
  - toc
---

# All requirements

{style}

{count} sentences say what an implementation has to do; {judged} of them are judged from outside, \
each by a check of its role and with a mutant that only this check rejects.
Those with a *since* of a phase up to yours hold for you.
*Level* is the keyword of the sentence, as [conventions](conventions.md#requirements) explains it.
The links of the last two columns lead to the check and the mutant themselves.

<div class="requirements" markdown="1" data-search-exclude>

"""
FOOT = """
</div>

<script src="../assets/requirements.js" defer></script>
"""


def pages() -> dict[str, str | bytes]:
    """Return the page of the index by its path."""
    return {PATH: page()}


def page() -> str:
    """Return the index: a row for each requirement, in the order of the specification."""
    rows = [_line(cells(one)) for one in holding.in_order()]
    judged = sum(bool(holding.held()[one.id].checks) for one in holding.in_order())
    head = HEAD.format(style=holding.STYLE, count=len(rows), judged=judged)
    return head + "\n".join([_line(COLUMNS), "|" + "---|" * len(COLUMNS), *rows]) + "\n" + FOOT


def cells(requirement: Requirement) -> tuple[str, ...]:
    """Return the row of one requirement; the links of its sentence lead into its chapter."""
    one = holding.held()[requirement.id]
    reason = requirement.notes.get("Check", "").removeprefix("none; ").removesuffix(".")
    return (
        requirement.id,
        holding.sentence(requirement),
        requirement.role,
        requirement.since,
        " ".join(requirement.keywords),
        f"[{requirement.chapter}]({requirement.chapter}.md)",
        _parts(one.checks) or f"no: {reason}",
        _parts(one.mutants) or "–",
    )


def _parts(parts: Sequence[Part]) -> str:
    """Return each role once, with a link to its first part."""
    first = {one.role: one.piece for one in reversed(parts)}
    roles = dict.fromkeys(one.role for one in parts)
    return ", ".join(f"[{role}](../{holding.page_of(first[role])})" for role in roles)


def _line(row: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |"
