"""Rules of the client: every requirement that clients have, played against the machine.

Each test has the mark of its rule and one argument: a world whose first client is under test, or the parts
that a client has beside its machine. The time is driven here; the suite judges the same rules from outside.

The client under test is alice. Where bob is a script, the connection between the two is told to alice's
machine by hand: its legs are numbered from FIRST_DIRECT in the order of her dials.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest

from reference.core import media, wire
from reference.core.addresses import parse_address
from reference.core.client import ClientCore
from reference.core.effects import Close, Dial, Effect, Send, SendDatagram
from reference.core.errors import CloseCode, HangupReason, Misuse
from reference.core.line import FIRST_DIRECT, Account, Answer, Leg, Way
from reference.core.messages import (
    AcceptMode,
    AuthToken,
    CallAnswer,
    CallOffer,
    CallSetup,
    DirectCallAnswer,
    DirectCallOffer,
    Hangup,
    MediaPathReport,
    Message,
    Reflect,
    ReflectResponse,
    RegisterPresence,
    RegisterPresenceAck,
    RoomUpdate,
)
from reference.core.phases import NEWEST, Phase
from reference.core.reflection import Verdict
from reference.handler import EndpointLimits
from reference.sockets import Sockets
from tests.loopback.conftest import CREDENTIALS, LOOPBACK, Recorder, Watched, opened, run
from tests.mutants.client_base import Parts
from tests.world import KEY, RELAY, Client, Puppet, World, identity, introduction, offer
from tools.chapters import table

CALL_ID = "c1"
SETUP = CallSetup(call_id=CALL_ID, room=f"call-{CALL_ID}", relay_addr=RELAY)
LARGEST = 1150
SMALL, LARGE = "192.0.2.9:5000", "203.0.113.9:5000"
"""Addresses of a peer that make alice the dialer, and the acceptor."""
LAN, NEXT = "10.0.0.7:5000", "10.0.0.8:5000"
FIRST = FIRST_DIRECT
NAME = f"call-{CALL_ID}"


@pytest.fixture
def world() -> World:
    """Return an empty world."""
    return World(ClientCore, phase=NEWEST)


@pytest.fixture
def parts() -> Parts:
    """Return what a client has beside its machine."""
    return Parts()


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


@pytest.mark.rule("REG-1")
def test_registration_comes_first(world: World) -> None:
    """RegisterPresence is the first message of each signal connection, the second one too."""
    alice = world.client("alice")
    alice.does(alice.core.ping(1))
    world.cut(alice.legs[Leg.SIGNAL])
    world.advance(10)
    assert 2 == len(alice.links)
    assert [RegisterPresence] * 2 == [type(link.sent[0]) for _, _, link in alice.links]


@pytest.mark.rule("REG-26")
def test_a_token_comes_before_the_registration(world: World) -> None:
    """A client that has a token shows it first, on each signal connection, and never in a room."""
    alice = world.client("alice")
    alice.core.account = replace(alice.core.account, token="hunter2")  # noqa: S106 - a test's
    world.cut(alice.legs[Leg.SIGNAL])
    world.advance(10)
    token, hello = alice.links[-1][2].sent[:2]
    assert isinstance(token, AuthToken)
    assert ("hunter2", RegisterPresence) == (token.token, type(hello))
    assert "hunter2" not in f"{alice.core.account}"


@pytest.mark.rule("REG-15")
def test_a_replaced_client_stays_away(world: World) -> None:
    """After a close with REPLACED the client does not connect again in a day."""
    alice = world.client("alice")
    world.puppet("alice")
    world.advance(86_400)
    assert 1 == len(alice.links)
    assert "alice <x relay REPLACED" in world.journal
    assert "replaced" == alice.told[-1].members["kind"]


@pytest.mark.rule("REG-16")
def test_attempts_are_spaced(world: World) -> None:
    """Attempts to restore a lost connection are 1, 2, 4, 8, 15, 30 and again 30 s apart at least."""
    alice = world.client("alice")
    world.reachable = False
    lost_at = world.now
    world.cut(alice.legs[Leg.SIGNAL])
    world.settle()
    world.advance(120)
    attempts = [lost_at, *(when for when, _, _ in alice.links[1:])]
    waits = [after - before for before, after in pairwise(attempts)]
    assert 7 <= len(waits)
    assert all(wait >= least for wait, least in zip(waits, [1, 2, 4, 8, 15, 30, 30], strict=False)), waits


@pytest.mark.rule("REG-16")
def test_attempts_that_nobody_answers_are_spaced(world: World) -> None:
    """An attempt that meets only silence is given up, and the next one is not sooner for it."""
    alice = world.client("alice")
    world.rewrite = lambda _: Hangup(reason=HangupReason.ERROR)  # no acknowledgement any more
    world.cut(alice.legs[Leg.SIGNAL])
    world.settle()
    world.advance(80)
    waits = [after[0] - before[0] for before, after in pairwise(alice.links)]
    assert 5 <= len(waits)
    assert all(wait >= least for wait, least in zip(waits, [1, 2, 4, 8, 15], strict=False)), waits


@pytest.mark.rule("CALL-35")
def test_a_setup_out_of_the_blue_is_ignored(world: World) -> None:
    """No connection follows a CallSetup when no call is on, and none when another call was placed."""
    alice, bob = world.client("alice"), world.puppet("bob")
    from_the_relay(world, alice, SETUP)
    alice.place(bob)
    from_the_relay(world, alice, SETUP)
    assert [Leg.SIGNAL] == [leg for _, leg, _ in alice.links]


@pytest.mark.rule("CALL-35")
def test_a_setup_of_a_rejected_call_is_ignored(world: World) -> None:
    """No connection follows a CallSetup for a call that the client rejected."""
    bob = world.client("bob", Answer.REJECT)
    alice = world.puppet("alice")
    alice.says(offer(alice.identity, bob.core.account.identity, CALL_ID))
    assert "Hangup{Declined}" == alice.hears()[-1]
    from_the_relay(world, bob, SETUP)
    assert [Leg.SIGNAL] == [leg for _, leg, _ in bob.links]


@pytest.mark.rule("CALL-36")
def test_a_call_id_is_drawn(world: World) -> None:
    """Each call has a call_id of its own: 16 bytes from the source of randomness, as lowercase hex."""
    alice, bob = world.client("alice"), world.puppet("bob")
    for _ in range(3):
        alice.place(bob)
        alice.hangup()
    call_ids = [one.call_id for one in offers(alice)]
    assert 3 == len(set(call_ids))
    assert [16] * 3 == [len(bytes.fromhex(call_id)) for call_id in call_ids]
    assert set(call_ids) <= {drawn.hex() for drawn in alice.drawn}


@pytest.mark.rule("CALL-37")
def test_a_hangup_ends_the_media(world: World) -> None:
    """After a Hangup the client sends no datagram any more, though its connection would take it."""
    alice, _ = talking(world)
    alice.speaks(b"before")
    from_the_relay(world, alice, Hangup(reason=HangupReason.NORMAL))
    alice.speaks(b"after", b"after")
    assert [b"before"] == [media.split(one)[1] for one in datagrams(alice)]


@pytest.mark.rule("CALL-38")
def test_hangup_goes_first(world: World) -> None:
    """A client that ends its call sends Hangup and closes the media connection after it."""
    alice, _ = talking(world)
    mark = len(world.journal)
    alice.hangup()
    mine = [line for line in world.journal[mark:] if line.startswith("alice") and "relay" in line]
    assert ["alice -> relay Hangup{Normal}", "alice x> relay " + alice.links[-1][2].sni] == mine[:2]


@pytest.mark.rule("CALL-39")
def test_nobody_accepts_but_the_user(world: World) -> None:
    """A client that was told nothing lets it ring, and says nothing but what its user decides."""
    bob, alice = world.client("bob"), world.puppet("alice")
    alice.says(offer(alice.identity, bob.core.account.identity, CALL_ID))
    world.advance(30)
    assert [] == answers(bob)
    assert "incoming" in bob.events
    bob.answer(Answer.GENERIC)
    assert [AcceptMode.ACCEPT_GENERIC] == [one.accept_mode for one in answers(bob)]


@pytest.mark.rule("MEDIA-26")
def test_datagrams_are_counted(world: World) -> None:
    """The sequence number grows by one with every datagram, over silence and over a new connection."""
    alice, _ = talking(world)
    alice.speaks(b"a", b"b", None, b"c")
    world.cut(alice.legs[Leg.MEDIA])
    world.advance(2)
    alice.speaks(b"d", b"e")
    sequences = [media.Header.decode(one).sequence for one in datagrams(alice)]
    assert 5 == len(sequences)
    assert [1] * 4 == [(after - before) % 65_536 for before, after in pairwise(sequences)]


@pytest.mark.rule("MEDIA-27")
def test_silence_takes_time(world: World) -> None:
    """The timestamp grows by 20 ms with every frame of audio, those that are not sent included."""
    alice, _ = talking(world)
    alice.speaks(b"a", b"b", None, None, b"c")
    stamps = [media.Header.decode(one).timestamp for one in datagrams(alice)]
    assert [20, 60] == [(after - before) % 2**32 for before, after in pairwise(stamps)]


@pytest.mark.rule("MEDIA-28")
def test_no_datagram_is_too_large(world: World) -> None:
    """The largest payload makes 1150 bytes; a larger one is not sent at all."""
    alice, bob = talking(world)
    alice.speaks(bytes(LARGEST - media.HEADER_SIZE))
    with suppress(Misuse):
        alice.speaks(bytes(LARGEST - media.HEADER_SIZE + 1))
    assert [LARGEST] == [len(one) for one in datagrams(alice)]
    assert [LARGEST] == [len(one) for one in bob.heard]


@pytest.mark.rule("MEDIA-29")
def test_a_participant_introduces_itself_first(world: World) -> None:
    """CallOffer is the first on a media connection, whatever the user says meanwhile."""
    alice, bob = world.client("alice", way=Way.RELAY), callee(world)
    alice.does(alice.core.place(bob.fingerprint, world.now), settle=False)
    world.settle(between=alice.mumbles)
    world.advance(1)
    alice.speaks(b"audio")
    first, *rest = alice.sent(Leg.MEDIA)
    assert isinstance(first, CallOffer)
    assert rest
    assert {bytes} == {type(one) for one in rest}


@pytest.mark.rule("MEDIA-30")
def test_a_false_answer_ends_the_stay(world: World) -> None:
    """After a CallAnswer that another key signed the client closes the connection and sends no media."""
    alice, stranger = world.client("alice"), identity("a stranger")

    def forged(message: Message) -> Message:
        if isinstance(message, CallAnswer):
            return replace(message, signature=stranger.sign(message.ephemeral_pub + media.ANSWER))
        return message

    world.rewrite = forged
    bob = called(world, alice)
    world.advance(1)
    world.puppet("bob", f"call-{offers(alice)[0].call_id}").says(introduction(bob.identity))
    alice.speaks(b"audio")
    assert [CallOffer] == [type(one) for one in alice.sent(Leg.MEDIA)]
    assert Leg.MEDIA not in alice.legs


@pytest.mark.rule("SEC-2")
def test_a_pin_is_kept(world: World) -> None:
    """A client with a pin registers at the relay that has it, and says nothing to one that has not."""
    right = world.client("alice", pin=KEY)
    assert "registered" in right.events
    wrong = world.client("bob", pin=":".join(["00"] * 32))
    assert [] == wrong.sent(Leg.SIGNAL)
    assert "bob x> relay _signal" in world.journal
    assert "wrong-key" == wrong.told[-1].members["kind"]


@pytest.mark.rule("REFL-6")
def test_an_old_relay_is_not_waited_for(world: World) -> None:
    """A second after the call was placed the offer goes out without an address when no relay reflects."""
    world.phase = Phase.SIGNALLED_CALL
    alice, bob = world.client("alice", phase=NEWEST), world.puppet("bob")
    alice.place(bob)
    world.advance(1)
    assert [None] == [one.caller_reflexive_addr for one in offers(alice)]


@pytest.mark.rule("REFL-6")
def test_an_old_relay_does_not_hold_up_an_answer(world: World) -> None:
    """A second after the user accepted the answer goes out, without an address."""
    world.phase = Phase.SIGNALLED_CALL
    alice = world.client("alice", phase=NEWEST)
    rings(world, alice, Answer.TRUSTED)
    world.advance(1)
    assert [None] == [one.callee_reflexive_addr for one in answers(alice)]


@pytest.mark.rule("REFL-7")
def test_an_address_goes_with_its_connection(world: World) -> None:
    """On a new connection the client advertises what it is told there, or nothing at all."""
    alice, bob = world.client("alice"), world.puppet("bob")
    told = [f"198.51.100.{host}:4000" for host in (7, 8, 9)]
    for address, phase in zip(told, (NEWEST, NEWEST, Phase.SIGNALLED_CALL), strict=True):
        alice.address, world.phase = address, phase
        world.cut(alice.legs[Leg.SIGNAL])
        world.advance(10)
        alice.place(bob)
        world.advance(10)
        alice.hangup()
    _, second, third = (one.caller_reflexive_addr for one in offers(alice))
    assert told[0] not in {second, third}
    assert told[1] != third


@pytest.mark.rule("REFL-8")
def test_private_observations_say_nothing(parts: Parts) -> None:
    """However many private, shared or loopback addresses relays saw, one public address gives no verdict."""
    public = "192.0.2.1:4433"
    for hidden in ("10.0.0.1:1", "192.168.1.100:4433", "100.64.0.42:4433", "127.0.0.1:4433", "[fd00::1]:1"):
        assert (Verdict.UNKNOWN, None) == parts.classify([hidden, public])
        assert (Verdict.CONE, public) == parts.classify([hidden, public, public])


@pytest.mark.rule("REFL-9")
def test_a_verdict_is_that_of_the_table(parts: Parts) -> None:
    """Each row of the table of verdicts: fewer than two, different addresses, one mapping, several ports."""
    here = "192.0.2.1:4433"
    cases = {
        "fewer than two": [here],
        "different IP addresses": [here, "198.51.100.9:4433"],
        "one IP address and one port": [here, here],
        "one IP address and different ports": [here, "192.0.2.1:51234"],
    }
    expected = {row[0]: row[1] for row in table("reflection", "public observations", "verdict").rows}
    assert expected == {row: str(parts.classify(seen)[0]) for row, seen in cases.items()}


@pytest.mark.rule("CAND-7")
def test_a_caller_advertises_what_its_relay_saw(world: World) -> None:
    """The offer carries the address of the ReflectResponse."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.place(bob)
    assert [alice.address] == [one.caller_reflexive_addr for one in offers(alice)]


