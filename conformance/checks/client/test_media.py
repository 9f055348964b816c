"""Checks of spec/media.md that a client has to pass."""

from __future__ import annotations

from itertools import pairwise

from conformance import codec, spec
from conformance.checking import client
from conformance.client_ground import PATIENCE
from conformance.client_stage import ACCEPTOR, COMFORT_NOISE, DIALER, NONE, ClientStage
from conformance.puppet import Puppet
from conformance.verdicts import Untestable

CODES = spec.close_codes()
LARGEST = 1150
"""Bytes of a datagram (MEDIA-28)."""
FRAMES = 8
"""Frames of audio that are looked at."""
PLENTY = 200
"""Frames of audio that are asked for where the time of their beginning is not known."""
APART = 80
"""Milliseconds between two frames that are sent, so that there are frames of every codec between them."""
NOISES = 4
"""Datagrams of ComfortNoise that are looked at."""
ALONE = 1
"""How many are in a room where the client must not go after the other party: a suite may be late to speak."""
QUIET = 0.5
"""Seconds in which a client without audio has to be heard on a direct path (MEDIA-33)."""
SEQUENCES, STAMPS = 1 << 16, 1 << 32


def _sequence(datagram: bytes) -> int:
    return int.from_bytes(datagram[2:4])


def _stamp(datagram: bytes) -> int:
    return int.from_bytes(datagram[4:8])


def _counted(datagrams: list[bytes]) -> list[int]:
    """Return the sequence numbers that datagrams have when they go on from the first one."""
    return [(_sequence(datagrams[0]) + place) % SEQUENCES for place in range(len(datagrams))]


@client("MEDIA-26", "media")
async def test_datagrams_are_counted(stage: ClientStage) -> None:
    """The user talks with pauses; the sequence number must grow by one with every datagram."""
    _, room = await stage.on_relay()
    await stage.ask("send", n=FRAMES, every_ms=2 * 20)
    await stage.audio(room, FRAMES)
    numbers, expected = [_sequence(one) for one in room.datagrams], _counted(room.datagrams)
    assert expected == numbers, f"the sequence numbers are {numbers}, not {expected}"


