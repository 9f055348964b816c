"""Linked: what the checks of links between relays share.

They run against a relay that is linked to the neighbours of the suite, after all others. Most stand on rules
of calls and of rooms, which are named here by what the call has come to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance import codec, spec
from conformance.border import Border
from conformance.checking import Function, check
from conformance.puppet import Heard, Puppet
from conformance.stage import Stage
from conformance.targets import LINKED

CODES = spec.close_codes()
MARK = codec.datagram(b"marker", sequence=4711)
RINGS = ("CALL-3", "CALL-4")
ACCEPTED = (*RINGS, "CALL-18", "CALL-19", "CALL-20")
ROOM = ("MEDIA-1", "MEDIA-9", "MEDIA-16", "MEDIA-17")


def links(rule: str, *needs: str) -> Callable[[Function], Function]:
    """Declare a check of a rule of links, which stands on these others."""
    return check(rule, variant=LINKED, needs=needs, last=True)


def naming(stage: Border, call_id: str) -> dict[str, Any]:
    """Return the members by which a Hangup names its call, where relays do."""
    return {"call_id": call_id} if stage.knows("7") else {}


def peer(stage: Stage, who: Puppet | None) -> dict[str, Any]:
    """Return the members by which a CallSetup tells of somebody, or of nobody."""
    if who is None:
        return {}
    told: dict[str, Any] = {"peer_direct_addr": who.identity.reflexive}
    return told | ({"peer_local_addrs": who.identity.local} if stage.knows("5.5") else {})


def seated(update: Heard) -> list[tuple[Any, Any]]:
    """Return who a RoomUpdate says is there: fingerprints and labels, in order; raise where it miscounts."""
    those = update.body.get("participants", [])
    assert update.body.get("count") == len(those), f"RoomUpdate counts {update.body.get('count')}: {those}"
    return sorted((str(one.get("fingerprint")), one.get("relay_label")) for one in those)
