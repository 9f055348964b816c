"""The addresses of our interfaces (spec/candidates.md, Advertising)."""

from __future__ import annotations

import asyncio
import ipaddress
import threading

import ifaddr
import pytest
from ifaddr import IP, Adapter

from reference import interfaces


def adapter(name: str, *addresses: str, nice_name: str = "") -> Adapter:
    """Return an interface with addresses as the library gives them."""
    ips = [
        IP((text, 0, 3) if ":" in text else text, 64 if ":" in text else 24, nice_name or name)
        for text in addresses
    ]
    return Adapter(name, nice_name or name, ips)


HOUSE = [
    adapter("lo", "127.0.0.1", "::1"),
    adapter("eth0", "192.168.1.2", "2001:db8::2", "fe80::2"),
    adapter("wlan0", "10.0.0.2"),
    adapter("docker0", "172.17.0.1"),
    adapter("br-0a1b2c", "172.18.0.1"),
    adapter("veth12", "169.254.3.3"),
    adapter("virbr0", "192.168.122.1"),
    adapter("tun0", "10.8.0.2"),
    adapter("{846EE342}", "172.20.0.1", nice_name="vEthernet (inner)"),
]


def listed(
    monkeypatch: pytest.MonkeyPatch,
    house: list[Adapter],
    use: tuple[str, ...] = (),
    avoid: tuple[str, ...] = (),
) -> list[str]:
    """Return the addresses of a house of interfaces."""
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: house)
    monkeypatch.setattr(interfaces, "PATIENCE", 30.0)  # a busy machine is no slow system
    return asyncio.run(interfaces.addresses(use, avoid))


@pytest.mark.parametrize(
    ("use", "avoid", "expected"),
    [
        ((), (), ["192.168.1.2", "2001:db8::2", "fe80::2", "10.0.0.2", "10.8.0.2"]),
        ((), ("eth0",), ["10.0.0.2", "10.8.0.2"]),
        ((), ("eth0", "nobody"), ["10.0.0.2", "10.8.0.2"]),
        (("docker0",), (), ["172.17.0.1"]),
        (("wlan0", "virbr0"), ("wlan0",), ["192.168.122.1"]),
        (("lo",), (), ["127.0.0.1", "::1"]),
        (("vEthernet (inner)",), (), ["172.20.0.1"]),
        (("gone0",), (), []),
    ],
)
def test_inner_interfaces_are_left_out_unless_they_are_named(
    use: tuple[str, ...], avoid: tuple[str, ...], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loopback, containers and bridges are left out by default; an option names what to use or avoid."""
    assert expected == listed(monkeypatch, HOUSE, use, avoid)


def test_a_name_that_is_no_interface_is_an_error_that_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt interface is named, with those that there are; a person's name for one will do."""
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: HOUSE[:2])
    interfaces.check([])
    interfaces.check(["eth0", "lo"])
    with pytest.raises(ValueError, match=r"no interface is called 'eth1': there are eth0, lo$"):
        interfaces.check(["eth0", "eth1"])
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: HOUSE[-1:])
    interfaces.check(["vEthernet (inner)"])
    monkeypatch.setattr(ifaddr, "get_adapters", list)
    with pytest.raises(ValueError, match=r"there are none$"):
        interfaces.check(["eth0"])


@pytest.mark.rule("CAND-11")
def test_a_slow_system_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the system does not answer there are no addresses, and what comes late is dropped.

    Only a few of its answers are waited for at a time; afterwards everything is as before.
    """
    come, back = threading.Event(), threading.Semaphore(0)

    def slow() -> list[Adapter]:
        assert come.wait(30)
        back.release()
        return HOUSE

    async def test() -> None:
        monkeypatch.setattr(ifaddr, "get_adapters", slow)
        assert [[]] * 6 == [await interfaces.addresses((), ()) for _ in range(6)]
        come.set()
        for _ in range(4):
            assert back.acquire(timeout=30)
        assert not back.acquire(blocking=False), "two of the six listings were never begun"
        for _ in range(4):
            assert interfaces._AT_ONCE.acquire(timeout=30)
        for _ in range(4):
            interfaces._AT_ONCE.release()
        monkeypatch.setattr(ifaddr, "get_adapters", lambda: HOUSE)
        monkeypatch.setattr(interfaces, "PATIENCE", 30.0)
        assert ["10.0.0.2"] == await interfaces.addresses(("wlan0",), ())

    asyncio.run(test())


def test_a_program_may_end_before_the_system_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after the end of the event loop is dropped without an error."""
    come = threading.Event()
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: come.wait(30) and HOUSE)
    threads = threading.enumerate()
    assert [] == asyncio.run(interfaces.addresses((), ()))
    (late,) = set(threading.enumerate()) - set(threads)
    come.set()
    late.join(30)
    assert not late.is_alive()
    assert late.daemon


def test_a_system_that_does_not_tell_has_no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the system is the same as no interfaces: the call goes on by the relay."""

    def refused() -> list[Adapter]:
        raise OSError(1, "operation not permitted")

    monkeypatch.setattr(ifaddr, "get_adapters", refused)
    monkeypatch.setattr(interfaces, "PATIENCE", 30.0)
    assert [] == asyncio.run(interfaces.addresses((), ()))


def test_this_machine_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is asked for real, and nothing it says is loopback or no address."""
    monkeypatch.setattr(interfaces, "PATIENCE", 30.0)
    found = [ipaddress.ip_address(text) for text in asyncio.run(interfaces.addresses((), ()))]
    assert not any(address.is_loopback for address in found)
    interfaces.check([each.name for each in ifaddr.get_adapters()])
