"""Mutants of spec/candidates.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core import privacy
from reference.core.addresses import parse_address
from reference.core.messages import AcceptMode, DirectCallAnswer
from reference.core.privacy import Advertised
from tests.mutants import breaks

if TYPE_CHECKING:
    from collections.abc import Callable


def readable(text: str) -> bool:
    """Tell whether a candidate is an address with a port."""
    try:
        parse_address(text)
    except ValueError:
        return False
    return True


def exchanging(
    caller: Callable[[Advertised], Advertised] = lambda told: told,
    callee: Callable[[Advertised], Advertised] = lambda told: told,
) -> None:
    """Change what the CallSetups of a call that was accepted with AcceptTrusted tell of either party."""
    honest = privacy.exchanged

    def exchanged(advertised: Advertised, answer: DirectCallAnswer) -> tuple[Advertised, Advertised]:
        of_caller, of_callee = honest(advertised, answer)
        if answer.accept_mode is not AcceptMode.ACCEPT_TRUSTED:
            return of_caller, of_callee
        return caller(of_caller), callee(of_callee)

    privacy.exchanged = exchanged


def without_reflexive(told: Advertised) -> Advertised:
    """Return what was told but for a reflexive candidate that can be read."""
    return told._replace(reflexive=None) if readable(told.reflexive or "") else told


def turned_round(told: Advertised) -> Advertised:
    """Return what was told, the host candidates last one first."""
    return told._replace(local=tuple(reversed(told.local)))


def made_up(told: Advertised) -> Advertised:
    """Return what was told, and an address that is nobody's where there was no reflexive candidate."""
    return told._replace(reflexive="0.0.0.0:0") if told.reflexive is None else told


def legible(told: Advertised) -> Advertised:
    """Return what can be read of what was told."""
    reflexive = told.reflexive if readable(told.reflexive or "") else None
    return Advertised(reflexive, tuple(one for one in told.local if readable(one)))


@breaks("CAND-1")
def caller_is_not_told() -> None:
    """Leaves the callee's reflexive candidate out of the caller's CallSetup."""
    exchanging(callee=without_reflexive)


@breaks("CAND-2")
def callee_is_not_told() -> None:
    """Leaves the caller's reflexive candidate out of the callee's CallSetup."""
    exchanging(caller=without_reflexive)


@breaks("CAND-3")
def nobody_is_somewhere() -> None:
    """Names an address in CallSetup where the other party advertised none."""
    exchanging(made_up, made_up)


@breaks("CAND-4")
def order_of_the_callee() -> None:
    """Turns the callee's host candidates round."""
    exchanging(callee=turned_round)


@breaks("CAND-5")
def order_of_the_caller() -> None:
    """Turns the caller's host candidates round."""
    exchanging(caller=turned_round)


@breaks("CAND-6")
def reads_candidates() -> None:
    """Drops candidates that are no address with a port."""
    exchanging(legible, legible)
