"""Links: whom a relay takes one from, how it proves itself, which of two stays, when it dials again.

What a neighbour says here is written by the test; where two relays of ours meet, nothing is.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from reference.core.effects import Dial
from reference.core.errors import CloseCode
from reference.core.links import AT_ONCE, SERVER_NAME
from reference.core.messages import FederationHello, GlobalRoomActive, Ping, Pong
from reference.core.proof import AGE, plain, statement
from reference.core.relay import RelayCore
from reference.core.sessions import Peer, Setting, Trust
from tests.mesh import EPOCH, HANDSHAKE, IDLE, Mesh, Party, Person, credentials, der, envelope, hello, shown
from tests.world import identity, offer

PEOPLE = ("alice", "bob")
HELLO_TIMEOUT = 5.0


def alone(*strangers: str, trust: Trust = Trust.PROVEN) -> Mesh:
    """Return a mesh of one relay, north, that trusts others whom the test plays and dials none of them."""
    return Mesh("north", strangers=strangers or ("south",), trust=trust)


def knock(mesh: Mesh, name: str = "south") -> Party:
    """Return a relay that has opened a link to north and has not said its hello."""
    party = Party(mesh, name, mesh["north"], SERVER_NAME)
    mesh.run()
    return party


def greet(mesh: Mesh, *words: FederationHello, name: str = "south") -> Party:
    """Return a relay that has opened a link to north and said these hellos, or its own."""
    party = knock(mesh, name)
    party.says(*(words or (hello(name, "north", EPOCH + mesh.now),)))
    mesh.run()
    return party


def ups(mesh: Mesh, one: str) -> list[str]:
    """Return the relays to which one has a link that is up."""
    return sorted(link.label for link in mesh[one].core.links)


def test_two_relays_open_a_link() -> None:
    """The dialling relay says its hello, the other one answers with its own, and both are up at once."""
    mesh = Mesh("north", "south")
    mesh.run()
    assert ["FederationHello"] == mesh["south"].hears("north")
    assert ["FederationHello"] == mesh["north"].hears("south")
    assert [["south"], ["north"]] == [ups(mesh, "north"), ups(mesh, "south")]
    assert [(0.0, mesh["south"].address)] == mesh["north"].dialled
    assert [] == mesh["south"].dialled


def test_a_stranger_is_refused() -> None:
    """A hello that proves a fingerprint which is no peer's is answered with NOT_TRUSTED alone (FED-1)."""
    mesh = alone()
    stranger = greet(mesh, hello("west", "north"), name="west")
    assert CloseCode.NOT_TRUSTED is stranger.code
    assert [] == stranger.hears()
    assert 1 == mesh["north"].counted["links_refused", "not trusted"]


GOOD = hello("south", "north")
FORGED = {
    "no proof": FederationHello(tls_fingerprint=shown("south")),
    "no certificate": replace(GOOD, certificate=None),
    "no time": replace(GOOD, time=None),
    "no signature": replace(GOOD, signature=None),
    "the certificate of another": replace(GOOD, certificate=der("west")),
    "a certificate that is none": replace(GOOD, certificate=b"\x30\x00"),
    "a signature by another key": replace(
        GOOD,
        signature=credentials("west").private_key.sign(
            statement(plain(shown("south")), plain(shown("north")), int(EPOCH))
        ),
    ),
    "a signature of another time": replace(GOOD, time=int(EPOCH) + 1),
    "a short signature": replace(GOOD, signature=b"short"),
    "an empty signature": replace(GOOD, signature=b""),
}


@pytest.mark.parametrize("word", FORGED.values(), ids=FORGED.keys())
def test_a_fingerprint_has_to_be_proven(word: FederationHello) -> None:
    """A trusted fingerprint that its sender does not prove opens nothing (FED-2)."""
    party = greet(alone(), word)
    assert CloseCode.NOT_TRUSTED is party.code
    assert [] == party.hears()


