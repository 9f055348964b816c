"""The command `nat` against relays on loopback (spec/reflection.md, NAT classification)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from reference import client
from reference.core import wire
from reference.core.addresses import format_address
from reference.core.messages import (
    Message,
    ReflectResponse,
    RegisterPresence,
    RegisterPresenceAck,
)
from reference.core.phases import NEWEST, Phase
from reference.core.reflection import Verdict
from reference.core.registration import Identity
from reference.core.sessions import Setting
from reference.endpoint import EndpointLimits
from reference.nat import conclude, show, show_json
from reference.survey import PHASE, Probe, ask
from reference.switch import Switch
from tests.loopback.conftest import CREDENTIALS, LOOPBACK, Recorder, Watched, opened, run
from tools.processes import troupe

PATIENT, SHORT = 30.0, 1.0
"""Seconds for relays that answer, and for relays that do not."""
DEAD = f"{LOOPBACK}:1"


def dropped(_logger: object, _method: str, _event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Log nothing."""
    raise structlog.DropEvent


@contextlib.asynccontextmanager
async def relay(phase: Phase = NEWEST, host: str = LOOPBACK) -> AsyncIterator[Switch]:
    """Run a relay of a phase in this process."""
    silent = structlog.wrap_logger(None, [dropped], structlog.stdlib.BoundLogger)
    made = Switch(Setting(Identity.from_seed(bytes(32)), ""), phase, silent)
    await made.open(host, 0, CREDENTIALS, EndpointLimits())
    try:
        yield made
    finally:
        await made.shutdown()


def where(switch: Switch) -> str:
    """Return the address of a relay."""
    return format_address(*switch.endpoint.address)


class Scripted(Recorder):
    """A relay that answers every message with the next of its script."""

    door: Watched

    def __init__(self, *script: Message) -> None:
        """Answer with `script`."""
        super().__init__()
        self.script = list(script)

    def frame(self, session: int, payload: bytes) -> None:
        """Remember a message and answer it."""
        super().frame(session, payload)
        if self.script:
            self.door.send(session, wire.encode(self.script.pop(0), PHASE))


@contextlib.asynccontextmanager
async def scripted(*script: Message) -> AsyncIterator[tuple[Scripted, str]]:
    """Open a relay that says what it was told to; give it and its address."""
    heard = Scripted(*script)
    async with opened(heard) as heard.door:
        yield heard, format_address(*heard.door.address)


@pytest.mark.rule("REFL-10")
def test_two_relays_see_one_socket() -> None:
    """Two relays on loopback both see one port of 127.0.0.1, which is no public address: Unknown."""

    async def test() -> None:
        async with relay() as one, relay() as other:
            probes = await ask([where(one), where(other)], PATIENT)
            assert [where(one), where(other)] == [probe.relay for probe in probes]
            (seen,) = {probe.observed for probe in probes}
            assert seen is not None
            assert seen.startswith(f"{LOOPBACK}:")
            assert [None, None] == [probe.error for probe in probes]
            assert all(probe.latency is not None for probe in probes)
            assert (4, Verdict.UNKNOWN, None) == conclude(probes)

    run(test())


def test_a_probe_is_nobody_that_is_known() -> None:
    """Each probe registers an identity of its own, signed, so that no registration is replaced."""

    async def test() -> None:
        ack, seen = RegisterPresenceAck(success=True), ReflectResponse(observed_addr="192.0.2.1:7")
        async with scripted(ack, seen) as (one, first), scripted(ack, seen) as (other, second):
            probes = await ask([first, second], PATIENT)
            hellos = [wire.decode(it.of("frame")[0][1], PHASE) for it in (one, other)]
            keys = set()
            for hello, probe in zip(hellos, probes, strict=True):
                assert isinstance(hello, RegisterPresence)
                assert probe.identity.registration_signature() == hello.signature
                keys.add(hello.identity_pub)
            assert 2 == len(keys)
            for each in (one, other):
                await each.times("lost")
                assert ["_signal"] == [sni for _, sni, *_ in each.of("connected")]
                assert [("lost", 0, "normal close", True)] == each.of("lost")
            assert (4, Verdict.CONE, "192.0.2.1:7") == conclude(probes)

    run(test())


