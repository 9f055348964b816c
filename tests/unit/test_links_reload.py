"""Links of a relay whose peers change while it runs: who is dialled, who is sent away, what goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.core.errors import CloseCode
from reference.core.links import SERVER_NAME
from reference.core.sessions import Peer
from tests.mesh import HANDSHAKE, Mesh, Party, hello, shown
from tests.neighbours import Pair


def ups(mesh: Mesh, one: str) -> list[str]:
    """Return the relays to which one has a link that is up."""
    return sorted(link.label for link in mesh[one].core.links)


def test_a_peer_that_is_new_is_dialled() -> None:
    """A relay that is named to one that runs is linked at once, like those named at the start (FED-8)."""
    mesh = Mesh("north", "south")
    (south,) = mesh["north"].setting.peers
    mesh["north"].reloads()
    mesh.run(20)
    assert [] == ups(mesh, "north")
    mesh["north"].reloads(south)
    mesh.run()
    assert ["south"] == ups(mesh, "north")
    assert ["north"] == ups(mesh, "south")


def test_a_peer_that_gets_an_address_is_dialled() -> None:
    """A relay that was waited for is dialled when it is said where it is."""
    mesh = Mesh("north", "south", dials=[])
    mesh.run(20)
    assert [] == mesh["north"].dialled
    mesh["north"].reloads(Peer(shown("south"), "south", mesh.addresses["south"]))
    mesh.run()
    assert ["south"] == ups(mesh, "north")


@pytest.mark.parametrize("state", ["ringing", "active"])
def test_a_peer_that_is_none_any_more_is_sent_away(state: str) -> None:
    """Its calls end at both ends, its link with NOT_TRUSTED, nobody dials it, other links stay (FED-26)."""
    pair = Pair()
    pair.brings(state)
    wire, west = pair.north.wire("south"), pair.north.wire("west")
    dials = len(pair.north.dialled)
    pair.north.reloads(*(peer for peer in pair.north.setting.peers if peer.label != "south"))
    pair.mesh.run(200)
    assert [["Hangup{Normal}"], ["Hangup{Normal}"]] == [pair.alice.hears(), pair.bob.hears()]
    assert pair.empty()
    assert (["west"], west) == (ups(pair.mesh, "north"), pair.north.wire("west"))
    assert {pair.north, pair.south} == wire.over
    assert ["west"] == ups(pair.mesh, "south")
    assert dials == len(pair.north.dialled)


def test_who_is_no_peer_any_more_is_told_so() -> None:
    """The close says NOT_TRUSTED, and so does that of a hello that comes afterwards (FED-1)."""
    mesh = Mesh("north", strangers=["south", "west"], dials=[])
    first, late = (Party(mesh, "south", mesh["north"], SERVER_NAME) for _ in range(2))
    mesh.run()
    first.says(hello("south", "north"))
    mesh.run(0.5)
    assert ["south"] == ups(mesh, "north")
    mesh["north"].reloads(Peer(shown("west"), "west"))
    late.says(hello("south", "north"))
    mesh.run()
    assert [CloseCode.NOT_TRUSTED, CloseCode.NOT_TRUSTED] == [first.code, late.code]
    assert {} == mesh["north"].core.sessions


def test_a_peer_that_is_called_otherwise_keeps_its_link() -> None:
    """A label is a matter of taste: the connection is the same, and its call goes on."""
    pair = Pair()
    pair.brings("active")
    wire = pair.north.wire("south")
    peers = (
        replace(peer, label="the coast") if peer.label == "south" else peer
        for peer in pair.north.setting.peers
    )
    pair.north.reloads(*peers)
    pair.mesh.run(60)
    assert ["the coast", "west"] == ups(pair.mesh, "north")
    assert wire is pair.north.wire("the coast")
    assert [] == [*pair.alice.hears(), *pair.bob.hears()]
    assert 1 == len(pair.north.core.calls.registry)


def test_a_peer_that_moves_is_dialled_there_when_its_link_ends() -> None:
    """A new address ends nothing; it is dialled when the link that is up has ended."""
    mesh = Mesh("north", "south")
    mesh.run()
    wire = mesh["north"].wire("south")
    mesh["north"].reloads(Peer(shown("south"), "south", "198.51.100.77:4433"))
    mesh.run(60)
    assert wire is mesh["north"].wire("south")
    mesh["north"].dialled.clear()
    mesh.cut(wire)
    mesh.run(60)
    assert {"198.51.100.77:4433"} == {address for _, address in mesh["north"].dialled}


def test_a_peer_that_is_being_dialled_may_go() -> None:
    """An attempt that is under way to somebody who is no peer any more is given up, and nothing is due."""
    mesh = Mesh("north", strangers=["south"], dials=[("north", "south")])
    mesh.run(0.001)
    assert 1 == len(mesh["north"].dialled)
    mesh["north"].reloads()
    assert None is mesh["north"].core.deadline()
    assert {"up": 0, "opening": 0} == mesh["north"].core.links.states()
    mesh.run(3 * HANDSHAKE)
    assert 1 == len(mesh["north"].dialled)


def test_a_relay_that_has_stopped_dials_no_new_peer() -> None:
    """A reload that comes too late has nothing to do."""
    mesh = Mesh("north", strangers=["south"], dials=[])
    mesh["north"].stops()
    mesh["north"].core.adopt(
        replace(mesh["north"].setting, peers=(Peer(shown("south"), "south", "192.0.2.9:1"),))
    )
    assert None is mesh["north"].core.deadline()