def test_a_proof_is_for_one_relay() -> None:
    """A hello that was made for another relay opens nothing, not even sent on by that one (FED-3)."""
    mesh = alone("south", "west")
    overheard = hello("south", "west")
    assert CloseCode.NOT_TRUSTED is greet(mesh, overheard, name="west").code
    assert CloseCode.NOT_TRUSTED is greet(mesh, overheard).code


@pytest.mark.parametrize("age", [-AGE + 2, 0, AGE - 2])
def test_a_proof_may_be_of_another_clock(age: int) -> None:
    """A proof that is less than 300 s old, or is from a clock that far ahead, opens a link (FED-3)."""
    assert ["FederationHello"] == greet(alone(), hello("south", "north", EPOCH - age)).hears()


@pytest.mark.parametrize("age", [-AGE - 2, AGE + 2])
def test_a_proof_is_for_its_time(age: int) -> None:
    """A proof that is older than that, or from a clock further ahead, opens nothing (FED-3)."""
    party = greet(alone(), hello("south", "north", EPOCH - age))
    assert [] == party.hears()
    assert CloseCode.NOT_TRUSTED is party.code


def test_a_silent_link_is_closed() -> None:
    """A link without a hello is closed after 5 s, not before, and with the code that says so (FED-4)."""
    mesh = alone()
    party = knock(mesh)
    mesh.run(HELLO_TIMEOUT - mesh.now - 0.1)
    assert not party.gone
    mesh.run(0.5)
    assert CloseCode.HELLO_TIMEOUT is party.code
    assert 1 == mesh["north"].counted["links_refused", "no hello"]
    assert 0 == len(mesh["north"].core.sessions)


def test_a_dialled_relay_that_says_nothing_is_given_up() -> None:
    """Where this relay has dialled, a hello is waited for as long (FED-4)."""
    mesh = Mesh("north", strangers=["south"], dials=[("north", "south")])
    silent = Party(mesh, "south")
    mesh.run(HELLO_TIMEOUT + 0.5)
    assert ["FederationHello"] == silent.hears()
    assert CloseCode.HELLO_TIMEOUT is silent.code


def test_nothing_counts_before_the_hello() -> None:
    """An offer does not ring, a Ping is not answered, and a hello opens the link all the same (FED-5)."""
    mesh = alone()
    bob = Person(mesh, "bob")
    bob.registers(mesh["north"])
    party = knock(mesh)
    party.says(
        Ping(timestamp_ms=1),
        envelope("south", offer(identity("alice"), identity("bob"), "c1")),
        GlobalRoomActive(room="call-c1"),
    )
    mesh.run()
    assert [] == party.hears()
    assert {} == bob.calls
    party.says(GOOD)
    mesh.run()
    assert ["FederationHello"] == party.hears()
    assert ["south"] == ups(mesh, "north")


def test_a_ping_is_answered() -> None:
    """A Ping on a link is answered with its own number (FED-9)."""
    party = greet(alone())
    party.hears()
    party.says(Ping(timestamp_ms=2**64 - 1))
    party.mesh.run()
    assert [Pong(timestamp_ms=2**64 - 1)] == party.messages


def test_a_second_hello_changes_nothing() -> None:
    """A link that is up stays what it is, whatever hello follows."""
    party = greet(alone("south", "west"), GOOD, hello("west", "north"))
    assert ["FederationHello"] == party.hears()
    assert None is party.code
    assert ["south"] == ups(party.mesh, "north")


def test_fingerprints_are_compared_without_colons_and_case() -> None:
    """Whichever way a fingerprint is written, in the setting or in a hello, it is the same one."""
    written = replace(GOOD, tls_fingerprint=plain(shown("south")).upper())
    assert ["FederationHello"] == greet(alone(), written).hears()
    mesh = Mesh("north", "south")
    setting = mesh["north"].setting
    bare = replace(setting.peers[0], fingerprint=plain(shown("south")).upper())
    mesh["north"].setting = replace(setting, peers=(bare,))
    mesh["north"].starts()
    mesh.run()
    assert ["south"] == ups(mesh, "north")