@pytest.mark.rule("CAND-8")
def test_a_trusting_callee_advertises_what_its_relay_saw(world: World) -> None:
    """An AcceptTrusted answer carries the address of the ReflectResponse."""
    alice = world.client("alice", Answer.TRUSTED)
    rings(world, alice, Answer.TRUSTED)
    assert [alice.address] == [one.callee_reflexive_addr for one in answers(alice)]


@pytest.mark.rule("CAND-9")
def test_only_hosts_of_the_table_are_advertised(world: World) -> None:
    """Of many addresses a client advertises those of the table, in offers and in answers."""
    alice, bob = world.client("alice", Answer.TRUSTED), world.puppet("bob")
    good = ["10.1.2.3", "172.31.0.1", "192.168.7.7", "100.127.0.1", "2001:db8::5", "fd00::5"]
    alice.interfaces = ["127.0.0.1", "169.254.3.4", "8.8.8.8", *good, "172.32.0.1", "::1", "fe80::1"]
    alice.ports = {4: 5000, 6: 6000}
    alice.place(bob)
    alice.hangup()
    rings(world, alice, Answer.TRUSTED)
    (offered,), (answered,) = offers(alice), answers(alice)
    for named in (offered.caller_local_addrs, answered.callee_local_addrs):
        assert good == [parse_address(text)[0] for text in named]


