"""Reflection (spec/reflection.md, NAT classification): what several relays' observations tell of a NAT.

The verdict is for people; no call is decided by it. All observations have to be of one socket (REFL-10).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from reference.core.addresses import format_address, parse_address


class Verdict(StrEnum):
    """What the NAT in front of a client does (spec/reflection.md, table of verdicts)."""

    UNKNOWN = "Unknown"
    MULTIPLE = "Multiple"
    CONE = "Cone"
    SYMMETRIC_PORT = "SymmetricPort"


MEANING: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.UNKNOWN: "nothing can be said: fewer than two relays saw a public address",
        Verdict.MULTIPLE: "there are several ways out: a direct path is a matter of luck",
        Verdict.CONE: "the NAT maps alike for everybody: others can use the address that relays see",
        Verdict.SYMMETRIC_PORT: "the NAT maps anew for each peer: a peer sees another port than the relays",
    }
)
"""What each verdict means for calling, for people to read."""

NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/32", "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        *("169.254.0.0/16", "100.64.0.0/10", "::/128", "::1/128", "fe80::/10", "fc00::/7"),
    )
)
"""Networks whose addresses say nothing about the NAT at their edge (REFL-8)."""


def public(text: str) -> bool:
    """Tell whether the address `text` is one that the world sees; raises ValueError as parse_address."""
    host = ipaddress.ip_address(parse_address(text)[0])
    return not any(host in network for network in NOT_PUBLIC)


def classify(observations: Iterable[str | None]) -> tuple[Verdict, str | None]:
    """Return the verdict on what relays observed (REFL-9), and the address they agree on, for Cone only.

    A failed probe is None. Nothing that is unreadable or not public counts.
    """
    seen = [parsed for text in observations if text is not None and (parsed := _counted(text)) is not None]
    if len(seen) <= 1:
        return Verdict.UNKNOWN, None
    if len({host for host, _ in seen}) > 1:
        return Verdict.MULTIPLE, None
    if len(set(seen)) > 1:
        return Verdict.SYMMETRIC_PORT, None
    return Verdict.CONE, format_address(*seen[0])


def _counted(text: str) -> tuple[str, int] | None:
    try:
        return parse_address(text) if public(text) else None
    except ValueError:
        return None
