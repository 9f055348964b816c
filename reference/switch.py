"""The relay's shell: what the endpoint tells goes into the core, what the core wants done is done.

One paragraph: on a connection, a frame, a datagram, a loss or the timer, call the core, perform the
effects in order, arm the timer again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from reference.core import wire
from reference.core.addresses import format_address, parse_address
from reference.core.effects import Close, Count, Dial, Effect, Log, Send, SendDatagram, Stop, Validate
from reference.core.errors import REASONS, BadFrame, BadMessage, CloseCode, Misuse
from reference.core.relay import RelayCore
from reference.endpoint import DatagramFate, Endpoint, EndpointLimits
from reference.logs import write
from reference.memory import Crowd
from reference.metrics import Metrics
from reference.ready import ready

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import structlog

    from reference.core.authentication import Verdict
    from reference.core.phases import Phase
    from reference.core.sessions import Setting
    from reference.endpoint import Credentials


class Switch:
    """One running relay: a core, an endpoint and the timer between them."""

    core: RelayCore
    endpoint: Endpoint

    def __init__(self, setting: Setting, phase: Phase, logger: structlog.stdlib.BoundLogger) -> None:
        """Prepare a relay without a socket; `open` gives it one."""
        self.setting = setting
        self.phase = phase
        self.metrics = Metrics()
        self._traffic = self.metrics.traffic
        self.logger = logger
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._crowd = Crowd()
        self._drained: Callable[[], None] = lambda: None
        self.validate: Callable[[int, str], None] = lambda *_: None

    async def open(self, host: str, port: int, credentials: Credentials, limits: EndpointLimits) -> None:
        """Bind the socket; raises OSError when the address cannot be had."""
        self.endpoint = await Endpoint.open(host, port, self, credentials, limits)
        self.setting = replace(
            self.setting,
            relay_addr=self.setting.relay_addr or format_address(*self.endpoint.address),
            phase=self.phase,
            certificate=credentials.certificate.public_bytes(Encoding.DER),
            epoch=time.time() - time.monotonic(),
        )
        self.core = RelayCore(self.setting, lambda: secrets.token_bytes(32))
        self.metrics.watch(self.core, self.endpoint.stats, str(self.phase), links=self.core.links.states)
        self._arm()  # there may be relays to dial

    def ready(self, fingerprint: str, limits: EndpointLimits) -> dict[str, object]:
        """Return what the ready line says: where and who we are, and the limits a suite need not guess."""
        return ready(self.setting, self.phase, self.endpoint.address, fingerprint, limits)

    def validated(self, session: int, verdict: Verdict, fingerprint: str) -> None:
        """Go on with a client whose token has been judged."""
        self._perform(self.core.validated(session, verdict, fingerprint))

    def drain(self, drained: Callable[[], None]) -> None:
        """Begin no more calls; `drained` is called when live ones have ended or had their time (ERR-9)."""
        self._drained = drained
        self._perform(self.core.drain(time.monotonic()))

    def adopt(self, setting: Setting, limits: EndpointLimits) -> None:
        """Go on with other limits, policy and peers; nobody but a peer that is none any more is sent away."""
        self.setting = setting
        self.endpoint.limits = limits
        self._perform(self.core.adopt(setting))

    async def shutdown(self) -> None:
        """Tell every client, end every call and connection, close the socket (ERR-5, ERR-6)."""
        self._perform(self.core.shutdown())
        await self.endpoint.shutdown(CloseCode.SHUTDOWN, REASONS[CloseCode.SHUTDOWN])
        if self._timer is not None:
            self._timer.cancel()

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Take in a connection."""
        self._perform(self.core.connected(session, sni, address, time.monotonic(), fingerprint))
        self.logger.debug("connected", **self.core.about(session), sni=sni, address=address)

    def moved(self, session: int, address: str) -> None:
        """Note that a peer's packets come from another address."""
        self.logger.debug("moved", **self.core.about(session), address=address)
        self._perform(self.core.moved(session, address))

    def frame(self, session: int, payload: bytes) -> None:
        """Take in a message as a relay of the phase reads it, or count it when it cannot be (PHASE-3)."""
        now = time.monotonic()
        try:
            message = wire.decode(payload, self.phase)
        except BadMessage as fault:
            self._perform(self.core.bad(session, fault, now))
            return
        self._perform(self.core.receive(session, message, now, len(payload)))

    def fault(self, session: int, fault: BadFrame) -> None:
        """Count a stream that held no frame."""
        self._perform(self.core.bad(session, fault, time.monotonic()))

    def datagram(self, session: int, data: bytes) -> None:
        """Forward media."""
        for effect in self.core.datagram(session, data):
            self._one(effect)

    def flushed(self, session: int, receipt: object) -> None:
        """Take back a receipt."""
        del session
        self._perform(self.core.flushed(receipt))

    def slow(self, session: int) -> None:
        """Give up on a peer that does not read."""
        self._perform(self.core.slow(session))

    def lost(self, session: int, code: int, reason: str, by_peer: bool) -> None:  # noqa: FBT001 - told by position
        """Clean up after a connection."""
        self.logger.debug("lost", **self.core.about(session), code=code, reason=reason, by_peer=by_peer)
        self._perform(self.core.lost(session))
        self._crowd.left(len(self.core.sessions))

    def _tick(self) -> None:
        self._timer = self._deadline = None
        self._perform(self.core.tick(time.monotonic()))

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self._one(effect)
        self._arm()

    def _one(self, effect: Effect) -> None:
        match effect:
            case SendDatagram():
                self._send_datagram(effect)
            case Send():
                payload = wire.encode(effect.message, self.phase)  # PHASE-4
                self.endpoint.send(effect.session, payload, effect.receipt)
            case Close():
                reason = f"{REASONS[effect.code]}{': ' if effect.detail else ''}{effect.detail}"
                self.metrics.count("closed", effect.code.name.lower())
                self.endpoint.close(effect.session, effect.code, reason)
            case Dial():
                self._dial(effect)
            case Count():
                self.metrics.count(effect.counter, effect.reason)
            case Log():
                write(self.logger, effect)
                self.metrics.follow(effect)
            case Validate():
                self.validate(effect.session, effect.token)
            case Stop():
                self._drained()

    def _dial(self, effect: Dial) -> None:
        session: int | None = None
        try:
            session = self.endpoint.dial(parse_address(effect.address), effect.sni)
        except Misuse as error:
            self.logger.warning("link.undialled", address=effect.address, why=str(error))
        self.core.dialled(effect.leg, session)

    def _send_datagram(self, effect: SendDatagram) -> None:
        fate = self.endpoint.send_datagram(effect.session, effect.data)
        if fate is DatagramFate.QUEUED or fate is DatagramFate.DROPPED_OLDEST:
            self._traffic.datagrams += 1
            self._traffic.bytes += len(effect.data)
        if fate is not DatagramFate.QUEUED:
            self.metrics.count("datagrams_dropped", fate.value)

    def _arm(self) -> None:
        deadline = self.core.deadline()
        if deadline == self._deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._deadline, self._timer = deadline, None
        if deadline is not None:
            delay = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)