def test_a_dead_relay_costs_the_others_nothing() -> None:
    """Where nobody listens there is an error and no observation; the other relay is heard."""

    async def test() -> None:
        async with relay() as alive:
            dead, answered = await ask([DEAD, where(alive)], SHORT)
            assert (None, None, "no handshake within 1 s") == (dead.observed, dead.latency, dead.error)
            assert answered.observed is not None
            assert answered.error is None

    run(test())


def test_a_relay_of_phase_0_never_answers() -> None:
    """A relay that knows no reflection leaves the probe without an answer, and the error says so."""

    async def test() -> None:
        async with scripted(RegisterPresenceAck(success=True)) as (silent, address):
            (probe,) = await ask([address], SHORT)
            assert 2 == len(silent.of("frame"))
            assert (None, "the relay does not reflect within 1 s") == (probe.observed, probe.error)
        async with relay(Phase.SIGNALLED_CALL) as old:
            (probe,) = await ask([where(old)], SHORT)
            assert (None, "the relay does not reflect within 1 s") == (probe.observed, probe.error)

    run(test())


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ((), "no answer to the registration within 1 s"),
        (
            (RegisterPresenceAck(success=False, error="go \x1b[2Jaway"),),
            "the relay refuses us: go \N{REPLACEMENT CHARACTER}[2Jaway",
        ),
        ((RegisterPresenceAck(success=False),), "the relay refuses us: no reason given"),
        (
            (RegisterPresenceAck(success=True), ReflectResponse(observed_addr="here")),
            "the relay answers nonsense: 'here' is no address with a port",
        ),
        ((ReflectResponse(observed_addr="192.0.2.1:7"),), "no answer to the registration within 1 s"),
    ],
)
def test_what_a_relay_does_wrong_is_said(script: tuple[Message, ...], error: str) -> None:
    """A relay that is silent, refuses or answers nonsense is named in the probe's error, readably."""

    async def test() -> None:
        async with scripted(*script) as (_, address):
            (probe,) = await ask([address], SHORT)
            assert (None, error) == (probe.observed, probe.error)

    run(test())


def test_a_relay_that_closes_is_said() -> None:
    """A relay that closes the connection ends its probe with its reason, before the time is over."""

    async def test() -> None:
        async with scripted() as (heard, address):
            asking = asyncio.ensure_future(ask([address], PATIENT))
            await heard.times("frame")
            heard.door.close(heard.last("frame"), 1, "shutting down")
            (probe,) = await asking
            assert "shutting down" == probe.error

    run(test())


def test_relays_of_both_families_are_asked_from_a_socket_each(capsys: pytest.CaptureFixture[str]) -> None:
    """IPv6 relays see an IPv6 socket; the verdict is of the family that answers more, and is said to be."""

    async def test() -> None:
        async with relay() as four, relay(host="::1") as six, relay(host="::1") as sixth:
            probes = await ask([where(four), where(six), where(sixth)], PATIENT)
            assert probes[1].observed == probes[2].observed != probes[0].observed
            assert str(probes[1].observed).startswith("[::1]:")
            assert (6, Verdict.UNKNOWN, None) == conclude(probes)
            show(probes)

    run(test())
    printed = " ".join(capsys.readouterr().out.split())
    assert "asked from a socket each; what follows is of IPv6. Unknown: nothing can be said" in printed


