"""API reference: a page for each public module, from its signatures and docstrings.

The modules are read, not imported (griffe does both; reading needs nothing of what a module needs). What is
public is named here: whoever writes an implementation, an adapter or a check may want to read it. What is
promised of it stands in CHANGELOG.md, What may change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

import griffe

from tools.chapters import ROOT

WIDEST_VALUE, WIDEST = 100, 90
"""Characters from which on a value is left out, and up to which a signature is one line."""
PUBLIC: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "The schemas": ("for everybody", ("schemas",)),
    "The machines": (
        "without sockets and clock: messages in, effects out",
        (
            *("reference.core.relay", "reference.core.client", "reference.core.messages"),
            *("reference.core.wire", "reference.core.strict_json", "reference.core.effects"),
            *("reference.core.errors", "reference.core.phases", "reference.core.call"),
            *("reference.core.registration", "reference.core.reflection", "reference.core.candidates"),
            *("reference.core.privacy", "reference.core.race", "reference.core.agreement"),
            *("reference.core.media", "reference.core.federation", "reference.core.links"),
            *("reference.core.addresses", "reference.core.sessions"),
        ),
    ),
    "The network": (
        "one UDP socket that accepts, dials and carries datagrams",
        ("reference.endpoint", "reference.identity", "reference.interfaces"),
    ),
    "The suite": (
        "for checks of one's own",
        (
            *("conformance.stage", "conformance.client_stage", "conformance.puppet", "conformance.codec"),
            *("conformance.checking", "conformance.evidence", "conformance.adapter"),
        ),
    ),
}
"""The public modules by room: what the room is for, and its modules."""

CHAPTER = re.compile(r"(?<![\w/`\[])spec/[a-z]+\.md(?![\w`#])")
"""A chapter that a docstring names."""


def pages() -> dict[str, str | bytes]:
    """Return the index and a page for every public module, by path in the site's tree."""
    made: dict[str, str | bytes] = {"api/index.md": index()}
    for _, names in PUBLIC.values():
        made |= {f"api/{name}.md": page(module(name)) for name in names}
    return made


@cache
def package(name: str) -> griffe.Module:
    """Return what griffe reads of a package of the tree."""
    found = griffe.load(name, search_paths=[str(ROOT)], allow_inspection=False)
    if not isinstance(found, griffe.Module):
        raise TypeError(f"{name} is no module")
    return found


def module(name: str) -> griffe.Module:
    """Return a module of the tree; raises KeyError for one that is not there."""
    first, _, rest = name.partition(".")
    found = package(first)[rest] if rest else package(first)
    if not isinstance(found, griffe.Module):
        raise TypeError(f"{name} is no module")
    return found


def index() -> str:
    """Return the page that leads to the modules."""
    lines = [
        "# API reference",
        "",
        "What is worth reading for whoever writes an implementation, an adapter or a check.",
        "Of all this `schemas.load` alone is promised to stay; the rest may change with every commit.",
        "The text of these pages is that of the docstrings.",
        "",
    ]
    for room, (purpose, names) in PUBLIC.items():
        lines += [f"## {room}", "", f"{purpose[0].upper()}{purpose[1:]}.", ""]
        lines += ["| module | what it is |", "|---|---|"]
        lines += [f"| [`{name}`]({name}.md) | {_first(module(name))} |" for name in names]
        lines.append("")
    return "\n".join(lines)


def page(one: griffe.Module) -> str:
    """Return the page of a module: what it says of itself, then its classes, functions and values."""
    lines = [f"# {one.path}", "", *_said(one), ""]
    for member in public(one):
        if isinstance(member, griffe.Class):
            lines += _class(member)
        elif isinstance(member, griffe.Function):
            lines += _function(member, "##")
        elif isinstance(member, griffe.Attribute) and member.docstring:
            lines += [f"## {member.name}", "", *_code(_attribute(member)), "", *_said(member), ""]
    return "\n".join(lines)