@pytest.mark.rule("CAND-10")
def test_host_candidates_have_the_port_that_accepts(world: World) -> None:
    """Each host candidate has the port of the socket of its family, whatever port the relay saw."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.interfaces, alice.ports = ["10.1.2.3", "fd00::5"], {4: 5555, 6: 6666}
    alice.place(bob)
    (offered,) = offers(alice)
    assert {"10.1.2.3:5555", "[fd00::5]:6666"} <= set(offered.caller_local_addrs)


@pytest.mark.rule("CAND-11")
def test_slow_interfaces_are_not_waited_for(world: World) -> None:
    """When the interfaces are not listed 100 ms later, offer and answer go out without them."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice._list = lambda: None  # type: ignore[method-assign]
    alice.place(bob)
    world.advance(0.1)
    assert 1 == len(offers(alice))
    alice.hangup()
    rings(world, alice, Answer.TRUSTED)
    world.advance(0.1)
    assert 1 == len(answers(alice))


@pytest.mark.rule("CAND-12")
def test_nobody_is_told_of_a_family_without_a_socket(world: World) -> None:
    """Without an IPv6 socket no IPv6 address of the interfaces is advertised."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.interfaces, alice.ports = ["192.168.1.1", "2001:db8::5"], {4: 5000}
    alice.place(bob)
    alice.hangup()
    rings(world, alice, Answer.TRUSTED)
    (offered,), (answered,) = offers(alice), answers(alice)
    named = [*offered.caller_local_addrs, *answered.callee_local_addrs]
    assert named
    assert [] == [text for text in named if text.startswith("[")]


@pytest.mark.rule("CAND-13")
def test_one_bad_candidate_costs_nobody_the_others(world: World) -> None:
    """Between entries that cannot be read or must not be dialled, the good ones are dialled."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, ["nonsense", LAN, "host.invalid:5000", "127.0.0.1:5000", "10.0.0.7", NEXT])
    assert {LAN, NEXT, SMALL} <= set(dialled(world, alice, done))


