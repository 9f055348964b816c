"""Addresses (spec/conventions.md): one text form for an IP address with a port, and server names.

`ip:port` for IPv4, `[ip]:port` for IPv6, IPv6 written as RFC 5952 says, a v4-mapped address written as
the IPv4 address it maps. No zone, no host name. Here stands too which addresses are never dialled.
"""

from __future__ import annotations

import ipaddress
import re

_TEXT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})", re.ASCII)
_HIGHEST_PORT = 65_535
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}", re.ASCII)
_LONGEST_NAME = 253


def parse_address(text: str) -> tuple[str, int]:
    """Return the canonical host and the port of `text`.

    The host of a v4-mapped IPv6 address is the IPv4 address. Raises ValueError, naming `text`, for
    anything that is not an IP address with a port from 0 to 65535.
    """
    found = _TEXT.fullmatch(text)
    if found is None or int(found["port"]) > _HIGHEST_PORT:
        raise ValueError(f"{text!r} is no address with a port")
    try:
        if found["four"] is not None:
            return str(ipaddress.IPv4Address(found["four"])), int(found["port"])
        return _canonical(ipaddress.IPv6Address(found["six"])), int(found["port"])
    except ValueError as error:
        raise ValueError(f"{text!r} is no address with a port") from error


def format_address(host: str, port: int) -> str:
    """Return the text form of an address as a socket reports it.

    A scope id in `host` is cut. Raises ValueError, naming the value, for a host that is no IP address
    and for a port outside 0 to 65535.
    """
    if not 0 <= port <= _HIGHEST_PORT:
        raise ValueError(f"{port} is no port")
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return f"{address}:{port}"
    canonical = _canonical(address)
    return f"{canonical}:{port}" if address.ipv4_mapped is not None else f"[{canonical}]:{port}"


def on_loopback(text: str) -> bool:
    """Tell whether the address `text` is on this machine's loopback; raises ValueError as parse_address."""
    return ipaddress.ip_address(parse_address(text)[0]).is_loopback


def undialable(text: str, *, loopback: bool = False) -> str:
    """Return why an address that somebody else named is never dialled, or "" when it may be (CAND-14).

    `loopback` allows loopback addresses: for a client whose relay is on loopback itself.
    """
    try:
        host, port = parse_address(text)
    except ValueError as error:
        return str(error)
    address = ipaddress.ip_address(host)
    if port == 0:
        return "port 0 is nobody's"
    if isinstance(address, ipaddress.IPv6Address) and address in _NAT64:  # no translator leads back here
        inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        reason = undialable(f"{inner}:{port}")
        return f"it is a NAT64 form: {reason}" if reason else ""
    if address.is_loopback:
        return "" if loopback else "it is a loopback address"
    kinds = {
        "an unspecified": address.is_unspecified,
        "a multicast": address.is_multicast,
        "the broadcast": address == _BROADCAST,
        "a link-local": address.is_link_local,
    }
    return next((f"it is {kind} address" for kind, holds in kinds.items() if holds), "")


def normalise_name(name: str | None) -> str | None:
    """Return a server name (SNI) in lower case (TRANS-6); None for no name and for an IP literal.

    Raises ValueError, naming the value, for anything that is no host name (RFC 6066 section 3):
    labels of 1 to 63 letters, digits, hyphens and underscores, none with a leading hyphen, the last
    not all digits, 253 characters together.
    """
    if name is None:
        return None
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.lower().split(".")
        plain = name.isascii() and all(map(_LABEL.fullmatch, labels)) and len(name) <= _LONGEST_NAME
        if not plain or labels[-1].isdigit():
            raise ValueError(f"{name!r} is no server name") from None
        return name.lower()
    return None


def _canonical(address: ipaddress.IPv6Address) -> str:
    return str(address if address.ipv4_mapped is None else address.ipv4_mapped)