def public(one: griffe.Module | griffe.Class) -> Iterator[griffe.Object]:
    """Yield what a module or a class offers, in the order of its lines; nothing that it imports."""
    members = [member for member in one.members.values() if isinstance(member, griffe.Object)]
    for member in sorted(members, key=lambda member: member.lineno or 0):
        if not member.name.startswith("_") and not isinstance(member, griffe.Module):
            yield member


def _class(one: griffe.Class) -> list[str]:
    bases = ", ".join(str(base) for base in one.bases)
    lines = [f"## {one.name}", "", *_code(f"class {one.name}" + (f"({bases})" if bases else ""))]
    lines += ["", *_said(one), ""]
    attributes = [member for member in public(one) if isinstance(member, griffe.Attribute)]
    fields = [member for member in attributes if not _property(member)]
    if fields:
        lines += [*_code("\n".join(_attribute(member) for member in fields)), ""]
        lines += [line for member in fields if member.docstring for line in _meant(member)]
    for member in public(one):
        if isinstance(member, griffe.Function):
            lines += _function(member, "###")
        elif isinstance(member, griffe.Attribute) and _property(member):
            lines += [f"### {one.name}.{member.name}", "", *_code(_attribute(member)), "", *_said(member), ""]
    return lines


def _property(member: griffe.Object) -> bool:
    return "property" in member.labels


def _meant(member: griffe.Attribute) -> list[str]:
    return [f"`{member.name}`: {' '.join(_said(member))}", ""]


def _attribute(member: griffe.Attribute) -> str:
    given = None if member.annotation else _given(member)
    annotation = f": {member.annotation or given}" if member.annotation or given else ""
    value = f" = {member.value}" if not (member.value is None or given or _property(member)) else ""
    shown = f"{member.name}{annotation}{value}"
    return shown if len(shown) < WIDEST_VALUE else f"{member.name}{annotation}{' = …' if value else ''}"


def _given(member: griffe.Attribute) -> str:
    """Return the type of a parameter that a class keeps under its own name, "" for any other attribute."""
    begins = member.parent.members.get("__init__") if isinstance(member.parent, griffe.Class) else None
    if not isinstance(begins, griffe.Function) or str(member.value) != member.name:
        return ""
    return next((str(one.annotation) for one in begins.parameters if one.name == member.name), "")


def _function(one: griffe.Function, level: str) -> list[str]:
    owner = f"{one.parent.name}." if isinstance(one.parent, griffe.Class) else ""
    return [f"{level} {owner}{one.name}", "", *_code(_signature(one)), "", *_said(one), ""]


def _signature(one: griffe.Function) -> str:
    """Return a signature as it would be written, one parameter a line where it would be long."""
    words: list[str] = []
    kinds = [parameter.kind for parameter in one.parameters]
    starred = griffe.ParameterKind.var_positional in kinds
    for parameter in one.parameters:
        if parameter.kind is griffe.ParameterKind.keyword_only and not starred:
            words.append("*")
            starred = True
        star = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}
        word = star.get(parameter.kind, "") + parameter.name if parameter.kind else parameter.name
        word += f": {parameter.annotation}" if parameter.annotation else ""
        if parameter.default is not None and parameter.kind not in star:
            word += f" = {parameter.default}"
        words.append(word)
    result = f" -> {one.returns}" if one.returns else ""
    short = f"def {one.name}({', '.join(words)}){result}"
    if len(short) <= WIDEST:
        return short
    inner = "".join(f"    {word},\n" for word in words)
    return f"def {one.name}(\n{inner}){result}"


def _code(text: str) -> list[str]:
    return ["```python", text, "```"]


def _said(one: griffe.Object) -> list[str]:
    """Return a docstring as Markdown; what is indented in it is shown as it stands."""
    text = one.docstring.value.strip() if one.docstring else ""
    return CHAPTER.sub(r"[\g<0>](../\g<0>)", text).splitlines()


def _first(one: griffe.Object) -> str:
    """Return the first sentence of a docstring."""
    first = " ".join(_said(one)).split(". ")[0].removesuffix(".")
    return first.replace("|", r"\|").replace("  ", " ")