@pytest.mark.rule("CAND-14")
def test_forbidden_addresses_are_never_dialled(world: World) -> None:
    """No address of the table is dialled, whoever names it, as a host candidate or as the reflexive one."""
    rows = table("candidates", "never dialled, whoever names it", "example").rows
    forbidden = [text.strip(" `") for _, cell in rows for text in cell.split(",")]
    assert len(rows) <= len(forbidden)
    for reflexive in (SMALL, "0.0.0.0:4433", "127.0.0.1:4433"):
        again = World(world.client_kind, phase=NEWEST)
        alice = again.client("alice")
        alice.core.telephone.families = frozenset({4, 6})
        done = acts(alice)
        called(again, alice, reflexive, [*forbidden, LAN])
        found = dialled(again, alice, done)
        assert found or reflexive != SMALL
        assert set() == set(found) - {SMALL, LAN}


@pytest.mark.rule("CAND-15")
def test_a_list_of_many_is_no_weapon(world: World) -> None:
    """Of 40 candidates at most 16 are dialled."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [f"10.0.1.{host}:5000" for host in range(1, 40)])
    assert 1 <= len(set(dialled(world, alice, done))) <= 16


@pytest.mark.rule("CAND-16")
def test_a_candidate_is_dialled_once(world: World) -> None:
    """However often and in whatever form an address is named, it is dialled once."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN, "[::ffff:10.0.0.7]:5000", LAN, SMALL, "[::ffff:a00:7]:5000"])
    assert {LAN: 1, SMALL: 1} == Counter(dialled(world, alice, done))


@pytest.mark.rule("CAND-17")
def test_a_client_with_both_sockets_dials_both_families(world: World) -> None:
    """An IPv6 candidate is dialled by a client that has an IPv6 socket, beside the IPv4 ones."""
    alice = world.client("alice")
    alice.core.telephone.families = frozenset({4, 6})
    done = acts(alice)
    called(world, alice, SMALL, ["[2001:db8::7]:5000"])
    assert "[2001:db8::7]:5000" in dialled(world, alice, done)


@pytest.mark.rule("PRIV-8")
def test_who_stays_hidden_advertises_nothing(world: World) -> None:
    """An AcceptGeneric answer carries no address, though the client knows its own from an earlier call."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.place(bob)
    alice.hangup()
    rings(world, alice, Answer.GENERIC)
    (answered,) = answers(alice)
    assert (None, ()) == (answered.callee_reflexive_addr, tuple(answered.callee_local_addrs))


@pytest.mark.rule("PRIV-9")
def test_who_stays_hidden_asks_for_no_address(world: World) -> None:
    """Between an offer and its AcceptGeneric answer there is no Reflect, whoever decides."""
    alice = world.client("alice")
    rings(world, alice, Answer.GENERIC)
    dora = world.client("dora", Answer.GENERIC)
    bob = world.puppet("bob")
    bob.says(offer(bob.identity, dora.core.account.identity, "c2"))
    for one in (alice, dora):
        assert 1 == len(answers(one))
        assert [] == [message for message in one.sent(Leg.SIGNAL) if isinstance(message, Reflect)]


def setup_with_addresses(message: Message) -> Message:
    """Return a CallSetup with addresses that no honest relay would tell."""
    if isinstance(message, CallSetup):
        return replace(message, peer_direct_addr=SMALL, peer_local_addrs=[LAN])
    return message


@pytest.mark.rule("PRIV-10")
def test_who_stays_hidden_dials_nobody(world: World) -> None:
    """After an AcceptGeneric answer no peer is dialled, whatever CallSetup says."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.place(bob)
    alice.hangup()
    done = acts(alice)
    world.rewrite = setup_with_addresses
    rings(world, alice, Answer.GENERIC)
    world.advance(3)
    assert "setup" in alice.events
    assert [] == dials(done)


@pytest.mark.rule("PRIV-11")
def test_who_stays_hidden_lets_nobody_in(world: World) -> None:
    """After an AcceptGeneric answer no server name is welcome, before CallSetup and behind it."""
    alice = world.client("alice")
    welcome: list[frozenset[str]] = []
    carol = world.puppet("carol")
    carol.says(offer(carol.identity, alice.core.account.identity, CALL_ID))
    world.rewrite = lambda message: (
        replace(message, peer_direct_addr=LARGE) if isinstance(message, CallSetup) else message
    )
    alice.does(alice.core.answer(Answer.GENERIC, world.now), settle=False)
    world.settle(between=lambda: welcome.append(alice.welcome))
    assert "setup" in alice.events
    assert {frozenset()} == {*welcome, alice.welcome}


@pytest.mark.rule("RACE-1")
def test_the_larger_text_dials_and_the_smaller_one_accepts(world: World) -> None:
    """Roles follow from the two addresses compared as text, and both ends compare alike."""
    pairs = [
        ("192.0.2.1:4433", "198.51.100.9:4433"),
        ("127.0.0.1:4433", "127.0.0.1:54321"),
        ("10.0.0.1:1", "9.0.0.1:1"),
        ("192.0.2.1:4433", "[2001:db8::1]:4433"),
    ]
    for smaller, larger in pairs:
        assert "acceptor" == role_of(world, smaller, larger)
        assert "dialer" == role_of(world, larger, smaller)


