"""Mutants of the client: one class for every requirement that clients have, with that one rule broken.

`CLIENT_MUTANTS` lists them. `DIRECTCALL_CLIENT_MUTANT=CALL-35 pytest tests/unit/test_client_rules.py` plays
the rules with one of them; `judge` does so without pytest and says what came of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from reference.core import messages
from reference.core.client import ClientCore
from reference.core.effects import Close, Dial, Effect, Send, SendDatagram, Tell
from reference.core.errors import CloseCode
from reference.core.line import Account, Alarm, Answer, Cue, Leg, Line
from reference.core.media import Header
from reference.core.telephone import Telephone
from reference.core.timers import Timers
from tests.world import World

if TYPE_CHECKING:
    from _pytest.mark import Mark

VARIABLE = "DIRECTCALL_CLIENT_MUTANT"
RULES = "tests.unit.test_client_rules"
KILLED, SURVIVED, COLLATERAL = 1, 0, 2
"""What `judge` returns: its own rule alone failed; its own rule held; others failed too, or without it."""


class ClientMutant(ClientCore):
    """A client with the rule `id` broken, in itself or in its telephone."""

    id: ClassVar[str]
    telephone_kind: ClassVar[type[Telephone]] = Telephone

    def __init__(
        self, account: Account, entropy: Callable[[int], bytes], jitter: Callable[[], float]
    ) -> None:
        """Start offline, with the telephone of the mutant."""
        super().__init__(account, entropy, jitter)
        self.telephone = self.telephone_kind(account, self._timers, entropy)


class AsksFirst(ClientMutant):
    """Sends a Ping before its registration."""

    id = "REG-1"

    def connected(self, leg: Leg, fingerprint: str) -> list[Effect]:
        """Ask before it is known who asks."""
        hello = super().connected(leg, fingerprint)
        ping: list[Effect] = [Send(leg, messages.Ping(timestamp_ms=0))]
        return ping + hello if leg is Leg.SIGNAL and not self.stopped else hello


class ComesBack(ClientMutant):
    """Connects again after it was replaced."""

    id = "REG-15"

    def lost(self, leg: Leg, code: int, reason: str, now: float) -> list[Effect]:
        """Take a replacement for a loss."""
        return super().lost(leg, -1 if code == CloseCode.REPLACED else code, reason, now)


class Impatient(ClientMutant):
    """Waits one second between its attempts, however many have failed."""

    id = "REG-16"

    def lost(self, leg: Leg, code: int, reason: str, now: float) -> list[Effect]:
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

    def receive(self, leg: Leg, message: messages.Message, now: float) -> list[Effect]:
        """Hear of the end and do nothing about it."""
        if isinstance(message, messages.Hangup):
            return [Tell("ended", {"reason": message.reason})]
        return super().receive(leg, message, now)


class EndsMediaFirst(Telephone):
    """The telephone of SilentEnd."""

    def hangup(self) -> list[Effect]:
        """Tear down the media and tell the relay afterwards."""
        return sorted(super().hangup(), key=lambda effect: not isinstance(effect, Close))


class SilentEnd(ClientMutant):
    """Ends its media before it sends Hangup."""

    id = "CALL-38"
    telephone_kind = EndsMediaFirst


class AcceptsAlone(Telephone):
    """The telephone of NoDecision."""

    def direct_call_offer(self, message: messages.DirectCallOffer, now: float) -> list[Effect]:
        """Accept where the user would have been asked."""
        return super().direct_call_offer(message, now) + self.answer(Answer.GENERIC)


class NoDecision(ClientMutant):
    """Accepts a call that nobody decided about."""

    id = "CALL-39"
    telephone_kind = AcceptsAlone


class StandsStill(Telephone):
    """The telephone of OneNumber."""

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Give every datagram the same number."""
        if self.call is not None:
            self.call.sender.sequence = 0
        return super().speak(payload)


class OneNumber(ClientMutant):
    """Gives every datagram the same sequence number."""

    id = "MEDIA-26"
    telephone_kind = StandsStill


