"""Mutants of spec/reflection.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core.messages import Reflect
from reference.core.relay import RelayCore, ignored
from reference.core.sessions import Session
from tests.mutants import breaks

if TYPE_CHECKING:
    from reference.core.effects import Effect


def deaf_to(*, zero: bool) -> None:
    """Ignore a Reflect on connections that registered the zero key, or on all others."""
    honest = RelayCore._reflect

    def reflect(self: RelayCore, session: int, state: Session, now: float) -> list[Effect]:
        who = self.presence.registrant(session)
        if who is not None and who.zero is zero:
            return ignored(Reflect())
        return honest(self, session, state, now)

    RelayCore._reflect = reflect


@breaks("REFL-1", "REFL-2", "REFL-3")
def no_reflection() -> None:
    """Ignores Reflect on connections that registered a key."""
    deaf_to(zero=False)


@breaks("REFL-2")
def own_address() -> None:
    """Answers with its own address, until the client's changes."""
    honest = RelayCore.connected

    def connected(
        self: RelayCore, session: int, sni: str | None, address: str, now: float, *others: str | None
    ) -> list[Effect]:
        del address
        return honest(self, session, sni, self.setting.relay_addr, now, *others)

    RelayCore.connected = connected


@breaks("REFL-3")
def address_of_the_start() -> None:
    """Answers with the address of the connection's first packet, as deployed relays do."""
    RelayCore.moved = lambda self, session, address: []


@breaks("REFL-4")
def no_reflection_for_probes() -> None:
    """Ignores Reflect on connections that registered the zero key."""
    deaf_to(zero=True)


@breaks("REFL-5")
def any_rate() -> None:
    """Answers Reflect at any rate."""
    Session.may_reflect = lambda _self, _now: True
