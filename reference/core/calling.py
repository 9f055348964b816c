"""Calling: what a client says when it places or accepts a call, and the race it enters with its setup.

The telephone decides when; here stands what (spec/call.md, spec/candidates.md, spec/race.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core.addresses import on_loopback, undialable
from reference.core.call import room_name
from reference.core.candidates import dial_list
from reference.core.media import GOOD
from reference.core.messages import AcceptMode, CallSetup, DirectCallAnswer, DirectCallOffer
from reference.core.phases import Phase
from reference.core.race import Race, Role, role, server_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from reference.core.line import Account, OwnCall


def offer(account: Account, call: OwnCall) -> DirectCallOffer:
    """Return the offer of a call that we place, with the addresses that were found (CAND-7)."""
    return DirectCallOffer(
        caller_fingerprint=account.identity.fingerprint,
        caller_alias=account.alias,
        target_fingerprint=call.peer,
        call_id=call.call_id,
        identity_pub=account.identity.public,
        ephemeral_pub=bytes(32),
        signature=b"",
        supported_profiles=[GOOD],
        caller_reflexive_addr=call.gathering.reflexive,
        caller_local_addrs=call.gathering.advertised_hosts,
        caller_build_version=account.build,
    )


def answer(account: Account, call: OwnCall) -> DirectCallAnswer:
    """Return the answer; only who trusts the caller has gathered addresses (CAND-8, PRIV-8)."""
    return DirectCallAnswer(
        call_id=call.call_id,
        accept_mode=call.mode or AcceptMode.REJECT,
        chosen_profile=GOOD,
        callee_reflexive_addr=call.gathering.reflexive,
        callee_local_addrs=call.gathering.advertised_hosts,
        callee_build_version=account.build,
    )


def expected(account: Account, call: OwnCall) -> frozenset[str]:
    """Return the server names under which the other end may come before we know of the setup."""
    direct = account.phase >= Phase.RACE and call.gathering.reflexive is not None
    return server_names(call.call_id) if direct else frozenset()


def race(
    account: Account,
    call: OwnCall,
    setup: CallSetup,
    families: Collection[int],
    new_leg: Callable[[], int],
) -> Race:
    """Return the direct attempt of a call; without the callee's trust there is none (PRIV-10, PRIV-11)."""
    peer = setup.peer_direct_addr
    direct = account.phase >= Phase.RACE and call.mode is AcceptMode.ACCEPT_TRUSTED
    what = role(call.gathering.reflexive, peer) if direct else Role.NONE
    loopback = on_loopback(account.relay)
    found = dial_list(peer, setup.peer_local_addrs, loopback=loopback, families=families)
    return Race(call.call_id, what, found if what is Role.DIALER else (), new_leg)


def setting(setup: CallSetup, race: Race) -> dict[str, object]:
    """Return what the user is told of a setup: what its relay told of the other end, and what is dialled."""
    told = [*filter(None, [setup.peer_direct_addr]), *setup.peer_local_addrs]
    there = {"told": told, "candidates": list(race.candidates)}
    return {"relay_addr": setup.relay_addr, "role": race.role, **there}


def wrong(account: Account, setup: CallSetup) -> str:
    """Return why a CallSetup cannot be followed, or ""."""
    if setup.room != room_name(setup.call_id):
        return f"the relay names the room {setup.room!r}, not {room_name(setup.call_id)!r}"
    reason = undialable(setup.relay_addr, loopback=on_loopback(account.relay))
    return f"the relay sends us to {setup.relay_addr}: {reason}" if reason else ""
