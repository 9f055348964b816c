"""Checks of spec/candidates.md that a client has to pass: what it advertises, and what it dials.

Rules of this file: whatever a client is made to dial is a socket of the suite, and what it must not dial
leads to one too, so that it is seen; nothing that is named here leads out of this machine.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import closing

from conformance.checking import client
from conformance.client_ground import LARGE, PATIENCE, Party, written
from conformance.client_stage import ClientStage
from conformance.puppet import Heard, Puppet
from conformance.tap import Address
from conformance.verdicts import Deviation, Unsupported, Untestable

LOOPBACK, LOOPBACK_SIX = "127.0.0.1", "::1"
LISTING = 0.1
"""Seconds that a client may take to list its interfaces (CAND-11)."""
MOST = 16
"""Candidates of a call that are dialled at most (CAND-15)."""
FOUR, SIX = "10.77.1.2", "fd00:77::2"
"""Addresses that the client is to take for those of its interfaces."""
FIT = (
    *("10.1.2.3", "172.16.0.1", "172.31.255.254", "192.168.7.7", "100.64.0.1", "100.127.255.254"),
    *("2001:db8::5", "3fff::5", "fd00::5"),
)
UNFIT = (
    *("127.0.0.1", "169.254.3.4", "8.8.8.8", "172.32.0.1", "192.167.0.1", "100.128.0.1", "9.255.0.1"),
    *("::1", "fe80::1", "::ffff:10.0.0.9", "fec0::1", "4000::1"),
)
LARGEST = "[2001:db8::9]:50000"
"""A reflexive address that is larger than any of IPv4 and of IPv6 loopback (RACE-1)."""
HOSTS = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "2000::/3", "fc00::/7")
)
"""What a host candidate is taken from (table of Advertising)."""
CALLER, CALLEE = "caller", "callee"


def _read(text: str) -> Address | None:
    """Return the IP address and the port of a candidate, or None for what is no address."""
    host, colon, port = text.rpartition(":")
    try:
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        well = bool(colon) and host.startswith("[") == host.endswith("]") == (ip.version == 6)
        return (str(ip), int(port)) if well else None
    except ValueError:
        return None


def _named(message: Heard, side: str, ip: str) -> int | None:
    """Return the port that is advertised beside an address of an interface, or None when it is not."""
    found = [_read(text) for text in message.body.get(f"{side}_local_addrs", [])]
    return next((one[1] for one in found if one is not None and one[0] == ip), None)


async def _open(stage: ClientStage, name: str, ip: str, port: int = 0) -> Party:
    """Open a host of the other party at an address; raises Unsupported where this machine has none."""
    try:
        return await stage.party(name, (ip, port))
    except OSError as error:
        message = f"this machine has no address {ip}: {(error.strerror or str(error)).lower()}"
        raise Unsupported(message) from None


# What a client advertises


def _observed(stage: ClientStage) -> str:
    """Return an address that nobody can guess."""
    drawn = stage.random()
    return f"198.51.100.{drawn.randrange(1, 255)}:{drawn.randrange(1024, 65536)}"


@client("CAND-7")
async def test_a_caller_tells_what_its_relay_saw(stage: ClientStage) -> None:
    """The relay answers Reflect with an address that it draws; the offer has to carry that one."""
    stage.manners.observes = _observed(stage)
    await stage.online()
    offer = await stage.placed()
    actual = offer.body.get("caller_reflexive_addr")
    asked = "" if stage.signal.heard("Reflect") else ", and the client has not asked"
    expected = stage.manners.observes
    assert expected == actual, f"the relay sees {expected}{asked}; the offer tells {actual!r}"


@client("CAND-8")
async def test_a_trusting_callee_tells_what_its_relay_saw(stage: ClientStage) -> None:
    """The relay answers Reflect with an address that it draws; AcceptTrusted has to carry that one."""
    stage.manners.observes = _observed(stage)
    await stage.online()
    answer = await stage.answered(await stage.rung())
    actual = answer.body.get("callee_reflexive_addr")
    asked = "" if stage.signal.heard("Reflect") else ", and the client has not asked"
    expected = stage.manners.observes
    assert expected == actual, f"the relay sees {expected}{asked}; the answer tells {actual!r}"


@client("CAND-9")
async def test_no_other_host_is_advertised(stage: ClientStage) -> None:
    """Every host candidate of an offer and of an answer has to be in the table of the chapter.

    Where the adapter takes candidates, the client is given addresses inside and outside of the table.
    """
    claimed = [one for pair in zip(UNFIT, FIT, strict=False) for one in pair] + [*UNFIT[len(FIT) :]]
    stage.manners.observes = LARGE
    await stage.online(**_claims(stage, *claimed))
    offer = await stage.placed()
    await stage.hung_up(str(offer.body["call_id"]))
    answer = await stage.answered(await stage.rung())
    for side, message in ((CALLER, offer), (CALLEE, answer)):
        for text in message.body.get(f"{side}_local_addrs", []):
            read = _read(text)
            fits = read is not None and any(ipaddress.ip_address(read[0]) in one for one in HOSTS)
            assert fits, f"{message.name} advertises {text!r}, which is no host candidate"


async def _advertised(stage: ClientStage, relay: str, *claims: str) -> Heard:
    """Let a client with these interfaces and a relay at this address place a call; return the offer."""
    try:
        await stage.open(address=(relay, 0))
    except OSError as error:
        message = f"this machine has no address {relay}: {(error.strerror or str(error)).lower()}"
        raise Unsupported(message) from None
    stage.manners.observes = LARGE
    await stage.online(candidates=[*claims])
    return await stage.placed()


async def _knock(stage: ClientStage, offer: Heard, party: Party, port: int) -> Puppet:
    """Dial a port of the client on loopback under the name of its call, without waiting for an answer."""
    address = (party.host.address[0], port)
    return await stage.dial(party, f"call-{offer.body['call_id']}", to=address, handshake=None)


async def _port_is_open(stage: ClientStage, loopback: str, claim: str) -> None:
    """Judge CAND-10 where relay and candidate are of one family: the signal connection's socket accepts."""
    party = await _open(stage, "the callee", loopback)
    offer = await _advertised(stage, loopback, claim)
    port = _named(offer, CALLER, claim)
    if port is None:
        message = f"the client was given the interface {claim} and does not advertise it"
        raise Untestable(message)
    there = await _knock(stage, offer, party, port)
    await stage.dial(party, f"call-{offer.body['call_id']}")
    await stage.until(lambda: there.connected or there.closed is not None, PATIENCE)
    fault = f"{claim} is advertised with the port {port}, where nobody accepts; {stage.address[1]} does"
    assert there.connected, fault


