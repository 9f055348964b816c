"""The verdict on a NAT (spec/reflection.md, NAT classification)."""

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.core.addresses import format_address
from reference.core.reflection import MEANING, Verdict, classify, public

HERE, ELSEWHERE = "192.0.2.1:4433", "203.0.113.5:4433"
PUBLIC = st.sampled_from(["192.0.2.1", "203.0.113.5", "2001:db8::1"])
PORTS = st.integers(min_value=1, max_value=3)
SEEN = st.one_of(st.none(), st.builds(format_address, PUBLIC, PORTS))
USELESS = st.one_of(
    st.none(),
    st.sampled_from(["", "nonsense", "192.0.2.1", "10.0.0.1:1", "[fd00::1]:1", "127.0.0.1:1"]),
)


@pytest.mark.parametrize(
    ("observations", "expected"),
    [
        ((), (Verdict.UNKNOWN, None)),
        ((HERE,), (Verdict.UNKNOWN, None)),
        ((HERE, HERE), (Verdict.CONE, HERE)),
        ((HERE, "192.0.2.1:51234"), (Verdict.SYMMETRIC_PORT, None)),
        ((HERE, "198.51.100.9:4433"), (Verdict.MULTIPLE, None)),
        (("192.168.1.100:4433", ELSEWHERE), (Verdict.UNKNOWN, None)),
        (("127.0.0.1:4433", ELSEWHERE, ELSEWHERE), (Verdict.CONE, ELSEWHERE)),
        (("100.64.0.42:4433", ELSEWHERE, "203.0.113.5:12345"), (Verdict.SYMMETRIC_PORT, None)),
        (("192.168.1.100:4433", "192.168.1.100:4433"), (Verdict.UNKNOWN, None)),
        ((HERE, None, HERE), (Verdict.CONE, HERE)),
        ((HERE, None), (Verdict.UNKNOWN, None)),
        (("[fd00::1]:1", "[fd00::1]:1"), (Verdict.UNKNOWN, None)),
        (("[2001:db8::1]:1", "[2001:DB8:0::1]:1"), (Verdict.CONE, "[2001:db8::1]:1")),
        ((HERE, "[::ffff:192.0.2.1]:4433"), (Verdict.CONE, HERE)),
        ((HERE, "192.0.2.1:1", "198.51.100.9:1"), (Verdict.MULTIPLE, None)),
        ((HERE, "unknown"), (Verdict.UNKNOWN, None)),
    ],
)
@pytest.mark.rule("REFL-9")
def test_a_verdict_follows_from_what_relays_saw(
    observations: tuple[str | None, ...], expected: tuple[Verdict, str | None]
) -> None:
    """Each row of the table of verdicts, and each case that deployed clients decide."""
    assert expected == classify(observations)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, False) for host in ("0.0.0.0", "127.0.0.1", "127.255.255.255", "10.0.0.1", "172.16.0.1")),  # noqa: S104 - a text
        *((host, False) for host in ("172.31.255.255", "192.168.0.1", "169.254.0.1", "100.64.0.1")),
        *((host, False) for host in ("100.127.255.255", "::", "::1", "fe80::1", "febf::1", "fc00::1")),
        *((host, False) for host in ("fdff::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1")),
        *((host, True) for host in ("9.255.255.255", "11.0.0.0", "172.32.0.0", "192.169.0.0", "100.128.0.0")),
        *((host, True) for host in ("100.63.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1")),
        *((host, True) for host in ("2001:db8::1", "2606:4700::1", "fec0::1", "::ffff:192.0.2.1")),
    ],
)
@pytest.mark.rule("REFL-8")
def test_an_address_of_the_own_network_is_not_public(host: str, expected: bool) -> None:  # noqa: FBT001 - parameters
    """Only an address that the rest of the world could see counts; documentation ranges do."""
    assert expected == public(format_address(host, 4433))


@pytest.mark.rule("REFL-8")
@given(st.lists(SEEN, max_size=4), st.lists(USELESS, max_size=4), st.randoms(use_true_random=False))
def test_what_does_not_count_changes_nothing(
    seen: list[str | None],
    useless: list[str | None],
    chance: random.Random,
) -> None:
    """Failed probes, nonsense, private addresses and the order of the relays change no verdict."""
    mixed = [*seen, *useless]
    chance.shuffle(mixed)
    assert classify(seen) == classify(mixed)


@given(st.lists(st.tuples(PUBLIC, PORTS), max_size=4))
def test_the_verdicts_share_out_all_observations(seen: list[tuple[str, int]]) -> None:
    """Counting addresses and ports apart gives the same verdict as the table."""
    hosts = {str(ipaddress.ip_address(host)) for host, _ in seen}
    expected = Verdict.CONE if len(set(seen)) == 1 else Verdict.SYMMETRIC_PORT
    if len(seen) <= 1:
        expected = Verdict.UNKNOWN
    elif len(hosts) > 1:
        expected = Verdict.MULTIPLE
    verdict, agreed = classify(format_address(*each) for each in seen)
    assert expected == verdict
    assert (verdict is Verdict.CONE) == (agreed is not None)


def test_every_verdict_means_something() -> None:
    """For each verdict there is a sentence for people."""
    assert set(Verdict) == set(MEANING)
    assert all(MEANING.values())
