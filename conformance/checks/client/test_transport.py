"""Checks of spec/transport.md that a client has to pass: the connection and its streams."""

from __future__ import annotations

from conformance import codec, understanding
from conformance.checking import client
from conformance.client_stage import ClientStage
from conformance.understanding import has_room, joins
from conformance.verdicts import Untestable

KEEP_ALIVE, STALLED = 5.0, 10.0
"""Seconds of the client's time: the longest silence, and the time for a frame (spec/transport.md)."""
STREAMS = 100
"""Bidirectional streams that a peer may open (spec/transport.md)."""
IDLE = 30.0
"""Seconds of silence after which a connection is lost (spec/transport.md)."""
HURRY = 0.1
"""What the client's times are multiplied by in the checks that wait for long ones."""


async def _hurried(stage: ClientStage) -> None:
    """Register the client, with a clock that runs faster still where it can."""
    if stage.offers("timers"):
        stage.scale = HURRY
    await stage.online()


@client("TRANS-16")
async def test_enough_streams_are_granted(stage: ClientStage) -> None:
    """The transport parameters of the client must let its relay open 100 bidirectional streams."""
    granted = (await stage.online()).quic.streams_limit
    assert granted >= STREAMS, f"the client lets its relay open {granted} bidirectional streams"


@client("TRANS-17")
async def test_the_idle_timeout_is_announced(stage: ClientStage) -> None:
    """The transport parameters of the client, in no hurry, must announce a max idle timeout of 30 s."""
    stage.scale = 1.0  # else this time may be multiplied like all others of the client
    announced = (await stage.online()).quic.idle_limit
    assert announced == IDLE, f"the client announces a max idle timeout of {announced:g} s"


@client("TRANS-3")
async def test_a_silent_connection_is_kept_alive(stage: ClientStage) -> None:
    """The relay says nothing more; an ack-eliciting packet of the registered client must arrive all the same.

    It is waited for more than twice as long as the interval, so that a busy machine is not blamed.
    """
    await _hurried(stage)
    signal = stage.signal
    await stage.settle()
    quiet = stage.now() + 0.5 * KEEP_ALIVE * stage.scale  # what was said before has arrived by then
    patience = 2.5 * KEEP_ALIVE * stage.scale + 0.5
    heard = await stage.until(lambda: signal.quic.eliciting[-1:] > [quiet], patience)
    assert heard, f"nothing arrives on a silent connection, long after the interval of {KEEP_ALIVE:g} s"


@client("TRANS-9")
async def test_every_message_has_a_stream_of_its_own(stage: ClientStage) -> None:
    """The client rejects and accepts calls, places one, joins its room and hangs up.

    Every message of it must come alone on a new bidirectional stream that it ends.
    """
    await understanding.conversation(stage)

    def irregular() -> list[str]:
        return [f"{one.name}: {fault}" for one in stage.puppets for fault in one.streams.irregular()]

    regular = await stage.until(lambda: not irregular(), 1.0)
    assert regular, f"{irregular()[0]}, and {len(irregular()) - 1} more like it"


@client("TRANS-10")
async def test_messages_are_handled_in_the_order_of_their_streams(stage: ClientStage) -> None:
    """A call is set up. In a second one the end of the answer is held back while CallSetup goes out behind.

    The room must not be dialled before the answer is whole, and must be then.
    """
    signal = await stage.online()
    await understanding.over(stage, await understanding.connected(stage))
    call_id = str((await stage.placed()).body["call_id"])
    early = codec.encode(stage.other.answer(call_id))
    stream = signal.send_bytes(early[:9], fin=False)
    stage.say(signal, understanding.setup(stage, call_id))
    await stage.settle()
    assert not has_room(stage, call_id), "the message on the later stream was handled first"
    signal.send_bytes(early[9:], stream=stream)
    handled = await joins(stage, call_id)
    assert handled, "of an answer and CallSetup on the stream behind it, the answer was not handled first"


@client("TRANS-11")
async def test_the_client_ends_its_half_of_every_stream(stage: ClientStage) -> None:
    """Messages that are acted on, ignored and bad are sent, each on a stream of its own.

    The client must end its half of every one.
    """
    signal = await stage.online()
    call_id = stage.call_id()
    sent = [signal.send({"Pong": {"timestamp_ms": 1}}), signal.send({"Nonsense": {}})]
    sent.append(signal.send(stage.other.offer(stage.subject.fingerprint, call_id)))
    sent.append(signal.send(stage.other.hangup(call_id)))
    sent.append(signal.send_bytes(codec.frame(b"{")))
    await stage.settle()
    if signal.closed is not None:
        message = f"the connection did not survive messages that are to be ignored: {signal.closed}"
        raise Untestable(message)
    done = await stage.until(lambda: set(sent) <= signal.streams.ended | signal.reset, 1.0)
    left = sorted(set(sent) - signal.streams.ended - signal.reset)
    assert done, f"the client does not end its half of the streams {left}"


@client("TRANS-12")
async def test_bytes_behind_the_first_frame_are_discarded(stage: ClientStage) -> None:
    """CallSetup follows the answer, and later CallRinging, as the second frame of the same stream.

    The room must not be dialled; it is dialled once CallSetup comes on a stream of its own.
    """
    signal = await stage.online()
    call_id = str((await stage.placed()).body["call_id"])
    setup = codec.encode(understanding.setup(stage, call_id))
    signal.send_bytes(codec.encode(stage.other.answer(call_id)) + setup)
    await stage.settle()
    assert not has_room(stage, call_id), "a second frame, sent with the first one, had an effect"
    stream = signal.send_bytes(codec.encode({"CallRinging": {"call_id": call_id}}), fin=False)
    await stage.settle()
    signal.send_bytes(setup, stream=stream)
    await stage.settle()
    assert not has_room(stage, call_id), "a second frame, sent after the first one, had an effect"
    signal.send_bytes(setup)
    if not await joins(stage, call_id):
        message = "CallSetup has no effect on a stream of its own either"
        raise Untestable(message)


@client("TRANS-13")
async def test_a_whole_frame_does_not_wait_for_the_end(stage: ClientStage) -> None:
    """CallSetup is sent and its stream is left open; the room must be dialled all the same."""
    signal = await stage.online()
    call_id = await understanding.ready(stage)
    stream = signal.send_bytes(codec.encode(understanding.setup(stage, call_id)), fin=False)
    if await joins(stage, call_id):
        return
    signal.send_bytes(b"", stream=stream)
    if not await joins(stage, call_id):
        message = "CallSetup has no effect when its stream has ended either"
        raise Untestable(message)
    message = "a whole frame has no effect while its stream is open"
    raise AssertionError(message)


@client("TRANS-14")
async def test_a_stalled_stream_is_reset(stage: ClientStage) -> None:
    """A call is set up. In a second one a frame is begun in front of CallSetup, and never completed.

    Its stream must be reset and the room dialled once the time for a frame is over.
    """
    await _hurried(stage)
    await understanding.over(stage, await understanding.connected(stage))
    call_id, signal = await understanding.ready(stage), stage.signal
    stalled = signal.send_bytes(b"\0\0\0\x10{", fin=False)
    stage.say(signal, understanding.setup(stage, call_id))
    patience = 1.5 * STALLED * stage.scale + 1.0
    handled = await stage.until(lambda: has_room(stage, call_id), patience)
    assert handled, "a message behind a stalled stream is never handled"
    gone = await stage.until(lambda: stalled in signal.reset | signal.stopped, 1.0)
    assert gone, "the stalled stream is not reset"
