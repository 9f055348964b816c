"""Handler (spec/transport.md): what an endpoint and its owner say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from reference.core.errors import BadFrame
from reference.quic.traces import Traces


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """Bounds of an endpoint; times in seconds. What its connections do is told to `log`."""

    connections: int = 10_000
    half_open: int = 256
    handshake_timeout: float = 10.0
    stream_timeout: float = 10.0
    idle_timeout: float = 30.0
    keep_alive: float = 5.0
    unsent: int = 64
    datagrams: int = 16
    said: int = 1_310_720
    said_per_second: float = 262_144.0
    log: Traces | None = None


class DatagramFate(Enum):
    """What became of a datagram that was handed over for sending."""

    QUEUED = "queued"
    DROPPED_OLDEST = "dropped oldest"
    TOO_LARGE = "too large"
    CLOSED = "closed"


class Handler(Protocol):
    """What an endpoint tells its owner, each in a turn of its own, in the order in which it happened."""

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Take a session whose handshake is complete; `fingerprint` is the dialled peer's."""

    def moved(self, session: int, address: str) -> None:
        """Learn that the peer is seen under another address now (RFC 9000 section 9), in its one text form.

        It is told in front of what the first packet from there brought, before the path is validated;
        a path that fails its validation is left again, and that is told too.
        """

    def frame(self, session: int, payload: bytes) -> None:
        """Take the payload of one whole signal frame, in the order of the stream ids."""

    def fault(self, session: int, fault: BadFrame) -> None:
        """Take the fault of a stream without a whole frame; it has been reset."""

    def datagram(self, session: int, data: bytes) -> None:
        """Take one datagram."""

    def flushed(self, session: int, receipt: object) -> None:
        """Take back the receipt of a frame all of whose bytes went out in packets."""

    def slow(self, session: int) -> None:
        """Learn that a frame was not taken because `unsent` frames wait to be sent already."""

    def lost(self, session: int, code: int, reason: str, by_peer: bool) -> None:  # noqa: FBT001 - told by position
        """Learn, once, that a session is over; `code` is -1 for all but an application close."""
