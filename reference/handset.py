"""The client's shell: what endpoint, user and clock say goes into the core, what the core wants is done."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from typing import TYPE_CHECKING

from reference.core import wire
from reference.core.addresses import parse_address
from reference.core.client import ClientCore
from reference.core.effects import Close, Dial, Effect, Send, SendDatagram, Tell
from reference.core.errors import REASONS, BadFrame, BadMessage, CloseCode, Misuse
from reference.core.line import Leg
from reference.endpoint import Endpoint, EndpointLimits
from reference.opus import AudioError
from reference.talk import AudioPlan, Talk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reference.core.line import Account
    from reference.core.phases import Phase


class Handset:
    """One running client: a core, an endpoint, the timer between them, and the audio of its call."""

    def __init__(
        self,
        account: Account,
        phase: Phase,
        plan: AudioPlan,
        tell: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        """Prepare a client; `tell` hears every event of the core, in order."""
        self.core = ClientCore(account, secrets.token_bytes, random.random)
        self.phase = phase
        self.plan = plan
        self.talk: Talk | None = None
        self.bad = 0
        self.endpoint: Endpoint
        self._tell = tell
        self._sessions: dict[Leg, int] = {}
        self._legs: dict[int, Leg] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def open(self, limits: EndpointLimits) -> None:
        """Bind a socket of the relay's address family and connect to the relay."""
        host, _ = parse_address(self.core.account.relay)
        anywhere = "::" if ":" in host else "0.0.0.0"  # noqa: S104 - a client has no port to protect
        self.endpoint = await Endpoint.open(anywhere, 0, self, None, limits)
        self.perform(self.core.start(time.monotonic()))

    async def close(self) -> None:
        """Hang up, leave the relay, close the socket."""
        self.perform(self.core.stop())
        await self.endpoint.shutdown(CloseCode.NORMAL, REASONS[CloseCode.NORMAL])
        if self._timer is not None:
            self._timer.cancel()

    def perform(self, effects: Sequence[Effect]) -> None:
        """Do what the core wants, in order, and arm the timer."""
        for effect in effects:
            match effect:
                case Dial():
                    self._dial(effect)
                case Send():
                    session = self._sessions.get(Leg(effect.session))
                    if session is not None:
                        self.endpoint.send(session, wire.encode(effect.message, self.phase))
                case Close():
                    self._close(Leg(effect.session), effect.code)
                case Tell():
                    self._heard(effect)
        self._arm()

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Take in a connection that we dialled."""
        del sni, address
        leg = self._legs.get(session)
        if leg is not None:
            self.perform(self.core.connected(leg, fingerprint or ""))

    def frame(self, session: int, payload: bytes) -> None:
        """Take in a message, or count it when it cannot be read."""
        leg = self._legs.get(session)
        if leg is None:
            return
        try:
            message = wire.decode(payload, self.phase)
        except BadMessage:
            self.bad += 1
            return
        self.perform(self.core.receive(leg, message, time.monotonic()))

    def fault(self, session: int, fault: BadFrame) -> None:
        """Count a stream that held no frame."""
        del session, fault
        self.bad += 1

    def datagram(self, session: int, data: bytes) -> None:
        """Play media of our call."""
        if self.talk is not None and self._legs.get(session) is Leg.MEDIA:
            self.talk.hear(data)

    def flushed(self, session: int, receipt: object) -> None:
        """Take back a receipt; a client asks for none."""

    def slow(self, session: int) -> None:
        """Leave a relay that does not read."""
        self.endpoint.close(session, CloseCode.TOO_SLOW, REASONS[CloseCode.TOO_SLOW])

    def lost(self, session: int, code: int, reason: str, by_peer: bool) -> None:  # noqa: FBT001 - told by position
        """Go on after a connection that has ended."""
        del by_peer
        leg = self._legs.pop(session, None)
        if leg is None:
            return
        del self._sessions[leg]
        self.perform(self.core.lost(leg, code, reason, time.monotonic()))

    def _dial(self, effect: Dial) -> None:
        leg = Leg(effect.leg)
        self._close(leg, CloseCode.NORMAL)
        try:
            session = self.endpoint.dial(parse_address(effect.address), effect.sni)
        except Misuse as error:  # an address of the other family: nobody can be there for us
            self.perform(self.core.lost(leg, -1, str(error), time.monotonic()))
            return
        self._sessions[leg], self._legs[session] = session, leg

    def _close(self, leg: Leg, code: CloseCode) -> None:
        session = self._sessions.pop(leg, None)
        if session is not None:
            del self._legs[session]
            self.endpoint.close(session, code, REASONS[code])

    def _heard(self, effect: Tell) -> None:
        members = dict(effect.members)
        if effect.event == "ended" and self.talk is not None:
            self.talk.close()
            playout = self.talk.playout
            members |= {"sent": self.talk.sent, "received": playout.received, "lost": playout.lost}
            self.talk = None
        self._tell(effect.event, members)
        if effect.event == "joined" and self.talk is None:
            self._pick_up()
        elif effect.event == "talking" and self.talk is not None:
            self.talk.start()

    def _pick_up(self) -> None:
        try:
            self.talk = Talk(self.plan, self._speak, self._mute)
        except AudioError as error:
            self._mute(str(error))

    def _mute(self, why: str) -> None:
        """Give the call up: without audio it is none."""
        self._tell("error", {"why": why, "kind": "audio"})
        self.perform(self.core.hangup())

    def _speak(self, payload: bytes | None) -> None:
        session = self._sessions.get(Leg.MEDIA)
        for effect in self.core.telephone.speak(payload):
            if isinstance(effect, SendDatagram) and session is not None:
                self.endpoint.send_datagram(session, effect.data)

    def _tick(self) -> None:
        self._timer = None
        self.perform(self.core.tick(time.monotonic()))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.core.deadline()
        if deadline is not None:
            delay = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)
