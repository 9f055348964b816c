"""Checks of spec/errors.md: close codes, limits, shutdown."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from conformance import codec, identity, neighbour, spec
from conformance.border import Border
from conformance.checking import check
from conformance.puppet import Puppet
from conformance.stage import STREAMS_OF_A_SHY_PUPPET, Stage
from conformance.targets import LINKED
from conformance.verdicts import Deviation, Untestable

CODES = spec.close_codes()


@check("ERR-1")
async def test_every_close_has_a_reason(stage: Stage) -> None:
    """The relay is made to close connections in five ways; every close must have a reason."""
    closing = [await stage.dial("prober", "ping"), await stage.dial("lost", "nonsense")]
    refused = await stage.dial("refused")
    refused.send(refused.identity.registration(bytes(64)))
    replaced = await stage.register("bob")
    await stage.register("bob")
    closing += [refused, replaced, await stage.knock(stage.person("eve"), stage.call_id())]
    await stage.until(lambda: all(one.closed for one in closing), 0.7)
    closes = {one.name: one.closed for one in closing if one.closed}
    if not closes:
        message = "the relay closed no connection"
        raise Untestable(message)
    silent = [name for name, close in closes.items() if not close.reason]
    assert not silent, f"the close of {silent[0]} has an empty reason"


@check("ERR-2", needs=("MEDIA-1",))
async def test_a_bad_message_does_not_end_media(stage: Stage) -> None:
    """Malformed, unknown and refused messages and cut frames arrive on a media connection.

    It must stay open and carry media.
    """
    alice, bob = await stage.register_all("alice", "bob")
    _, at_alice, at_bob = await stage.meet(alice, bob)
    await stage.marker(at_alice, at_bob, codec.datagram(b"before"))
    for bad in (b"{", b'{"Nonsense":{}}', b'"Later"', b'{"CallOffer":{}}', b""):
        at_alice.send_bytes(codec.frame(bad))
    at_alice.send_bytes(b"\0\0")
    at_alice.send_bytes(b"\xff\xff\xff\xff")
    behind = codec.datagram(b"behind bad messages")
    arrived = await stage.carries(at_alice, at_bob, behind)
    assert at_alice.closed is None, f"the media connection was closed with {at_alice.closed}"
    assert arrived, "after bad messages no media is forwarded"


@check("ERR-3")
async def test_a_flood_of_bad_messages_is_closed(stage: Stage) -> None:
    """More bad messages and frames than allowed are sent; the connection must be closed with BAD_MESSAGES."""
    alice = await stage.register("alice")
    flood = int(stage.relay.limits["bad_messages"]) + 4
    for number in range(flood):
        bad = (codec.frame(b"{"), codec.frame(b'{"Ping":{}}'), b"\0\0")[number % 3]
        alice.send_bytes(bad, flush=False)
    alice.link.transmit()
    await _expects_close_after(stage, alice, CODES["BAD_MESSAGES"], f"{flood} bad messages and frames")


async def _expects_close_after(stage: Stage, puppet: Puppet, code: int, what: str) -> None:
    """Raise Deviation, which tells what was sent, unless the relay closes the connection with this code."""
    try:
        await stage.expects_close(puppet, code)
    except Deviation as deviation:
        message = f"after {what}: {deviation}"
        raise Deviation(message, deviation.evidence) from None


@check("ERR-4")
async def test_who_does_not_read_is_closed(stage: Stage) -> None:
    """A client grants no streams and asks for more than the limit; it must be closed with TOO_SLOW."""
    alice = await stage.register("alice", streams=STREAMS_OF_A_SHY_PUPPET)
    asked = int(stage.relay.limits["unread"]) + 8
    for number in range(asked):
        alice.send_bytes(codec.encode(identity.ping(number)), flush=False)
    alice.link.transmit()
    await stage.close_of(alice)
    stage.withholds(alice)
    unread = f"{asked} Pings from a client that granted {STREAMS_OF_A_SHY_PUPPET} streams for what it is sent"
    await _expects_close_after(stage, alice, CODES["TOO_SLOW"], unread)


@dataclass
class Ending:
    """What the people of a relay that was stopped have heard."""

    ringing: tuple[Puppet, Puppet]
    active: tuple[Puppet, Puppet]
    idle: Puppet

    @property
    def signals(self) -> tuple[Puppet, ...]:
        """All signal connections."""
        return *self.ringing, *self.active, self.idle


async def _stop(stage: Stage) -> Ending:
    """Stop a relay of its own with a Ringing and an Active call; done once, judged twice."""
    known = stage.memory.once.get("shutdown")
    if known is None:
        known = stage.memory.once["shutdown"] = asyncio.ensure_future(_perform(stage))
    ending: Ending = await known
    return ending


async def _perform(stage: Stage) -> Ending:
    alice, bob, carol, dave, erin = await stage.register_all("alice", "bob", "carol", "dave", "erin")
    await stage.place(alice, bob)
    call_id = await stage.set_up(carol, dave)
    await stage.admitted(await stage.knock(carol, call_id))
    ending = Ending((alice, bob), (carol, dave), erin)
    if stage.relay.process is not None:
        stage.relay.process.stop()
    await stage.until(lambda: all(one.closed for one in ending.signals), 2.0)
    return ending


@check("ERR-5", variant="stopped")
async def test_a_stopping_relay_ends_its_calls(stage: Stage) -> None:
    """A relay with a Ringing and an Active call is stopped; Hangup{Error} must reach all four parties."""
    ending = await _stop(stage)
    left = [one.name for one in (*ending.ringing, *ending.active) if not one.heard("Hangup", reason="Error")]
    assert not left, f"no Hangup{{Error}} reached {left}"


@check("ERR-6", variant="stopped")
async def test_a_stopping_relay_closes_its_connections(stage: Stage) -> None:
    """A relay with calls is stopped; every signal connection must be closed with SHUTDOWN."""
    for one in (await _stop(stage)).signals:
        await stage.expects_close(one, CODES["SHUTDOWN"], 0.1)


@check("ERR-6", variant=LINKED, last=True)
async def test_a_stopping_relay_closes_its_links(stage: Border) -> None:
    """A relay of its own with a link is stopped; the link must be closed with SHUTDOWN."""
    stage.relay = await stage.target.another(neighbour.trusted())
    link = await stage.link("east")
    if stage.relay.process is not None:
        stage.relay.process.stop()
    await stage.expects_close(link, CODES["SHUTDOWN"], 2.0)


@dataclass
class Drained:
    """What the people of a relay that drains have seen: of a call that rang and of one that was Active."""

    idle: Puppet
    newcomer: Puppet
    active: tuple[Puppet, Puppet]
    second: str
    left_early: list[str] = field(default_factory=list)
    carried: bool = False
    answered: bool = False
    left_late: list[str] = field(default_factory=list)

    @property
    def cut_off(self) -> str:
        """Return why nothing can be told of who was in a call, or nothing."""
        return (
            f"the relay ends live calls (ERR-9): {self.left_early} were sent away" if self.left_early else ""
        )


async def _drain(stage: Stage) -> Drained:
    """Tell a relay of its own to stop, which has 6 s to drain; done once, judged by three checks."""
    known = stage.memory.once.get("draining")
    if known is None:
        known = stage.memory.once["draining"] = asyncio.ensure_future(_witness(stage))
    drained: Drained = await known
    return drained


async def _witness(stage: Stage) -> Drained:
    alice, bob, carol, dave, erin = await stage.register_all("alice", "bob", "carol", "dave", "erin")
    ringing = await stage.place(alice, bob)
    active, at_carol, at_dave = await stage.meet(carol, dave)
    if stage.relay.process is not None:
        stage.relay.process.stop()
    await stage.close_of(erin)
    seen = Drained(erin, await stage.dial("frank", handshake=False), (carol, dave), stage.call_id())
    carol.send(carol.identity.offer(dave.identity.fingerprint, seen.second))
    await stage.fence(carol)
    await stage.fence(dave)
    seen.left_early = [one.name for one in (alice, bob, carol, dave) if one.closed]
    seen.carried = await stage.carries(at_carol, at_dave, codec.datagram(b"while the relay drains"))
    bob.send(bob.identity.answer(ringing))
    seen.answered = await stage.until(lambda: bool(alice.heard("CallSetup", call_id=ringing)), 1.0)
    await _asks_to_register(stage, seen.newcomer)
    for call_id in (active, seen.second):
        carol.send(carol.identity.hangup(call_id))
    await stage.until(lambda: bool(carol.closed and dave.closed), 1.0)
    seen.left_late = [one.name for one in (alice, bob) if one.closed]
    return seen


async def _asks_to_register(stage: Stage, newcomer: Puppet) -> None:
    await stage.until(lambda: newcomer.connected or bool(newcomer.closed), 1.0)
    if newcomer.connected:
        newcomer.send(newcomer.identity.registration())
        await stage.close_of(newcomer)


@check("ERR-7", variant="draining")
async def test_a_draining_relay_begins_no_call(stage: Stage) -> None:
    """A relay with calls drains; an offer of a party must be refused with Hangup{Error}."""
    seen = await _drain(stage)
    if seen.cut_off:
        raise Untestable(seen.cut_off)
    carol, dave = seen.active
    assert not dave.heard("DirectCallOffer", call_id=seen.second), "a call began while the relay drained"
    assert carol.heard("Hangup", reason="Error"), "no Hangup{Error} answered an offer while the relay drained"


@check("ERR-8", variant="draining")
async def test_a_draining_relay_sends_away_who_has_no_call(stage: Stage) -> None:
    """A relay with calls is told to stop and drains; who has none must be closed with SHUTDOWN.

    One never had a call, one registers only now, and two have just ended theirs.
    """
    seen = await _drain(stage)
    acknowledged = seen.newcomer.heard("RegisterPresenceAck", success=True)
    assert not acknowledged, "a client without a call could register while the relay drained"
    await stage.expects_close(seen.idle, CODES["SHUTDOWN"], 0.1)
    if seen.newcomer.connected:
        await stage.expects_close(seen.newcomer, CODES["SHUTDOWN"], 0.1)
    for one in seen.active:
        await stage.expects_close(one, CODES["SHUTDOWN"], 0.1)


@check("ERR-9", variant="draining")
async def test_a_draining_relay_leaves_calls_alone(stage: Stage) -> None:
    """A relay with a Ringing and an Active call drains; the one must have its media, the other its answer."""
    seen = await _drain(stage)
    assert not seen.left_early, f"{seen.left_early} were sent away from live calls"
    assert seen.carried, "an Active call has no media while the relay drains"
    assert seen.answered, "a call that rang cannot be answered while the relay drains"
    assert not seen.left_late, f"{seen.left_late} were sent away because others' call ended"
