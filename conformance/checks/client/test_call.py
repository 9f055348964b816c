"""Checks of spec/call.md that a client has to pass."""

from __future__ import annotations

from itertools import combinations

from conformance.checking import client
from conformance.client_ground import PATIENCE
from conformance.client_stage import DIALER, HEAD_START, ClientStage, Meeting, hangup_of
from conformance.host import Packet
from conformance.puppet import Puppet
from conformance.verdicts import Untestable

CALLS = 5
"""Calls that are placed to see how their ids are drawn."""
BITS, BYTES = 128, 16
ALIKE = 24
"""Two call_ids that differ in fewer bits than this were not drawn; by chance one pair in 10^12 does."""
UNDECIDED = 1.0
"""Seconds of the client in which its user does nothing about a call."""
MORE = 0.2
"""Seconds of the client in which ten frames of audio would follow."""
FRAMES = 200
"""Frames of audio that are asked for so that there are some left when the call ends."""


async def _followed(stage: ClientStage, call_id: str) -> tuple[list[str], list[Packet]]:
    """Send CallSetup that names a party; return the rooms and the dials of it that come of it."""
    party = await stage.party()
    stage.set_up(call_id, party.address, [party.address])
    await stage.passes(HEAD_START + MORE)  # a client that waits for a direct path dials the room only then
    return [name for name, _ in stage.rooms], party.host.attempts()


@client("CALL-35")
async def test_a_setup_out_of_the_blue_is_ignored(stage: ClientStage) -> None:
    """CallSetup comes when there is no call, and for another call than the one that was placed.

    No media connection may follow, neither to the room nor to the party that it names.
    """
    await stage.online()
    rooms, dials = await _followed(stage, stage.call_id())
    assert not rooms, "the client joined the room of a call that nobody placed"
    assert not dials, "the client dialled the other end of a call that nobody placed"
    await stage.placed()
    rooms, dials = await _followed(stage, stage.call_id())
    assert not rooms, "the client joined the room of another call than it had placed"
    assert not dials, "the client dialled the other end of another call than it had placed"


@client("CALL-35")
async def test_a_setup_of_a_call_not_accepted_is_ignored(stage: ClientStage) -> None:
    """CallSetup comes for a call that rings, and for a rejected one; no media connection may follow."""
    await stage.online()
    call_id = await stage.rung()
    rooms, dials = await _followed(stage, call_id)
    if stage.signal.heard("DirectCallAnswer"):
        message = "the client has answered a call that its user had not decided about (CALL-39)"
        raise Untestable(message)
    assert not rooms, "the client joined the room of a call that its user had not accepted"
    assert not dials, "the client dialled the other end of a call that its user had not accepted"
    await stage.answered(call_id, "Reject")
    rooms, dials = await _followed(stage, call_id)
    assert not rooms, "the client joined the room of a call that its user had rejected"
    assert not dials, "the client dialled the other end of a call that its user had rejected"


async def _call_ids(stage: ClientStage, count: int) -> list[str]:
    """Let the user place calls and hang up each; return their ids."""
    found: list[str] = []
    for _ in range(count):
        found.append(str((await stage.placed()).body["call_id"]))
        await stage.hung_up(found[-1])
    return found


def _drawn(call_id: str) -> bytes:
    """Return the bytes of a call_id; raises AssertionError for one that is not 16 of them."""
    lower = set(call_id) <= set("0123456789abcdef")
    assert lower, f"the call_id {call_id!r} is not written in lowercase hex digits"
    digits = len(call_id)
    assert BITS // 4 == digits, f"the call_id {call_id!r} has {digits} digits, not {BITS // 4}"
    return bytes.fromhex(call_id)


