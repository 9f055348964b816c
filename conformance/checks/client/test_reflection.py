"""Checks of spec/reflection.md that a client has to pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.checking import client
from conformance.client_ground import written
from conformance.client_stage import ClientStage
from conformance.verdicts import Deviation, Evidence, Untestable

ANSWER = 1.0
"""Seconds that a client may wait for a ReflectResponse (REFL-6)."""
OLD = "198.51.100.7:41007"
"""What the client is told on its first signal connection."""
HERE, NEXT_PORT, ELSEWHERE = "52.10.20.30:4433", "52.10.20.30:51234", "81.20.30.40:4433"
"""What relays see of a NAT."""
HERE_SIX = "[2600:1f14::5]:4433"
HIDDEN = (
    (
        *("0.0.0.0:1024", "127.0.0.1:4433", "10.1.2.3:4433", "172.16.0.1:1"),
        *("192.168.7.7:4433", "169.254.3.4:4433", "100.64.0.42:4433"),
    ),
    (
        *("[::]:4433", "[::1]:4433", "[fe80::1]:4433", "[fc00::1]:4433", "[fd00::7]:4433"),
        *("172.31.255.254:4433", "100.127.255.254:4433"),
    ),
)
"""Addresses that are not public, of every kind that the chapter names."""
TABLE = (
    ("Unknown", (HERE,)),
    ("Multiple", (HERE, ELSEWHERE)),
    ("Multiple", (HERE, HERE, ELSEWHERE)),
    ("Multiple", (HERE, HERE_SIX)),
    ("Cone", (HERE, HERE)),
    ("SymmetricPort", (HERE, NEXT_PORT)),
    ("SymmetricPort", (HERE, HERE, NEXT_PORT)),
)
"""The table of verdicts: what follows from what several relays see."""


@client("REFL-6")
async def test_an_old_relay_does_not_hold_up_a_call(stage: ClientStage) -> None:
    """The relay answers no Reflect; the offer has to come within 1 s all the same, without an address."""
    stage.manners.observes = ""

    async def calls() -> None:
        await stage.ask("call", target=stage.other.fingerprint)

    offer = await stage.in_time(calls, "DirectCallOffer", ANSWER)
    actual = offer.body.get("caller_reflexive_addr")
    assert actual is None, f"the relay told no address, and the offer has {actual!r}"


@client("REFL-6")
async def test_an_old_relay_does_not_hold_up_an_answer(stage: ClientStage) -> None:
    """The relay answers no Reflect; AcceptTrusted has to come within 1 s all the same, without an address."""
    stage.manners.observes = ""

    async def answers() -> None:
        await stage.ask("answer", call_id=await stage.rung(), mode="AcceptTrusted")

    answer = await stage.in_time(answers, "DirectCallAnswer", ANSWER)
    actual = answer.body.get("callee_reflexive_addr")
    assert actual is None, f"the relay told no address, and the answer has {actual!r}"


@client("REFL-7")
async def test_an_address_goes_with_its_connection(stage: ClientStage) -> None:
    """The client calls and is told an address; its connection is cut, and on the next one it is told none.

    Neither its offer nor its answer may carry the address of then.
    """
    stage.manners.observes = OLD
    await stage.online()
    offer = await stage.placed()
    if stage.knows("3") and offer.body.get("caller_reflexive_addr") != OLD:
        message = f"the client was told {OLD} and has not advertised it (CAND-7)"
        raise Untestable(message)
    await stage.hung_up(str(offer.body["call_id"]))
    since = len(stage.adapter.events)
    stage.manners.observes = ""
    stage.signal.leave()
    await stage.has("registered", since=since)
    offer = await stage.placed()
    await stage.hung_up(str(offer.body["call_id"]))
    answer = await stage.answered(await stage.rung())
    for told, member in ((offer, "caller_reflexive_addr"), (answer, "callee_reflexive_addr")):
        actual = told.body.get(member)
        assert actual != OLD, f"{told.name} carries {actual}, which was told on an earlier connection"


async def _configured(stage: ClientStage) -> None:
    """Configure a client that is in no hurry: how long it waits for a relay is not what is judged."""
    await stage.configure(**({"timers": 1} if stage.offers("timers") else {}))


async def _verdict(stage: ClientStage, told: Sequence[str]) -> str:
    """Let the client ask as many relays, which tell it this; return its verdict.

    Raises Untestable when the client does not know what it was told.
    """
    reply = await _classified(stage, told)
    if [*told] != reply["observed"]:
        message = f"the relays told {', '.join(told)}, and the client has heard {reply['observed']}"
        raise Untestable(message)
    return str(reply["verdict"])


async def _classified(stage: ClientStage, told: Sequence[str]) -> dict[str, Any]:
    names = [f"relay at {number}" for number in range(len(told))]
    stage.manners.elsewhere.update(zip(names, told, strict=True))
    there = {host.name: host for host in stage.hosts}
    relays = [there.get(name) or await stage.open(name) for name in names]
    return await stage.ask("nat", relays=[written(host.address) for host in relays])


def _wrong(told: Sequence[str], expected: str, actual: str) -> Deviation:
    message = f"the relays saw {', '.join(told)}: that is {expected}, and the client says {actual}"
    return Deviation(message, Evidence("user", expected, actual))


@client("REFL-8", "nat")
async def test_what_is_not_public_says_nothing(stage: ClientStage) -> None:
    """Several relays tell addresses that are not public, and one tells a public one: that is Unknown."""
    await _configured(stage)
    stage.reported = True
    for hidden in HIDDEN:
        told = (*hidden, HERE)
        actual = await _verdict(stage, told)
        if actual != "Unknown":
            raise _wrong(told, "Unknown", actual)


@client("REFL-9", "nat")
async def test_the_verdict_is_that_of_the_table(stage: ClientStage) -> None:
    """Relays tell what each row of the table of verdicts is about; the verdict must be the row's."""
    await _configured(stage)
    stage.reported = True
    for expected, told in TABLE:
        actual = await _verdict(stage, told)
        if actual != expected:
            raise _wrong(told, expected, actual)


@client("REFL-10", "nat")
async def test_every_probe_leaves_one_socket(stage: ClientStage) -> None:
    """The client asks three relays, with no NAT in between; all must see it at one port."""
    await _configured(stage)
    await _classified(stage, [HERE] * 3)
    asked = [host for host in stage.hosts if host.packets]
    if len(asked) < 3:
        message = f"the client has sent packets to {len(asked)} of 3 relays"
        raise Untestable(message)
    ports = {packet.source[1] for host in asked for packet in host.packets}
    assert 1 == len(ports), f"the probes come from the ports {', '.join(map(str, sorted(ports)))}"
