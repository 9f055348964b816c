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

from reference.core import wire
from reference.core.addresses import format_address
from reference.core.effects import Close, Count, Effect, Log, Send, SendDatagram
from reference.core.errors import REASONS, BadFrame, BadMessage, CloseCode
from reference.core.relay import RelayCore
from reference.endpoint import DatagramFate, Endpoint, EndpointLimits
from reference.memory import give_back
from reference.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    import structlog

    from reference.core.phases import Phase
    from reference.core.sessions import Setting
    from reference.endpoint import Credentials


CLOSING = 3.0
"""Seconds after which closed connections have left the endpoint too."""
CROWD = 100
"""Sessions at once after which memory is given back when three of four have gone."""


class Switch:
    """One running relay: a core, an endpoint and the timer between them."""

    core: RelayCore
    endpoint: Endpoint

    def __init__(self, setting: Setting, phase: Phase, logger: structlog.stdlib.BoundLogger) -> None:
        """Prepare a relay without a socket; `open` gives it one."""
        self.setting = setting
        self.phase = phase
        self.metrics = Metrics()
        self.logger = logger
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._crowd = 0

    async def open(self, host: str, port: int, credentials: Credentials, limits: EndpointLimits) -> None:
        """Bind the socket; raises OSError when the address cannot be had."""
        self.endpoint = await Endpoint.open(host, port, self, credentials, limits)
        if not self.setting.relay_addr:  # clients reach us where we listen
            self.setting = replace(self.setting, relay_addr=format_address(*self.endpoint.address))
        self.core = RelayCore(self.setting, lambda: secrets.token_bytes(32))
        self.metrics.watch(self.core, self.endpoint.stats)

    def ready(self, fingerprint: str, limits: EndpointLimits) -> dict[str, object]:
        """Return what the ready line says: where and who we are, and the limits a suite need not guess."""
        own = self.setting.limits
        return {
            "addr": format_address(*self.endpoint.address),
            "tls_fingerprint": fingerprint,
            "phase": str(self.phase),
            "registration": str(self.setting.policy),
            "advertise": self.setting.relay_addr,
            "timers": {
                "register": own.register_timeout,
                "ring": own.ring_timeout,
                "media": own.media_timeout,
                "stream": limits.stream_timeout,
                "keep_alive": limits.keep_alive,
            },
            "limits": {
                "connections": limits.connections,
                "calls": own.calls,
                "offers_burst": own.offers_burst,
                "offers_per_second": own.offers_per_second,
                "reflections_burst": own.reflections_burst,
                "reflections_per_second": own.reflections_per_second,
                "bad_messages": own.bad_messages,
                "unread": limits.unsent,
            },
        }

    def adopt(self, setting: Setting, limits: EndpointLimits) -> None:
        """Go on with other limits and another policy; nobody who is connected is sent away."""
        self.setting = setting
        self.core.adopt(setting)
        self.endpoint.limits = limits

    async def shutdown(self) -> None:
        """Tell every client, end every call and connection, close the socket (ERR-5, ERR-6)."""
        self._perform(self.core.shutdown())
        await self.endpoint.shutdown(CloseCode.SHUTDOWN, REASONS[CloseCode.SHUTDOWN])
        if self._timer is not None:
            self._timer.cancel()

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Take in a connection."""
        del fingerprint  # a client shows no certificate
        self._perform(self.core.connected(session, sni, address, time.monotonic()))
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
        self._crowd = max(self._crowd, len(self.core.sessions))
        if self._crowd >= max(CROWD, 4 * len(self.core.sessions)):  # a crowd has gone
            self._crowd = len(self.core.sessions)
            asyncio.get_running_loop().call_later(CLOSING, give_back)

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
            case Count():
                self.metrics.count(effect.counter, effect.reason)
            case Log():
                self.logger.info(effect.event, **effect.members)
                if effect.private:
                    self.logger.debug(effect.event, **effect.members, **effect.private)

    def _send_datagram(self, effect: SendDatagram) -> None:
        fate = self.endpoint.send_datagram(effect.session, effect.data)
        self.metrics.forwarded.inc()
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
