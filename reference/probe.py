"""The service `ping`: how long a handshake with a relay takes (spec/transport.md, TRANS-8)."""

from __future__ import annotations

import asyncio
import sys
import time

from reference.core.addresses import format_address
from reference.core.errors import REASONS, CloseCode
from reference.endpoint import Endpoint, EndpointLimits
from reference.program import STATUS

PATIENCE = 5.0
"""Seconds to wait for a handshake."""


async def round_trips(address: tuple[str, int], pin: str, count: int) -> int:
    """Open `count` connections to the service `ping`, one after another; return the exit status."""
    probe = Probe()
    anywhere = "::" if ":" in address[0] else "0.0.0.0"  # noqa: S104 - a client has no port to protect
    endpoint = await Endpoint.open(anywhere, 0, probe, None, EndpointLimits(handshake_timeout=PATIENCE))
    try:
        for _ in range(count):
            began = time.perf_counter()
            endpoint.dial(address, "ping")
            fingerprint = await probe.outcome()
            if fingerprint is None:
                where = format_address(*address)
                print(f"client: no relay answers at {where}: {probe.why}", file=sys.stderr)  # noqa: T201
                return STATUS["unreachable"]
            print(f"{(time.perf_counter() - began) * 1000:7.1f} ms  {fingerprint}")  # noqa: T201 - the answer
            if pin not in {"", fingerprint}:
                print(f"client: that is not the key {pin}", file=sys.stderr)  # noqa: T201
                return STATUS["wrong-key"]
    finally:
        await endpoint.shutdown(CloseCode.NORMAL, REASONS[CloseCode.NORMAL])
    return 0


class Probe:
    """A handler that only wants to know whether a handshake completes."""

    def __init__(self) -> None:
        """Start without an outcome."""
        self.why = ""
        self._outcomes: asyncio.Queue[str | None] = asyncio.Queue(1)  # one dial, one outcome
        self._open: set[int] = set()

    async def outcome(self) -> str | None:
        """Return the peer's fingerprint, or None when the connection failed."""
        return await self._outcomes.get()

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Note a completed handshake."""
        del sni, address
        self._open.add(session)
        self._outcomes.put_nowait(fingerprint or "")

    def lost(self, session: int, code: int, reason: str, by_peer: bool) -> None:  # noqa: FBT001 - told by position
        """Note a failed one; after a completed one this is the relay's farewell."""
        del code, by_peer
        if session in self._open:
            self._open.discard(session)
            return
        self.why = reason
        self._outcomes.put_nowait(None)

    def moved(self, session: int, address: str) -> None:
        """Ignore."""

    def frame(self, session: int, payload: bytes) -> None:
        """Ignore what the service `ping` never sends."""

    def fault(self, session: int, fault: Exception) -> None:
        """Ignore."""

    def datagram(self, session: int, data: bytes) -> None:
        """Ignore."""

    def flushed(self, session: int, receipt: object) -> None:
        """Ignore."""

    def slow(self, session: int) -> None:
        """Ignore."""
