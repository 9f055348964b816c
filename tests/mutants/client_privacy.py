"""Mutants of a client, of spec/privacy.md: what a client that stays hidden gives away."""

from __future__ import annotations

from reference.core.effects import Dial, Effect, Send, Welcome
from reference.core.line import Answer, Leg
from reference.core.messages import AcceptMode, CallSetup, DirectCallAnswer, Reflect
from reference.core.race import server_names
from reference.core.telephone import Telephone
from tests.mutants.client_base import ClientMutant, altered


class AdvertisesAnyway(Telephone):
    """The telephone of NoPrivacy."""

    def prepared(self) -> list[Effect]:
        """Advertise whatever the mode is."""
        if self.call is None or self.call.mode is not AcceptMode.ACCEPT_GENERIC:
            return super().prepared()
        return altered(super().prepared(), DirectCallAnswer, callee_local_addrs=["192.168.1.77:5000"])


class NoPrivacy(ClientMutant):
    """Advertises candidates in an answer that is not AcceptTrusted."""

    id = "PRIV-8"
    telephone_kind = AdvertisesAnyway


class AsksAnyway(Telephone):
    """The telephone of NeedlessReflect."""

    def answer(self, answer: Answer, now: float) -> list[Effect]:
        """Ask for an address that nobody will be told."""
        effects = super().answer(answer, now)
        return [Send(Leg.SIGNAL, Reflect()), *effects] if effects and answer is Answer.GENERIC else effects


class NeedlessReflect(ClientMutant):
    """Sends Reflect for a call that it answers with AcceptGeneric."""

    id = "PRIV-9"
    telephone_kind = AsksAnyway


class DialsFromHiding(Telephone):
    """The telephone of ShowsItself."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Dial whatever CallSetup names."""
        effects = super().call_setup(message, now)
        named = [text for text in (*message.peer_local_addrs, message.peer_direct_addr) if text]
        hidden = self.call is not None and self.call.mode is AcceptMode.ACCEPT_GENERIC and effects
        return effects + [Dial(self.new_leg(), text, message.room) for text in named if hidden]


class ShowsItself(ClientMutant):
    """Dials a direct path of a call that it answered with AcceptGeneric."""

    id = "PRIV-10"
    telephone_kind = DialsFromHiding


class LetsInAnyway(Telephone):
    """The telephone of OpenDoor."""

    def prepared(self) -> list[Effect]:
        """Welcome the other end although nobody is to know where we are."""
        effects = super().prepared()
        if self.call is None or self.call.mode is not AcceptMode.ACCEPT_GENERIC or not effects:
            return effects
        return [*effects, Welcome(server_names(self.call.call_id))]


class OpenDoor(ClientMutant):
    """Accepts a direct connection of a call that it answered with AcceptGeneric."""

    id = "PRIV-11"
    telephone_kind = LetsInAnyway


MUTANTS: list[type[ClientMutant]] = [
    NoPrivacy,
    NeedlessReflect,
    ShowsItself,
    OpenDoor,
]
