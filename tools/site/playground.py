"""Playground: the page that judges a message in the browser, and what its script knows of the protocol.

Rules of this file: what the script knows is made from the schemas; the page fetches nothing and reads without
the script, which only adds to it; without npm the page is built without it, and a line that the gate counts
says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import schemas
from tools.site import bundle
from tools.site.examples import Example, examples

VIEWS: tuple[schemas.View, schemas.View] = ("emit", "accept")
SIGNS = {"valid": "✓", "accept": "◐", "invalid": "✗"}
RULES = {
    "WIRE-2": "what is longer than a frame may be",
    "WIRE-4": "what is malformed: no phase could send it, and every receiver ignores it",
    "WIRE-5": "what the accept view of a phase refuses, and an integer that is not written as one",
    "WIRE-6": "a message that a phase does not know, and a receiver of that phase ignores",
    "WIRE-10": "what the emit view of a phase refuses, and its sender therefore does not send",
    "WIRE-15": "a message without members that is not written as a string",
    "WIRE-16": "what has more than 16,384 members and entries",
}
"""The rules that a verdict names, and what each is about."""

Pages = dict[str, str | bytes]

ROOM = """\
<link rel="stylesheet" href="playground.css">
<div id="playground-room" class="playground" hidden>
<label for="playground-example">Example</label>
<select id="playground-example"><option value="">my own message</option></select>
<label for="playground-message">Message</label>
<textarea id="playground-message" rows="12" spellcheck="false" autocomplete="off"></textarea>
<div class="tools"><button type="button" class="arrange">Arrange</button>
<a class="permalink" href="#playground-room">Link to this message</a></div>
<p role="status"></p>
<div class="verdict"></div>
</div>
<noscript><p>The playground judges in the browser, and needs JavaScript for it.</p></noscript>
<script src="playground.js" defer></script>
"""


def pages(made: Path = bundle.MADE) -> Pages:
    """Return the page, its style and its script, which is made in `made`; without it the page says why."""
    try:
        script = bundle.script(json.dumps(data(), ensure_ascii=False, separators=(",", ":")), made)
    except bundle.MissingError as missing:
        print(f"SKIPPED [1] the playground is not built: {missing}", file=sys.stderr)
        return {
            "schemas/playground.md": page(f"**This site was built without the playground: {missing}.**\n")
        }
    return {
        "schemas/playground.md": page(ROOM),
        "schemas/playground.css": (bundle.SOURCE / "page.css").read_bytes(),
        f"schemas/{bundle.NAME}": script,
    }


def page(room: str) -> str:
    """Return the page around the playground itself: what it does, the rules behind it, and the examples."""
    lines = [
        "# Playground",
        "",
        "Paste a message and read which phases could send it, which accept it, and what exactly is wrong.",
        "Nothing leaves this page: it holds the [views](README.md#views) of all phases and a validator.",
        "",
        room,
        "",
        "## What is judged",
        "",
        "*Could send it* is the view *emit*: what a program of that phase may write on its own account.",
        "A relay also forwards what it does not know (WIRE-11): other members can come through any relay.",
        "*Accepts it* is the view *accept*: what a program of that phase has to take.",
        "It ignores members that it does not know (WIRE-7).",
        "Whether a message fits its call is no matter of its shape; that is told by the chapters.",
        "",
        "| rule | what is refused by it |",
        "|---|---|",
        *(f"| {rule} | {about} |" for rule, about in RULES.items()),
        "",
        "## Examples",
        "",
        "✓ is valid, ◐ is taken and never sent, ✗ has one fault.",
        "",
    ]
    for message, those in examples().items():
        links = (f"{place(one)}[{one.name}](examples/{message}/{one.file})" for one in those)
        lines.append(f"- [{message}]({message}.md): {', '.join(links)}")
    return "\n".join(lines) + "\n"


def place(one: Example) -> str:
    """Return the sign of an example and its place, which leads here and which the script takes over."""
    return f'{SIGNS[one.kind]}&nbsp;<a id="{one.anchor}" data-example></a>'


def data() -> dict[str, Any]:
    """Return what the script knows: each definition of a view once, and which number it has in each view."""
    bodies: dict[str, int] = {}
    views: dict[str, dict[str, dict[str, int]]] = {view: {} for view in VIEWS}
    for phase in schemas.PHASES:
        for view in VIEWS:
            definitions = schemas.view(phase, view)["$defs"]
            texts = {name: json.dumps(exact(body)) for name, body in definitions.items()}
            views[view][phase] = {name: bodies.setdefault(text, len(bodies)) for name, text in texts.items()}
    return {
        "phases": schemas.PHASES,
        "since": {
            name: next(phase for phase in schemas.PHASES if name in schemas.messages(phase))
            for name in examples()
        },
        "bodies": [json.loads(text) for text in bodies],
        "views": views,
        "examples": {
            message: [{"name": one.name, "kind": one.kind, "text": one.text} for one in those]
            for message, those in examples().items()
        },
    }


def exact(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return a part of a schema without its words, and with the limits of integers as text beside them.

    As a number JavaScript would lose the last digits of 2^64 - 1.
    """
    if isinstance(node, list):
        return [exact(one) for one in node]
    if not isinstance(node, dict):
        return node
    words = {key for key in ("description", "$comment") if isinstance(node.get(key), str)}
    made = {key: exact(value) for key, value in node.items() if key not in words}
    if node.get("type") == "integer":
        made["x-limits"] = {key: str(node[key]) for key in ("minimum", "maximum") if key in node}
    return made
