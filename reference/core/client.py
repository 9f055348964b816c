"""The client: staying registered at a relay, and the way of every message to the call it belongs to.

A pure machine. In: what happened on a leg, what the user wants, and the time. Out: effects; a session in
them is a `Leg`. `Tell` is what the user learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core import messages
from reference.core.effects import Close, Dial, Effect, Send, Tell
from reference.core.errors import CloseCode, HangupReason
from reference.core.line import Account, Alarm, Answer, Leg
from reference.core.telephone import Telephone
from reference.core.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable

BACK_OFF = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between attempts to restore the signal connection; the last one repeats (REG-16)."""

JITTER = 0.25
"""How much longer than the back-off a wait may be, as a part of it."""

FINAL = {
    CloseCode.REPLACED: "replaced",
    CloseCode.REGISTRATION_REFUSED: "refused",
    CloseCode.BAD_MESSAGES: "refused",
    CloseCode.NO_SUCH_SERVICE: "refused",
}
"""Closes after which a client does not come back by itself (REG-15, table of close codes)."""


class ClientCore:
    """One client; `entropy(n)` returns n random bytes, `jitter()` a number from 0 to 1."""

    def __init__(
        self, account: Account, entropy: Callable[[int], bytes], jitter: Callable[[], float]
    ) -> None:
        """Start offline."""
        self.account = account
        self.online = False
        self.stopped = False
        self._jitter = jitter
        self._attempts = 0
        self._ever_online = False
        self._orphan = False
        self._timers: Timers[Alarm] = Timers()
        self.telephone = Telephone(account, self._timers, entropy)

    def start(self, now: float) -> list[Effect]:
        """Connect to the relay."""
        self._timers.set(Alarm.SIGNAL, now + self.account.signal_timeout)
        return [Dial(Leg.SIGNAL, self.account.relay, "_signal")]

    def stop(self) -> list[Effect]:
        """Hang up, leave the relay and stay away."""
        if self.stopped:
            return []
        hung_up = self.telephone.hangup()
        return [*hung_up, *self._stop("asked", "stopped by the user")]

    def connected(self, leg: Leg, fingerprint: str) -> list[Effect]:
        """Introduce ourselves on a connection whose handshake is complete (REG-1, SEC-2)."""
        if self.account.pin not in {"", fingerprint}:
            why = f"the relay at {self.account.relay} has the key {fingerprint}, not {self.account.pin}"
            return [*self.telephone.hangup(), *self._stop("wrong-key", why)]
        if leg is Leg.MEDIA:
            return self.telephone.media_connected()
        identity = self.account.identity
        hello = messages.RegisterPresence(
            identity_pub=identity.public,
            signature=identity.registration_signature(),
            alias=self.account.alias,
        )
        return [Send(leg, hello)]

    def receive(self, leg: Leg, message: messages.Message, now: float) -> list[Effect]:
        """Handle one message of the relay; what has no business where it came does nothing."""
        telephone = self.telephone
        if leg is Leg.MEDIA:
            return telephone.in_room(message)
        match message:
            case messages.RegisterPresenceAck():
                return self._register_presence_ack(message)
            case messages.Pong():
                return telephone.pong(message)
            case messages.DirectCallOffer():
                return telephone.direct_call_offer(message, now)
            case messages.CallRinging():
                return telephone.call_ringing(message)
            case messages.DirectCallAnswer():
                return telephone.direct_call_answer(message)
            case messages.CallSetup():
                return telephone.call_setup(message, now)
            case messages.Hangup():
                return telephone.hangup_received(message)
        return []

    def lost(self, leg: Leg, code: int, reason: str, now: float) -> list[Effect]:
        """Go on after a connection that has ended: come back, or say why not."""
        if self.stopped:
            return []
        if leg is Leg.MEDIA:
            return self.telephone.media_lost(code, reason, now)
        self.online = False
        self._timers.cancel(Alarm.SIGNAL)
        self._orphan = self._orphan or self.telephone.call is not None
        ended = self.telephone.end("connection lost")
        final = FINAL.get(CloseCode(code)) if code in set(CloseCode) else None
        if final is not None:
            return [*ended, *self._stop(final, reason)]
        if not self._ever_online and code < 0:
            why = f"no relay answers at {self.account.relay}: {reason}"
            return [*ended, *self._stop("unreachable", why)]
        delay = BACK_OFF[min(self._attempts, len(BACK_OFF) - 1)] * (1 + JITTER * self._jitter())
        self._attempts += 1
        self._timers.set(Alarm.RETRY, now + delay)
        return [*ended, Tell("offline", {"reason": reason, "retry_in": round(delay, 1)})]

    def place(self, target: str, now: float) -> list[Effect]:
        """Call the fingerprint `target`, if we are registered and no call is on."""
        return self.telephone.place(target, now) if self.online else []

    def answer(self, answer: Answer) -> list[Effect]:
        """Answer the incoming call as the user decided."""
        return self.telephone.answer(answer)

    def hangup(self) -> list[Effect]:
        """End our call."""
        return self.telephone.hangup()

    def ping(self, number: int) -> list[Effect]:
        """Ask the relay for a sign of life."""
        return [Send(Leg.SIGNAL, messages.Ping(timestamp_ms=number))] if self.online else []

    def tick(self, now: float) -> list[Effect]:
        """Do what has become due."""
        effects: list[Effect] = []
        for alarm in self._timers.due(now):
            if alarm is Alarm.RETRY:
                effects += self.start(now)
            elif alarm is Alarm.SIGNAL:
                effects.append(Close(Leg.SIGNAL, CloseCode.NORMAL))
                effects += self.lost(Leg.SIGNAL, -1, "nothing came back in time", now)
            else:
                effects += self.telephone.alarm(alarm, now)
        return effects

    def deadline(self) -> float | None:
        """Return when `tick` is wanted next, or None."""
        return self._timers.next()

    def _register_presence_ack(self, message: messages.RegisterPresenceAck) -> list[Effect]:
        if self.online:
            return []
        if not message.success:
            return self._stop("refused", message.error or "the relay gave no reason")
        self._timers.cancel(Alarm.SIGNAL)
        self.online = self._ever_online = True
        self._attempts = 0
        told = Tell("registered", {"fingerprint": self.account.identity.fingerprint})
        if not self._orphan:
            return [told]
        # The relay may not have noticed that we were away, and our old call may live on in it.
        self._orphan = False
        return [Send(Leg.SIGNAL, messages.Hangup(reason=HangupReason.NORMAL)), told]

    def _stop(self, kind: str, why: str) -> list[Effect]:
        """End everything for good; `kind` decides the exit status of a program."""
        self.stopped = True
        self.online = False
        ended = self.telephone.end("stopped")
        self._timers.clear()
        return [*ended, Close(Leg.SIGNAL, CloseCode.NORMAL), Tell("stopped", {"kind": kind, "why": why})]
