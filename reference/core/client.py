"""The client: staying registered at a relay, and the way of every message to the call it belongs to.

A pure machine. In: what happened on a leg, what the user wants, and the time. Out: effects; a session in
them is a `Leg`. `Tell` is what the user learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core import messages
from reference.core.candidates import host_candidates
from reference.core.effects import Close, Dial, Effect, Send, Tell
from reference.core.errors import CloseCode, HangupReason
from reference.core.line import FIRST_DIRECT, Account, Alarm, Answer, Leg, Line
from reference.core.telephone import Telephone
from reference.core.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
        self._orphan = self._gone = ""  # a call that our relay may not know to be over, and that one for good
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

    def connected(self, leg: int, fingerprint: str, now: float) -> list[Effect]:
        """Introduce ourselves on a connection whose handshake is complete (REG-1, SEC-2)."""
        telephone = self.telephone
        if leg >= FIRST_DIRECT:
            if telephone.paths is None:
                return [Close(leg, CloseCode.NOT_SELECTED)]
            return telephone.follow(telephone.paths.connected(leg, now))
        if self.account.pin not in {"", fingerprint}:
            paths = telephone.paths
            where = self.account.relay if leg == Leg.SIGNAL or paths is None else paths.seat.relay_addr
            why = f"the relay at {where} has the key {fingerprint}, not {self.account.pin}"
            return [*self.telephone.hangup(), *self._stop("wrong-key", why)]
        if leg == Leg.MEDIA:
            return [] if telephone.paths is None else telephone.paths.connected(leg, now)
        identity = self.account.identity
        hello = messages.RegisterPresence(
            identity_pub=identity.public,
            signature=identity.registration_signature(),
            alias=self.account.alias,
        )
        if self.account.token:  # REG-26
            return [Send(leg, messages.AuthToken(token=self.account.token)), Send(leg, hello)]
        return [Send(leg, hello)]

    def accepted(self, sni: str | None, address: str, now: float) -> tuple[int, list[Effect]]:
        """Take in a connection that somebody opened to us; return its leg and what to do (RACE-7)."""
        leg, call = self.telephone.new_leg(), self.telephone.call
        if call is None:
            return leg, [Close(leg, CloseCode.NO_SUCH_SERVICE)]
        if call.paths is None:
            return leg, call.door.accepted(leg, sni, address)
        return leg, self.telephone.follow(call.paths.accepted(leg, sni, address, now))

    def gathered(self, addresses: Sequence[str], ports: Mapping[int, int]) -> list[Effect]:
        """Take the addresses of our interfaces, and the port of our socket of each IP version (CAND-10)."""
        if self.telephone.call is None:
            return []
        self.telephone.call.gathering.listed(host_candidates(addresses, ports))
        return self.telephone.prepared()

    def receive(self, leg: int, message: messages.Message, now: float) -> list[Effect]:
        """Handle one message of the relay; what has no business where it came does nothing."""
        telephone, paths = self.telephone, self.telephone.paths
        if leg != Leg.SIGNAL:  # a direct path has datagrams only
            return [] if leg != Leg.MEDIA or paths is None else telephone.follow(paths.receive(message, now))
        match message:
            case messages.RegisterPresenceAck():
                return self._register_presence_ack(message)
            case messages.Pong():
                return telephone.pong(message)
            case messages.ReflectResponse() if telephone.call is not None:
                return [*telephone.call.gathering.reflected(message), *telephone.prepared()]
        return self._of_the_call(message, now)

    def _of_the_call(self, message: messages.Message, now: float) -> list[Effect]:
        telephone = self.telephone
        match message:
            case messages.DirectCallOffer() if message.call_id != self._gone:
                return telephone.direct_call_offer(message, now)
            case messages.CallRinging():
                return telephone.call_ringing(message)
            case messages.DirectCallAnswer():
                return telephone.direct_call_answer(message)
            case messages.CallSetup():
                return telephone.call_setup(message, now)
            case messages.MediaPathReport():
                return telephone.media_path_report(message, now)
            case messages.Hangup():
                return telephone.hangup_received(message)
        return []

    def heard(self, leg: int, now: float) -> list[Effect]:
        """Note a datagram of the other end."""
        return self.telephone.heard(leg, now)

    def lost(self, leg: int, code: int, reason: str, now: float) -> list[Effect]:
        """Go on after a connection that has ended: come back, or say why not."""
        if self.stopped:
            return []
        if leg != Leg.SIGNAL:
            return self.telephone.lost(leg, code, reason, now)
        self.online = False
        self._timers.cancel(Alarm.SIGNAL)
        call = self.telephone.call
        if call is not None and call.line not in {Line.INCOMING, Line.ACCEPTING}:  # those ring again (CALL-8)
            self._orphan = self._gone = call.call_id
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

    def answer(self, answer: Answer, now: float) -> list[Effect]:
        """Answer the incoming call as the user decided."""
        return self.telephone.answer(answer, now)

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
        over = messages.Hangup(reason=HangupReason.NORMAL, call_id=self._orphan)
        self._orphan = ""
        return [Send(Leg.SIGNAL, over), told]

    def _stop(self, kind: str, why: str) -> list[Effect]:
        """End everything for good; `kind` decides the exit status of a program."""
        self.stopped = True
        self.online = False
        ended = self.telephone.end("stopped")
        self._timers.clear()
        return [*ended, Close(Leg.SIGNAL, CloseCode.NORMAL), Tell("stopped", {"kind": kind, "why": why})]
