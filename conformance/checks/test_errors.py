"""Checks of spec/errors.md: close codes, limits, shutdown."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from conformance import codec, identity, spec
from conformance.checking import check
from conformance.puppet import Puppet
from conformance.stage import STREAMS_OF_A_SHY_PUPPET, Stage
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
