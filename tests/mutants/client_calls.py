"""Mutants of a client of phase 0: registration, calls, the media of a room."""

from __future__ import annotations

from collections.abc import Callable

from reference.core import messages
from reference.core.agreement import Path
from reference.core.effects import Close, Dial, Effect, Send, SendDatagram, Tell
from reference.core.errors import CloseCode, HangupReason
from reference.core.line import Account, Alarm, Answer, Leg
from reference.core.media import DATAGRAM_LIMIT, HEADER_SIZE, Codec, Header
from reference.core.seat import Sitting
from reference.core.telephone import Telephone
from reference.core.timers import Timers
from tests.mutants.client_base import ClientMutant, Parts


class AsksFirst(ClientMutant):
    """Sends a Ping before its registration."""

    id = "REG-1"
    collateral = ("REG-26",)

    def connected(self, leg: int, fingerprint: str, now: float) -> list[Effect]:
        """Ask before it is known who asks."""
        hello = super().connected(leg, fingerprint, now)
        ping: list[Effect] = [Send(leg, messages.Ping(timestamp_ms=0))]
        return ping + hello if leg == Leg.SIGNAL and not self.stopped else hello


class KeepsItsToken(ClientMutant):
    """Registers without its token."""

    id = "REG-26"

    def connected(self, leg: int, fingerprint: str, now: float) -> list[Effect]:
        """Leave the token out."""
        said = super().connected(leg, fingerprint, now)
        return [
            one
            for one in said
            if not isinstance(one, Send) or not isinstance(one.message, messages.AuthToken)
        ]


class ComesBack(ClientMutant):
    """Connects again after it was replaced."""

    id = "REG-15"

    def lost(self, leg: int, code: int, reason: str, now: float) -> list[Effect]:
        """Take a replacement for a loss."""
        return super().lost(leg, -1 if code == CloseCode.REPLACED else code, reason, now)


class Impatient(ClientMutant):
    """Waits one second between its attempts, however many have failed."""

    id = "REG-16"

    def lost(self, leg: int, code: int, reason: str, now: float) -> list[Effect]:
        """Take every attempt for the first."""
        self._attempts = 0
        return super().lost(leg, code, reason, now)


class FollowsAnySetup(Telephone):
    """The telephone of NoConsent."""

    def call_setup(self, message: messages.CallSetup, now: float) -> list[Effect]:
        """Join whatever room the relay names."""
        effects = super().call_setup(message, now)
        return effects or [Dial(Leg.MEDIA, message.relay_addr, message.room)]


class NoConsent(ClientMutant):
    """Acts on any CallSetup."""

    id = "CALL-35"
    telephone_kind = FollowsAnySetup


class Counting(Telephone):
    """The telephone of CountsItsCalls."""

    def __init__(self, account: Account, timers: Timers[Alarm], entropy: Callable[[int], bytes]) -> None:
        """Start at one."""
        self._placed = 0

        def draw(size: int) -> bytes:
            if size != 16:
                return entropy(size)
            self._placed += 1
            return self._placed.to_bytes(16, "big")

        super().__init__(account, timers, draw)


class CountsItsCalls(ClientMutant):
    """Counts its call_ids up."""

    id = "CALL-36"
    telephone_kind = Counting


class TalksOn(ClientMutant):
    """Goes on talking after a Hangup."""

    id = "CALL-37"

    def receive(self, leg: int, message: messages.Message, now: float) -> list[Effect]:
        """Overhear the end."""
        if isinstance(message, messages.Hangup):
            return []
        return super().receive(leg, message, now)


class EndsMediaFirst(Telephone):
    """The telephone of SilentEnd."""

    def hangup(self, reason: str = "hung up") -> list[Effect]:
        """Tear down the media and tell the relay afterwards."""
        return sorted(super().hangup(reason), key=lambda effect: not isinstance(effect, Close))


class SilentEnd(ClientMutant):
    """Ends its media before it sends Hangup."""

    id = "CALL-38"
    telephone_kind = EndsMediaFirst


class AcceptsAlone(Telephone):
    """The telephone of NoDecision."""

    def direct_call_offer(self, message: messages.DirectCallOffer, now: float) -> list[Effect]:
        """Accept where the user would have been asked."""
        asked = super().direct_call_offer(message, now)
        return asked + (self.answer(Answer.GENERIC, now) if self.account.answer is Answer.ASK else [])


class NoDecision(ClientMutant):
    """Accepts a call that nobody decided about."""

    id = "CALL-39"
    telephone_kind = AcceptsAlone


class LeavesTheCallUnnamed(Telephone):
    """The telephone of AnyCall."""

    def hangup(self, reason: str = "hung up") -> list[Effect]:
        """Mean whatever call the relay knows of."""
        over = messages.Hangup(reason=HangupReason.NORMAL)
        return [
            Send(effect.session, over) if isinstance(effect, Send) else effect
            for effect in super().hangup(reason)
        ]


