"""Checks of spec/transport.md: QUIC, server names, streams, datagrams."""

from __future__ import annotations

import asyncio

from conformance import codec, identity, spec
from conformance.checking import check
from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.verdicts import Deviation, Evidence, Unsupported, Untestable
from conformance.watch import as_step

CODES = spec.close_codes()
MANY = 256
STREAMS = 100
"""Bidirectional streams that a peer may open (spec/transport.md)."""
MESSAGE = 4_096
"""What a message counts for beside its payload, in bytes (spec/transport.md)."""
ROUND = 8
"""Messages from one Ping of a flood to the next: few enough Pongs for the one who floods to read."""
WATCHED = 0.8
"""Seconds that a flood is watched for after its limit is reached: a tenth of what the rest should take."""
PATIENT = 8.0
"""Seconds for the limit to be reached."""
SECOND_TRIES = 8
FORGETTING = 0.3
"""Seconds: several times what QUIC remembers a closed connection for, where the round trip is short."""
IDLE = 30.0
"""Seconds of silence after which a connection is lost (spec/transport.md)."""


@check("TRANS-1")
async def test_a_foreign_protocol_is_refused(stage: Stage) -> None:
    """A client offers the protocol `h3` only; its handshake must not complete."""
    puppet = await stage.dial("stranger", alpn="h3", handshake=False)
    await stage.until(lambda: puppet.connected or bool(puppet.closed), 2.0)
    assert not puppet.connected, "the handshake completed for a client that offers `h3` only"


@check("TRANS-2")
async def test_datagrams_are_advertised(stage: Stage) -> None:
    """The transport parameters of the relay must allow datagram frames of 1200 bytes."""
    puppet = await stage.dial("alice")
    limit = puppet.quic.datagram_limit
    assert limit >= 1200, f"the relay advertises a max datagram frame size of {limit} bytes"


@check("TRANS-18")
async def test_the_protocol_is_accepted(stage: Stage) -> None:
    """A client offers the protocol `wzp`; its handshake must complete."""
    puppet = await stage.dial("alice", handshake=False)
    await stage.until(lambda: puppet.connected or bool(puppet.closed), 2.0)
    assert puppet.connected, f"the handshake of a client that offers `wzp` ended with {puppet.closed}"


@check("TRANS-16")
async def test_enough_streams_are_granted(stage: Stage) -> None:
    """The transport parameters of the relay must let a client open 100 bidirectional streams."""
    puppet = await stage.dial("alice")
    granted = puppet.quic.streams_limit
    assert granted >= STREAMS, f"the relay lets a client open {granted} bidirectional streams"


@check("TRANS-17")
async def test_the_idle_timeout_is_announced(stage: Stage) -> None:
    """The transport parameters of the relay must announce a max idle timeout of 30 s."""
    puppet = await stage.dial("alice")
    announced = puppet.quic.idle_limit
    assert announced == IDLE, f"the relay announces a max idle timeout of {announced:g} s"


@check("TRANS-3", variant="quick")
async def test_a_silent_connection_is_kept_alive(stage: Stage) -> None:
    """A registered client says nothing more; ack-eliciting packets of the relay must go on arriving."""
    puppet = await stage.register("alice")
    interval = stage.relay.timers["keep_alive"]
    quiet = asyncio.get_running_loop().time() + 1.5 * interval
    heard = await stage.until(lambda: puppet.quic.eliciting[-1:] > [quiet], 4 * interval + 0.5)
    assert heard, f"nothing arrives on a silent connection, long after the interval of {interval} s"


@check("TRANS-4")
async def test_an_unfinished_handshake_delays_nobody(stage: Stage) -> None:
    """Three clients begin a handshake and leave it hanging; another one's must complete meanwhile."""
    hanging = [await stage.dial(f"idler {n}", muted=True, handshake=False) for n in range(3)]
    puppet = await stage.dial("alice", handshake=False)
    completed = await stage.until(lambda: puppet.connected, 1.5)
    for one in hanging:
        one.link.unmute()
    await stage.until(lambda: all(one.connected or one.closed for one in hanging), 1.0)
    assert completed, "a handshake does not complete while others are left hanging"


