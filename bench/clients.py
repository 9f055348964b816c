"""Clients for measurements: many of them on one socket, each the reference's own machine.

Rules of this file: a client is a `ClientCore`; what goes over the wire is what the reference client
sends. Its own alarms are not armed: whoever drives it puts one limit of time around each step.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Protocol, Self

from reference.core import wire
from reference.core.addresses import format_address, parse_address
from reference.core.client import ClientCore
from reference.core.effects import Close, Dial, Effect, Send, SendDatagram, Tell
from reference.core.errors import REASONS, BadFrame, CloseCode
from reference.core.line import Account, Answer, Leg, Line, Way
from reference.core.phases import NEWEST
from reference.core.registration import Identity
from reference.endpoint import DatagramFate, Endpoint, EndpointLimits

PAYLOAD = bytes(60)
"""As much as 20 ms of sound at 24 kbit/s."""


class StepError(Exception):
    """A step of a scenario came to another end than the one that is measured."""


class Party(Protocol):
    """One end of an exchange of datagrams."""

    heard: int
    answered: Callable[[], None]

    def speak(self) -> None:
        """Send one datagram to the other end."""


class Owner(Protocol):
    """Whoever has a session on a socket that is shared."""

    def connected(self, session: int) -> None:
        """Learn that the handshake is complete."""

    def frame(self, session: int, payload: bytes) -> None:
        """Take one frame."""

    def datagram(self) -> None:
        """Take one datagram."""

    def lost(self, session: int, code: int, reason: str) -> None:
        """Learn that the session is over."""


class Crowd:
    """One endpoint, shared by many: a handler that knows whose session it is."""

    endpoint: Endpoint

    def __init__(self) -> None:
        """Start without a socket; `open` is the way to get one."""
        self.owners: dict[int, Owner] = {}
        self.bad = 0

    @classmethod
    async def open(cls, host: str, limits: EndpointLimits) -> Self:
        """Bind a free port of `host`."""
        crowd = cls()
        crowd.endpoint = await Endpoint.open(host, 0, crowd, None, limits)
        return crowd

    async def close(self) -> None:
        """Close every connection and the socket."""
        await self.endpoint.shutdown(CloseCode.NORMAL, REASONS[CloseCode.NORMAL])

    def dial(self, owner: Owner, address: tuple[str, int], sni: str) -> int:
        """Start a connection of `owner`; return its session."""
        session = self.endpoint.dial(address, sni)
        self.owners[session] = owner
        return session

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Pass on that a session is connected."""
        del sni, address, fingerprint
        self.owners[session].connected(session)

    def moved(self, session: int, address: str) -> None:
        """Ignore: no relay moves."""

    def frame(self, session: int, payload: bytes) -> None:
        """Pass on a frame."""
        self.owners[session].frame(session, payload)

    def fault(self, session: int, fault: BadFrame) -> None:
        """Count what a relay never sends."""
        del session, fault
        self.bad += 1

    def datagram(self, session: int, data: bytes) -> None:
        """Pass on a datagram."""
        del data
        self.owners[session].datagram()

    def flushed(self, session: int, receipt: object) -> None:
        """Take back a receipt; nobody here asks for one."""

    def slow(self, session: int) -> None:
        """Count a frame that was not taken."""
        del session
        self.bad += 1

    def lost(self, session: int, code: int, reason: str, by_peer: bool) -> None:  # noqa: FBT001 - told by position
        """Pass on that a session is over."""
        del by_peer
        self.owners.pop(session).lost(session, code, reason)


