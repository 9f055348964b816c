"""Rules: what the tests of the client's rules share, of which there is one file for each chapter.

Each test has the mark of its rule and one argument: a world whose first client is under test, or the parts
that a client has beside its machine (conftest.py). The time is driven here; the suite judges the same rules
from outside.

The client under test is alice. Where bob is a script, the connection between the two is told to alice's
machine by hand: its legs are numbered from FIRST_DIRECT in the order of her dials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reference.core.client import ClientCore
from reference.core.effects import Close, Dial, Effect, SendDatagram
from reference.core.errors import CloseCode
from reference.core.line import FIRST_DIRECT, Answer, Leg, Way
from reference.core.messages import AcceptMode, DirectCallAnswer, DirectCallOffer, MediaPathReport, Message
from tests.world import Client, Puppet, World, introduction, offer

CALL_ID = "c1"
SMALL, LARGE = "192.0.2.9:5000", "203.0.113.9:5000"
"""Addresses of a peer that make alice the dialer, and the acceptor."""
LAN, NEXT = "10.0.0.7:5000", "10.0.0.8:5000"
FIRST = FIRST_DIRECT
NAME = f"call-{CALL_ID}"


def callee(world: World) -> Client:
    """Return a client that keeps every rule and accepts every call."""
    return world.client("bob", Answer.TRUSTED, kind=ClientCore)


def talking(world: World) -> tuple[Client, Client]:
    """Return the client under test and the other end of a call that goes through the relay."""
    alice, bob = world.client("alice", way=Way.RELAY), callee(world)
    alice.place(bob)
    world.advance(1)
    assert ["talking"] == alice.events[-1:]
    return alice, bob


def from_the_relay(world: World, client: Client, message: Message) -> None:
    """Let the relay say what no honest relay would say now."""
    world.relay_says(client.legs[Leg.SIGNAL], message)
    world.settle()


def datagrams(client: Client) -> list[bytes]:
    """Return the datagrams that a client sent on its media connections."""
    return [one for one in client.sent(Leg.MEDIA) if isinstance(one, bytes)]


def acts(client: Client) -> list[Effect]:
    """Return the list in which everything will stand that the client's machine wants from now on."""
    seen: list[Effect] = []
    does = client.does

    def both(effects: Sequence[Effect], *, settle: bool = True) -> None:
        seen.extend(effects)
        does(effects, settle=settle)

    client.does = both  # type: ignore[method-assign, assignment]
    return seen


def called(
    world: World,
    alice: Client,
    reflexive: str | None = None,
    hosts: Sequence[str] = (),
    mode: AcceptMode = AcceptMode.ACCEPT_TRUSTED,
) -> Puppet:
    """Let alice call bob, a script, who accepts and names where he is."""
    bob = world.puppet("bob")
    alice.place(bob)
    world.advance(0.1)
    call_id = call_of(alice)
    accept = DirectCallAnswer(call_id=call_id, accept_mode=mode, callee_reflexive_addr=reflexive)
    bob.says(replace(accept, callee_local_addrs=hosts))
    return bob


def rings(world: World, alice: Client, answer: Answer) -> Puppet:
    """Let carol, a script, call alice, who answers."""
    carol = world.puppet("carol")
    told = {"caller_reflexive_addr": SMALL, "caller_local_addrs": [LAN]}
    carol.says(offer(carol.identity, alice.core.account.identity, CALL_ID, **told))
    alice.answer(answer)
    return carol


def call_of(alice: Client) -> str:
    """Return the id of the call that alice has."""
    assert alice.core.telephone.call is not None
    return alice.core.telephone.call.call_id


def answers(alice: Client) -> list[DirectCallAnswer]:
    """Return alice's answers."""
    return [one for one in alice.sent(Leg.SIGNAL) if isinstance(one, DirectCallAnswer)]


def offers(alice: Client) -> list[DirectCallOffer]:
    """Return alice's offers."""
    return [one for one in alice.sent(Leg.SIGNAL) if isinstance(one, DirectCallOffer)]


def reports(alice: Client) -> list[bool]:
    """Return what alice reported."""
    return [one.direct_ok for one in alice.sent(Leg.SIGNAL) if isinstance(one, MediaPathReport)]


def rooms(alice: Client) -> int:
    """Return how often alice has dialled a room."""
    return [leg for _, leg, _ in alice.links].count(Leg.MEDIA)


def dials(done: Sequence[Effect]) -> list[Dial]:
    """Return the dials of peers."""
    return [one for one in done if isinstance(one, Dial) and one.leg >= FIRST]


def closed(done: Sequence[Effect], code: CloseCode = CloseCode.NOT_SELECTED) -> set[int]:
    """Return the legs that were closed with a code."""
    return {one.session for one in done if isinstance(one, Close) and one.code is code}


def dialled(world: World, alice: Client, done: Sequence[Effect]) -> list[str]:
    """Let every dial of a peer fail until there is none any more; return where they went."""
    failed = 0
    while waiting := dials(done)[failed:]:
        for one in waiting:
            alice.direct_lost(one.leg, "refused")
            world.settle()
        failed += len(waiting)
    return [one.address for one in dials(done)]


def completes(alice: Client, leg: int = FIRST) -> None:
    """Let the handshake of a dial complete."""
    alice.does(alice.core.connected(leg, "", alice.world.now))


def comes_in(alice: Client, name: str | None = None) -> int:
    """Let a connection to alice complete, under a name of her call or another one; return its leg."""
    name = name or f"call-{call_of(alice)}"
    leg, effects = alice.core.accepted(name, LARGE, alice.world.now)
    alice.does(effects)
    return leg


def ends(alice: Client, leg: int = FIRST, code: CloseCode = CloseCode.NOT_SELECTED) -> None:
    """Let the other end close a direct connection."""
    alice.direct_lost(leg, "closed", code)
    alice.world.settle()


def reported(alice: Client, bob: Puppet, ok: bool) -> None:  # noqa: FBT001 - what he says
    """Let bob say how his attempt ended."""
    bob.says(MediaPathReport(call_id=call_of(alice), direct_ok=ok, race_winner="Direct"))


def joined(alice: Client, bob: Puppet) -> Puppet:
    """Let bob take his seat in the room of the call."""
    seat = alice.world.puppet("bob", f"call-{call_of(alice)}")
    seat.says(introduction(bob.identity))
    return seat


def direct(world: World) -> tuple[Client, Puppet, list[Effect]]:
    """Return alice as a dialer with a direct connection, which bob has said nothing of."""
    alice = world.client("alice")
    done = acts(alice)
    bob = called(world, alice, SMALL)
    completes(alice)
    return alice, bob, done


def spoken(alice: Client, done: Sequence[Effect]) -> list[int]:
    """Let alice say a word; return the legs on which it goes out."""
    before = len(done)
    effects = alice.core.telephone.speak(b"audio")
    alice.does(effects)
    return [one.session for one in done[before:] if isinstance(one, SendDatagram)]