@check("TRANS-5", variant="few", last=True)
async def test_a_connection_too_many_is_closed(stage: Stage) -> None:
    """Connections are opened until one more is open than the limit allows.

    It must be closed with TOO_MANY_CONNECTIONS.
    """
    people = await _crowd(stage)
    refused = next((one for one in people if one.closed), people[-1])
    await stage.expects_close(refused, CODES["TOO_MANY_CONNECTIONS"])


async def _crowd(stage: Stage) -> list[Puppet]:
    """Open connections until every place is taken and one more was asked for, who may not know it yet.

    A relay closes when the handshake is over, so that the close may arrive after the next has been opened.
    Whoever is refused while there is room by the limit leaves time for the relay to forget it.
    """
    limit = _limit(stage)
    people: list[Puppet] = []
    for number in range(limit + SECOND_TRIES):
        people.append(await stage.dial(f"client {number}"))
        if _open(people) > limit:
            await stage.until(lambda: _open(people) <= limit, 1.0)
            break
        if number >= limit:
            await stage.until(lambda: False, FORGETTING)
    return people


def _open(people: list[Puppet]) -> int:
    return sum(not one.closed for one in people)


def _limit(stage: Stage) -> int:
    """Return the relay's limit of connections; raises Unsupported for one that is out of reach."""
    limit = int(stage.relay.limits["connections"])
    if limit > MANY:
        message = (
            f"the relay's limit is {limit} connections, and the suite opens at most {MANY}: start yours with "
            'a smaller one, and let its ready line say "limits":{"connections":…}'
        )
        raise Unsupported(message)
    return limit