def test_the_newer_link_stays() -> None:
    """A relay that dials again has a new link, and its old one is closed with REPLACED (FED-6)."""
    mesh = alone()
    older = greet(mesh)
    newer = greet(mesh)
    assert CloseCode.REPLACED is older.code
    assert not newer.gone
    assert ["south"] == ups(mesh, "north")
    assert 1 == len(mesh["north"].core.sessions)


def test_a_call_ends_with_its_link() -> None:
    """The calls of a link that is replaced are over: they do not move to the new one (FED-6, FED-26)."""
    mesh = alone()
    greet(mesh).says(envelope("south", offer(identity("alice"), identity("bob"), "c1")))
    bob = Person(mesh, "bob")
    bob.registers(mesh["north"])
    mesh.run()
    older = greet(mesh)
    older.says(envelope("south", offer(identity("alice"), identity("bob"), "c2")))
    mesh.run()
    assert {"c2": "rings"} == bob.calls
    newer = greet(mesh)
    assert {} == bob.calls
    assert ["FederationHello"] == newer.hears()
    assert 0 == len(mesh["north"].core.calls.registry)


CROSSED = [("north", "south"), ("south", "north")]


@pytest.mark.parametrize("delays", [(0.01, 0.01), (0.01, 0.4), (0.4, 0.01)])
def test_of_two_links_at_once_one_stays(delays: tuple[float, float]) -> None:
    """Two relays that dial each other keep the link of the smaller one, whichever came up first (FED-6)."""
    turn = iter(range(1_000_000))
    mesh = Mesh("north", "south", dials=CROSSED, delay=lambda: delays[next(turn) % 2])
    mesh.run(20)
    smaller = min("north", "south", key=lambda name: plain(shown(name)))
    stays = mesh["north"].wire("south")
    assert mesh["south"].wire("north") is stays
    assert smaller == stays.dialler.name
    assert [1, 1] == [len(mesh[name].core.sessions) for name in ("north", "south")]
    assert [1, 1] == [len(mesh[name].dialled) for name in ("north", "south")]


def test_a_restarted_relay_is_believed_in_the_end() -> None:
    """A link from the other end replaces an old one that came up more than 10 s ago, whoever is smaller."""
    for first, second in (("north", "south"), ("south", "north")):
        mesh = Mesh("north", "south", dials=[(first, second)])
        mesh.run(AT_ONCE + 1)
        mesh[second].dies()
        mesh[second].setting = replace(
            mesh[second].setting, peers=(Peer(shown(first), first, mesh[first].address),)
        )
        mesh[second].starts()
        mesh.run(5)
        assert second == mesh[first].wire(second).dialler.name
        assert mesh[first].wire(second) is mesh[second].wire(first)


def test_a_relay_that_is_restarted_at_once_waits() -> None:
    """Within 10 s the link of the smaller one stays, though it is dead; soon after them the new one does."""
    smaller, larger = sorted(("north", "south"), key=lambda name: plain(shown(name)))
    mesh = Mesh("north", "south", dials=[(smaller, larger)])
    mesh.run()
    dead = mesh[smaller].wire(larger)
    mesh[larger].dies()
    (peer,) = mesh[larger].setting.peers
    mesh[larger].setting = replace(
        mesh[larger].setting, peers=(replace(peer, address=mesh[smaller].address),)
    )
    mesh[larger].starts()
    mesh.run(AT_ONCE - 2)
    assert dead is mesh[smaller].wire(larger)
    mesh.run(3.5)
    assert dead is not mesh[smaller].wire(larger)
    assert mesh[smaller].wire(larger) is mesh[larger].wire(smaller)
    attempts = [at for at, _ in mesh[larger].dialled]
    assert all(later - at < 1.2 for at, later in itertools.pairwise(attempts))


