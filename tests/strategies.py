"""Strategies: what tests draw from, the suite's walker over the views of the schemas."""

from __future__ import annotations

import schemas
from conformance.generate import Fault, faults, json_values, one_fault, valid

__all__ = ["Fault", "faults", "is_bare", "json_values", "one_fault", "valid", "with_members"]


def is_bare(message: str, phase: str) -> bool:
    """Tell whether `message` has no members in `phase`, and is a string on the wire (WIRE-15)."""
    return "const" in schemas.view(phase, "accept")["$defs"][message]


def with_members(phase: str) -> tuple[str, ...]:
    """Return the names of the messages of `phase` that have members, in which something can be wrong."""
    return tuple(name for name in schemas.messages(phase) if not is_bare(name, phase))
