"""Checks of spec/privacy.md that a client has to pass: what a callee leaves undone that stays hidden."""

from __future__ import annotations

from conformance.checking import client
from conformance.client_ground import LARGE, SMALL
from conformance.client_stage import ClientStage
from conformance.verdicts import Untestable

GENERIC = "AcceptGeneric"
MEMBERS = ("callee_reflexive_addr", "callee_local_addrs")


async def _knows_its_address(stage: ClientStage, address: str) -> None:
    """Let the client be told its address in a call of its own; it may keep it."""
    stage.manners.observes = address
    await stage.online(**({"candidates": ["10.77.1.2"]} if stage.offers("candidates") else {}))
    offer = await stage.placed()
    await stage.hung_up(str(offer.body["call_id"]))


@client("PRIV-8")
async def test_who_stays_hidden_advertises_nothing(stage: ClientStage) -> None:
    """The client knows its addresses from an earlier call; no answer but AcceptTrusted may carry them."""
    await _knows_its_address(stage, LARGE)
    for mode in (GENERIC, "Reject"):
        call_id = await stage.rung()
        answer = await stage.answered(call_id, mode)
        told = {name: answer.body[name] for name in MEMBERS if answer.body.get(name)}
        assert not told, f"the answer {mode} tells {told}"
        if mode == GENERIC:
            await stage.hung_up(call_id)


@client("PRIV-9")
async def test_who_stays_hidden_asks_for_no_address(stage: ClientStage) -> None:
    """A call rings, and the user answers AcceptGeneric; no Reflect may come from the offer on."""
    signal = await stage.online()
    since = signal.mark()
    call_id = await stage.rung()
    await stage.settle()
    await stage.answered(call_id, GENERIC)
    await stage.settle()
    asked = len(signal.heard("Reflect", since))
    assert 0 == asked, f"{asked} Reflect came in a call that was answered AcceptGeneric"


@client("PRIV-10")
async def test_who_stays_hidden_dials_nobody(stage: ClientStage) -> None:
    """After AcceptGeneric a CallSetup names addresses of the caller; no packet may arrive there.

    The client knows its own address from an earlier call, and would be the dialer.
    """
    await _knows_its_address(stage, LARGE)
    parties = [await stage.party(name) for name in ("the caller", "a host of it")]
    call_id = await stage.rung()
    await stage.answered(call_id, GENERIC)
    stage.set_up(call_id, parties[0].address, [parties[1].address])
    await stage.joined()
    await stage.settle()
    for party in parties:
        sources = [packet.source for packet in party.host.packets]
        assert not sources, f"a packet arrived at {party.host.name}, from {sources[0]}"


@client("PRIV-11")
async def test_who_stays_hidden_lets_nobody_in(stage: ClientStage) -> None:
    """After AcceptGeneric the caller dials the client, before its CallSetup and behind it.

    Neither handshake may complete. The client knows its own address from an earlier call, and would be the
    acceptor. Its own handshake with the room is what is waited for meanwhile.
    """
    await _knows_its_address(stage, SMALL)
    party = await stage.party("the caller")
    stranger = await stage.dial(party, "call-of-nobody", handshake=None)
    call_id = await stage.rung()
    await stage.answered(call_id, GENERIC)
    dials = [await stage.dial(party, f"call-{call_id}", handshake=None)]
    await stage.settle()
    stage.set_up(call_id, LARGE)
    dials.append(await stage.dial(party, f"call-{call_id}", handshake=None))
    await stage.joined()
    await stage.settle()
    let_in = [when for when, dial in zip(("before", "behind"), dials, strict=True) if dial.connected]
    if let_in and stranger.connected:
        message = "the client lets in whoever dials it, even outside a call (RACE-7)"
        raise Untestable(message)
    assert not let_in, f"the caller got in {' and '.join(let_in)} the CallSetup"
