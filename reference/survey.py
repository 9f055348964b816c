"""Survey (spec/reflection.md, NAT classification): several relays asked side by side what they see."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from reference.core import messages, wire
from reference.core.addresses import format_address, parse_address
from reference.core.errors import REASONS, BadFrame, BadMessage, CloseCode, Misuse
from reference.core.phases import Phase
from reference.core.registration import Identity
from reference.endpoint import Endpoint, EndpointLimits

PHASE = Phase.NAT_CLASSIFICATION
FOUR, SIX = 4, 6
"""The IP versions."""
ANYWHERE = {FOUR: "0.0.0.0", SIX: "::"}  # noqa: S104 - a client has no port to protect


@dataclass(slots=True)
class Probe:
    """One relay that is asked: where it is, how far it got, and what came of it; latency in ms."""

    relay: str
    identity: Identity = field(default_factory=lambda: Identity.from_seed(secrets.token_bytes(32)))
    waits_for: str = "no handshake"
    asked_at: float = 0.0
    observed: str | None = None
    latency: int | None = None
    error: str | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def version(self) -> int:
        """The IP version of its relay."""
        return SIX if ":" in parse_address(self.relay)[0] else FOUR

    def fail(self, why: str) -> None:
        """End without an answer; what a relay wrote does not steer a terminal."""
        if not self.done.is_set():
            self.error = "".join(it if it.isprintable() else "\N{REPLACEMENT CHARACTER}" for it in why)
            self.done.set()


class Probes:
    """A handler for probes that run side by side, each on a connection of its own."""

    def __init__(self) -> None:
        """Start without a probe."""
        self._endpoints: dict[int, Endpoint] = {}
        self._probes: dict[int, Probe] = {}

    def ask(self, endpoint: Endpoint, probe: Probe) -> None:
        """Begin a probe."""
        try:
            session = endpoint.dial(parse_address(probe.relay), "_signal")
        except Misuse as error:
            probe.fail(str(error))
        else:
            self._endpoints[session], self._probes[session] = endpoint, probe

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Register, as somebody who is nobody else: the user's own registration stays where it is."""
        del sni, address, fingerprint
        probe = self._probes[session]
        probe.waits_for = "no answer to the registration"
        signature = probe.identity.registration_signature()
        self._send(
            session, messages.RegisterPresence(identity_pub=probe.identity.public, signature=signature)
        )

    def moved(self, session: int, address: str) -> None:
        """Ignore: no relay moves."""

    def frame(self, session: int, payload: bytes) -> None:
        """Go on with what the relay says."""
        probe = self._probes[session]
        try:
            message = wire.decode(payload, PHASE)
        except BadMessage:
            return
        match message:
            case messages.RegisterPresenceAck(success=True) if not probe.asked_at:
                probe.waits_for, probe.asked_at = "the relay does not reflect", time.monotonic()
                self._send(session, messages.Reflect())
            case messages.RegisterPresenceAck(success=False):
                probe.fail(f"the relay refuses us: {message.error or 'no reason given'}")
            case messages.ReflectResponse() if probe.asked_at and not probe.done.is_set():
                probe.latency = round((time.monotonic() - probe.asked_at) * 1000)
                self._observed(probe, message.observed_addr)
        if probe.done.is_set():
            self._endpoints[session].close(session, CloseCode.NORMAL, REASONS[CloseCode.NORMAL])

    def fault(self, session: int, fault: BadFrame) -> None:
        """Ignore a stream that held no frame."""

    def datagram(self, session: int, data: bytes) -> None:
        """Ignore what no relay sends here."""

    def flushed(self, session: int, receipt: object) -> None:
        """Take back a receipt; nobody here asks for one."""

    def slow(self, session: int) -> None:
        """Ignore: two messages always fit."""

    def lost(self, session: int, code: int, reason: str, by_peer: bool) -> None:  # noqa: FBT001 - told by position
        """End a probe whose connection is gone; after an answer that is our own close."""
        del code, by_peer
        self._probes[session].fail(reason)

    def _send(self, session: int, message: messages.Message) -> None:
        self._endpoints[session].send(session, wire.encode(message, PHASE))

    def _observed(self, probe: Probe, text: str) -> None:
        try:
            probe.observed = format_address(*parse_address(text))
        except ValueError as error:
            probe.fail(f"the relay answers nonsense: {error}")
        else:
            probe.done.set()


async def ask(relays: Iterable[str], timeout: float) -> list[Probe]:  # noqa: ASYNC109 - each probe's own
    """Ask every relay at once, for `timeout` seconds, from one socket an IP version (REFL-10)."""
    probes, handler, numbers = [Probe(relay) for relay in relays], Probes(), itertools.count(1)
    limits = EndpointLimits(handshake_timeout=timeout)
    async with AsyncExitStack() as stack:
        for version in sorted({probe.version for probe in probes}):
            those = [probe for probe in probes if probe.version == version]
            try:
                endpoint = await Endpoint.open(
                    ANYWHERE[version], 0, handler, None, limits, numbers=numbers, six_only=version == SIX
                )
            except OSError as error:
                for probe in those:
                    probe.fail(f"there is no IPv{version} socket: {(error.strerror or str(error)).lower()}")
                continue
            stack.push_async_callback(endpoint.shutdown, CloseCode.NORMAL, REASONS[CloseCode.NORMAL])
            for probe in those:
                handler.ask(endpoint, probe)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*(probe.done.wait() for probe in probes))
        except TimeoutError:
            for probe in probes:
                probe.fail(f"{probe.waits_for} within {timeout:g} s")
    return probes