def test_a_host_without_ipv6_asks_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without IPv6 an IPv6 relay has an error of its own, and an IPv4 relay answers."""
    honest = socket.socket

    def four_only(family: int, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return honest(family, *rest)

    async def test() -> None:
        async with relay() as four:
            monkeypatch.setattr(socket, "socket", four_only)
            answered, dead = await ask([where(four), "[::1]:4433"], PATIENT)
            monkeypatch.undo()
            assert None is answered.error
            assert "there is no IPv6 socket: address family not supported by protocol" == dead.error

    run(test())


def test_a_verdict_is_printed_with_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    """The table names relay, observation, latency or error; behind it stand verdict and meaning, or JSON."""
    probes = [
        Probe("192.0.2.9:4433", observed="198.51.100.9:7", latency=12),
        Probe("192.0.2.8:4433", observed="198.51.100.9:7", latency=0),
        Probe("192.0.2.7:4433", error="[bold]no handshake within 1.5 s"),
    ]
    show(probes)
    printed = capsys.readouterr().out
    for part in ("192.0.2.9:4433", "198.51.100.9:7", "12 ms", " 0 ms", "– [bold]no handshake within 1.5 s"):
        assert part in printed
    assert "Cone (198.51.100.9:7): the NAT maps alike for everybody" in printed
    show_json(probes)
    expected = {
        "probes": [
            {
                "relay_addr": probe.relay,
                "observed_addr": probe.observed,
                "latency_ms": probe.latency,
                "error": probe.error,
            }
            for probe in probes
        ],
        "nat_type": "Cone",
        "consensus_addr": "198.51.100.9:7",
    }
    assert expected == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--relay", "relay.example:1"), "--relay: 'relay.example:1' is no address with a port"),
        (("--relay", "0.0.0.0:1"), "--relay 0.0.0.0:1: no relay can be there"),
        (("--relay", DEAD, "--timeout", "inf"), "--timeout: inf is no number to count with"),
        (("--relay", DEAD, "--timeout", "0"), "--timeout: 0 is less than 0.1"),
        ((), "--relay is missing"),
        (
            [word for number in range(1, 18) for word in ("--relay", f"{LOOPBACK}:{number}")],
            "--relay: 17 relays are more than the 16 that are asked at once",
        ),
    ],
)
def test_a_survey_that_cannot_be_made(arguments: tuple[str, ...], says: str) -> None:
    """Each option that cannot be followed is named with its value, and the status is 2."""
    ran = CliRunner().invoke(client.app, ["nat", *arguments])
    assert says in " ".join(ran.stderr.split())
    assert 2 == ran.exit_code


def test_no_relay_at_all() -> None:
    """When no relay answers the status is 3, and the JSON still tells of every probe, each relay once."""
    twice = ["--relay", DEAD, "--relay", f"[::ffff:{LOOPBACK}]:1"]
    ran = CliRunner().invoke(client.app, ["nat", *twice, "--timeout", "0.1", "--json"])
    why = "no handshake within 0.1 s"
    probe = {"relay_addr": DEAD, "observed_addr": None, "latency_ms": None, "error": why}
    assert {"probes": [probe], "nat_type": "Unknown", "consensus_addr": None} == json.loads(ran.stdout)
    assert 3 == ran.exit_code


def test_the_command_against_relays_that_run(tmp_path: Path) -> None:
    """Beside two relays and a dead one the command ends with 0: both saw one port of this machine."""
    with troupe(tmp_path) as cast:
        relays = [cast.relay(name=name) for name in ("one", "other")]
        asked = [*(it.ready()["addr"] for it in relays), DEAD]
        words = [word for address in asked for word in ("--relay", address)]
        asking = cast.start("nat", "reference.client", "nat", *words, "--timeout", 3, "--json")
        assert 0 == asking.end()
        (told,) = map(json.loads, asking.lines)
    one, other, dead = told["probes"]
    assert asked == [probe["relay_addr"] for probe in told["probes"]]
    assert one["observed_addr"] == other["observed_addr"]
    assert one["observed_addr"].startswith(f"{LOOPBACK}:")
    assert "no handshake within 3 s" == dead["error"]
    assert ("Unknown", None) == (told["nat_type"], told["consensus_addr"])