@check("TRANS-5", variant="few", last=True)
async def test_a_closed_connection_leaves_its_place(stage: Stage) -> None:
    """Connections to `ping` come and go, and then a few of as many clients as the limit allows leave.

    Nobody who comes for one of the places that were left may be closed with TOO_MANY_CONNECTIONS.
    """
    limit = _limit(stage)
    for _ in range(4):
        await _expects_room(stage, "closed by the relay", limit // 2)
    people = await _crowd(stage)
    if all(not one.closed for one in people):
        message = "the relay closes no connection beyond its limit"
        raise Untestable(message)
    for one in [one for one in people if not one.closed][:4]:
        one.leave()
        await _expects_room(stage, f"closed by {one.name}", 1)


async def _expects_room(stage: Stage, closed: str, number: int) -> None:
    """Raise Deviation unless so many connections to `ping` find a place; `closed` tells what has left."""
    people = [await stage.dial(f"prober {n}", "ping") for n in range(number)]
    await stage.until(lambda: all(one.closed for one in people), 0.5)
    refused = CODES["TOO_MANY_CONNECTIONS"]
    for one in people:
        if not one.closed:  # which is for another check to say (TRANS-8)
            one.leave()
        if one.closed is not None and one.closed.application and one.closed.code == refused:
            message = (
                f"{one.name} was closed with {one.closed}: the place of a connection {closed} is not free"
            )
            shown = Evidence(one.name, "a place", f"a close with {one.closed}", seen=as_step(one.closed))
            raise Deviation(message, shown)


@check("TRANS-6")
async def test_server_names_are_read_without_case(stage: Stage) -> None:
    """A client connects to `_SIGNAL` and registers; it must be served as one at `_signal`."""
    for name in ("_SIGNAL", "_Signal"):
        puppet = await stage.dial(f"alice at {name}", name)
        puppet.send(puppet.identity.registration())
        puppet.send(identity.ping(1))
        await stage.until(lambda puppet=puppet: bool(puppet.inbox) or bool(puppet.closed), 1.0)
        assert puppet.inbox, f"a connection to {name} is not served: {puppet.closed or 'nothing arrives'}"


@check("TRANS-7")
async def test_an_unknown_server_name_is_closed(stage: Stage) -> None:
    """Clients connect to names that mean nothing; each must be closed with NO_SUCH_SERVICE."""
    long = ".".join(["n" * 60] * 4)  # longer than a reason may be, and still a name
    unlinked = () if stage.relay.peers else ("_federation",)
    for name in ("version", *unlinked, "nonsense", "default", long, None):
        puppet = await stage.dial(f"client of {name and name[:20]}", name)
        await stage.expects_close(puppet, CODES["NO_SUCH_SERVICE"])


@check("TRANS-8")
async def test_ping_is_closed_normally(stage: Stage) -> None:
    """A client connects to `ping`; after the handshake it must be closed with NORMAL."""
    puppet = await stage.dial("prober", "ping")
    await stage.expects_close(puppet, CODES["NORMAL"])


@check("TRANS-9")
async def test_every_message_has_a_stream_of_its_own(stage: Stage) -> None:
    """A call is placed, accepted and ended.

    Every message of the relay must come alone on a new bidirectional stream that the relay ends.
    """
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    bob.send(bob.identity.hangup(call_id))
    await stage.settle()
    regular = await stage.until(lambda: not [*alice.streams.irregular(), *bob.streams.irregular()], 1.0)
    faults = [*alice.streams.irregular(), *bob.streams.irregular()]
    assert regular, f"{faults[0]}, and {len(faults) - 1} more like it"


@check("TRANS-10")
async def test_messages_are_handled_in_the_order_of_their_streams(stage: Stage) -> None:
    """The end of a Ping is held back while another goes out on a later stream.

    The Pong of the earlier stream must come first.
    """
    alice = await stage.register("alice")
    early = codec.encode(identity.ping(1))
    stream = alice.send_bytes(early[:9], fin=False)
    alice.send(identity.ping(2))
    await stage.until(lambda: bool(alice.heard("Pong", timestamp_ms=2)), 0.1)
    alice.send_bytes(early[9:], stream=stream)
    await stage.settle(alice)
    order = [one.body["timestamp_ms"] for one in alice.heard("Pong") if one.body["timestamp_ms"] in (1, 2)]
    if len(order) != 2:
        message = f"the Pongs that arrived have the numbers {order}"
        raise Untestable(message)
    assert order == [1, 2], "the message on the later stream was handled first"


@check("TRANS-11")
async def test_the_relay_ends_its_half_of_every_stream(stage: Stage) -> None:
    """Messages that are answered, acted on, ignored and bad are sent, each on a stream of its own.

    The relay must end its half of every one.
    """
    alice, _ = await stage.register_all("alice", "bob")
    sent = [alice.send(identity.ping(n)) for n in (1, 2)]
    call_id = stage.call_id()
    sent.append(alice.send(alice.identity.offer(stage.person("bob").fingerprint, call_id)))
    sent.append(alice.send(alice.identity.hangup(call_id)))
    sent.append(alice.send({"Nonsense": {}}))
    sent.append(alice.send_bytes(codec.frame(b"{")))
    await stage.settle(alice)
    done = await stage.until(lambda: set(sent) <= alice.streams.ended | alice.reset, 1.0)
    left = sorted(set(sent) - alice.streams.ended - alice.reset)
    assert done, f"the relay does not end its half of the streams {left}"


@check("TRANS-12")
async def test_bytes_behind_the_first_frame_are_discarded(stage: Stage) -> None:
    """Two Pings are sent as two frames of one stream, at once and in pieces.

    Only the first of each stream may be answered.
    """
    alice = await stage.register("alice")
    alice.send_bytes(codec.encode(identity.ping(1)) + codec.encode(identity.ping(2)))
    stream = alice.send_bytes(codec.encode(identity.ping(3)), fin=False)
    await stage.settle(alice)
    alice.send_bytes(codec.encode(identity.ping(4)), stream=stream)
    await stage.settle(alice)
    second = [n for n in (2, 4) if alice.heard("Pong", timestamp_ms=n)]
    assert not second, "the second frame of a stream was answered"


@check("TRANS-13")
async def test_a_whole_frame_does_not_wait_for_the_end(stage: Stage) -> None:
    """A Ping is sent and its stream is left open; the Pong must come all the same."""
    alice = await stage.register("alice")
    stream = alice.send_bytes(codec.encode(identity.ping(1)), fin=False)
    came = await stage.until(lambda: bool(alice.heard("Pong")[1:]), 0.5)
    assert came, "a whole frame has no effect while its stream is open"
    if stream not in alice.stopped:  # or the relay has read all that it wants of it
        alice.send_bytes(b"", stream=stream)


@check("TRANS-14", variant="quick")
async def test_a_stalled_stream_is_reset(stage: Stage) -> None:
    """A frame is begun and never completed, and a Ping follows.

    The stream must be reset and the Ping answered once the time for a frame is over.
    """
    alice = await stage.register("alice")
    stalled = alice.send_bytes(b"\0\0\0\x10{", fin=False)
    known = len(alice.heard("Pong"))
    alice.send(identity.ping(1))
    patience = stage.relay.timers["stream"] + 1.0
    answered = await stage.until(lambda: len(alice.heard("Pong")) > known, patience)
    assert answered, "a message behind a stalled stream is never handled"
    gone = await stage.until(lambda: stalled in alice.reset | alice.stopped, 0.5)
    assert gone, "the stalled stream is not reset"


@check("TRANS-19")
async def test_a_flood_of_messages_waits(stage: Stage) -> None:
    """A client says far more at once than is allowed; not all of it may be handled as fast as it comes.

    It says things that mean nothing, and a Ping every now and then, whose Pong shows how far the relay is.
    """
    burst, per_second = stage.relay.limits["said_burst"], stage.relay.limits["said_per_second"]
    idle, each = codec.encode("Nothing"), MESSAGE + len(codec.payload("Nothing"))
    rounds = int((burst + 8 * per_second) / each / ROUND)
    if rounds > MANY:
        message = f"the relay allows so much that {rounds * ROUND} messages would be needed"
        raise Unsupported(message)
    alice = await stage.register("alice")
    clock = asyncio.get_running_loop()
    began = clock.time()
    stage.dialogue.note(alice.name, "->", {"Nothing": {"messages": rounds * ROUND}})
    for number in range(rounds):
        for one in (*[idle] * (ROUND - 1), codec.encode(identity.ping(number))):
            alice.send_bytes(one, noted=True, flush=False)
    alice.link.transmit()

    def handled() -> int:
        return ROUND * len(alice.heard("Pong"))

    def too_fast() -> bool:
        return handled() > (burst + per_second * (clock.time() - began)) / each + ROUND

    used_up = await stage.until(lambda: handled() > burst / each - ROUND or bool(alice.closed), PATIENT)
    if not used_up or alice.closed:
        message = (
            f"{handled()} messages were handled: {alice.closed or 'so slowly that no limit can be seen'}"
        )
        raise Untestable(message)
    fast = await stage.until(too_fast, WATCHED)
    fault = f"{handled()} of {rounds * ROUND} messages were handled within {clock.time() - began:.1f} s"
    assert not fast, f"{fault}; {burst / each:.0f} are allowed, and {per_second / each:.0f} a second"


@check("TRANS-15")
async def test_a_datagram_does_not_end_a_signal_connection(stage: Stage) -> None:
    """Datagrams are sent on a signal connection; it must stay open and go on being served."""
    alice = await stage.register("alice")
    alice.datagram(codec.datagram(b"hello"), b"x", bytes(1000))
    for _ in range(2):
        await stage.fence(alice)
    assert alice.closed is None, f"a datagram ended the signal connection with {alice.closed}"