def role_of(world: World, own: str | None, peer: str | None) -> str:
    """Return what a client does with two reflexive addresses: dial, let in, or neither."""
    again = World(world.client_kind, phase=NEWEST)
    again.rewrite = lambda message: (
        replace(message, observed_addr=own or "unknown") if isinstance(message, ReflectResponse) else message
    )
    alice = again.client("alice")
    done = acts(alice)
    called(again, alice, peer, [LAN])
    names = frozenset({f"call-{call_of(alice)}", f"call-call-{call_of(alice)}"})
    does = {(True, frozenset()): "dialer", (False, names): "acceptor", (False, frozenset()): "none"}
    return does.get((bool(dials(done)), alice.welcome), f"{dials(done)}, welcome {alice.welcome}")


@pytest.mark.rule("RACE-2")
def test_without_two_addresses_there_is_no_direct_attempt(world: World) -> None:
    """With an address missing, unreadable or the peer's own, nobody is dialled and nobody let in."""
    for own, peer in [(SMALL, None), (SMALL, SMALL), (SMALL, "nonsense"), (None, SMALL), (None, None)]:
        assert "none" == role_of(world, own, peer)


@pytest.mark.rule("RACE-3")
def test_all_candidates_are_dialled_at_once(world: World) -> None:
    """Every candidate is dialled before anything is known of another one."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN, NEXT])
    assert [LAN, NEXT, SMALL] == [one.address for one in dials(done)]


@pytest.mark.rule("RACE-4")
def test_a_dialer_names_the_call(world: World) -> None:
    """Every direct dial has the server name `call-<call_id>`."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN])
    assert {f"call-{call_of(alice)}"} == {one.sni for one in dials(done)}


@pytest.mark.rule("RACE-5")
def test_the_first_handshake_wins(world: World) -> None:
    """The attempt that completes first is kept; those under way are closed, and late ones too."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN, NEXT])
    completes(alice, FIRST + 1)
    assert {FIRST, FIRST + 2} == closed(done)
    completes(alice, FIRST)
    assert FIRST + 1 not in closed(done)
    assert [Close(FIRST, CloseCode.NOT_SELECTED)] == done[-1:]


@pytest.mark.rule("RACE-6")
def test_one_failure_is_no_failure(world: World) -> None:
    """While an attempt is open no failure is reported and no room dialled; the open one may still win."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN])
    ends(alice, FIRST)
    assert ([], 0) == (reports(alice), rooms(alice))
    completes(alice, FIRST + 1)
    assert [True] == reports(alice)
    assert FIRST + 1 not in closed(done)


@pytest.mark.rule("RACE-7")
def test_strangers_are_refused(world: World) -> None:
    """An acceptor closes what comes under another name than its call's two, and any client outside a call."""
    alice = world.client("alice")
    leg, effects = alice.core.accepted(NAME, LARGE, world.now)
    assert [leg] == [one.session for one in effects if isinstance(one, Close)]
    assert frozenset() == alice.welcome
    called(world, alice, LARGE)
    own = f"call-{call_of(alice)}"
    assert {own, f"call-{own}"} == alice.welcome
    for name in ("call-another", "_signal", f"call-call-{own}", None):
        leg, effects = alice.core.accepted(name, LARGE, world.now)
        assert [leg] == [one.session for one in effects if isinstance(one, Close)]
    alice.hangup()
    assert frozenset() == alice.welcome


@pytest.mark.rule("RACE-8")
def test_a_stranger_does_not_use_up_the_attempt(world: World) -> None:
    """After a refusal the connection of the call is let in, under either name."""
    alice = world.client("alice")
    called(world, alice, LARGE)
    comes_in(alice, "call-another")
    for name in (f"call-{call_of(alice)}", f"call-call-{call_of(alice)}"):
        _, effects = alice.core.accepted(name, LARGE, world.now)
        assert [] == [
            one for one in effects if isinstance(one, Close) and one.code is CloseCode.NO_SUCH_SERVICE
        ]


@pytest.mark.rule("RACE-9")
def test_an_acceptor_keeps_what_it_accepted(world: World) -> None:
    """Several connections of the call stay open until the dialer closes all but one."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, LARGE)
    first, second = comes_in(alice), comes_in(alice)
    assert set() == {first, second} & {one.session for one in done if isinstance(one, Close)}
    ends(alice, first)
    assert second not in {one.session for one in done if isinstance(one, Close)}


@pytest.mark.rule("RACE-10")
def test_nobody_speaks_on_a_closed_connection(world: World) -> None:
    """When the dialer closes the connection that came first, the acceptor speaks on the one that is left."""
    alice = world.client("alice")
    done = acts(alice)
    bob = called(world, alice, LARGE)
    first, second = comes_in(alice), comes_in(alice)
    reported(alice, bob, ok=True)
    ends(alice, first)
    assert [second] == spoken(alice, done)


@pytest.mark.rule("RACE-17")
def test_the_dialers_first_word_settles_the_connection(world: World) -> None:
    """The connection on which media arrives is kept, and who comes later with the call's name is refused."""
    alice = world.client("alice")
    done = acts(alice)
    bob = called(world, alice, LARGE)
    first = comes_in(alice)
    reported(alice, bob, ok=True)
    alice.does(alice.core.heard(first, world.now))
    late = comes_in(alice)
    assert {late} == {one.session for one in done if isinstance(one, Close)} & {first, late}
    assert [first] == spoken(alice, done)


@pytest.mark.rule("RACE-16")
def test_a_quick_dialer_is_let_in(world: World) -> None:
    """A connection of the call that comes before the CallSetup is kept, and carries media behind it."""
    alice, bob = world.client("alice"), world.puppet("bob")
    done = acts(alice)
    alice.place(bob)
    leg = comes_in(alice)
    accept = DirectCallAnswer(call_id=call_of(alice), accept_mode=AcceptMode.ACCEPT_TRUSTED)
    bob.says(replace(accept, callee_reflexive_addr=LARGE))
    reported(alice, bob, ok=True)
    assert [leg] == spoken(alice, done)


