"""Peers (spec/federation.md): the other relays that a relay is told about, and what is said of each.

The rules of this file: what is no peer is a ValueError that begins with the member; a table that is none
is a fault of its document, which names file, line and key.
"""

from __future__ import annotations

from collections.abc import Mapping

from reference.commandline import WRITTEN, tls_fingerprint
from reference.core.addresses import format_address, parse_address, undialable
from reference.core.sessions import Peer
from reference.document import Document, meant, shown
from reference.places import line_of

LONGEST_LABEL = 64
"""Characters of a label."""
MOST_RELAYS = 64
"""Relays that a table names."""


TABLES: Mapping[str, tuple[str, ...]] = {
    "peers": ("address", "fingerprint", "label"),
    "trusted": ("fingerprint", "label"),
}
"""The arrays of tables of a configuration, and what a table of each says: where it is dialled, if it is."""


def peer(said: Mapping[str, str]) -> Peer:
    """Return the relay that a table names, canonical `ip:port` and 32 lower-case hex pairs.

    Raises ValueError for an address or a fingerprint that is none, and for a label that nobody can read.
    """
    address = _reachable(said["address"]) if "address" in said else ""
    fingerprint = tls_fingerprint(said["fingerprint"])
    _check_label(said["label"])
    return Peer(fingerprint, said["label"], address)


def _reachable(text: str) -> str:
    try:
        address = format_address(*parse_address(text))
    except ValueError as error:
        raise ValueError(f"address: {error}: {WRITTEN}") from error
    reason = undialable(address, loopback=True)
    if reason:
        raise ValueError(f"address: no relay can be at {text}: {reason}")
    return address


def _check_label(label: str) -> None:
    if not label.strip() or not label.isprintable() or len(label) > LONGEST_LABEL:
        raise ValueError(
            f"label: {label!r} has to be 1 to {LONGEST_LABEL} printable characters, not all blank"
        )


def relays(text: Document, name: str, value: object) -> tuple[Peer, ...]:
    """Return the relays of `[[peers]]` or `[[trusted]]`, each named once."""
    if not isinstance(value, list):
        raise text.fault(f"{shown(value)} is not an array of tables: write [[{name}]]", name)
    if len(value) > MOST_RELAYS:
        raise text.fault(f"{len(value)} relays are more than {MOST_RELAYS}", name, MOST_RELAYS)
    found: list[Peer] = []
    for index, table in enumerate(value):
        relay = _relay(text, TABLES[name], table, name, index)
        for key in ("address", "fingerprint"):
            own = getattr(relay, key)
            twin = next((at for at, one in enumerate(found) if own and getattr(one, key) == own), None)
            if twin is not None:
                line = line_of(text.places, (name, twin, key))
                raise text.fault(f"{own} is that of the one in line {line} already", name, index, key)
        found.append(relay)
    return tuple(found)


def _relay(text: Document, wanted: tuple[str, ...], table: object, *place: str | int) -> Peer:
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
        return peer(table)
    except ValueError as error:
        key, _, why = str(error).partition(": ")
        raise text.fault(why, *place, key) from error
