"""Checks of spec/race.md that a client has to pass: its role, and what it does as the dialer.

What it does as the acceptor, and in both roles, is judged in the files that begin with this one's name; how
is said in racing.py.
"""

from __future__ import annotations

from conformance.checking import client
from conformance.checks.client.racing import BRIEF, dials, early_room, let_in, several, talk_over
from conformance.client_ground import LARGE, PATIENCE, SMALL, Party
from conformance.client_stage import DIALER, UNHURRIED, ClientStage
from conformance.verdicts import Deviation, Untestable

# Roles


@client("RACE-1")
async def test_the_larger_text_dials(stage: ClientStage) -> None:
    """The client's own address is larger as text, and smaller as a number: in the IP address, in the port.

    It must dial the other party each time.
    """
    stage.scale = UNHURRIED
    for own in ("9.0.0.1:1", "127.0.0.1:9", LARGE):
        party = await stage.party(f"party against {own}")
        stage.manners.observes = own
        if not stage.signals:
            await stage.online()
        call_id = str((await stage.placed()).body["call_id"])
        stage.accept(call_id)
        stage.set_up(call_id, party.address)
        dialled = await stage.until(lambda party=party: bool(party.host.attempts()), PATIENCE)
        assert dialled, f"a client at {own} has not dialled {party.address}, which is the smaller text"
        await stage.over(call_id)


@client("RACE-1")
async def test_the_smaller_text_waits(stage: ClientStage) -> None:
    """The client's own address is smaller as text, and once larger as a number.

    It must let the other party's dial in and dial nobody.
    """
    stage.scale = UNHURRIED
    party = await stage.party(address=("127.0.0.2", 0))
    for own in ("127.0.0.10:1", SMALL):
        stage.manners.observes = own
        if not stage.signals:
            await stage.online()
        call_id = str((await stage.placed()).body["call_id"])
        stage.accept(call_id)
        stage.set_up(call_id, party.address)
        near = await stage.dial(party, f"call-{call_id}", handshake=False)
        await stage.settle()
        assert not party.host.attempts(), f"a client at {own} dials {party.address}, which is the larger text"
        if not near.connected:
            message = f"the client refused the dial of its call with {near.closed or 'silence'} (RACE-7)"
            raise Untestable(message)
        await stage.over(call_id)


@client("RACE-2")
async def test_without_a_role_nobody_is_dialled(stage: ClientStage) -> None:
    """CallSetup names no reflexive address, one that cannot be read, and the client's own.

    Candidates stand beside it since phase 5.5. The client must take the room and dial none of them.
    """
    party = await stage.party()
    for own, peer in ((LARGE, None), (LARGE, "nonsense"), (party.address, party.address)):
        await _without(stage, party, own, peer)


@client("RACE-2")
async def test_without_an_own_address_nobody_is_dialled(stage: ClientStage) -> None:
    """The relay does not tell the client its address, and CallSetup names the other party's.

    The client must take the room and dial nobody.
    """
    party = await stage.party()
    await _without(stage, party, "", party.address)


async def _without(stage: ClientStage, party: Party, own: str, peer: str | None) -> None:
    stage.manners.observes = own
    if not stage.signals:
        await stage.online()
    call_id = str((await stage.placed()).body["call_id"])
    stage.accept(call_id)
    since = len(stage.rooms)
    stage.set_up(call_id, peer, [party.address])
    await stage.joined(since)
    await stage.settle()
    dialled = len(party.host.packets)
    assert not dialled, f"without a role ({own or 'none'} and {peer}) the client dialled {party.address}"
    await stage.over(call_id)


@client("RACE-2")
async def test_without_a_role_nobody_is_let_in(stage: ClientStage) -> None:
    """The two reflexive addresses are equal, and the other party dials under the call's name.

    The client must not let it in.
    """
    stage.scale = UNHURRIED
    party = await stage.party()
    stage.manners.observes = party.address
    await stage.online()
    call_id = str((await stage.placed()).body["call_id"])
    stage.accept(call_id)
    stage.set_up(call_id, party.address)
    await stage.joined()
    near = await stage.dial(party, f"call-{call_id}", handshake=None)
    assert not await let_in(stage, near), "a client without a role let a direct connection in"


# The dialer


@client("RACE-3")
async def test_all_are_dialled_at_once(stage: ClientStage) -> None:
    """CallSetup names three candidates, and none of them answers.

    When the client dials the room it must have dialled all three.
    """
    _, parties = await several(stage, 3)
    await stage.joined()
    silent = [one.address for one in parties if not one.host.attempts()]
    assert not silent, f"at the end of the head start {', '.join(silent)} had not been dialled"


@client("RACE-4")
async def test_the_name_of_the_call(stage: ClientStage) -> None:
    """The client dials the other party, as the caller and as the callee.

    Its server name must be call-<call_id> each time.
    """
    stage.scale = UNHURRIED
    for caller in (True, False):
        meeting = await stage.meet(DIALER, caller=caller)
        await stage.until(lambda meeting=meeting: bool(meeting.party.dialled), PATIENCE)
        names = [name for name, _ in meeting.party.dialled]
        if not names:
            message = "the client has not dialled the other party (RACE-1)"
            raise Untestable(message)
        said = [(name or "").lower() for name in names]
        assert [meeting.room] * len(names) == said, f"the client dialled under {names}, not {meeting.room!r}"
        await stage.over(meeting.call_id)


@client("RACE-5")
async def test_one_connection_is_kept(stage: ClientStage) -> None:
    """The client has dialled two candidates; the second one answers first, and the first one after that.

    It must give up the one that was late and keep the other.
    """
    stage.scale = UNHURRIED
    meeting, (late, first) = await several(stage)
    await dials(stage, late, first)
    first.host.release()
    kept = await stage.dialled(first)
    await talk_over(stage, meeting)
    late.host.release()

    def over() -> bool:
        return bool(late.dialled) and all(one.connected or one.closed for _, one in late.dialled)

    await stage.until(over, BRIEF)
    await stage.settle()
    for _, puppet in late.dialled:
        if puppet.connected and await stage.close_of(puppet) is None:
            message = f"two connections of the call stay open: {kept.name} and {puppet.name}"
            raise Deviation(message)
    assert kept.closed is None, f"the first connection was closed with {kept.closed}"


@client("RACE-5")
async def test_the_first_is_kept(stage: ClientStage) -> None:
    """The one candidate that the client dials answers; the client must keep the connection."""
    stage.scale = UNHURRIED
    meeting, direct = await stage.direct(DIALER)
    await talk_over(stage, meeting)
    await stage.settle()
    assert direct.closed is None, f"the first connection was closed with {direct.closed}"


@client("RACE-6")
async def test_one_failure_is_no_failure(stage: ClientStage) -> None:
    """One candidate refuses the client while another one has not answered, and then does.

    Until then the client must neither report a failure nor dial the room within the head start.
    """
    stage.scale = UNHURRIED
    meeting, (refusing, slow) = await several(stage)
    await dials(stage, refusing, slow)
    await stage.settle()
    if early_room(stage) is not None:
        message = "the client dialled the room before any attempt had failed (RACE-12)"
        raise Untestable(message)
    refusing.host.refuses = lambda _: True
    refusing.host.release()
    await stage.settle()
    failed = stage.signal.heard("MediaPathReport", call_id=meeting.call_id, direct_ok=False)
    after = early_room(stage)
    slow.host.release()
    assert not failed, "one attempt failed, and the client reported that there is no direct path"
    assert after is None, f"one attempt failed, and the client dialled the room {after:.2f} s after CallSetup"
    await stage.dialled(slow)