@client("CAND-10", "candidates")
async def test_the_port_is_one_that_accepts(stage: ClientStage) -> None:
    """The port that is advertised for an IPv4 interface is dialled on loopback under the call's name.

    The handshake has to complete, as it does at the port of the signal connection.
    """
    await _port_is_open(stage, LOOPBACK, FOUR)


@client("CAND-10", "candidates")
async def test_the_port_is_one_that_accepts_over_ipv6(stage: ClientStage) -> None:
    """The same for an IPv6 interface of a client whose relay is on IPv6."""
    await _port_is_open(stage, LOOPBACK_SIX, SIX)


def _claims(stage: ClientStage, *claims: str) -> dict[str, list[str]]:
    """Return what gives the client these interfaces, or one, as far as its adapter can be given any."""
    return {"candidates": [*(claims or (FOUR,))]} if stage.offers("candidates") else {}


async def _reflected(stage: ClientStage, since: int) -> None:
    """Wait until the client has asked for its address, and the answer is on its way."""
    await stage.needs(stage.signal, "Reflect", since=since)


@client("CAND-11")
async def test_an_offer_does_not_wait_for_interfaces(stage: ClientStage) -> None:
    """The relay answers Reflect at once; the offer must not come more than 100 ms later."""
    stage.manners.observes = LARGE

    async def calls() -> None:
        since = stage.signal.mark()
        await stage.ask("call", target=stage.other.fingerprint)
        await _reflected(stage, since)

    await stage.in_time(calls, "DirectCallOffer", LISTING, **_claims(stage))


