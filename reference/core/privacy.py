"""Privacy (spec/privacy.md): which addresses a relay takes out of what it forwards, and who learns which.

An address goes to the other party of its call and to nobody else, and to that one only when the callee
has answered AcceptTrusted. Nothing here reads an address: whatever text stands there is one (CAND-6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from reference.core.messages import AcceptMode

if TYPE_CHECKING:
    from reference.core.messages import CallSetup, DirectCallAnswer, DirectCallOffer


class Advertised(NamedTuple):
    """What one party told of itself for one call: its reflexive and its host candidates, best first."""

    reflexive: str | None = None
    local: Sequence[str] = ()


NOTHING = Advertised()
"""A party that told nothing, or that nothing is to be told of."""


def by_caller(offer: DirectCallOffer) -> Advertised:
    """Return what the caller tells of itself; an empty list tells nothing (WIRE-13)."""
    return Advertised(offer.caller_reflexive_addr, offer.caller_local_addrs)


def offer_for_callee(offer: DirectCallOffer) -> DirectCallOffer:
    """Return the offer without the caller's candidates: they come with CallSetup (PRIV-1, PRIV-2)."""
    return replace(offer, caller_reflexive_addr=None, caller_local_addrs=())


def offer_for_deployed(offer: DirectCallOffer, caller: Advertised) -> DirectCallOffer:
    """Return the offer as a deployed relay needs it, which asks for the candidates no second time."""
    return replace(offer, caller_reflexive_addr=caller.reflexive, caller_local_addrs=caller.local)


def answer_for_caller(answer: DirectCallAnswer) -> DirectCallAnswer:
    """Return the answer, without the callee's candidates unless it is AcceptTrusted (PRIV-3, PRIV-4)."""
    if answer.accept_mode is AcceptMode.ACCEPT_TRUSTED:
        return answer
    return replace(answer, callee_reflexive_addr=None, callee_local_addrs=())


def setup_for_callee(setup: CallSetup, *, trusted: bool) -> CallSetup:
    """Return the setup that the caller's relay sent, without candidates unless wanted (PRIV-6)."""
    return setup if trusted else replace(setup, peer_direct_addr=None, peer_local_addrs=())


def exchanged(caller: Advertised, answer: DirectCallAnswer) -> tuple[Advertised, Advertised]:
    """Return what may be told of the caller and of the callee in the CallSetups of an accepted call.

    Either is told nothing of the other unless the answer is AcceptTrusted (PRIV-5, PRIV-6), and nothing
    stands for what was not advertised (CAND-3).
    """
    if answer.accept_mode is not AcceptMode.ACCEPT_TRUSTED:
        return NOTHING, NOTHING
    return caller, Advertised(answer.callee_reflexive_addr, answer.callee_local_addrs)
