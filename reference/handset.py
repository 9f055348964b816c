"""The client's shell: what sockets, user and clock say goes into the core, what the core wants is done."""

from __future__ import annotations

import asyncio
import random
import secrets
from typing import TYPE_CHECKING

from reference import interfaces
from reference.clock import REAL, Clock
from reference.core import media, wire
from reference.core.addresses import parse_address
from reference.core.client import ClientCore
from reference.core.effects import Close, Dial, Effect, Gather, Send, SendDatagram, Tell, Welcome
from reference.core.errors import BadFrame, BadMessage, CloseCode, Misuse
from reference.core.line import FIRST_DIRECT
from reference.opus import AudioError
from reference.sockets import Sockets

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from reference.core.line import Account
    from reference.endpoint import EndpointLimits
    from reference.voice import Raise, Voice


class Handset:
    """One running client: a core, its sockets, the timer between them, and the sound of its call."""

    def __init__(
        self,
        account: Account,
        voice: Raise,
        tell: Callable[[str, Mapping[str, object]], None],
        listed: Callable[[], Awaitable[Sequence[str]]] = interfaces.addresses,
        clock: Clock = REAL,
    ) -> None:
        """Prepare a client; `tell` hears its events, `listed` gives the addresses of its interfaces."""
        self.core = ClientCore(account, secrets.token_bytes, random.random)
        self.clock = clock
        self.talk: Voice | None = None
        self.bad = 0
        self.sockets: Sockets
        self._voice, self._tell, self._listed = voice, tell, listed
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def open(self, limits: EndpointLimits) -> None:
        """Bind the sockets of the account's phase and connect to the relay."""
        self.sockets = await Sockets.open(self.core.account, self, self.clock.limits(limits))
        self.core.telephone.families = frozenset(self.sockets.ports)
        self.perform(self.core.start(self.clock.now()))

    async def close(self) -> None:
        """Hang up, leave the relay, close the sockets."""
        self.perform(self.core.stop())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.sockets.shutdown()
        if self._timer is not None:
            self._timer.cancel()

    def perform(self, effects: Sequence[Effect]) -> None:
        """Do what the core wants, in order, and arm the timer."""
        try:
            list(map(self._one, effects))
        finally:
            self._arm()

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Take in a connection that we dialled, or that somebody opened to us."""
        now = self.clock.now()
        leg = self.sockets.leg(session)
        if leg is not None:
            self.perform(self.core.connected(leg, fingerprint or "", now))
            return
        leg, effects = self.core.accepted(sni, address, now)  # before anything else, it has a name
        self.sockets.take(leg, session)
        self.perform(effects)

    def frame(self, session: int, payload: bytes) -> None:
        """Take in a message, or count it when it cannot be read."""
        leg = self.sockets.leg(session)
        if leg is None or leg >= FIRST_DIRECT:  # nothing is said on a direct path
            return
        try:
            message = wire.decode(payload, self.core.account.phase)
            self.perform(self.core.receive(leg, message, self.clock.now()))
        except BadMessage:
            self.bad += 1

    def fault(self, session: int, fault: BadFrame) -> None:  # noqa: ARG002 - told by position
        """Count a stream that held no frame."""
        self.bad += 1

    def datagram(self, session: int, data: bytes) -> None:
        """Play media of our call, from whichever of its paths it comes (RACE-15)."""
        leg, paths = self.sockets.leg(session), self.core.telephone.paths
        if leg is None or paths is None or not paths.hears(leg) or media.unfit(data):
            return
        if self.talk is not None:
            self.talk.hear(data)
        effects = self.core.heard(leg, self.clock.now())
        if effects:
            self.perform(effects)

    def flushed(self, session: int, receipt: object) -> None:
        """Take back a receipt; a client asks for none."""

    def moved(self, session: int, address: str) -> None:
        """Learn that a peer's packets come from elsewhere; QUIC has followed it already."""

    def slow(self, session: int) -> None:
        """Leave a relay that does not read."""
        leg = self.sockets.leg(session)
        if leg is not None:
            self.sockets.close(leg, CloseCode.TOO_SLOW)
            self.perform(self.core.lost(leg, -1, "the relay does not read", self.clock.now()))

    def lost(self, session: int, code: int, reason: str, by_peer: bool) -> None:  # noqa: FBT001 - told by position
        """Go on after a connection that has ended."""
        del by_peer
        leg = self.sockets.forget(session)
        if leg is not None:
            self.perform(self.core.lost(leg, code, reason, self.clock.now()))

    def _one(self, effect: Effect) -> None:
        match effect:
            case Dial():
                self._dial(effect)
            case Send():
                self.sockets.send(effect.session, wire.encode(effect.message, self.core.account.phase))
            case SendDatagram():
                self.sockets.send_datagram(effect.session, effect.data)
            case Close():
                self.sockets.close(effect.session, effect.code)
            case Welcome():
                self.sockets.welcome(effect.names)
            case Gather():
                task = asyncio.ensure_future(self._gather())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Tell():
                self._heard(effect)

    def _dial(self, effect: Dial) -> None:
        try:
            self.sockets.dial(effect.leg, parse_address(effect.address), effect.sni)
        except Misuse as error:  # an address of a family we have no socket of: nobody can be there for us
            self.perform(self.core.lost(effect.leg, -1, str(error), self.clock.now()))

    async def _gather(self) -> None:
        self.perform(self.core.gathered(await self._listed(), self.sockets.ports))

    def _heard(self, effect: Tell) -> None:
        members = dict(effect.members)
        if effect.event == "ended" and self.talk is not None:
            members |= self.talk.close()
            self.talk = None
        self._tell(effect.event, members)
        if effect.event in {"placed", "accepted"}:  # codecs take a while, and now there is time
            self._sound(self._pick_up)
        elif effect.event == "setup" and self.talk is not None:  # what is sent in this turn comes first
            asyncio.get_running_loop().call_soon(self._sound, self.talk.prepare)
        elif effect.event == "talking" and self.talk is not None:
            asyncio.get_running_loop().call_soon(self._sound, self.talk.start)

    def _pick_up(self) -> None:
        self.talk = self._voice(self._speak, self._mute)

    def _sound(self, step: Callable[[], None]) -> None:
        try:
            step()
        except AudioError as error:
            self._mute(str(error))

    def _mute(self, why: str) -> None:
        """Give the call up: without audio it is none."""
        self._tell("error", {"why": why, "kind": "audio"})
        self.perform(self.core.hangup())

    def _speak(self, payload: bytes | None) -> None:
        for effect in self.core.telephone.speak(payload):
            if isinstance(effect, SendDatagram) and self.talk is not None:
                self.talk.sent += 1
            self._one(effect)

    def _tick(self) -> None:
        self._timer = None
        self.perform(self.core.tick(self.clock.now()))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, deadline = None, self.core.deadline()
        if deadline is not None:
            self._timer = self.clock.call_at(deadline, self._tick)