@pytest.mark.rule("RACE-11")
def test_a_dialer_gives_up_after_two_seconds(world: World) -> None:
    """Two seconds after CallSetup every dial that is still under way is closed."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN])
    world.advance(2)
    assert dials(done)
    assert {one.leg for one in dials(done)} <= closed(done)


@pytest.mark.rule("RACE-11")
def test_an_acceptor_gives_up_after_two_seconds(world: World) -> None:
    """Two seconds after CallSetup nobody is let in any more."""
    alice = world.client("alice")
    called(world, alice, LARGE)
    world.advance(2)
    leg, effects = alice.core.accepted(f"call-{call_of(alice)}", LARGE, world.now)
    assert [leg] == [one.session for one in effects if isinstance(one, Close)]
    assert frozenset() == alice.welcome


@pytest.mark.rule("RACE-12")
def test_the_relay_is_spared_for_half_a_second(world: World) -> None:
    """While the direct attempt is open no room is dialled in the first half second, by either role."""
    for reflexive in (SMALL, LARGE):
        again = World(world.client_kind, phase=NEWEST)
        alice = again.client("alice")
        called(again, alice, reflexive)
        again.advance(0.49)
        assert 0 == rooms(alice)


@pytest.mark.rule("RACE-13")
def test_the_relay_is_dialled_at_once_without_an_attempt(world: World) -> None:
    """A room is dialled with the CallSetup when there is no direct attempt."""
    alice = world.client("alice")
    called(world, alice, None)
    assert 1 == rooms(alice)


@pytest.mark.rule("RACE-13")
def test_the_relay_is_dialled_at_once_when_all_has_failed(world: World) -> None:
    """A room is dialled when the last attempt has failed."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN])
    dialled(world, alice, done)
    assert 1 == rooms(alice)


@pytest.mark.rule("RACE-15")
def test_both_paths_are_heard(world: World) -> None:
    """While the path is undecided, media is played from the room and from the direct connection."""
    alice = world.client("alice")
    bob = called(world, alice, LARGE)
    leg = comes_in(alice)
    world.advance(0.5)
    room = joined(alice, bob)
    sender = media.Sender()
    room.throws(sender.datagram(b"relay"))
    alice._take(leg, sender.datagram(b"direct"))
    assert [b"relay", b"direct"] == [media.split(one)[1] for one in alice.heard]


@pytest.mark.rule("AGREE-5")
def test_the_outcome_is_reported_once(world: World) -> None:
    """An attempt that succeeded, one that failed and none at all are each reported, and never again."""
    cases: list[tuple[str | None, bool, bool]] = [
        (SMALL, True, True),
        (SMALL, False, False),
        (None, False, False),
    ]
    for reflexive, succeeds, expected in cases:
        again = World(world.client_kind, phase=NEWEST)
        alice = again.client("alice")
        done = acts(alice)
        called(again, alice, reflexive)
        if succeeds:
            completes(alice)
        dialled(again, alice, done)
        again.advance(20)
        assert [expected] == reports(alice)


@pytest.mark.rule("AGREE-6")
def test_the_path_is_that_of_the_table(world: World) -> None:
    """Media goes direct when both say so, and through the relay in every other case."""
    cases: list[tuple[bool, bool | None, float]] = [
        *((True, True, 0), (True, False, 0), (True, None, 60)),
        *((False, True, 1), (False, False, 1), (False, None, 1)),
    ]
    for own, other, seconds in cases:
        again = World(world.client_kind, phase=NEWEST)
        alice = again.client("alice")
        done = acts(alice)
        bob = called(again, alice, SMALL if own else None)
        if own:
            completes(alice)
        if other is not None:
            reported(alice, bob, ok=other)
        again.advance(seconds)
        joined(alice, bob)
        assert [FIRST if own and other else Leg.MEDIA] == spoken(alice, done), (own, other)


@pytest.mark.rule("AGREE-7")
def test_a_silent_peer_is_waited_for_three_seconds(world: World) -> None:
    """Three seconds after the own report media goes through the relay when the other end said nothing."""
    alice, bob, done = direct(world)
    world.advance(3)
    joined(alice, bob)
    assert [Leg.MEDIA] == spoken(alice, done)


@pytest.mark.rule("AGREE-8")
def test_a_report_of_another_call_decides_nothing(world: World) -> None:
    """A report with another call_id is not counted, before CallSetup and behind it."""
    alice, bob = world.client("alice"), world.puppet("bob")
    done = acts(alice)
    alice.place(bob)
    late = MediaPathReport(call_id="another", direct_ok=False, race_winner="Relay")
    from_the_relay(world, alice, late)
    accept = DirectCallAnswer(call_id=call_of(alice), accept_mode=AcceptMode.ACCEPT_TRUSTED)
    bob.says(replace(accept, callee_reflexive_addr=SMALL))
    completes(alice)
    from_the_relay(world, alice, late)
    reported(alice, bob, ok=True)
    assert [FIRST] == spoken(alice, done)


@pytest.mark.rule("AGREE-9")
def test_an_early_report_counts(world: World) -> None:
    """A report that comes while the own attempt is open decides as soon as this has succeeded."""
    alice = world.client("alice")
    done = acts(alice)
    bob = called(world, alice, SMALL)
    reported(alice, bob, ok=True)
    completes(alice)
    assert [FIRST] == spoken(alice, done)


@pytest.mark.rule("AGREE-9")
def test_a_report_before_the_setup_counts(world: World) -> None:
    """A report that overtakes the CallSetup of its call is kept for it."""
    alice, bob = world.client("alice"), world.puppet("bob")
    done = acts(alice)
    alice.place(bob)
    report = MediaPathReport(call_id=call_of(alice), direct_ok=True, race_winner="Direct")
    from_the_relay(world, alice, report)
    accept = DirectCallAnswer(call_id=call_of(alice), accept_mode=AcceptMode.ACCEPT_TRUSTED)
    bob.says(replace(accept, callee_reflexive_addr=SMALL))
    completes(alice)
    assert [FIRST] == spoken(alice, done)