def test_an_impostor_hears_no_hello() -> None:
    """Whoever shows another certificate at a peer's address learns nothing and is sent away (FED-7)."""
    mesh = Mesh("north", strangers=["south", "west"], dials=[("north", "south")])
    impostor = Party(mesh, "west")
    mesh.ends[mesh.addresses["south"]] = impostor
    mesh.run()
    assert [] == impostor.hears()
    assert CloseCode.NOT_TRUSTED is impostor.code


def test_a_dialled_relay_has_to_be_the_one_that_was_meant() -> None:
    """A peer's certificate with another peer's hello is refused, however good that is (FED-2, FED-7)."""
    mesh = Mesh("north", strangers=["south", "west"], dials=[("north", "south")])
    party = Party(mesh, "south")
    mesh.run(0.5)
    assert ["FederationHello"] == party.hears()
    party.says(hello("west", "north"))
    mesh.run(0.5)
    assert CloseCode.NOT_TRUSTED is party.code
    assert [] == ups(mesh, "north")


def test_the_rest_before_dialling_again_doubles() -> None:
    """A peer that cannot be reached is left alone for 1 s, 2 s, 4 s, at most 60 s, for ever (FED-8)."""
    mesh = Mesh("north", strangers=["south"], dials=[("north", "south")])
    mesh.run(400)
    times = [at for at, _ in mesh["north"].dialled]
    rests = [later - at - HANDSHAKE for at, later in itertools.pairwise(times)]
    assert [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] == rests[:8]


def test_a_link_that_was_up_is_dialled_after_a_second() -> None:
    """What was reached once is missed for 1 s only, however long it could not be reached before (FED-8)."""
    mesh = Mesh("north", "south")
    mesh["south"].dies()
    mesh.run(50)
    mesh["south"].starts()
    mesh.run(60)
    for _ in range(2):
        mesh["north"].dialled.clear()
        wire, cut = mesh["north"].wire("south"), mesh.now
        mesh.cut(wire)
        mesh.run(IDLE + 5)
        assert [cut + IDLE + 1.0] == [at for at, _ in mesh["north"].dialled]
        assert ["south"] == ups(mesh, "north")


def test_a_link_that_was_let_in_is_missed_for_a_second_too() -> None:
    """A rest that an incoming link has cut short begins anew when that link ends (FED-8)."""
    mesh = Mesh("north", strangers=["south"], dials=[("north", "south")])
    mesh.run(HANDSHAKE + 1.5 + HANDSHAKE)  # two attempts have failed, and the next one is 2 s away
    party = greet(mesh)
    assert ["south"] == ups(mesh, "north")
    mesh["north"].dialled.clear()
    left = mesh.now
    party.leaves()
    mesh.run(5)
    assert [left + 0.01 + 1.0] == pytest.approx([at for at, _ in mesh["north"].dialled])


def test_a_link_that_stays_is_not_dialled_again() -> None:
    """While a link is up, nobody is dialled, even where the rest was still running when it came (FED-8)."""
    mesh = Mesh("north", strangers=["south"], dials=[("north", "south")])
    mesh.run(HANDSHAKE + 0.5)
    greet(mesh)
    mesh["north"].dialled.clear()
    mesh.run(300)
    assert [] == mesh["north"].dialled


def test_an_address_that_cannot_be_dialled_is_tried_again_later() -> None:
    """Where there is no way to dial, that is one attempt that failed, with its rest (FED-8)."""
    peer = Peer(shown("south"), "south", "[2001:db8::1]:4433")
    setting = Setting(identity("north"), "203.0.113.5:4433", peers=(peer,), certificate=der("north"))
    relay = RelayCore(setting, lambda: bytes(32))
    now = 100.0
    for rest in (1.0, 2.0, 4.0):
        assert [Dial(0, peer.address, SERVER_NAME)] == relay.tick(now)
        relay.dialled(0, None)
        assert [] == relay.tick(now)
        assert now + rest == relay.deadline()
        now += rest


