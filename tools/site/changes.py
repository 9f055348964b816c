"""Changes: what each phase adds to the one before it, derived from the chapters and the schemas.

The shapes are compared as differences of the *emit* views, a line for each member; a transition is of the
phase of the youngest message that it sends; a close code is of the phase of the first sentence that names it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import schemas
from tools import chapters, diagram
from tools.site import holding

PATH = "spec/changes.md"
HEAD = f"""# What each phase changes

{holding.STYLE}

A [phase](phases.md) implements all that came before it; here stands what it adds.
Everything is taken from the chapters and the schemas.
Of the messages, the difference between what the two phases [send](wire.md) is shown: \
a line for each member, marked `+` where it is new and `?` where a sender may leave it out.
"""
SILENT = frozenset({"description", "type", "$ref", "items", "anyOf", "enum", "const"})
"""Keywords that the lines of a shape say in other words."""
Shapes = Mapping[str, Sequence[str]]


def pages() -> dict[str, str | bytes]:
    """Return the page of the changes by its path."""
    return {PATH: "\n".join([HEAD, *(line for phase in schemas.PHASES for line in section(phase))])}


def section(phase: str) -> Iterator[str]:
    """Yield the paragraphs of one phase."""
    _, name, adds = next(row for row in _phases() if row[0] == phase)
    yield f"## Phase {phase}: {name} {{#{anchor(phase)}}}\n"
    yield f"It adds: {adds}.\n"
    for title, lines in (
        ("Requirements", list(_requirements(phase))),
        ("Transitions of a call", [f"- {one}" for one in transitions(phase)]),
        ("Close codes", [f"- {one}" for one in codes(phase)]),
        ("Messages", list(_messages(phase))),
    ):
        if lines:
            yield f"### {title} {{#{anchor(phase)}-{title.split()[0].lower()}}}\n"
            yield "\n".join([*lines, ""])


def anchor(phase: str) -> str:
    """Return the name of a phase's place in the page."""
    return f"phase-{phase.replace('.', '-')}"


def _phases() -> Sequence[tuple[str, ...]]:
    return chapters.table("phases", "phase", "name", "adds").rows


def _requirements(phase: str) -> Iterator[str]:
    """Yield the sentences that came into force; those of the first phase by their ids only, by chapter."""
    found = [one for one in holding.in_order() if one.since == phase]
    if not found:
        return
    yield '<div class="ids" markdown="1" data-search-exclude>\n'
    if phase == schemas.PHASES[0]:
        for chapter in holding.order():
            ids = [one.id for one in found if one.chapter == chapter]
            if ids:
                yield f"- [{chapter}]({chapter}.md), {len(ids)}: {', '.join(ids)}"
    else:
        yield from (f"- {one.id} ({one.role}): {holding.sentence(one)}" for one in found)
    yield "\n</div>"


def transitions(phase: str) -> Iterator[str]:
    """Yield the transitions of the table of a call whose youngest message is of this phase."""
    ages = {name: _born(name) for name in holding.home()}
    table = chapters.table("call", "from", "event", "by", "to")
    for row in table.rows:
        cells = [diagram.plain(cell) for cell in row]
        said = [ages[name] for name in re.findall(r"[A-Z]\w+", " ".join(cells[4:])) if name in ages]
        if max(said, default=0) == schemas.PHASES.index(phase) > 0:
            source, event, by, target = cells[:4]
            yield f"{source}, {event} by the {by}: {target}; it sends {' and '.join(_heard(cells))}"


def _heard(cells: Sequence[str]) -> Iterator[str]:
    for party, said in zip(("caller", "callee"), cells[4:6], strict=True):
        if said not in diagram.NOTHING:
            yield f"{said} to the {party}"


def _born(message: str) -> int:
    body = schemas.load(holding.home()[message])["$defs"][message]
    return schemas.PHASES.index(body["x-since"])


def codes(phase: str) -> Iterator[str]:
    """Yield the close codes that a requirement of this phase is the first to name."""
    for number, name, reason, *_ in chapters.table("errors", "code", "name", "reason").rows:
        naming = [
            schemas.PHASES.index(one.since)
            for one in holding.in_order()
            if re.search(rf"\b{name}\b", f"{one.sentence} {one.notes.get('Seen', '')}")
        ]
        if naming and min(naming) == schemas.PHASES.index(phase):
            yield f"{number}, {name}: {reason}"


def _messages(phase: str) -> Iterator[str]:
    """Yield the difference of what the two phases send, and links to both views."""
    index = schemas.PHASES.index(phase)
    views = f"[emit](../schemas/phases/{phase}/emit.schema.json) and [accept]"
    views += f"(../schemas/phases/{phase}/accept.schema.json)"
    if not index:
        yield "\n".join(f"- [{name}](../{holding.shape(name)})" for name in schemas.messages(phase))
        yield f"\nThe views of this phase: {views}."
        return
    older = schemas.PHASES[index - 1]
    lines = difference(shapes(older), shapes(phase))
    if lines:
        yield "\n".join(["```diff", *lines, "```", "", f"The views of this phase: {views}."])
    else:
        yield f"The messages are those of phase {older}, member by member."


def difference(old: Shapes, new: Shapes) -> list[str]:
    """Return every definition that is not the same in both, whole, each line marked as diff does."""
    lines: list[str] = []
    for name in dict.fromkeys([*old, *new]):
        before, after = list(old.get(name, ())), list(new.get(name, ()))
        if before != after:
            compared = difflib.unified_diff(before, after, n=len(before) + len(after), lineterm="")
            lines += list(compared)[3:]
    return lines


def shapes(phase: str) -> Shapes:
    """Return what a phase sends: the lines of each definition of its *emit* view, by name."""
    view = schemas.view(phase, "emit")
    return {name: list(_shape(name, body)) for name, body in view["$defs"].items()}


def _shape(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    if "properties" not in body:
        yield f"{name}: {_type(body)}"
        return
    yield name
    required = body.get("required", ())
    for member, node in body["properties"].items():
        yield f"  {member}{'' if member in required else '?'}: {_type(node)}"


def _type(node: Mapping[str, Any]) -> str:
    if "anyOf" in node:
        return " or ".join(_type(one) for one in node["anyOf"])
    if "$ref" in node:
        said = str(node["$ref"]).rpartition("/")[2]
    elif "enum" in node or "const" in node:
        said = " or ".join(json.dumps(one) for one in node.get("enum", [node.get("const")]))
    else:
        said = str(node.get("type", "anything"))
    if "items" in node:
        said += f" of {_type(node['items'])}"
    bounds = [f"{key} {value}" for key, value in node.items() if key not in SILENT]
    return f"{said} ({', '.join(bounds)})" if bounds else said
