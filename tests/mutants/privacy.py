"""Mutants of spec/privacy.md."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference.core import privacy
from reference.core.call import By, Call, Says
from reference.core.messages import AcceptMode, DirectCallAnswer, Message
from reference.core.privacy import NOTHING, Advertised
from tests.mutants import breaks

if TYPE_CHECKING:
    from collections.abc import Callable


@breaks("PRIV-1")
def rings_with_an_address() -> None:
    """Leaves the caller's reflexive candidate in the offer to the callee, as deployed relays do."""
    honest = privacy.offer_for_callee
    privacy.offer_for_callee = lambda offer: replace(
        honest(offer), caller_reflexive_addr=offer.caller_reflexive_addr
    )


@breaks("PRIV-2")
def rings_with_host_candidates() -> None:
    """Leaves the caller's host candidates in the offer to the callee, as deployed relays do."""
    honest = privacy.offer_for_callee
    privacy.offer_for_callee = lambda offer: replace(
        honest(offer), caller_local_addrs=offer.caller_local_addrs
    )


@breaks("PRIV-3")
def answers_with_an_address() -> None:
    """Leaves the callee's reflexive candidate in an answer that is AcceptGeneric."""
    honest = privacy.answer_for_caller
    privacy.answer_for_caller = lambda answer: replace(
        honest(answer), callee_reflexive_addr=answer.callee_reflexive_addr
    )


@breaks("PRIV-4")
def answers_with_host_candidates() -> None:
    """Leaves the callee's host candidates in an answer that is AcceptGeneric."""
    honest = privacy.answer_for_caller
    privacy.answer_for_caller = lambda answer: replace(
        honest(answer), callee_local_addrs=answer.callee_local_addrs
    )


def without_trust(telling: Callable[[Advertised, Advertised], tuple[Advertised, Advertised]]) -> None:
    """Change what is told of caller and callee when the answer was AcceptGeneric."""
    honest = privacy.exchanged

    def exchanged(caller: Advertised, answer: DirectCallAnswer) -> tuple[Advertised, Advertised]:
        if answer.accept_mode is AcceptMode.ACCEPT_TRUSTED:
            return honest(caller, answer)
        return telling(*honest(caller, replace(answer, accept_mode=AcceptMode.ACCEPT_TRUSTED)))

    privacy.exchanged = exchanged


@breaks("PRIV-5")
def caller_learns_anyway() -> None:
    """Puts the callee's candidates into the caller's CallSetup of a call accepted with AcceptGeneric."""
    without_trust(lambda _caller, callee: (NOTHING, callee))


@breaks("PRIV-6")
def callee_learns_anyway() -> None:
    """Puts the caller's candidates into the callee's CallSetup of a call accepted with AcceptGeneric."""
    without_trust(lambda caller, _callee: (caller, NOTHING))


@breaks("PRIV-7")
def one_address_for_all_calls() -> None:
    """Keeps the candidates of a caller and not those of a call, so that those of the newest offer count."""
    told: dict[str, Advertised] = {}
    honest = Call.spoken

    def spoken(self: Call, says: Says, to: By, forwarded: Message | None, relay_addr: str) -> Message:
        if self.advertised != NOTHING:
            if says is Says.OFFER:
                told[self.caller] = self.advertised
            elif says is Says.SETUP:
                self.advertised = told[self.caller]
        return honest(self, says, to, forwarded, relay_addr)

    Call.spoken = spoken
