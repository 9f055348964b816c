"""Members: the table of a message's members, and what senders and receivers of each phase do with them.

The first is read from the source, the second from the generated views; phases that say the same share a row.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import schemas

Node = Mapping[str, Any]
NOUNS = {
    "string": "text",
    "number": "number",
    "integer": "integer",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
}
LIMITS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} members",
    "maxProperties": "at most {} members",
}
REFERENCE = re.compile(r'"#/\$defs/(\w+)"')


def table(node: Node) -> list[str]:
    """Return the rows about the members of a message or a type, as the source says them."""
    required = frozenset(node.get("required", ()))
    lines = ['<div class="members" markdown>', ""]  # its last column is the widest, on a telephone too
    lines += ["| member | type | required | since | limits | meaning |", "|---|---|---|---|---|---|"]
    for name, member in node["properties"].items():
        words = " ".join(str(member["description"]).split()).replace("|", r"\|")
        needed = "yes" if name in required else "no"
        row = (code(name), kind(member), needed, member["x-since"], limits(member) or "–", words)
        lines.append(f"| {' | '.join(row)} |")
    return [*lines, "", "</div>"]


def kind(node: Node) -> str:
    """Return the type of a value in words, with the types that have a name linked."""
    if "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        return f"[{name}](types.md#{name.lower()})"
    if "enum" in node:
        return "one of " + ", ".join(f"`{value}`" for value in node["enum"])
    name = NOUNS[str(node["type"])]
    if "items" not in node:
        return name
    return f"list of {kind(node['items'])}" + (f" ({limits(node['items'])})" if limits(node["items"]) else "")


def limits(node: Node) -> str:
    """Return the limits of a value in words, and those of its type; nothing when it has none."""
    if "$ref" in node:
        named = _named(str(node["$ref"]))
        return kind(named) if "enum" in named else limits(named)
    words = [said.format(node[key]) for key, said in LIMITS.items() if key in node]
    if {"minItems", "maxItems"} <= set(node) and node["minItems"] == node["maxItems"]:
        words = [f"exactly {node['minItems']} items"]
    if "pattern" in node:
        words.append(f"matches {code(node['pattern'])}")
    return ", ".join(words)


def _named(reference: str) -> Node:
    """Return what a reference leads to, such as urn:directcall:schema:call#/$defs/CallId."""
    address, _, name = reference.partition("#/$defs/")
    found: Node = schemas.load(address.rpartition(":")[2])["$defs"][name]
    return found


def code(text: str) -> str:
    """Return a text as code that a table cannot misread and that does not break over lines."""
    shown = html.escape(text, quote=False).replace("|", "&#124;")
    return f'<code style="white-space:nowrap">{shown}</code>'


def plain(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text)


def rules(message: str) -> Iterator[str]:
    """Yield what the views of all phases say of a message: who has it, and what becomes of each member."""
    having = [phase for phase in schemas.PHASES if message in schemas.messages(phase)]
    older = [phase for phase in schemas.PHASES if phase not in having]
    if older:
        yield f"In {spoken(older)} nobody sends it, and a receiver ignores it (WIRE-6)."
    bodies = {view: {phase: _body(message, phase, view) for phase in having} for view in ("emit", "accept")}
    if "properties" not in bodies["emit"][having[-1]]:
        yield f"In {spoken(having)} it is sent and taken as the string alone (WIRE-15)."
        return
    yield f"In {spoken(having)} a sender writes the members below and no others."
    yield "A receiver ignores members that it does not know (WIRE-7), and a relay forwards them (WIRE-11)."
    yield from ("", "| member | phases | a sender | a receiver takes |", "|---|---|---|---|")
    for name in bodies["emit"][having[-1]]["properties"]:
        yield from _rows(name, having, bodies["emit"], bodies["accept"])


def _body(message: str, phase: str, view: str) -> Node:
    known: Node = schemas.view(phase, "emit" if view == "emit" else "accept")["$defs"]
    body: Node = known[message]
    return body


def _rows(
    name: str, having: Sequence[str], emit: Mapping[str, Node], accept: Mapping[str, Node]
) -> Iterator[str]:
    """Yield a row for each run of phases whose views say the same of a member."""
    groups: dict[tuple[str, str], list[str]] = {}
    for phase in having:
        said = (_sent(name, emit[phase]), _taken(name, accept[phase], emit[phase]))
        groups.setdefault(said, []).append(phase)
    for (sent, taken), phases in groups.items():
        yield f"| {code(name)} | {spoken(phases).partition(' ')[2]} | {sent} | {taken} |"


def _sent(name: str, body: Node) -> str:
    if name not in body["properties"]:
        return "does not write it"
    member = body["properties"][name]
    if name in body["required"]:
        return "always writes it"
    if _nullable(member):
        return "may write it, write `null` or leave it out"
    if member.get("minItems"):
        return "may write it with one item or more, or leave it out"
    return "may write it or leave it out"


def _taken(name: str, body: Node, sent: Node) -> str:
    if name not in body["properties"]:
        return "anything, and ignores it"
    member = body["properties"][name]
    if name in body["required"]:
        return "a value; without it the message is ignored"
    if _nullable(member):
        return "a value, `null`, or no member"
    if name in sent["required"]:
        return "a value, an empty text, or no member; never `null`"
    return "a list, an empty list, or no member; never `null`"


def _nullable(member: Node) -> bool:
    return {"type": "null"} in member.get("anyOf", ())


def reached(name: str, known: Mapping[str, Node]) -> frozenset[str]:
    """Return the names of all types that a message leads to in a view."""
    found = [name]
    for one in found:  # grows while it is walked: types lead to types
        found += [other for other in REFERENCE.findall(json.dumps(known[one])) if other not in found]
    return frozenset(found[1:])


def spoken(phases: Sequence[str]) -> str:
    """Return phases as a person says them: phase 7, phases 0 to 3.5."""
    numbers = [schemas.PHASES.index(phase) for phase in phases]
    if numbers != list(range(numbers[0], numbers[-1] + 1)):
        return f"phases {', '.join(phases)}"
    return f"phase {phases[0]}" if len(phases) == 1 else f"phases {phases[0]} to {phases[-1]}"