@client("CALL-36")
async def test_a_call_id_is_drawn(stage: ClientStage) -> None:
    """The user places five calls, and the client is registered anew among them.

    Every call_id must be 32 lowercase hex digits, no two may be alike, and no byte the same in all.
    """
    await stage.online()
    call_ids = await _call_ids(stage, CALLS - 2)
    await stage.ask("reset")
    await stage.online()
    call_ids += await _call_ids(stage, 2)
    drawn = [_drawn(call_id) for call_id in call_ids]
    for one, other in combinations(drawn, 2):
        bits = (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()
        assert bits >= ALIKE, f"the call_ids {one.hex()} and {other.hex()} differ in {bits} bits of {BITS}"
    fixed = [place for place in range(BYTES) if 1 == len({one[place] for one in drawn})]
    assert not fixed, f"byte {fixed[0]} of every call_id is the same: {', '.join(call_ids)}"


async def _talks(stage: ClientStage, puppet: Puppet) -> None:
    """Let the user talk, until some of it has arrived."""
    await stage.ask("send", n=FRAMES, every_ms=20)
    await stage.audio(puppet, 3)


async def _falls_silent(stage: ClientStage, meeting: Meeting, puppet: Puppet) -> None:
    """Let the other party hang up; raises AssertionError when media goes on to arrive at the puppet."""
    stage.say(stage.signal, hangup_of(meeting.call_id if stage.knows("7") else None))
    await stage.settle()
    await stage.settle()  # what was on its way when the first turn came stands before what the second brings
    before = len(puppet.datagrams)
    await stage.passes(MORE)
    after = len(puppet.datagrams) - before
    assert not after, f"{after} datagrams arrived at {puppet.name} after the Hangup"


@client("CALL-37", "media")
async def test_a_hangup_ends_the_media(stage: ClientStage) -> None:
    """The other party hangs up while the user talks; once that has been heard no datagram may come any more.

    This is so in a room and, in a second call, on a direct path, which exists since phase 3.5.
    """
    meeting, room = await stage.on_relay()
    await _talks(stage, room)
    await _falls_silent(stage, meeting, room)
    if stage.knows("3.5"):
        await stage.has("ended", call_id=meeting.call_id)
        stage.manners.company = 1  # or a client that has not heard the suite in time goes back to the relay
        meeting, direct = await stage.on_direct(DIALER)
        await _talks(stage, direct)
        await _falls_silent(stage, meeting, direct)


def _heard_before(stage: ClientStage, begun: int, room: Puppet) -> bool:
    """Tell whether a Hangup came before the close of the room, of what was noted since then."""
    steps = stage.dialogue.steps()[begun:]
    said = [(step["who"], step["what"]) for step in steps if "<-" == step["direction"]]
    closed = next(place for place, (who, what) in enumerate(said) if who == room.name and "close" in what)
    return any(who == stage.signal.name and "Hangup" in what for who, what in said[:closed])


@client("CALL-38")
async def test_hangup_goes_first(stage: ClientStage) -> None:
    """The user hangs up in a room; Hangup must arrive before the media connection is closed."""
    _, room = await stage.on_relay()
    begun = stage.dialogue.mark()
    await stage.ask("hangup")
    await stage.until(lambda: bool(room.closed), PATIENCE)
    if room.closed is None:
        message = "the client hung up and left the media connection open"
        raise Untestable(message)
    hung_up = _heard_before(stage, begun, room)
    assert hung_up, "the media connection was closed before a Hangup had come"


@client("CALL-39")
async def test_nobody_accepts_but_the_user(stage: ClientStage) -> None:
    """The other party calls and the user does nothing; no accepting answer may come before the user's."""
    await stage.online()
    call_id = stage.call_id()
    stage.say(stage.signal, stage.other.offer(stage.subject.fingerprint, call_id))
    await stage.passes(UNDECIDED)
    answers = stage.signal.heard("DirectCallAnswer")
    accepting = [one for one in answers if one.body.get("accept_mode") != "Reject"]
    assert not accepting, "the client accepted a call that its user had not decided about"
    await stage.has("incoming", call_id=call_id)
    await stage.answered(call_id, "AcceptGeneric")


async def _named(stage: ClientStage) -> str | None:
    """Let the user hang up; return the call_id that the Hangup carries."""
    since = stage.signal.mark()
    await stage.ask("hangup")
    return (await stage.needs(stage.signal, "Hangup", since=since)).body.get("call_id")


@client("CALL-46")
async def test_a_hangup_names_its_call(stage: ClientStage) -> None:
    """The user hangs up before anybody has answered, and in the room of the next call.

    Each Hangup must carry the call_id of its call.
    """
    await stage.online()
    placed = str((await stage.placed()).body["call_id"])
    named = await _named(stage)
    assert placed == named, f"the Hangup of the call {placed} names {named}"
    await stage.has("ended", call_id=placed)
    meeting, _ = await stage.on_relay()
    named = await _named(stage)
    assert meeting.call_id == named, f"the Hangup of the call {meeting.call_id} names {named}"


@client("CALL-47")
async def test_a_hangup_of_another_call_is_ignored(stage: ClientStage) -> None:
    """In a room a Hangup comes that names another call; the media connection must stay.

    The call ends with the Hangup that names it.
    """
    meeting, room = await stage.on_relay()
    stage.say(stage.signal, hangup_of(stage.call_id()))
    await stage.settle()
    left = room.closed
    assert left is None, f"the client left the room with {left} after the Hangup of another call"
    ended = stage.events("ended")
    assert not ended, "the client ended its call with the Hangup of another one"
    stage.say(stage.signal, hangup_of(meeting.call_id))
    await stage.has("ended", call_id=meeting.call_id)