class AnyCall(ClientMutant):
    """Does not name its call in a Hangup."""

    id = "CALL-46"
    telephone_kind = LeavesTheCallUnnamed


class EndsWithAnyHangup(Telephone):
    """The telephone of AnyHangup."""

    def hangup_received(self, message: messages.Hangup) -> list[Effect]:
        """Take every Hangup for that of our call."""
        return super().hangup_received(messages.Hangup(reason=message.reason))


class AnyHangup(ClientMutant):
    """Ends its call when another one ends."""

    id = "CALL-47"
    telephone_kind = EndsWithAnyHangup


class StandsStill(Telephone):
    """The telephone of OneNumber."""

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Give every datagram the number of the one before, but for the first after a change of path."""
        effects = super().speak(payload)
        if effects and self.call is not None and self.call.sender.sequence == 2:
            self.call.sender.sequence = 1
        return effects


class OneNumber(ClientMutant):
    """Gives two datagrams in a row the same sequence number."""

    id = "MEDIA-26"
    telephone_kind = StandsStill


class SkipsSilence(Telephone):
    """The telephone of TimelessSilence."""

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Let no time pass for a frame that is not sent."""
        before = None if self.call is None else self.call.sender.timestamp
        effects = super().speak(payload)
        if payload is None and self.call is not None and before is not None:
            self.call.sender.timestamp = before
        return effects


class TimelessSilence(ClientMutant):
    """Does not advance the timestamp for frames that it does not send."""

    id = "MEDIA-27"
    telephone_kind = SkipsSilence


class SendsAnySize(Telephone):
    """The telephone of AnySize."""

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Send whatever comes."""
        leg = None if self.paths is None else self.paths.out
        if self.call is None or leg is None or payload is None:
            return super().speak(payload)
        return [SendDatagram(leg, self.call.sender.datagram(b"") + payload)]


class AnySize(ClientMutant):
    """Sends datagrams of any size."""

    id = "MEDIA-28"
    telephone_kind = SendsAnySize
    running = Parts(payload=lambda: bytes(DATAGRAM_LIMIT - HEADER_SIZE + 1))


class SpeaksEarly(Telephone):
    """The telephone of NoIntroduction."""

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Speak as soon as there is a connection to the room, admitted or not."""
        joining = self.paths is not None and self.paths.seat.sitting is Sitting.JOINING
        if joining and payload is not None:
            header = Header(codec=0, sequence=0, timestamp=0).encode()
            return [SendDatagram(Leg.MEDIA, header + payload)]
        return super().speak(payload)


class SpeaksBefore(ClientMutant):
    """NoIntroduction in a program, whose connections open as it introduces itself."""

    id = "MEDIA-29"

    def connected(self, leg: int, fingerprint: str, now: float) -> list[Effect]:
        """Breathe as soon as there is a connection to the room that is taken, and introduce itself then."""
        effects, call = super().connected(leg, fingerprint, now), self.telephone.call
        if leg != Leg.MEDIA or call is None or call.paths is None or call.paths.path is not Path.RELAY:
            return effects
        early = Header(Codec.COMFORT_NOISE, call.sender.sequence, call.sender.timestamp).encode() + b"2"
        call.sender.sequence += 1
        return [SendDatagram(Leg.MEDIA, early), *effects]


class NoIntroduction(ClientMutant):
    """Sends media before its CallOffer."""

    id = "MEDIA-29"
    telephone_kind = SpeaksEarly
    running = Parts(machine=SpeaksBefore)


class AnySignature(ClientMutant):
    """Stays in the room whatever the signature of the CallAnswer."""

    id = "MEDIA-30"

    def receive(self, leg: int, message: messages.Message, now: float) -> list[Effect]:
        """Take part whoever answered."""
        paths = self.telephone.paths
        if isinstance(message, messages.CallAnswer) and paths is not None:
            self._timers.cancel(Alarm.MEDIA)
            paths.seat.sitting = Sitting.WAITING
            return [Tell("joined")]
        return super().receive(leg, message, now)


class NoPin(ClientMutant):
    """Registers at any relay."""

    id = "SEC-2"

    def connected(self, leg: int, fingerprint: str, now: float) -> list[Effect]:
        """Take the key for the one that was expected."""
        return super().connected(leg, self.account.pin or fingerprint, now)


MUTANTS: list[type[ClientMutant]] = [
    AsksFirst,
    KeepsItsToken,
    ComesBack,
    Impatient,
    NoConsent,
    CountsItsCalls,
    TalksOn,
    SilentEnd,
    NoDecision,
    AnyCall,
    AnyHangup,
    OneNumber,
    TimelessSilence,
    AnySize,
    NoIntroduction,
    AnySignature,
    NoPin,
]
