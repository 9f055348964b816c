"""Checks of spec/reflection.md: a relay tells a client from where its packets come."""

from __future__ import annotations

import asyncio
import ipaddress

from conformance import codec
from conformance.checking import check
from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.targets import written
from conformance.verdicts import Unsupported, Untestable

MOST = 1000
"""Questions that the suite asks at once, at most."""


async def _observed(stage: Stage, puppet: Puppet) -> str:
    """Ask for the address of a puppet; raises Untestable when no answer comes."""
    mark = puppet.mark()
    puppet.send("Reflect")
    answer = await stage.needs(puppet, "ReflectResponse", since=mark)
    return str(answer.body.get("observed_addr"))


def _without_translation(stage: Stage, puppet: Puppet) -> str:
    """Return the puppet's own address; raises Unsupported when the relay may see another one."""
    own = puppet.link.own_address
    if ipaddress.ip_address(stage.relay.address[0]).is_global and not ipaddress.ip_address(own[0]).is_global:
        message = f"the suite at {own[0]} may be behind a NAT, and cannot know what the relay sees"
        raise Unsupported(message)
    return written(own)


@check("REFL-1")
async def test_reflect_is_answered(stage: Stage) -> None:
    """A registered client asks twice for its address; two ReflectResponses must come."""
    alice = await stage.register("alice")
    for _ in range(2):
        mark = alice.mark()
        alice.send("Reflect")
        await stage.expects(alice, "ReflectResponse", since=mark)


@check("REFL-2")
async def test_the_answer_is_where_the_client_is(stage: Stage) -> None:
    """Two clients ask for their addresses; each must be told the address and port of its own socket."""
    for puppet in await stage.register_all("alice", "bob"):
        expected = _without_translation(stage, puppet)
        actual = await _observed(stage, puppet)
        assert expected == actual, f"{puppet.name} is at {expected} and was told {actual!r}"


@check("REFL-3")
async def test_the_answer_follows_the_client(stage: Stage) -> None:
    """A client goes on from another port, as behind a NAT that forgot it, and asks again.

    It must be told the new address.
    """
    alice = await stage.register("alice")
    before = _without_translation(stage, alice)
    told = await _observed(stage, alice)
    if told != before:
        message = f"alice is at {before} and was told {told!r} before she moved (REFL-2)"
        raise Untestable(message)
    await alice.link.move()
    await stage.fence(alice)  # the relay has seen a packet from there
    mark = alice.mark()
    alice.send("Reflect")
    answer = await stage.expects(alice, "ReflectResponse", since=mark)
    expected, actual = written(alice.link.own_address), answer.body.get("observed_addr")
    assert expected == actual, f"alice moved from {before} to {expected} and was told {actual!r}"


@check("REFL-4", variant="open")
async def test_the_zero_key_may_ask(stage: Stage) -> None:
    """A connection that registered the zero key asks for its address; ReflectResponse must come."""
    alice = await stage.register("alice")
    await _observed(stage, alice)
    probe = await stage.probe("probe")
    probe.send("Reflect")
    await stage.expects(probe, "ReflectResponse")


@check("REFL-5")
async def test_a_burst_of_questions_is_cut_off(stage: Stage) -> None:
    """A client asks far more often at once than is allowed; some questions must have no answer."""
    limits = stage.relay.limits
    asked = int(limits["reflections_burst"] + 8 * limits["reflections_per_second"])
    if asked > MOST:
        message = f"the relay allows so much that {asked} questions would be needed; the suite asks {MOST}"
        raise Unsupported(message)
    alice = await stage.register("alice")
    clock = asyncio.get_running_loop()
    began = clock.time()
    stage.dialogue.note(alice.name, "->", {"Reflect": {"messages": asked}})
    for _ in range(asked):
        alice.send_bytes(codec.encode("Reflect"), noted=True, flush=False)
    alice.link.transmit()
    await stage.settle(alice)
    answered = len(alice.heard("ReflectResponse"))
    allowed = limits["reflections_burst"] + limits["reflections_per_second"] * (clock.time() - began)
    if not answered:
        message = "no question was answered at all (REFL-1)"
        raise Untestable(message)
    if asked <= allowed:
        message = f"the burst took so long that all {asked} questions were allowed"
        raise Untestable(message)
    fault = f"{answered} of {asked} questions were answered; {allowed:.0f} are allowed"
    assert answered <= allowed + 1, fault
