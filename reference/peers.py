"""Peers (spec/federation.md): the other relays that a relay is told about, and what is said of each.

The rules of this file: what is no peer is a ValueError that begins with the member; a table that is none
is a fault of its document, which names file, line and key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from reference.commandline import tls_fingerprint
from reference.core.addresses import format_address, parse_address, undialable
from reference.document import Document, meant, shown
from reference.places import line_of

LONGEST_LABEL = 64
"""Characters of a label."""
MOST_RELAYS = 64
"""Relays that a table names."""


class Federation(StrEnum):
    """From which relays a link is taken."""

    PROVEN = "proven"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Peer:
    """A relay to link with: canonical `ip:port`, TLS fingerprint (32 lower-case hex pairs), label."""

    address: str
    fingerprint: str
    label: str

    def __post_init__(self) -> None:
        """Keep address and fingerprint in their one form; raises ValueError for what is none, or no label."""
        object.__setattr__(self, "address", _reachable(self.address))
        object.__setattr__(self, "fingerprint", tls_fingerprint(self.fingerprint))
        _check_label(self.label)


@dataclass(frozen=True, slots=True)
class Trusted:
    """A relay that may open a link and to which none is opened: TLS fingerprint and label."""

    fingerprint: str
    label: str

    def __post_init__(self) -> None:
        """Keep the fingerprint in its one form; raises ValueError for what is none, or no label."""
        object.__setattr__(self, "fingerprint", tls_fingerprint(self.fingerprint))
        _check_label(self.label)


TABLES: Mapping[str, type[Peer | Trusted]] = {"peers": Peer, "trusted": Trusted}
"""The arrays of tables of a configuration, and what a table of each is."""


def _reachable(text: str) -> str:
    try:
        address = format_address(*parse_address(text))
    except ValueError as error:
        raise ValueError(f"address: {error}: write it as IP:PORT, IPv6 as [IP]:PORT") from error
    reason = undialable(address, loopback=True)
    if reason:
        raise ValueError(f"address: no relay can be at {text}: {reason}")
    return address


def _check_label(label: str) -> None:
    if not label.strip() or not label.isprintable() or len(label) > LONGEST_LABEL:
        raise ValueError(
            f"label: {label!r} has to be 1 to {LONGEST_LABEL} printable characters, not all blank"
        )


def relays(text: Document, name: str, value: object) -> tuple[Peer | Trusted, ...]:
    """Return the relays of `[[peers]]` or `[[trusted]]`, each named once."""
    if not isinstance(value, list):
        raise text.fault(f"{shown(value)} is not an array of tables: write [[{name}]]", name)
    if len(value) > MOST_RELAYS:
        raise text.fault(f"{len(value)} relays are more than {MOST_RELAYS}", name, MOST_RELAYS)
    found: list[Peer | Trusted] = []
    for index, table in enumerate(value):
        relay = _relay(text, TABLES[name], table, name, index)
        for key in ("address", "fingerprint"):
            own = getattr(relay, key, None)
            twin = next((at for at, one in enumerate(found) if own and getattr(one, key) == own), None)
            if twin is not None:
                line = line_of(text.places, (name, twin, key))
                raise text.fault(f"{own} is that of the one in line {line} already", name, index, key)
        found.append(relay)
    return tuple(found)


def _relay(text: Document, kind: type[Peer | Trusted], table: object, *place: str | int) -> Peer | Trusted:
    wanted = [one.name for one in fields(kind)]
    if not isinstance(table, dict):
        raise text.fault(f"{shown(table)} is not a table", *place)
    for key in table:
        if key not in wanted:
            raise text.fault(f"there is no such key{meant(key, wanted)}", *place, key)
        text.typed(table[key], str, *place, key)
    missing = [key for key in wanted if key not in table]
    if missing:
        raise text.fault(f"{missing[0]} is missing", *place)
    try:
        return kind(**table)
    except ValueError as error:
        key, _, why = str(error).partition(": ")
        raise text.fault(why, *place, key) from error
