"""Candidates (spec/candidates.md): which addresses are advertised, and which are dialled.

Both lists are in the order of preference and in the one text form. What another party named is never
trusted: an entry that cannot be used is skipped and the others are (CAND-13).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from reference.core.addresses import format_address, parse_address, undialable

CANDIDATES = 16
"""The most candidates of a party that are used (CAND-15)."""

HOST_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "2000::/3", "fc00::/7")
)
"""What a host candidate is taken from; everything else is never advertised (CAND-9)."""


def host_candidates(addresses: Iterable[str], ports: Mapping[int, int]) -> tuple[str, ...]:
    """Return the host candidates to advertise, in the order of `addresses`, each once.

    `addresses` are IP literals of our interfaces. `ports` has the port of the socket that accepts, by
    IP version, 4 or 6 (CAND-10); without a socket of its version an address is left out (CAND-12).
    Beside the reflexive candidate there is room for CANDIDATES - 1. Raises ValueError for what is no
    IP literal.
    """
    found: dict[str, None] = {}
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        listens = address.version in ports
        if listens and any(address in network for network in HOST_NETWORKS):
            found[format_address(str(address), ports[address.version])] = None
    return tuple(found)[: CANDIDATES - 1]


def dial_list(
    reflexive: str | None, hosts: Sequence[str], *, loopback: bool, families: Collection[int]
) -> tuple[str, ...]:
    """Return the addresses to dial: the peer's host candidates in their order, then the reflexive one.

    At most CANDIDATES, each once in whatever form it is named (CAND-15, CAND-16), without those that
    cannot be read, must not be dialled (CAND-13, CAND-14) or are of an IP version, 4 or 6, that is
    not among `families`, those we have sockets for (CAND-17). `loopback` as for `undialable`.
    """
    named = hosts if reflexive is None else (*hosts, reflexive)
    return tuple(dict.fromkeys(_usable(named, families, loopback=loopback)))[:CANDIDATES]


def _usable(named: Iterable[str], families: Collection[int], *, loopback: bool) -> Iterator[str]:
    for text in named:
        if undialable(text, loopback=loopback):
            continue
        host, port = parse_address(text)
        if ipaddress.ip_address(host).version in families:
            yield format_address(host, port)
