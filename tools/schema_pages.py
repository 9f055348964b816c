"""Schema pages: one page of Markdown for each `schemas/<chapter>.schema.json`, made while the site is built.

A table for each definition: its members, their types, since when, whether they have to be there.
What the schema says is shown, nothing is added to it; the files themselves are published beside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "schemas"
SUFFIX = ".schema.json"
Node = Mapping[str, Any]


def sources() -> dict[str, Path]:
    """Return the source file of every chapter that has a schema, by its stem."""
    found = {path.name.removesuffix(SUFFIX): path for path in sorted(SCHEMAS.glob(f"*{SUFFIX}"))}
    if not found:
        raise FileNotFoundError(f"no schema in {SCHEMAS}")
    return found


def views() -> list[Path]:
    """Return the generated views of every phase, relative to the folder of the schemas."""
    return [path.relative_to(SCHEMAS) for path in sorted(SCHEMAS.glob(f"phases/*/*{SUFFIX}"))]


def pages() -> dict[str, str | bytes]:
    """Return the index and a page for every chapter's schema, by path in the site's tree."""
    made: dict[str, str | bytes] = {"schemas/README.md": index()}
    return made | {f"schemas/{stem}.md": page(stem) for stem in sources()}


def index() -> str:
    """Return the page that leads to the chapters' schemas and to the views of each phase."""
    lines = [
        "# Schemas",
        "",
        "The schemas own the shape of every message; the chapters own what is done with it.",
        "",
    ]
    lines += [f"- [{stem}]({stem}.md)" for stem in sources()]
    lines += ["", "## Views", ""]
    lines += [
        "For each phase: *emit* is what a sender puts on the wire, *accept* what a receiver takes.",
        "Each file stands alone, so that it can be handed to any validator of JSON Schema 2020-12.",
        "",
    ]
    lines += [
        f"- [phase {path.parts[1]}, {path.name.removesuffix(SUFFIX)}]({path.as_posix()})" for path in views()
    ]
    return "\n".join(lines) + "\n"


def page(stem: str) -> str:
    """Return the page of one chapter's schema."""
    path = sources()[stem]
    schema = json.loads(path.read_text(encoding="utf-8"))
    lines = [f"# Schema: {stem}", "", *_said(schema), f"The file itself: [{path.name}]({path.name}).", ""]
    for name, node in schema.get("$defs", {}).items():
        lines += [f"## {name}", "", *_said(node), *_since(node), *_body(node)]
    return "\n".join(lines) + "\n"


def _said(node: Node) -> list[str]:
    text = str(node.get("description", "")).strip()
    return [text, ""] if text else []


def _since(node: Node) -> list[str]:
    return [f"Since phase {node['x-since']}.", ""] if "x-since" in node else []


def _body(node: Node) -> list[str]:
    members: Node = node.get("properties", {})
    if not members:
        return [f"Type: {_type(node)}.", ""]
    required = set(node.get("required", ()))
    lines = ["| member | type | presence | since | meaning |", "|---|---|---|---|---|"]
    for name, member in members.items():
        absent = {"null": "optional, sent as `null`", "omit": "optional", "empty": "optional, sent empty"}
        presence = "required" if name in required else absent.get(member.get("x-absent", "omit"), "optional")
        said = " ".join(str(member.get("description", "")).split()).replace("|", r"\|")
        code = f'<code style="white-space:nowrap">{name}</code>'
        lines.append(f"| {code} | {_type(member)} | {presence} | {member.get('x-since', '')} | {said} |")
    return [*lines, ""]


def _type(node: Node) -> str:
    if "$ref" in node:
        return _reference(str(node["$ref"]))
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{json.dumps(node['const'])}`"
    for joined in ("oneOf", "anyOf"):
        if joined in node:
            return " or ".join(_type(one) for one in node[joined])
    kind = node.get("type", "any")
    name = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if name == "array":
        name = f"array of {_type(node.get('items', {}))}"
    return ", ".join([name, *_bounds(node)])


def _reference(target: str) -> str:
    address, _, pointer = target.partition("#")
    name = pointer.rpartition("/")[2]
    stem = address.rpartition("/")[2].removesuffix(SUFFIX)
    stem = stem.rpartition(":")[2]
    page_name = f"{stem}.md" if stem in sources() else ""
    return f"[{name}]({page_name}#{name.lower()})"


def _bounds(node: Node) -> list[str]:
    words = {
        "minimum": "at least {}",
        "maximum": "at most {}",
        "minLength": "{} characters or more",
        "maxLength": "{} characters or fewer",
        "minItems": "{} items or more",
        "maxItems": "{} items or fewer",
        "pattern": "`{}`",
    }
    escaped = {key: str(node[key]).replace("|", r"\|") for key in words if key in node}
    return [words[key].format(value) for key, value in escaped.items()]