class Waiter:
    """Something whose state others wait for."""

    def __init__(self) -> None:
        """Start with nothing awaited."""
        self._change = asyncio.Event()

    def changed(self) -> None:
        """Let those who wait look again."""
        self._change.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds` says so."""
        while not holds():
            self._change.clear()
            await self._change.wait()


def _nothing() -> None:
    """Do nothing about a datagram that nobody waits for."""


class Client(Waiter):
    """One registered person, who takes every call if nothing else is asked for."""

    def __init__(self, crowd: Crowd, relay: tuple[str, int], answer: Answer = Answer.GENERIC) -> None:
        """Prepare a client with a fresh identity; `answer` is what it does with a call."""
        super().__init__()
        identity = Identity.from_seed(secrets.token_bytes(32))
        account = Account(identity, format_address(*relay), answer=answer, way=Way.RELAY)
        self.core = ClientCore(account, secrets.token_bytes, lambda: 0.0)
        self.crowd = crowd
        self.sessions: dict[Leg, int] = {}
        self.heard = 0
        self.answered: Callable[[], None] = _nothing
        self.ended = ""

    @property
    def fingerprint(self) -> str:
        """The name by which it is called."""
        return self.core.account.identity.fingerprint

    @property
    def line(self) -> Line | None:
        """Where its call stands, if it has one."""
        call = self.core.telephone.call
        return None if call is None else call.line

    @property
    def talking(self) -> bool:
        """Tell whether both parties of its call are in the room."""
        return self.line is Line.TALKING

    @property
    def set_up(self) -> bool:
        """Tell whether it has the CallSetup of its call."""
        return self.line in {Line.CONNECTING, Line.TALKING}

    @property
    def ringing(self) -> bool:
        """Tell whether its call has come as far as to the other party."""
        return self.line not in {None, Line.PREPARING, Line.PLACED}

    @property
    def idle(self) -> bool:
        """Tell whether nothing of a call is left."""
        return self.line is None and Leg.MEDIA not in self.sessions

    async def register(self) -> None:
        """Connect and register; raises StepError when the relay refuses."""
        self._perform(self.core.start(time.monotonic()))
        await self.until(lambda: self.core.online or self.core.stopped)
        if not self.core.online:
            raise StepError(f"{self.fingerprint} could not register: {self.ended}")

    async def leave(self) -> None:
        """Close the connections; returns when they are gone from this side."""
        self._perform(self.core.stop())
        await self.until(lambda: not self.sessions)

    def place(self, callee: Client) -> None:
        """Call somebody, and wait for nothing."""
        self.ended = callee.ended = ""
        self._perform(self.core.place(callee.fingerprint, time.monotonic()))

    async def call(self, callee: Client) -> None:
        """Call somebody until both are in the room; raises StepError when it ends before."""
        self.place(callee)
        for party in (self, callee):
            await party.until(lambda party=party: party.talking or bool(party.ended or self.ended))  # type: ignore[misc]
        if not (self.talking and callee.talking):
            raise StepError(f"a call ended before it began: {self.ended or callee.ended}")

    def end(self) -> None:
        """Hang up, and wait for nothing."""
        self._perform(self.core.hangup())

    async def hang_up(self, callee: Client) -> None:
        """End the call; returns when neither side has a call or a media connection."""
        self.end()
        for party in (self, callee):
            await party.until(lambda party=party: bool(party.ended) and Leg.MEDIA not in party.sessions)  # type: ignore[misc]

    def speak(self) -> None:
        """Send one frame of sound."""
        self._perform(self.core.telephone.speak(PAYLOAD))

    def connected(self, session: int) -> None:
        """Introduce ourselves."""
        leg = self._leg(session)
        if leg is not None:
            self._perform(self.core.connected(leg, "", time.monotonic()))

    def frame(self, session: int, payload: bytes) -> None:
        """Handle a message."""
        leg = self._leg(session)
        if leg is not None:
            self._perform(self.core.receive(leg, wire.decode(payload, NEWEST), time.monotonic()))

    def datagram(self) -> None:
        """Count a frame of sound."""
        self.heard += 1
        self.answered()

    def lost(self, session: int, code: int, reason: str) -> None:
        """Go on after a connection that has ended."""
        leg = self._leg(session)
        if leg is not None:
            del self.sessions[leg]
            self._perform(self.core.lost(leg, code, reason, time.monotonic()))

    def _leg(self, session: int) -> Leg | None:
        return next((leg for leg, held in self.sessions.items() if held == session), None)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Dial():
                    address = parse_address(effect.address)
                    self.sessions[Leg(effect.leg)] = self.crowd.dial(self, address, effect.sni)
                case Send():
                    session = self.sessions[Leg(effect.session)]
                    self.crowd.endpoint.send(session, wire.encode(effect.message, NEWEST))
                case SendDatagram():
                    self._send(self.sessions[Leg.MEDIA], effect.data)
                case Close():
                    self._close(Leg(effect.session), effect.code)
                case Tell() if effect.event in {"ended", "stopped"}:
                    self.ended = str(effect.members.get("reason") or effect.members.get("why"))
        self.changed()

    def _send(self, session: int, data: bytes) -> None:
        fate = self.crowd.endpoint.send_datagram(session, data)
        if fate is not DatagramFate.QUEUED:
            raise StepError(f"a datagram of {self.fingerprint} was not sent: {fate.value}")

    def _close(self, leg: Leg, code: CloseCode) -> None:
        session = self.sessions.pop(leg, None)
        if session is not None:
            self.crowd.endpoint.close(session, code, REASONS[code])


class Plain(Waiter):
    """One connection to the floor, which only talks."""

    def __init__(self, crowd: Crowd, address: tuple[str, int]) -> None:
        """Start the connection."""
        super().__init__()
        self.crowd = crowd
        self.heard = 0
        self.answered: Callable[[], None] = _nothing
        self.over = False
        self.session = crowd.dial(self, address, "floor")

    def speak(self) -> None:
        """Send one datagram as long as one with sound."""
        self.crowd.endpoint.send_datagram(self.session, bytes(12) + PAYLOAD)

    async def paired(self) -> None:
        """Wait for the datagram that says that the other end is there; raises StepError."""
        await self.until(lambda: self.heard > 0 or self.over)
        if self.over:
            raise StepError("the floor does not answer")

    def close(self) -> None:
        """Close the connection."""
        self.crowd.endpoint.close(self.session, CloseCode.NORMAL, REASONS[CloseCode.NORMAL])

    def connected(self, session: int) -> None:
        """Wait on: the other end is needed too."""

    def frame(self, session: int, payload: bytes) -> None:
        """Ignore frames; the floor sends none."""

    def datagram(self) -> None:
        """Count a datagram."""
        self.heard += 1
        self.answered()
        self.changed()

    def lost(self, session: int, code: int, reason: str) -> None:
        """Fail the wait for a connection that never came up."""
        del session, code, reason
        self.over = True
        self.changed()


async def exchange(one: Party, other: Party, count: int) -> None:
    """Send `count` datagrams each way; a party sends its next when it has heard one."""
    one.heard = other.heard = 0
    done = asyncio.Event()
    sent = {id(one): 1, id(other): 1}

    def answer(party: Party) -> Callable[[], None]:
        def answered() -> None:
            if sent[id(party)] < count:
                sent[id(party)] += 1
                party.speak()
            elif one.heard >= count and other.heard >= count:
                done.set()

        return answered

    one.answered, other.answered = answer(one), answer(other)
    one.speak()
    other.speak()
    await done.wait()
    one.answered = other.answered = _nothing