@client("CAND-11")
async def test_an_answer_does_not_wait_for_interfaces(stage: ClientStage) -> None:
    """The relay answers Reflect at once; AcceptTrusted must not come more than 100 ms later."""
    stage.manners.observes = LARGE

    async def answers() -> None:
        call_id = await stage.rung()
        since = stage.signal.mark()
        await stage.ask("answer", call_id=call_id, mode="AcceptTrusted")
        await _reflected(stage, since)

    await stage.in_time(answers, "DirectCallAnswer", LISTING, **_claims(stage))


@client("CAND-12", "candidates")
async def test_an_ipv6_candidate_is_one_that_accepts(stage: ClientStage) -> None:
    """A client with a relay on IPv4 is given an IPv6 interface.

    It advertises none, or the handshake at the port that it names completes on IPv6 loopback.
    """
    party, six = [await _open(stage, "the callee", ip) for ip in (LOOPBACK, LOOPBACK_SIX)]
    offer = await _advertised(stage, LOOPBACK, FOUR, SIX)
    port, other = _named(offer, CALLER, SIX), _named(offer, CALLER, FOUR)
    if port is None:
        return
    there = await _knock(stage, offer, six, port)
    known = await _knock(stage, offer, party, other or stage.address[1])
    await stage.until(lambda: there.connected or known.connected, PATIENCE)
    await stage.until(lambda: there.connected, PATIENCE / 2)
    if not there.connected and not known.connected:
        message = "no socket accepts where it is advertised, not even that of IPv4 (CAND-10)"
        raise Untestable(message)
    assert there.connected, f"[{SIX}]:{port} is advertised, and no socket accepts there"


# What a client dials


async def _refusing(stage: ClientStage, count: int, ip: str = LOOPBACK) -> list[Party]:
    """Open hosts of the other party that refuse every dial, so that the client tries the next one."""
    parties = [await _open(stage, f"host {number + 1}", ip) for number in range(count)]
    for party in parties:
        party.host.refuses = lambda _: True
    return parties


async def _set_up(stage: ClientStage, call_id: str, peer: str, hosts: Sequence[str]) -> None:
    """Name these candidates in the CallSetup of an accepted call, and wait until the client is through.

    That is when it has gone to the room: every dial is refused.
    """
    since = len(stage.rooms)
    stage.set_up(call_id, peer, [*hosts])
    await stage.until(lambda: len(stage.rooms) > since, PATIENCE)
    await stage.settle()


async def _dials(stage: ClientStage, peer: str, hosts: Sequence[str] = ()) -> str:
    """Bring a call to a CallSetup that names these candidates to a dialer; return the call_id."""
    stage.manners.observes = LARGEST
    if not stage.signals:
        await stage.online()
    offer = await stage.placed()
    call_id = str(offer.body["call_id"])
    stage.accept(call_id)
    await _set_up(stage, call_id, peer, hosts)
    return call_id


def _handshakes(party: Party) -> int:
    """Return how many handshakes were begun with a party."""
    return sum(packet.initial for packet in party.host.packets)


def _needs_dials(parties: Sequence[Party]) -> None:
    """Raise Untestable unless at least one of the parties was dialled."""
    if not any(map(_handshakes, parties)):
        raise Untestable(f"the client has dialled no candidate of {len(parties)} (RACE-3)")


@client("CAND-13")
async def test_a_bad_candidate_costs_nobody_the_call(stage: ClientStage) -> None:
    """CallSetup names a reflexive address that cannot be read, and one that must not be dialled.

    The client has to go on with the call, and dial the room.
    """
    for bad in ("127.0.0.1", "127.0.0.1:0", "nobody"):
        rooms = len(stage.rooms)
        call_id = await _dials(stage, bad)
        if len(stage.rooms) == rooms:
            message = f"the client was told {bad!r} as the other party's address, and dials no room"
            raise Deviation(message)
        await stage.hung_up(call_id)


