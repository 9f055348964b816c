"""Examples: the messages of schemas/examples, which the pages of the schemas and the playground show.

The folder is the message, the file the example; what a sender may not write is `.accept.json`, and what
nobody takes `.invalid.json`, named after its one fault.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import schemas
from tools.chapters import ROOT

EXAMPLES = ROOT / "schemas" / "examples"
KINDS = ("valid", "accept", "invalid")
"""What an example may be: valid, for receivers alone, or invalid."""


class Example(NamedTuple):
    """One example: its message, its name, its kind, and its text as it stands in the file."""

    message: str
    name: str
    kind: str
    text: str
    file: str

    @property
    def anchor(self) -> str:
        """The place of the example in the page of the playground."""
        return f"{self.message}.{self.name}"


@functools.cache
def examples() -> Mapping[str, tuple[Example, ...]]:
    """Return the examples of every message: the valid ones, those for receivers alone, the invalid ones."""
    found: dict[str, tuple[Example, ...]] = {}
    for message in schemas.messages(schemas.PHASES[-1]):
        files = sorted((EXAMPLES / message).glob("*.json"))
        if not files:
            raise FileNotFoundError(f"{message} has no examples")
        those = (Example(message, *named(file.name), file.read_text("utf-8"), file.name) for file in files)
        found[message] = tuple(sorted(those, key=lambda one: (KINDS.index(one.kind), one.name)))
    return found


def named(file: str) -> tuple[str, str]:
    """Return the name and the kind of the example in a file."""
    name, _, kind = file.removesuffix(".json").partition(".")
    if kind not in {"", "accept", "invalid"}:
        raise ValueError(f"an example is valid, accept or invalid, and {file} is {kind}")
    return name, kind or "valid"
