"""Control: what the suite may ask of a client under test, and whether a request is one.

The shapes are those of the suite's control protocol (docs/how-to/adapter.md), checked here by hand: the
reference knows nothing of its judge but these words. What is wrong is a Refused, in one sentence that names
the value.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from reference.clock import Clock
from reference.core import strict_json
from reference.core.addresses import format_address, parse_address, undialable
from reference.core.errors import Malformed
from reference.core.line import Answer, Way
from reference.core.registration import Identity
from reference.core.strict_json import Json, shown
from reference.tokens import LONGEST

VERSION = 1
"""Of the control protocol."""

FEATURES = ("candidates", "fingerprint", "media", "nat", "path", "timers", "token")
MODES = {
    "AcceptTrusted": Answer.TRUSTED,
    "AcceptGeneric": Answer.GENERIC,
    "Reject": Answer.REJECT,
}
WAYS = {"auto": Way.AUTO, "relay": Way.RELAY}
RELAYS = 8
"""The most relays that are asked for our address at once."""

FASTEST = 0.01
"""What times are multiplied with at least: below, a machine is too slow for its own time-outs."""

FRAMES = 1000
"""The most frames of one request."""

FRAME_MS = 20
_SEED = re.compile(r"[0-9a-f]{64}")
_TLS = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){31}")
_FINGERPRINT = re.compile(r"[0-9a-f]{4}(:[0-9a-f]{4}){7}")

Members: TypeAlias = Mapping[str, Json]


class Refused(Exception):  # noqa: N818 - a request is refused; it is no error of ours
    """A request cannot be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Who the client is and where; without `candidates` it lists its interfaces."""

    relay: str
    identity: Identity
    pin: str
    candidates: tuple[str, ...] | None
    way: Way
    clock: Clock
    token: str = field(default="", repr=False)


def request(line: bytes) -> Members | None:
    """Return the request that a line is: an object with an `id` and a `do`; None for anything else."""
    try:
        value = strict_json.parse(line)
    except Malformed:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("do"), str):
        return None
    number = value.get("id")
    return value if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


def text(members: Members, name: str) -> str:
    """Return the member of this name, which is a string."""
    value = members.get(name)
    if not isinstance(value, str):
        raise Refused(f"{name} has to be a string, not {shown(value)}")
    return value


def whole(members: Members, name: str, least: int, most: int | None = None) -> int:
    """Return the member of this name, an integer from `least` to `most`."""
    value = members.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= (most or value):
        return value
    limits = f"at least {least}" if most is None else f"from {least} to {most}"
    raise Refused(f"{name} has to be an integer, {limits}, not {shown(value)}")


def entries(members: Members, name: str) -> list[str]:
    """Return the member of this name, a list of strings."""
    value = members.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Refused(f"{name} has to be a list of strings, not {shown(value)}")
    return [str(one) for one in value]


def one_of(members: Members, name: str, known: Mapping[str, Answer]) -> Answer:
    """Return what the word of this name stands for."""
    word = text(members, name)
    if word not in known:
        raise Refused(f"{name} is one of {', '.join(known)}, not {shown(word)}")
    return known[word]


def target(members: Members) -> str:
    """Return whom to call."""
    name = text(members, "target")
    if not _FINGERPRINT.fullmatch(name):
        raise Refused(f"target {shown(name)} is no fingerprint: eight groups of four hex digits")
    return name


def relays(members: Members) -> list[str]:
    """Return the addresses of the relays to ask, in their order."""
    named = entries(members, "relays")
    if not 1 <= len(named) <= RELAYS:
        raise Refused(f"relays has to have 1 to {RELAYS} entries, not {len(named)}")
    return [reachable("relays", one) for one in named]


def pace(members: Members) -> tuple[int, int]:
    """Return how many frames to send, and one in how many frames' times."""
    every = whole(members, "every_ms", FRAME_MS)
    if every % FRAME_MS:
        raise Refused(f"every_ms {every} is no multiple of {FRAME_MS}")
    return whole(members, "n", 1, FRAMES), every // FRAME_MS


def reachable(name: str, written: str) -> str:
    """Return an address at which a relay can be, in its one text form."""
    try:
        address = format_address(*parse_address(written))
    except ValueError as error:
        raise Refused(f"{name}: {error}") from None
    why = undialable(address, loopback=True)
    if why:
        raise Refused(f"{name}: no relay can be at {address}: {why}")
    return address


def configuration(members: Members) -> Configuration:
    """Return what a request `configure` asks for."""
    seed = text(members, "seed")
    if not _SEED.fullmatch(seed):
        raise Refused(f"seed {shown(seed)} has to be 64 hex digits")
    pin = text(members, "fingerprint").lower() if "fingerprint" in members else ""
    if pin and not _TLS.fullmatch(pin):
        raise Refused(f"fingerprint {shown(pin)} has to be 32 pairs of hex digits, joined by colons")
    way = text(members, "path") if "path" in members else "auto"
    if way not in WAYS:
        raise Refused(f"path is one of {', '.join(WAYS)}, not {shown(way)}")
    return Configuration(
        reachable("relay", text(members, "relay")),
        Identity.from_seed(bytes.fromhex(seed)),
        pin,
        _candidates(members) if "candidates" in members else None,
        WAYS[way],
        _clock(members),
        _token(members),
    )


def _candidates(members: Members) -> tuple[str, ...]:
    named = entries(members, "candidates")
    for one in named:
        try:
            ipaddress.ip_address(one)
        except ValueError:
            raise Refused(f"candidates: {shown(one)} is no IP literal") from None
    return tuple(named)


def _clock(members: Members) -> Clock:
    scale = members.get("timers", 1)
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not FASTEST <= scale <= 1:
        raise Refused(f"timers has to be a number from {FASTEST} to 1, not {shown(scale)}")
    return Clock(float(scale))


def _token(members: Members) -> str:
    token = members.get("token", "")
    if not isinstance(token, str) or not len(token) <= LONGEST or ("token" in members and not token):
        raise Refused(f"token has to be a string of 1 to {LONGEST} characters")
    return token