@client("CAND-13")
async def test_a_bad_candidate_costs_nobody_the_others(stage: ClientStage) -> None:
    """CallSetup names good candidates between bad ones: what is no address, has no port, or port 0.

    Each good one has to be dialled.
    """
    if not stage.knows("5.5"):
        raise Unsupported("before phase 5.5 a CallSetup names one candidate")
    one, two, three, reflexive = parties = await _refusing(stage, 4)
    port = one.host.address[1]
    await _dials(
        stage,
        reflexive.address,
        [
            *("nobody", one.address, "127.0.0.1", f"localhost:{port}", two.address, "127.0.0.1:0"),
            *("", "[::1", "127.0.0.1:99999", "x" * 255, f"127.0.0.1:{port}/udp", three.address),
        ],
    )
    left = [party.address for party in parties if not _handshakes(party)]
    assert not left, f"of 4 candidates between bad ones {', '.join(left)} were not dialled"


async def _trap(stage: ClientStage) -> tuple[Party, bool]:
    """Open the host to which every forbidden address leads; tell whether it is there on IPv6 too."""
    try:
        party, six = await stage.party("a place of the caller's choice", ("::", 0)), True
    except OSError:
        party, six = await stage.party("a place of the caller's choice", ("0.0.0.0", 0)), False  # noqa: S104
    party.host.deaf = True
    return party, six


def _untouched(party: Party, forbidden: Sequence[str]) -> None:
    sources = [written(packet.source) for packet in party.host.packets]
    named = ", ".join(forbidden)
    assert not sources, f"a packet from {sources[0]} arrived where one of {named} leads"


@client("CAND-14")
async def test_no_forbidden_address_is_dialled(stage: ClientStage) -> None:
    """CallSetup names unspecified and multicast addresses, beside one to dial and in its place.

    All lead to one socket on this machine; nothing may arrive there.
    """
    trap, six = await _trap(stage)
    port = trap.host.address[1]
    forbidden = [f"0.0.0.0:{port}", f"[::ffff:0.0.0.0]:{port}", f"[::ffff:0:0]:{port}"]
    forbidden += [f"[::]:{port}", f"[ff01::1]:{port}"] if six else []  # ff01: does not leave the machine
    await _dials_none_of(stage, forbidden, trap, LOOPBACK)


@client("CAND-14")
async def test_loopback_is_dialled_for_relays_on_loopback_only(stage: ClientStage) -> None:
    """The relay is at another address of this machine, and CallSetup names loopback addresses.

    Nothing may arrive there.
    """
    own = _outer_address()
    trap, six = await _trap(stage)
    port = trap.host.address[1]
    forbidden = [f"127.0.0.1:{port}", f"127.0.0.2:{port}", f"[::ffff:127.0.0.1]:{port}"]
    forbidden += [f"[::1]:{port}"] if six else []
    try:
        await stage.open(address=(own, 0))
    except OSError as error:
        raise Unsupported(f"no relay can be at {own} of this machine: {error.strerror}") from None
    stage.manners.observes = LARGEST
    try:
        await stage.online()
    except Untestable as error:
        raise Unsupported(f"a client and a relay at {own} of this machine do not meet: {error}") from None
    await _dials_none_of(stage, forbidden, trap, own)