@pytest.mark.rule("AGREE-16")
def test_media_on_the_direct_path_decides_for_it(world: World) -> None:
    """The other end speaks on the direct path and no report of it has come: the client speaks there too."""
    alice, _, done = direct(world)
    alice.does(alice.core.heard(FIRST, world.now))
    assert [FIRST] == spoken(alice, done)


@pytest.mark.rule("AGREE-10")
def test_nobody_speaks_before_the_decision(world: World) -> None:
    """With both paths open and the other end's report missing, no datagram goes out."""
    alice, bob, done = direct(world)
    world.advance(1)
    joined(alice, bob)
    assert [] == spoken(alice, done)


@pytest.mark.rule("AGREE-11")
def test_the_room_is_left_for_the_direct_path(world: World) -> None:
    """A room that was dialled meanwhile is closed as not selected when the direct path is chosen."""
    alice, bob, done = direct(world)
    world.advance(1)
    assert Leg.MEDIA in alice.legs
    reported(alice, bob, ok=True)
    assert {int(Leg.MEDIA)} == closed(done)


@pytest.mark.rule("AGREE-11")
def test_the_direct_path_is_left_for_the_relay(world: World) -> None:
    """A direct connection is closed as not selected when the relay is chosen."""
    _, _, done = direct(world)
    world.advance(60)
    assert {FIRST} == closed(done)


@pytest.mark.rule("AGREE-12")
def test_the_end_of_the_direct_path_is_not_the_end(world: World) -> None:
    """When the direct connection ends, the room is dialled and media goes on there."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    assert 0 == rooms(alice)
    ends(alice)
    assert 1 == rooms(alice)
    joined(alice, bob)
    assert [Leg.MEDIA] == spoken(alice, done)


@pytest.mark.rule("AGREE-12")
def test_who_has_hung_up_is_not_followed(world: World) -> None:
    """After a close with NORMAL the Hangup is waited for; when none comes in a second the room is dialled."""
    alice, bob, _ = direct(world)
    reported(alice, bob, ok=True)
    ends(alice, code=CloseCode.NORMAL)
    world.advance(0.9)
    assert 0 == rooms(alice)
    world.advance(0.1)
    assert 1 == rooms(alice)


@pytest.mark.rule("AGREE-13")
def test_a_silent_direct_path_is_doubted(world: World) -> None:
    """After a second without a word on the direct path the client is in the room as well, and not before."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    world.advance(0.5)
    alice._take(FIRST, media.Sender().datagram(b"a word"))
    world.advance(0.9)
    assert 0 == rooms(alice)
    world.advance(0.1)
    assert 1 == rooms(alice)
    assert [FIRST] == spoken(alice, done)


@pytest.mark.rule("AGREE-14")
def test_a_peer_is_followed_to_the_relay(world: World) -> None:
    """Who hears its peer through the relay, and not on the direct path, speaks there no more."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    world.rewrite = lambda said: replace(said, count=1) if isinstance(said, RoomUpdate) else said
    world.advance(5)
    room = joined(alice, bob)
    assert [FIRST] == spoken(alice, done)
    room.throws(media.Sender().datagram(b"here"))
    assert [] == spoken(alice, done)
    world.rewrite = lambda said: said
    world.relay_says(alice.legs[Leg.MEDIA], RoomUpdate(count=2, participants=[]))
    world.settle()
    assert [Leg.MEDIA] == spoken(alice, done)


@pytest.mark.rule("AGREE-15")
def test_two_in_the_room_leave_a_silent_path(world: World) -> None:
    """Who has heard nothing on the direct path for a second and meets its peer in the room speaks there."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    world.advance(5)
    assert [FIRST] == spoken(alice, done)
    joined(alice, bob)
    assert [Leg.MEDIA] == spoken(alice, done)


@pytest.mark.rule("CALL-46")
def test_a_hangup_names_its_call(world: World) -> None:
    """Every Hangup of a client names the call that it ends: while it rings, and when it is on."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.place(bob)
    first = call_of(alice)
    alice.hangup()
    called(world, alice)
    second = call_of(alice)
    alice.does(alice.core.stop())
    hangups = [one.call_id for one in alice.sent(Leg.SIGNAL) if isinstance(one, Hangup)]
    assert [first, second] == hangups


@pytest.mark.rule("CALL-46")
def test_a_hangup_behind_a_lost_connection_names_its_call(world: World) -> None:
    """What a client that was cut off says when it is back names the call that it had."""
    alice = world.client("alice")
    called(world, alice)
    lost = call_of(alice)
    world.cut(alice.legs[Leg.SIGNAL])
    world.advance(5)
    assert [lost] == [one.call_id for one in alice.sent(Leg.SIGNAL) if isinstance(one, Hangup)]


@pytest.mark.rule("CALL-47")
def test_the_hangup_of_another_call_is_ignored(world: World) -> None:
    """A Hangup with another call_id ends nothing, while it rings and while two talk."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.place(bob)
    ringing = call_of(alice)
    from_the_relay(world, alice, Hangup(reason=HangupReason.BUSY, call_id="another"))
    assert ringing == call_of(alice)
    alice.hangup()
    called(world, alice)
    on = call_of(alice)
    from_the_relay(world, alice, Hangup(reason=HangupReason.NORMAL, call_id=ringing))
    assert on == call_of(alice)