@client("MEDIA-27", "media")
async def test_silence_takes_time(stage: ClientStage) -> None:
    """The user is heard for one frame in 80 ms; from one to the next the timestamp must grow by 80."""
    _, room = await stage.on_relay()
    await stage.ask("send", n=FRAMES // 2, every_ms=APART)
    stamps = [_stamp(one) for one in await stage.audio(room, FRAMES // 2)]
    steps = [(after - before) % STAMPS for before, after in pairwise(stamps)]
    expected = [APART] * len(steps)
    assert expected == steps, f"the timestamps of frames {APART} ms apart grow by {steps}"


@client("MEDIA-28", "media")
async def test_no_datagram_is_too_large(stage: ClientStage) -> None:
    """The user talks; no datagram may have more than 1150 bytes."""
    _, room = await stage.on_relay()
    await stage.ask("send", n=FRAMES, every_ms=20)
    await stage.audio(room, FRAMES)
    largest = max(room.datagrams, key=len)
    size = len(largest)
    assert size <= LARGEST, f"a datagram of {size} bytes arrived; {LARGEST} are the most"


def _begins(stage: ClientStage, room: Puppet) -> str:
    """Return what came first on a connection: the name of a message, or "datagram"."""
    steps = stage.dialogue.steps()
    said = [step["what"] for step in steps if (step["who"], step["direction"]) == (room.name, "<-")]
    kinds = [one if isinstance(one, str) else next(iter(one)) for one in said]
    return next(kind for kind in kinds if kind != "dials")


@client("MEDIA-29", "media")
async def test_a_participant_introduces_itself_first(stage: ClientStage) -> None:
    """The user talks while the client joins the room; CallOffer must arrive before any datagram."""
    await stage.meet(NONE)
    await stage.ask("send", n=PLENTY, every_ms=20)
    room = await stage.joined()
    await stage.audio(room)
    first = _begins(stage, room)
    assert "CallOffer" == first, f"a {first} came before the CallOffer"


@client("MEDIA-30")
async def test_a_false_answer_ends_the_stay(stage: ClientStage) -> None:
    """The CallAnswer is signed with another key than it names; the client must close the connection."""
    stage.manners.admits = False
    await stage.meet(NONE)
    room = await stage.joined()
    stage.say(room, stage.admission(stage.person("somebody else")))
    stage.company(room, 2)
    left = await stage.close_of(room, PATIENCE)
    assert left is not None, "the client stays in a room whose CallAnswer has a wrong signature"


@client("MEDIA-31", "media")
async def test_numbers_go_on_with_the_path(stage: ClientStage) -> None:
    """The user talks on a direct path, which the other party closes, and through the relay after that.

    The first datagram in the room must have the sequence number behind the last one on the direct path, and
    a later timestamp.
    """
    stage.manners.company = ALONE
    meeting, direct = await stage.on_direct(DIALER)
    await stage.ask("send", n=FRAMES, every_ms=20)
    await stage.audio(direct, FRAMES)
    if _counted(direct.datagrams) != [_sequence(one) for one in direct.datagrams]:
        message = "the datagrams on the direct path are not counted (MEDIA-26)"
        raise Untestable(message)
    last, came, closed = direct.datagrams[-1], len(meeting.party.host.packets), stage.now()
    stage.close(direct, CODES["NOT_SELECTED"])
    await stage.has("path", path="relay")
    left = [one for _, one in stage.rooms if one.closed]  # while there was no path yet
    room = await stage.joined(since=len(left))
    stage.company(room, 2)
    await stage.ask("send", n=FRAMES, every_ms=20)
    await stage.audio(room)
    first = room.datagrams[0]
    lost = len(meeting.party.host.packets) - came  # what was on its way to a closed connection has a number
    step = (_sequence(first) - _sequence(last)) % SEQUENCES
    assert 1 <= step <= 1 + lost, f"{_sequence(last)} was followed by {_sequence(first)} on the other path"
    longest = 1000 * ((stage.now() - closed) / stage.scale + PATIENCE)
    passed = (_stamp(first) - _stamp(last)) % STAMPS
    assert 0 < passed <= longest, f"{_stamp(last)} ms was followed by {_stamp(first)} ms on the other path"


@client("MEDIA-32")
async def test_a_dialer_does_not_introduce_itself(stage: ClientStage) -> None:
    """The client has dialled the other party and taken the direct path; no message may come on it."""
    _, direct = await stage.on_direct(DIALER)
    await stage.settle()
    messages = direct.inbox
    assert not messages, "a message came on a direct path"


@client("MEDIA-32")
async def test_an_acceptor_does_not_introduce_itself(stage: ClientStage) -> None:
    """The other party has dialled the client, which has taken the direct path; no message may come on it."""
    _, direct = await stage.on_direct(ACCEPTOR)
    await stage.settle()
    messages = direct.inbox
    assert not messages, "a message came on a direct path"


@client("MEDIA-33", "media")
async def test_silence_is_heard(stage: ClientStage) -> None:
    """The user says nothing on a direct path; ComfortNoise must come again and again.

    By their timestamps two of its datagrams must not be more than 500 ms apart.
    """
    stage.manners.company = ALONE
    _, direct = await stage.on_direct(DIALER)

    def comfort() -> list[bytes]:
        return [one for one in direct.datagrams if COMFORT_NOISE == (one[0] >> 2) & 0x0F]

    pause = QUIET * stage.scale / stage.slow
    for number in range(4 + round(PATIENCE / pause)):
        direct.datagram(codec.datagram(b"2", codec=COMFORT_NOISE, sequence=number))
        if await stage.until(lambda: len(comfort()) >= NOISES, pause):
            break
    if direct.closed is not None:
        message = f"the client left the direct path with {direct.closed}"
        raise Untestable(message)
    noises = [_stamp(one) for one in comfort()]
    came = len(noises)
    assert came >= NOISES, f"{came} datagrams of ComfortNoise came in a long silence"
    longest = max((after - before) % STAMPS for before, after in pairwise(noises))
    assert longest <= 1000 * QUIET, f"{longest} ms passed without ComfortNoise, and 500 ms are the most"
