"""Messages: a page for each message, one for the types that they share, and the index of both.

Made from the schemas, their views and their examples: what a page says of a phase is read from the views, and
why an example is refused comes from validating it. Rules of this file: nothing is added to what the schemas
say; a description of a message begins with who tells whom, and what it is for stands behind the colon.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import schemas
from tools import chapters
from tools.site import members
from tools.site.examples import EXAMPLES, Example, examples
from tools.site.faults import Fault, faults

SCHEMAS = EXAMPLES.parent
SUFFIX = ".schema.json"
NEWEST = schemas.PHASES[-1]
WORDS = {
    "DirectCallOffer": "offers?",
    "DirectCallAnswer": "(?:an|the|accepting) answers?",
    "FederationHello": "hello",
    "FederatedSignalForward": "envelopes?",
}
"""What requirements call a message that they do not call by its name."""
WIDE = ("---", "hide:", "  - toc", "---", "")
"""What leaves the room beside a page to its tables."""
IN_FULL = 3
"""Valid examples whose text a page shows."""
LINK = re.compile(r"\]\((?P<target>[^)#:\s]*)(?P<fragment>#[^)\s]*)?\)")
Node = Mapping[str, Any]
Pages = dict[str, str | bytes]


def pages() -> Pages:
    """Return the pages about the schemas, their files, and the examples, by path."""
    found: Pages = {"schemas/README.md": index(), "schemas/types.md": types()}
    for message in schemas.messages(NEWEST):
        found[f"schemas/{message}.md"] = page(message)
        for one in examples()[message]:
            found[f"schemas/examples/{message}/{one.file}"] = one.text.encode()
    for place in sorted(SCHEMAS.rglob(f"*{SUFFIX}")):
        found[f"schemas/{place.relative_to(SCHEMAS).as_posix()}"] = place.read_bytes()
    return found


def sources() -> tuple[str, ...]:
    """Return the stems of the source files that there are."""
    found = tuple(sorted(place.name.removesuffix(SUFFIX) for place in SCHEMAS.glob(f"*{SUFFIX}")))
    if not found:
        raise FileNotFoundError(f"no schema in {SCHEMAS}")
    return found


def definitions() -> Mapping[str, tuple[str, Node]]:
    """Return the chapter and the source definition of every message and type, in the order of the spec."""
    return {
        name: (stem, node) for stem in schemas.CHAPTERS for name, node in schemas.load(stem)["$defs"].items()
    }


def said(node: Node) -> tuple[str, str]:
    """Return who tells whom, and what, from the description of a message."""
    who, colon, what = str(node["description"]).partition(": ")
    if not colon:
        raise ValueError(f"a message says who tells whom, then a colon, then what; not {who!r}")
    return who, what[0].upper() + what[1:]


def index() -> str:
    """Return the page that leads to the messages, the types, the files and the views."""
    lines = [
        *WIDE,
        "# Schemas",
        "",
        "The schemas own the shape of every message; the chapters own what is done with it.",
        "The [playground](playground.md) judges a message that you paste.",
        "",
        "## Messages",
        "",
        "| message | from whom to whom | since | chapter | what it says |",
        "|---|---|---|---|---|",
    ]
    for name, (stem, node) in definitions().items():
        if node.get("x-message"):
            who, what = said(node)
            row = (f"[{members.code(name)}]({name}.md)", who, node["x-since"], f"[{stem}](../spec/{stem}.md)")
            lines.append(f"| {' | '.join(row)} | {cell(what)} |")
    lines += [
        *("", "The [types](types.md) are what several members share: keys, names, addresses, profiles.", ""),
        *("## Files", "", "The sources, one a chapter, with the phase since which each member exists:", ""),
        *(f"- [{stem}{SUFFIX}]({stem}{SUFFIX})" for stem in schemas.CHAPTERS),
        *("", "## Views", ""),
        "For each phase *emit* is what a sender puts on the wire, and *accept* what a receiver takes.",
        "Each file stands alone, so that it can be handed to any validator of JSON Schema 2020-12.",
        *("", "| phase | emit | accept |", "|---|---|---|"),
    ]
    for phase in schemas.PHASES:
        links = (f"[{view}](phases/{phase}/{view}{SUFFIX})" for view in ("emit", "accept"))
        lines.append(f"| {phase} | {' | '.join(links)} |")
    return "\n".join(lines) + "\n"


def types() -> str:
    """Return the page of the types that messages share."""
    lines = ["# Types", "", "What several members of [messages](README.md) share.", ""]
    for name, (stem, node) in definitions().items():
        if node.get("x-message"):
            continue
        users = ", ".join(f"[`{one}`]({one}.md)" for one in _users(name))
        lines += [f"## {name}", "", cell(node["description"]), ""]
        if "properties" in node:
            lines += [*members.table(node), ""]
        else:
            lines += [f"Type: {', '.join(filter(None, (members.kind(node), members.limits(node))))}.", ""]
        lines += [f"Chapter [{stem}](../spec/{stem}.md); used by {users}.", ""]
    return "\n".join(lines)


def _users(name: str) -> Iterator[str]:
    """Yield the messages in whose view the type is reached."""
    known = schemas.view(NEWEST, "accept")["$defs"]
    for message in schemas.messages(NEWEST):
        if name in members.reached(message, known):
            yield message


def page(message: str) -> str:
    """Return the page of one message."""
    stem, node = definitions()[message]
    who, what = said(node)
    first = examples()[message][0]
    lines = [
        *WIDE,
        *(f"# {message}", "", cell(what), ""),
        f"{who}, since phase {node['x-since']}.",
        f"Chapter [{stem}](../spec/{stem}.md); source [{stem}{SUFFIX}]({stem}{SUFFIX}).",
        f"[Open it in the playground](playground.md#{first.anchor}).",
        *("", "## Members", ""),
        *(members.table(node) if "properties" in node else [_bare(message)]),
        *("", "## Sending and receiving", "", *members.rules(message), ""),
        *("## Requirements that name it", "", *_requirements(message), ""),
        *("## Examples", "", *_shown([one for one in examples()[message] if one.kind == "valid"])),
    ]
    others: tuple[tuple[str, str, str, schemas.View], ...] = (
        (
            "accept",
            "Taken, but not sent",
            "A receiver takes these; its own phase would not send them.",
            "emit",
        ),
        ("invalid", "Refused", "Nobody sends these and nobody takes them; each has one fault.", "accept"),
    )
    for kind, title, words, view in others:
        those = [one for one in examples()[message] if one.kind == kind]
        if those:
            lines += [f"### {title}", "", words, "", *_refused(those, view), ""]
    return "\n".join(lines) + "\n"


def _bare(message: str) -> str:
    return f'It has none: it is written as the string `"{message}"`.'


def _requirements(message: str) -> list[str]:
    """Return the sentences that name a message, chapter by chapter."""
    words = f"(?:{message}s?|{WORDS[message]})" if message in WORDS else f"{message}s?"
    named = re.compile(rf"(?<![\w-]){words}(?![\w-])")
    found = [one for one in chapters.every_requirement().values() if named.search(one.sentence)]
    if not found:
        return ["No requirement names it; its chapter says what it is for."]
    lines: list[str] = []
    for chapter, those in groupby(found, key=lambda one: one.chapter):
        lines += [f"Chapter [{chapter}](../spec/{chapter}.md):", ""]
        lines += [f"- {one.id} ({one.role}, since {one.since}): {_from_here(one)}" for one in those]
        lines.append("")
    return lines[:-1]


def _from_here(requirement: chapters.Requirement) -> str:
    """Return the sentence of a requirement with its links as they are from a page beside the chapters."""
    own = f"{requirement.chapter}.md"
    return LINK.sub(
        lambda link: f"](../spec/{link['target'] or own}{link['fragment'] or ''})", requirement.sentence
    )


def _shown(those: Sequence[Example]) -> Iterator[str]:
    """Yield the first examples with their text, and the others as links."""
    for one in those[:IN_FULL]:
        yield f"`{one.name}`: {_links(one)}"
        yield from ("", "```json", one.text.rstrip(), "```", "")
    if those[IN_FULL:]:
        yield from ("More that are valid:", "")
        yield from (f"- `{one.name}`: {_links(one)}" for one in those[IN_FULL:])
        yield ""


def _links(one: Example) -> str:
    return f"[try it](playground.md#{one.anchor}), [file](examples/{one.message}/{one.file})"


def _refused(those: Iterable[Example], view: schemas.View) -> Iterator[str]:
    """Yield a table of what the newest phase says of examples, from validating them."""
    yield from ("| example | where | what is wrong |", "|---|---|---|")
    for one in those:
        found = reasons(one, view)
        if not found:
            raise ValueError(f"{one.anchor} is {one.kind}, and the view {view} refuses nothing in it")
        link = f"[{one.name}](playground.md#{one.anchor}) ([file](examples/{one.message}/{one.file}))"
        where = "<br>".join(f"`{fault.pointer}`" for fault in found)
        yield f"| {link} | {where} | {'<br>'.join(members.plain(fault.text) for fault in found)} |"


def reasons(one: Example, view: schemas.View) -> list[Fault]:
    """Return what a view of the newest phase refuses in an example."""
    return faults(json.loads(one.text), NEWEST, view)


def cell(text: str) -> str:
    """Return a description on one line, with what would end a cell escaped."""
    return " ".join(text.split()).replace("|", r"\|")