class SkipsSilence(Telephone):
    """The telephone of TimelessSilence."""

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Let no time pass for a frame that is not sent."""
        return [] if payload is None else super().speak(payload)


class TimelessSilence(ClientMutant):
    """Does not advance the timestamp for frames that it does not send."""

    id = "MEDIA-27"
    telephone_kind = SkipsSilence


class SendsAnySize(Telephone):
    """The telephone of AnySize."""

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Send whatever comes."""
        if self.call is None or self.call.line is not Line.TALKING or payload is None:
            return super().speak(payload)
        return [SendDatagram(Leg.MEDIA, self.call.sender.datagram(b"") + payload)]


class AnySize(ClientMutant):
    """Sends datagrams of any size."""

    id = "MEDIA-28"
    telephone_kind = SendsAnySize


class SpeaksEarly(Telephone):
    """The telephone of NoIntroduction."""

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Speak as soon as there is a connection, admitted or not."""
        if self.call is not None and self.call.line is Line.JOINING and payload is not None:
            header = Header(codec=0, sequence=0, timestamp=0).encode()
            return [SendDatagram(Leg.MEDIA, header + payload)]
        return super().speak(payload)


class NoIntroduction(ClientMutant):
    """Sends media before its CallOffer."""

    id = "MEDIA-29"
    telephone_kind = SpeaksEarly


class BelievesAnyAnswer(Telephone):
    """The telephone of AnySignature."""

    def in_room(self, message: messages.Message) -> list[Effect]:
        """Take part whoever answered."""
        if isinstance(message, messages.CallAnswer) and self.call is not None:
            self._timers.cancel(Alarm.MEDIA)
            return [Tell("joined")] if self.call.cue(Cue.ADMITTED) else []
        return super().in_room(message)


class AnySignature(ClientMutant):
    """Stays in the room whatever the signature of the CallAnswer."""

    id = "MEDIA-30"
    telephone_kind = BelievesAnyAnswer


class NoPin(ClientMutant):
    """Registers at any relay."""

    id = "SEC-2"

    def connected(self, leg: Leg, fingerprint: str) -> list[Effect]:
        """Take the key for the one that was expected."""
        return super().connected(leg, self.account.pin or fingerprint)


CLIENT_MUTANTS: list[type[ClientMutant]] = [
    AsksFirst,
    ComesBack,
    Impatient,
    NoConsent,
    CountsItsCalls,
    TalksOn,
    SilentEnd,
    NoDecision,
    OneNumber,
    TimelessSilence,
    AnySize,
    NoIntroduction,
    AnySignature,
    NoPin,
]


def named(rule: str) -> type[ClientMutant]:
    """Return the mutant of a rule; raises ValueError, naming the rule, when it has none."""
    for mutant in CLIENT_MUTANTS:
        if mutant.id == rule:
            return mutant
    raise ValueError(f"no client mutant breaks {rule!r}")


def chosen() -> type[ClientCore]:
    """Return the client that the environment asks for: a mutant, or the one that keeps every rule."""
    rule = os.environ.get(VARIABLE, "")
    return named(rule) if rule else ClientCore


def rules() -> dict[str, list[Callable[[World], None]]]:
    """Return the tests of the client's rules by id; loaded when asked for, since they ask `chosen`."""
    found: dict[str, list[Callable[[World], None]]] = {}
    for name, test in vars(import_module(RULES)).items():
        if not name.startswith("test_"):
            continue
        marks: list[Mark] = getattr(test, "pytestmark", [])
        (rule,) = (mark.args[0] for mark in marks if mark.name == "rule")
        found.setdefault(rule, []).append(test)
    return found


def broken(kind: type[ClientCore]) -> set[str]:
    """Return the rules that a client does not keep: those with a test that fails for it."""
    failed = set()
    for rule, tests in rules().items():
        for test in tests:
            try:
                test(World(kind))
            except AssertionError:
                failed.add(rule)
    return failed


def judge(rule: str) -> int:
    """Return what becomes of the mutant of `rule`: KILLED, SURVIVED or COLLATERAL."""
    if sound := broken(ClientCore):
        print(f"a client without a mutation breaks {', '.join(sorted(sound))}", file=sys.stderr)  # noqa: T201
        return COLLATERAL
    failed = broken(named(rule))
    if rule not in failed:
        return SURVIVED
    return KILLED if failed == {rule} else COLLATERAL
