"""The text form of addresses (spec/conventions.md)."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.core.addresses import format_address, normalise_name, parse_address

PORTS = st.integers(min_value=0, max_value=65_535)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1:4433", ("192.0.2.1", 4433)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),  # noqa: S104 - a text to parse, nothing binds to it
        ("[2001:db8::1]:65535", ("2001:db8::1", 65_535)),
        ("[2001:DB8:0:0:0:0:0:1]:1", ("2001:db8::1", 1)),
        ("[2001:db8:0:1:1:1:1:1]:1", ("2001:db8:0:1:1:1:1:1", 1)),
        ("[::ffff:192.0.2.1]:7", ("192.0.2.1", 7)),
        ("[::ffff:c000:201]:7", ("192.0.2.1", 7)),
        ("[::]:7", ("::", 7)),
    ],
)
def test_parses_to_the_canonical_host(text: str, expected: tuple[str, int]) -> None:
    """An address text becomes the canonical host and its port."""
    assert expected == parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:-1",
        "192.0.2.1:+1",
        "192.0.2.1: 1",
        " 192.0.2.1:1",
        "192.0.2.1:1\n",
        "192.0.2.1:100000",
        "192.0.2.256:1",
        "192.0.2:1",
        "192.0.2.01:1",
        "2001:db8::1:1",
        "[2001:db8::1]",
        "[2001:db8::g]:1",
        "[2001:db8:::1]:1",
        "[fe80::1%eth0]:1",
        "[192.0.2.1]:1",
        "relay.example:1",
        "192.0.2.1:\u0661",
    ],
)
def test_refuses_what_is_no_address(text: str) -> None:
    """A text in any other form is refused, and the error names it."""
    with pytest.raises(ValueError, match="is no address with a port") as refusal:
        parse_address(text)
    assert str(refusal.value).startswith(repr(text))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.1", "192.0.2.1:9"),
        ("::ffff:192.0.2.1", "192.0.2.1:9"),
        ("2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:9"),
        ("fe80::1%eth0", "[fe80::1]:9"),
    ],
)
def test_formats_what_a_socket_reports(host: str, expected: str) -> None:
    """A host and a port become the canonical text, without scope id and v4-mapped form."""
    assert expected == format_address(host, 9)


@pytest.mark.parametrize(("host", "port"), [("relay", 1), ("", 1), ("192.0.2.1", 65_536), ("::1", -1)])
def test_refuses_to_format_anything_else(host: str, port: int) -> None:
    """A host name or an impossible port has no text form."""
    with pytest.raises(ValueError, match=r"does not appear|is no port"):
        format_address(host, port)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), PORTS)
def test_text_and_address_go_both_ways(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int
) -> None:
    """Formatting and parsing any address gives it back, and the text is stable."""
    text = format_address(str(address), port)
    host, parsed_port = parse_address(text)
    assert port == parsed_port
    assert text == format_address(host, parsed_port)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, None),
        ("192.0.2.1", None),
        ("::1", None),
        ("_signal", "_signal"),
        ("Call-0AF", "call-0af"),
        ("a.b-c._d", "a.b-c._d"),
        ("1.2a", "1.2a"),
        ("a" * 63, "a" * 63),
    ],
)
def test_server_names_are_lower_case(name: str | None, expected: str | None) -> None:
    """A server name is read in lower case; none and an IP literal are both no name."""
    assert expected == normalise_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "a.", ".a", "a..b", "-a", "a.-b", "a" * 64, "a b", "a\0", "12", "a.12"),
        *("\u212a", "\u00e9", ".".join(["a" * 60] * 5)),
    ],
)
def test_other_server_names_are_refused(name: str) -> None:
    """What TLS does not take as a host name is refused by its name."""
    with pytest.raises(ValueError, match="is no server name") as refusal:
        normalise_name(name)
    assert str(refusal.value).startswith(repr(name))
