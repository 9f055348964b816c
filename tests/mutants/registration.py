"""Mutants of spec/registration.md."""

from __future__ import annotations

from dataclasses import replace

from reference.core import messages
from reference.core.authentication import Authentication, Verdict
from reference.core.effects import Close, Effect, Send
from reference.core.errors import CloseCode
from reference.core.reception import Reception
from reference.core.registration import Policy, Presence, Registrant
from reference.core.relay import RelayCore
from tests.mutants import breaks


def without_acknowledgement(*, success: bool) -> None:
    """Never send the acknowledgement with this success."""
    honest = Reception.register

    def register(self: Reception, session: int, message: messages.Message) -> list[Effect]:
        return [
            effect
            for effect in honest(self, session, message)
            if not (
                isinstance(effect, Send)
                and isinstance(effect.message, messages.RegisterPresenceAck)
                and effect.message.success is success
            )
        ]

    Reception.register = register


@breaks("REG-2", "REG-24")
def no_acknowledgement() -> None:
    """Registers without saying so."""
    without_acknowledgement(success=True)


def refuse_only_if(kind: str) -> None:
    """Accept the registrations whose refusal has this word in it."""
    honest = Presence.refusal

    def refusal(self: Presence, public: bytes, signature: bytes, policy: Policy) -> str:
        why = honest(self, public, signature, policy)
        return "" if kind in why else why

    Presence.refusal = refusal


@breaks("REG-3", "REG-5", "REG-6")
def unsigned_is_fine() -> None:
    """Accepts registrations without a signature under the policy signed."""
    refuse_only_if("signed registrations only")


@breaks("REG-4")
def wrong_signature_is_fine() -> None:
    """Accepts registrations with a wrong signature."""
    refuse_only_if("wrong")


@breaks("REG-5", "REG-23")
def refuses_in_silence() -> None:
    """Refuses a registration without an acknowledgement."""
    without_acknowledgement(success=False)


@breaks("REG-6", "REG-23")
def refused_may_stay() -> None:
    """Leaves the connection of a refused registration open."""
    honest = Reception.register

    def register(self: Reception, session: int, message: messages.Message) -> list[Effect]:
        effects = honest(self, session, message)
        return [
            it for it in effects if not (isinstance(it, Close) and it.code is CloseCode.REGISTRATION_REFUSED)
        ]

    Reception.register = register


@breaks("REG-7", "REG-14", "REG-17", "REG-18", "REG-19")
def signed_only() -> None:
    """Refuses unsigned registrations under the policy open too."""
    honest = Presence.refusal

    def refusal(self: Presence, public: bytes, signature: bytes, policy: Policy) -> str:
        del policy
        return honest(self, public, signature, Policy.SIGNED)

    Presence.refusal = refusal


@breaks("REG-8")
def no_hurry_to_register() -> None:
    """Lets connections stay that never register."""
    honest = RelayCore.connected

    def connected(
        self: RelayCore, session: int, sni: str | None, address: str, now: float, *others: str | None
    ) -> list[Effect]:
        effects = honest(self, session, sni, address, now, *others)
        if sni == "_signal":
            self.timers.cancel(session)
        return effects

    RelayCore.connected = connected


@breaks("REG-9")
def answers_strangers() -> None:
    """Answers a Ping before the registration."""
    honest = Reception.register

    def register(self: Reception, session: int, message: messages.Message) -> list[Effect]:
        if isinstance(message, messages.Ping):
            return [Send(session, messages.Pong(timestamp_ms=message.timestamp_ms))]
        return honest(self, session, message)

    Reception.register = register


@breaks("REG-10", "REG-24")
def registers_again() -> None:
    """Takes a second registration on the same connection."""
    honest = RelayCore.receive

    def receive(
        self: RelayCore, session: int, message: messages.Message, now: float, size: int = 0
    ) -> list[Effect]:
        if isinstance(message, messages.RegisterPresence) and session in self.sessions:
            self.presence.forget(session)
            return self.reception.register(session, message)
        return honest(self, session, message, now, size)

    RelayCore.receive = receive


@breaks("REG-11")
def leaves_the_older_open() -> None:
    """Does not close a replaced connection."""
    honest = Reception.register

    def register(self: Reception, session: int, message: messages.Message) -> list[Effect]:
        effects = honest(self, session, message)
        return [it for it in effects if not (isinstance(it, Close) and it.code is CloseCode.REPLACED)]

    Reception.register = register