def _outer_address() -> str:
    """Return an address of this machine that is not on loopback; raises Unsupported when it has none."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing: the address is what would be sent from
        except OSError:
            own = LOOPBACK
        else:
            own = str(asking.getsockname()[0])
    if ipaddress.ip_address(own).is_loopback:
        raise Unsupported("this machine has no address but loopback, and all of its relays are there")
    return own


async def _dials_none_of(stage: ClientStage, forbidden: Sequence[str], trap: Party, ip: str) -> None:
    """Name these addresses beside one to dial, and each as the reflexive one; see that none is dialled."""
    (party,) = await _refusing(stage, 1, ip)
    await stage.hung_up(await _dials(stage, party.address, forbidden))
    _needs_dials([party])
    _untouched(trap, forbidden)
    for one in forbidden[:1] if stage.knows("5.5") else forbidden:
        await stage.hung_up(await _dials(stage, one))
        _untouched(trap, [one])


@client("CAND-15")
async def test_a_list_of_many_is_no_weapon(stage: ClientStage) -> None:
    """CallSetup names 20 host candidates and a reflexive one; at most 16 may be dialled.

    Before phase 5.5 there is but the reflexive one.
    """
    parties = await _refusing(stage, MOST + 5 if stage.knows("5.5") else 1)
    *hosts, reflexive = parties
    await _dials(stage, reflexive.address, [party.address for party in hosts])
    _needs_dials(parties)
    dialled = sum(_handshakes(party) > 0 for party in parties)
    assert dialled <= MOST, f"{dialled} of {len(parties)} candidates were dialled"


@client("CAND-16")
async def test_a_candidate_is_dialled_once(stage: ClientStage) -> None:
    """CallSetup names two hosts again and again, in other forms too; each may be dialled once.

    Before phase 5.5 there is but the reflexive candidate.
    """
    parties = await _refusing(stage, 2)
    port = parties[0].host.address[1]
    one, other = (party.address for party in parties)
    forms = [f"[::ffff:127.0.0.1]:{port}", one, f"[::FFFF:7f00:1]:{port}", f"[0:0:0:0:0:ffff:7f00:1]:{port}"]
    await _dials(stage, one, [one, other, *forms, other, one])
    _needs_dials(parties)
    for party in parties:
        count = _handshakes(party)
        assert count <= 1, f"{count} handshakes were begun with {party.address}"


async def _other_family(stage: ClientStage, relay: str, ip: str, claim: str) -> tuple[int, Party]:
    """Name a candidate of the family that is not the relay's to a client that has a socket of it.

    Return the port of that socket, and the host of the candidate. Raises Unsupported for a client that
    advertises nothing of that family, and Untestable for one that does not accept where it says.
    """
    (candidate,), (peer,) = await _refusing(stage, 1, ip), await _refusing(stage, 1)
    knocker = await _open(stage, "the callee", ip)
    offer = await _advertised(stage, relay, FOUR, SIX)
    port = _named(offer, CALLER, claim)
    if port is None:
        raise Unsupported(f"the client does not advertise {claim}, and may have no socket of that family")
    there = await _knock(stage, offer, knocker, port)
    await stage.until(lambda: there.connected, PATIENCE)
    if not there.connected:
        raise Untestable(f"the client advertises the port {port} beside {claim}, and does not accept there")
    stage.accept(str(offer.body["call_id"]))
    await _set_up(stage, str(offer.body["call_id"]), peer.address, [candidate.address])
    assert candidate.host.attempts(), f"{candidate.address} was not dialled, and accepts at port {port}"
    return port, candidate


@client("CAND-17", "candidates")
async def test_an_ipv6_candidate_is_dialled_from_the_ipv6_socket(stage: ClientStage) -> None:
    """A client with a relay on IPv4, and with an IPv6 socket, is named a candidate on IPv6 loopback.

    The dial has to arrive there, from the port that the client advertises beside its own IPv6 address.
    """
    port, candidate = await _other_family(stage, LOOPBACK, LOOPBACK_SIX, SIX)
    ports = {packet.source[1] for packet in candidate.host.attempts()}
    assert {port} == ports, f"the client accepts at port {port} and dials from {ports}"


@client("CAND-17", "candidates")
async def test_an_ipv4_candidate_is_dialled_beside_a_relay_on_ipv6(stage: ClientStage) -> None:
    """A client with a relay on IPv6, and with an IPv4 socket, is named a candidate on IPv4 loopback.

    The dial has to arrive there.
    """
    await _other_family(stage, LOOPBACK_SIX, LOOPBACK, FOUR)