def test_a_peer_without_an_address_is_waited_for() -> None:
    """A relay dials only those of its peers that have an address, and nobody at all without peers."""
    mesh = alone()
    mesh.run(100)
    assert [] == mesh["north"].dialled
    assert None is mesh["north"].core.deadline()


def test_a_relay_without_peers_has_no_links() -> None:
    """Where nobody is trusted, the server name of links names nothing."""
    mesh = Mesh("north")
    party = Party(mesh, "south", mesh["north"], SERVER_NAME)
    mesh.run()
    assert CloseCode.NO_SUCH_SERVICE is party.code


def test_a_deployed_relay_is_taken_where_that_is_asked_for() -> None:
    """Open federation takes a hello without a proof, of a peer, answers it and says so in its log."""
    mesh = alone(trust=Trust.OPEN)
    party = greet(mesh, FederationHello(tls_fingerprint=shown("south")))
    assert ["FederationHello"] == party.hears()
    link = mesh["north"].link("south")
    assert link is not None
    assert not link.proven
    assert ["link.unproven"] == [log.event for log in mesh["north"].logged]
    assert CloseCode.NOT_TRUSTED is greet(mesh, FederationHello(tls_fingerprint=shown("west"))).code


def test_a_wrong_proof_is_refused_in_open_federation_too() -> None:
    """What is signed has to be signed rightly, whoever is trusted without a signature (FED-2, FED-3)."""
    for word in (hello("south", "west"), hello("south", "north", EPOCH - 1000)):
        assert CloseCode.NOT_TRUSTED is greet(alone(trust=Trust.OPEN), word).code


def test_a_proof_counts_in_open_federation() -> None:
    """A relay that proves itself is treated as one that does, in open federation too."""
    mesh = alone(trust=Trust.OPEN)
    greet(mesh)
    link = mesh["north"].link("south")
    assert link is not None
    assert link.proven


def test_a_link_that_was_proved_is_not_replaced_without_a_proof() -> None:
    """Whoever knows a peer's fingerprint cannot end its link, in open federation either."""
    mesh = alone(trust=Trust.OPEN)
    proven = greet(mesh)
    assert CloseCode.NOT_TRUSTED is greet(mesh, FederationHello(tls_fingerprint=shown("south"))).code
    assert not proven.gone
    link = mesh["north"].link("south")
    assert link is not None
    assert link.proven


def test_a_deployed_relay_that_was_dialled_is_up_after_a_while() -> None:
    """No hello comes from a deployed relay that was dialled: its link is up without one after 5 s."""
    mesh = Mesh("north", strangers=["south"], dials=[("north", "south")], trust=Trust.OPEN)
    party = Party(mesh, "south")
    mesh.run(HELLO_TIMEOUT - 0.1)
    assert [] == ups(mesh, "north")
    mesh.run(0.5)
    assert ["south"] == ups(mesh, "north")
    assert ["FederationHello"] == party.hears()
    assert not party.gone


def test_whoever_dials_owes_a_hello_in_open_federation_too() -> None:
    """A silent connection that was let in is closed, because nobody knows whose it is (FED-4)."""
    party = knock(alone(trust=Trust.OPEN))
    party.mesh.run(HELLO_TIMEOUT)
    assert CloseCode.HELLO_TIMEOUT is party.code


def test_a_relay_that_stops_closes_its_links() -> None:
    """Links end with SHUTDOWN, as every connection does (ERR-6)."""
    mesh = alone()
    party = greet(mesh)
    mesh["north"].stops()
    mesh.run()
    assert CloseCode.SHUTDOWN is party.code


def test_a_relay_that_has_stopped_dials_no_more() -> None:
    """Nothing is due when every connection has been closed."""
    mesh = Mesh("north", "south")
    mesh.run()
    mesh["north"].stops()
    assert None is mesh["north"].core.deadline()
