"""Checks of spec/race.md that a client has to pass in both roles: its times, its one socket, both paths."""

from __future__ import annotations

from conformance.checking import client
from conformance.checks.client.racing import BRIEF, dials, early_room, let_in
from conformance.client_ground import PATIENCE, SMALL
from conformance.client_stage import ACCEPTOR, DEADLINE, DIALER, UNHURRIED, ClientStage, Meeting
from conformance.verdicts import Deviation, Untestable

QUICK, SLOW = 0.1, 0.4
"""Scales for a check in which a time runs out and nothing has to be done before, and for one where it has."""


@client("RACE-11")
async def test_a_dialer_gives_up(stage: ClientStage) -> None:
    """The one candidate answers when the direct deadline has passed; the client must not go on with it."""
    stage.scale = min(stage.scale, QUICK) if stage.offers("timers") else UNHURRIED
    party = await stage.party()
    party.host.held = True
    meeting = await stage.meet(DIALER, party=party)
    await dials(stage, party)
    await _given_up(stage, meeting)
    stage.manners.company = 1
    if stage.knows("6"):  # a direct path that was late would be taken for good now
        stage.report(meeting.call_id)
        await stage.settle()
    party.host.release()

    def answered() -> bool:
        return any(one.connected or one.closed for _, one in party.dialled)

    await stage.until(answered, BRIEF)
    await stage.settle()
    for _, puppet in party.dialled:
        if puppet.connected and await stage.close_of(puppet) is None:
            message = f"a dial went on {DEADLINE:g} s after CallSetup, and its connection stays open"
            raise Deviation(message)


@client("RACE-11")
async def test_an_acceptor_gives_up(stage: ClientStage) -> None:
    """The other party dials when the direct deadline has passed; the client must not let it in."""
    stage.scale = min(stage.scale, QUICK) if stage.offers("timers") else UNHURRIED
    meeting = await stage.meet(ACCEPTOR)
    await _given_up(stage, meeting)
    late = await stage.dial(meeting.party, meeting.room, handshake=None)
    message = f"a connection was let in more than {DEADLINE:g} s after CallSetup"
    assert not await let_in(stage, late), message


async def _given_up(stage: ClientStage, meeting: Meeting) -> None:
    """Wait until the client has given the direct attempt up, or should have long ago."""

    def over() -> bool:
        reports = stage.signal.heard("MediaPathReport", call_id=meeting.call_id)
        return bool(reports or stage.events("path", call_id=meeting.call_id))

    await stage.until(over, (2 * DEADLINE - stage.since("setup")) * stage.scale / stage.slow)
    left = DEADLINE - stage.since("setup")
    if left > 0:  # nobody has to give up earlier
        await stage.passes(left)


@client("RACE-12")
async def test_the_relay_waits_for_a_dialer(stage: ClientStage) -> None:
    """The one candidate is silent; the client must not dial the room within 0.5 s of CallSetup."""
    party = await stage.party()
    party.host.deaf = True
    await stage.meet(DIALER, party=party)
    await _waits(stage)


@client("RACE-12")
async def test_the_relay_waits_for_an_acceptor(stage: ClientStage) -> None:
    """Nobody dials the client; it must not dial the room within 0.5 s of CallSetup."""
    await stage.meet(ACCEPTOR)
    await _waits(stage)


async def _waits(stage: ClientStage) -> None:
    await stage.joined()
    after = early_room(stage)
    assert after is None, f"the room was dialled {after:.3f} s after CallSetup"


@client("RACE-13")
async def test_the_relay_is_dialled_without_an_attempt(stage: ClientStage) -> None:
    """CallSetup names no reflexive address; the client must dial the room and not wait for a head start."""
    stage.scale = UNHURRIED
    stage.manners.observes = SMALL
    await stage.online()
    call_id = str((await stage.placed()).body["call_id"])
    stage.accept(call_id)
    stage.set_up(call_id)
    await _at_once(stage)


@client("RACE-13")
async def test_the_relay_is_dialled_when_all_has_failed(stage: ClientStage) -> None:
    """The one candidate refuses the client, which must dial the room and not wait for the head start."""
    stage.scale = UNHURRIED
    party = await stage.party()
    refused: list[str | None] = []

    def refuses(name: str | None) -> bool:
        refused.append(name)
        return True

    party.host.refuses = refuses
    await stage.meet(DIALER, party=party)
    await stage.until(lambda: bool(refused), PATIENCE)
    if not refused:
        message = "the client has not dialled the other party (RACE-1)"
        raise Untestable(message)
    await _at_once(stage)


async def _at_once(stage: ClientStage) -> None:
    await stage.until(lambda: bool(stage.rooms), PATIENCE)
    assert stage.rooms, "the room was not dialled"
    after = early_room(stage)
    assert after is not None, "the room was not dialled before the head start was over"


@client("RACE-14")
async def test_a_dialer_uses_its_one_socket(stage: ClientStage) -> None:
    """The client dials the other party; it must come from the port of its signal connection."""
    stage.scale = UNHURRIED
    meeting = await stage.meet(DIALER)
    await dials(stage, meeting.party)
    _, port = stage.address
    ports = {one.source[1] for one in meeting.party.host.attempts()}
    assert {port} == ports, f"the signal connection comes from port {port}, direct dials from {sorted(ports)}"


@client("RACE-14")
async def test_an_acceptor_uses_its_one_socket(stage: ClientStage) -> None:
    """The other party dials the port of the client's signal connection under the call's name.

    The client must answer there.
    """
    stage.scale = UNHURRIED
    meeting = await stage.meet(ACCEPTOR)
    near = await stage.dial(meeting.party, meeting.room, handshake=False)
    if near.closed is not None:
        message = f"the client refused the dial of its call with {near.closed} (RACE-7)"
        raise Untestable(message)
    assert near.connected, "nobody answers at the port of the signal connection"


@client("RACE-15", "media")
async def test_both_paths_are_heard(stage: ClientStage) -> None:
    """The client is in the room and has a direct connection; the other party speaks on both, here and there.

    The client must take in both words.
    """
    stage.scale = max(stage.scale, SLOW)
    meeting = await stage.meet(ACCEPTOR)
    room = await stage.joined()
    direct = await stage.dial(meeting.party, meeting.room)
    await stage.settle()
    if room.closed is not None or direct.closed is not None:
        message = f"one of the two paths was closed, {room.closed or direct.closed}"
        raise Untestable(message)
    for number, puppet in ((1, room), (2, direct)):
        stage.speaks(puppet, number)
        await stage.tells("received", seq=number)
