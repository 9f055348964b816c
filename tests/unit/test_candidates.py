"""Which candidates are advertised and which are dialled (spec/candidates.md)."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.core.addresses import format_address, parse_address, undialable
from reference.core.candidates import CANDIDATES, dial_list, host_candidates

BOTH = {4: 5000, 6: 6000}
LITERALS = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))
NEAR = st.sampled_from(["10.0.0.1", "192.168.1.3", "100.64.0.9", "fd00::1", "2001:db8::1", "127.0.0.1"])
NAMED = st.one_of(
    st.builds(format_address, st.one_of(NEAR, LITERALS), st.integers(min_value=0, max_value=65_535)),
    st.sampled_from(["", "here:1", "10.0.0.1", "[FD00::1]:7", "[::ffff:10.0.0.1]:7", "10.0.0.1:7"]),
)


@pytest.mark.parametrize("host", ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.2", "100.64.0.1"])
@pytest.mark.rule("CAND-10")
def test_an_ipv4_host_candidate_has_the_port_of_its_socket(host: str) -> None:
    """Each private or shared IPv4 address is advertised with the port of the IPv4 socket."""
    assert (f"{host}:5000",) == host_candidates([host], BOTH)


@pytest.mark.parametrize("host", ["2000::1", "2001:db8::1", "3fff::1", "fc00::1", "fdff::1"])
@pytest.mark.rule("CAND-10")
def test_an_ipv6_host_candidate_has_the_port_of_its_socket(host: str) -> None:
    """Each global or unique local IPv6 address is advertised with the port of the IPv6 socket."""
    assert (f"[{host}]:6000",) == host_candidates([host], BOTH)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "169.254.1.1", "192.0.2.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "172.15.0.1"),
        *("172.32.0.1", "192.167.0.1", "100.63.0.1", "100.128.0.1", "0.0.0.0", "224.0.0.1"),  # noqa: S104 - a text
        *("255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "::ffff:10.0.0.1", "ff02::1"),
        *("1fff::1", "4000::1", "fec0::1", "64:ff9b::a00:1"),
    ],
)
@pytest.mark.rule("CAND-9")
def test_other_addresses_are_not_advertised(host: str) -> None:
    """Loopback, link-local, public IPv4 and everything else outside the table stays at home."""
    assert () == host_candidates([host], BOTH)


@pytest.mark.rule("CAND-12")
def test_a_family_without_a_socket_is_not_advertised() -> None:
    """Without an IPv6 socket no IPv6 candidate is named, and likewise for IPv4."""
    addresses = ["192.168.1.2", "2001:db8::1"]
    assert ("192.168.1.2:5000",) == host_candidates(addresses, {4: 5000})
    assert ("[2001:db8::1]:6000",) == host_candidates(addresses, {6: 6000})
    assert () == host_candidates(addresses, {})


def test_host_candidates_keep_their_order_and_come_once() -> None:
    """The order of the interfaces is the order of preference; an address on two of them counts once."""
    addresses = ["fd00::2", "10.0.0.2", "FD00:0::2", "10.0.0.1", "10.0.0.2"]
    assert ("[fd00::2]:6000", "10.0.0.2:5000", "10.0.0.1:5000") == host_candidates(addresses, BOTH)


def test_there_is_room_for_the_reflexive_candidate() -> None:
    """However many addresses there are, a peer that keeps to the limit still uses the reflexive one."""
    hosts = host_candidates([f"10.0.0.{number}" for number in range(100)], BOTH)
    assert CANDIDATES - 1 == len(hosts)
    dialled = dial_list("192.0.2.1:1", hosts, loopback=False, families={4, 6})
    assert (*hosts, "192.0.2.1:1") == dialled


@given(st.lists(LITERALS, max_size=40))
def test_what_is_advertised_is_dialled_as_it_stands(addresses: list[str]) -> None:
    """A peer dials every host candidate that we may advertise, in our order."""
    hosts = host_candidates(addresses, BOTH)
    assert hosts == dial_list(None, hosts, loopback=False, families={4, 6})


@pytest.mark.rule("CAND-13")
def test_bad_entries_cost_the_others_nothing() -> None:
    """What cannot be read or must not be dialled is skipped, and the rest is dialled in order."""
    hosts = ["10.0.0.2:1", "ten:1", "", "127.0.0.1:1", "10.0.0.1:0", "[fe80::1]:1", "10.0.0.1:1"]
    dialled = dial_list("192.0.2.1:4433", hosts, loopback=False, families={4, 6})
    assert ("10.0.0.2:1", "10.0.0.1:1", "192.0.2.1:4433") == dialled
    assert ("10.0.0.2:1",) == dial_list("no address", ["10.0.0.2:1"], loopback=False, families={4})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0.0.0.0:4433", "an unspecified"),
        ("[::]:4433", "an unspecified"),
        ("127.0.0.1:4433", "a loopback"),
        ("127.9.9.9:4433", "a loopback"),
        ("[::1]:4433", "a loopback"),
        ("224.0.0.1:4433", "a multicast"),
        ("239.255.255.255:4433", "a multicast"),
        ("[ff02::1]:4433", "a multicast"),
        ("255.255.255.255:4433", "the broadcast"),
        ("169.254.1.1:4433", "a link-local"),
        ("[fe80::1]:4433", "a link-local"),
        ("192.0.2.1:0", "port 0"),
        ("[2001:db8::1]:0", "port 0"),
        ("[::ffff:127.0.0.1]:4433", "a loopback"),
        ("[::ffff:0.0.0.0]:4433", "an unspecified"),
        ("[::ffff:255.255.255.255]:4433", "the broadcast"),
        ("[64:ff9b::7f00:1]:4433", "NAT64 form: it is a loopback"),
        ("[64:ff9b::169.254.1.1]:4433", "NAT64 form: it is a link-local"),
        ("[64:ff9b::e000:1]:4433", "NAT64 form: it is a multicast"),
        ("[64:ff9b::]:4433", "NAT64 form: it is an unspecified"),
        ("[64:ff9b::ffff:ffff]:4433", "NAT64 form: it is the broadcast"),
    ],
)
@pytest.mark.rule("CAND-14")
def test_some_addresses_are_never_dialled(text: str, kind: str) -> None:
    """No row of the table of addresses is dialled, and the reason says which one it was."""
    assert kind in undialable(text)
    assert () == dial_list(text, [text], loopback=False, families={4, 6})


@pytest.mark.parametrize(
    "text", ["192.0.2.1:1", "10.0.0.1:65535", "[2001:db8::1]:1", "[fd00::1]:1", "[64:ff9b::808:808]:1"]
)
def test_other_addresses_are_dialled(text: str) -> None:
    """Public and private addresses are dialled, through a NAT64 too."""
    assert "" == undialable(text)
    assert (text,) == dial_list(text, (), loopback=False, families={4, 6})


@pytest.mark.rule("CAND-14")
def test_loopback_is_dialled_beside_a_relay_on_loopback() -> None:
    """With the own relay on loopback a loopback candidate is dialled, its NAT64 form never."""
    hosts = ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:2", "[64:ff9b::7f00:1]:1", "224.0.0.1:1"]
    dialled = dial_list(None, hosts, loopback=True, families={4, 6})
    assert ("127.0.0.1:1", "[::1]:1", "127.0.0.1:2") == dialled


@pytest.mark.rule("CAND-15")
def test_no_more_than_sixteen_are_dialled() -> None:
    """The first sixteen usable candidates are dialled, the reflexive one being the last of all."""
    hosts = [f"10.0.0.{number}:1" for number in range(1, 100)]
    assert tuple(hosts[:16]) == dial_list("192.0.2.1:1", hosts, loopback=False, families={4})


@pytest.mark.rule("CAND-16")
def test_one_address_in_several_forms_is_dialled_once() -> None:
    """A candidate counts once, in its canonical form, where it was first named."""
    hosts = ["[FD00:0::1]:1", "[::ffff:10.0.0.1]:1", "10.0.0.1:1", "[fd00::1]:1", "[::ffff:a00:1]:1"]
    dialled = dial_list("10.0.0.1:1", hosts, loopback=False, families={4, 6})
    assert ("[fd00::1]:1", "10.0.0.1:1") == dialled


@pytest.mark.rule("CAND-17")
def test_a_family_without_a_socket_is_not_dialled() -> None:
    """Only candidates of a family that there is a socket for are dialled."""
    hosts = ["[2001:db8::1]:1", "10.0.0.1:1"]
    assert ("10.0.0.1:1", "192.0.2.1:1") == dial_list("192.0.2.1:1", hosts, loopback=False, families={4})
    assert ("[2001:db8::1]:1",) == dial_list("192.0.2.1:1", hosts, loopback=False, families=[6])


@given(
    st.one_of(st.none(), NAMED),
    st.lists(NAMED, max_size=40),
    st.booleans(),
    st.sets(st.sampled_from([4, 6])),
)
def test_a_dial_list_keeps_every_rule(
    reflexive: str | None,
    hosts: list[str],
    loopback: bool,  # noqa: FBT001 - drawn
    families: set[int],
) -> None:
    """Whatever a peer names, what is dialled is few, canonical, allowed, of our families and once."""
    dialled = dial_list(reflexive, hosts, loopback=loopback, families=families)
    assert len(dialled) <= CANDIDATES
    assert sorted(set(dialled)) == sorted(dialled)
    for text in dialled:
        assert "" == undialable(text, loopback=loopback)
        assert text == format_address(*parse_address(text))
        assert ipaddress.ip_address(parse_address(text)[0]).version in families
    if len(dialled) < CANDIDATES:
        fits = {text for text in (*hosts, reflexive) if text is not None and not undialable(text)}
        wanted = {format_address(*parse_address(text)) for text in fits}
        reached = {
            text for text in wanted if ipaddress.ip_address(parse_address(text)[0]).version in families
        }
        assert set() == reached - set(dialled), "no usable candidate is left out"