@breaks("REG-12", "REG-11", "REG-13", "CALL-8")
def older_wins() -> None:
    """Keeps delivering to the older connection, and leaves it open."""
    honest = Presence.register

    def register(self: Presence, session: int, who: Registrant) -> int | None:
        older = self.session(who.fingerprint)
        honest(self, session, who)
        if older is not None:
            self._sessions[who.fingerprint] = older
        return None

    Presence.register = register


@breaks("REG-13", "CALL-8", "REG-12")
def old_end_counts() -> None:
    """Forgets the fingerprint, and ends its calls, when its replaced connection ends."""
    honest = Presence.forget

    def forget(self: Presence, session: int) -> str | None:
        who = self._registrants.get(session)
        if who is not None and not who.zero:
            self._sessions[who.fingerprint] = session
        return honest(self, session)

    Presence.forget = forget


@breaks("REG-14")
def unsigned_replaces() -> None:
    """Lets an unsigned registration replace a signed one."""
    refuse_only_if("holds this fingerprint")


@breaks("REG-17")
def zero_can_be_called() -> None:
    """Delivers calls to the zero key."""
    honest = Presence.register

    def register(self: Presence, session: int, who: Registrant) -> int | None:
        older = honest(self, session, who)
        if who.zero:
            self._sessions.setdefault(who.fingerprint, session)
        return older

    Presence.register = register


@breaks("REG-18")
def zero_may_call() -> None:
    """Takes every message from the zero key."""
    honest = Presence.registrant

    def registrant(self: Presence, session: int) -> Registrant | None:
        who = honest(self, session)
        return replace(who, zero=False) if who is not None and who.zero else who

    Presence.registrant = registrant


@breaks("REG-19")
def zero_is_replaced() -> None:
    """Closes the older of two connections of the zero key."""
    honest = Presence.register
    last: dict[str, int] = {}

    def register(self: Presence, session: int, who: Registrant) -> int | None:
        older = honest(self, session, who)
        if who.zero:
            older, last["zero"] = last.get("zero"), session
        return older

    Presence.register = register


@breaks("REG-20")
def narrow_pong() -> None:
    """Cuts the number of a Pong to 32 bits."""
    honest = RelayCore.receive

    def receive(
        self: RelayCore, session: int, message: messages.Message, now: float, size: int = 0
    ) -> list[Effect]:
        if isinstance(message, messages.Ping):
            message = messages.Ping(timestamp_ms=message.timestamp_ms & 0xFFFFFFFF)
        return honest(self, session, message, now, size)

    RelayCore.receive = receive


@breaks("REG-21")
def tokens_are_optional() -> None:
    """Lets those register who show no token."""
    honest = Authentication.receive

    def receive(self: Authentication, session: int, message: messages.Message, size: int) -> list[Effect]:
        if isinstance(message, messages.RegisterPresence) and session not in self._shown:
            return self._register(session, message)
        return honest(self, session, message, size)

    Authentication.receive = receive


class Anybody(str):
    """A fingerprint that equals every other."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        """Be whoever is asked for."""
        return True


@breaks("REG-22")
def every_token_is_right() -> None:
    """Takes a token for right that the service refuses."""
    honest = Authentication.validated

    def validated(self: Authentication, session: int, verdict: Verdict, whose: str) -> list[Effect]:
        if verdict is Verdict.REFUSED:
            return honest(self, session, Verdict.CONFIRMED, Anybody())
        return honest(self, session, verdict, whose)

    Authentication.validated = validated


@breaks("REG-23")
def tokens_may_be_lent() -> None:
    """Lets a token register whoever shows it."""
    Authentication.refusal = lambda _self, _session, _fingerprint: ""


@breaks("REG-24")
def the_early_are_forgotten() -> None:
    """Forgets the registration that comes while its token is being judged."""
    honest = Authentication.validated

    def validated(self: Authentication, session: int, verdict: Verdict, whose: str) -> list[Effect]:
        if verdict is Verdict.CONFIRMED and session in self._shown:
            self._shown[session].waiting = None
        return honest(self, session, verdict, whose)

    Authentication.validated = validated


@breaks("REG-25")
def silence_is_a_no() -> None:
    """Refuses a client when the service fails."""
    honest = Authentication.validated

    def validated(self: Authentication, session: int, verdict: Verdict, whose: str) -> list[Effect]:
        return honest(self, session, Verdict.CONFIRMED if whose else Verdict.REFUSED, whose)

    Authentication.validated = validated