@pytest.mark.rule("MEDIA-31")
def test_numbers_run_on_over_a_change_of_path(world: World) -> None:
    """The datagram behind a change of path has the next number and the next time."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    assert [FIRST] == spoken(alice, done)
    ends(alice)
    world.advance(3)
    joined(alice, bob)
    assert [Leg.MEDIA] == spoken(alice, done)
    headers = [media.Header.decode(one.data) for one in done if isinstance(one, SendDatagram)]
    (before, after) = headers
    assert (before.sequence + 1) % 65_536 == after.sequence
    assert (before.timestamp + 20) % 2**32 == after.timestamp


@pytest.mark.rule("MEDIA-32")
def test_a_direct_path_carries_no_message(world: World) -> None:
    """On a direct connection, dialled or accepted, nothing but datagrams is sent."""
    for reflexive in (SMALL, LARGE):
        again = World(world.client_kind, phase=NEWEST)
        alice = again.client("alice")
        done = acts(alice)
        bob = called(again, alice, reflexive)
        leg = FIRST if reflexive == SMALL else comes_in(alice)
        if reflexive == SMALL:
            completes(alice)
        reported(alice, bob, ok=True)
        assert [leg] == spoken(alice, done)
        assert [] == [one for one in done if isinstance(one, Send) and one.session >= FIRST]


@pytest.mark.rule("MEDIA-33")
def test_a_muted_client_is_to_be_heard(world: World) -> None:
    """Of the frames that pass without audio on a direct path no 25 in a row, half a second, go unmarked."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    marked = []
    for _ in range(200):
        before = len(done)
        alice.does(alice.core.telephone.speak(None))
        marked.append([one.session for one in done[before:] if isinstance(one, SendDatagram)])
    for begin in range(0, 200, 25):
        assert [FIRST] in marked[begin : begin + 25]
    sent = [one.data for one in done if isinstance(one, SendDatagram)]
    assert {media.Codec.COMFORT_NOISE} == {media.Header.decode(data).codec for data in sent}


def account(relay: str) -> Account:
    """Return the account of a client whose relay is at this address."""
    return Account(identity("alice"), relay)


@contextlib.asynccontextmanager
async def sockets(parts: Parts) -> AsyncIterator[tuple[Sockets, Recorder]]:
    """Open the sockets of a client whose relay is on IPv4 loopback, and what they tell."""
    told = Recorder()
    made = await parts.sockets.open(account(f"{LOOPBACK}:1"), told, EndpointLimits())
    try:
        yield made, told
    finally:
        await made.shutdown()


async def seen_from(made: Sockets, leg: int, host: str, name: str) -> str:
    """Dial an endpoint at `host`; return the address from which that sees us."""
    heard = Recorder()
    async with opened(heard, host=host) as there:
        made.dial(leg, there.address, name)
        await heard.times("connected")
        ((_, _, address, _),) = heard.of("connected")
    return str(address)


class Mirror(Recorder):
    """A relay that registers everybody and reflects."""

    door: Watched

    def frame(self, session: int, payload: bytes) -> None:
        """Answer as a relay does."""
        (address,) = [told[3] for told in self.told if told[:2] == ("connected", session)]
        said = wire.decode(payload, NEWEST)
        answer = ReflectResponse(observed_addr=address)
        acknowledgement = RegisterPresenceAck(success=True)
        self.door.send(session, wire.encode(answer if isinstance(said, Reflect) else acknowledgement, NEWEST))


@pytest.mark.rule("REFL-10")
def test_probes_leave_one_socket(parts: Parts) -> None:
    """Two relays without a NAT in between see one and the same address and port."""

    async def test() -> None:
        one, other = Mirror(), Mirror()
        async with opened(one) as one.door, opened(other) as other.door:
            relays = [f"{LOOPBACK}:{mirror.door.address[1]}" for mirror in (one, other)]
            probes = await parts.ask(relays, 30.0)
        assert [None, None] == [probe.error for probe in probes]
        assert 1 == len({probe.observed for probe in probes})

    run(test())


@pytest.mark.rule("CAND-10")
def test_the_ports_are_those_of_the_sockets(parts: Parts) -> None:
    """The port that a client names for a family is where its packets come from and where peers get in."""

    async def test() -> None:
        async with sockets(parts) as (made, told):
            for leg, (version, host) in enumerate({4: LOOPBACK, 6: "::1"}.items(), FIRST):
                _, port = parse_address(await seen_from(made, leg, host, "_signal"))
                assert port == made.ports[version]
                made.welcome(frozenset({NAME}))
                peer = Recorder()
                async with opened(peer, None, host=host) as dialer:
                    dialer.dial((host, made.ports[version]), NAME)
                    await asyncio.gather(
                        peer.times("connected"), told.times("connected", 2 * (leg - FIRST) + 2)
                    )

    run(test())


@pytest.mark.rule("CAND-17")
def test_a_peer_is_dialled_from_the_socket_of_its_family(parts: Parts) -> None:
    """A client whose relay is on IPv4 dials an IPv6 peer from its IPv6 socket."""

    async def test() -> None:
        async with sockets(parts) as (made, _):
            _, port = parse_address(await seen_from(made, FIRST, "::1", NAME))
            assert made._endpoints[6].address[1] == port

    run(test())


@pytest.mark.rule("RACE-7")
def test_a_socket_refuses_other_names(parts: Parts) -> None:
    """A handshake under a name that is not welcome fails; one under a welcome name completes behind it."""

    async def test() -> None:
        peer = Recorder()
        async with sockets(parts) as (made, told), opened(peer, CREDENTIALS) as dialer:
            made.welcome(frozenset({NAME}))
            for name in ("call-another", NAME):
                dialer.dial((LOOPBACK, made._endpoints[4].address[1]), name)
                await peer.until(lambda: {"lost", "connected"} & {what[0] for what in peer.told})
                assert ["lost" if name != NAME else "connected"] == [what[0] for what in peer.told][-1:]
                peer.told.clear()
            await told.times("connected")
            assert [NAME] == [sni for _, sni, *_ in told.of("connected")]

    run(test())


@pytest.mark.rule("RACE-14")
def test_everything_goes_through_one_socket(parts: Parts) -> None:
    """Relay and peer see a client come from one and the same address and port."""

    async def test() -> None:
        async with sockets(parts) as (made, _):
            signal = await seen_from(made, Leg.SIGNAL, LOOPBACK, "_signal")
            assert signal == await seen_from(made, FIRST, LOOPBACK, NAME)
            assert parse_address(signal)[1] == made._endpoints[4].address[1]

    run(test())
