"""Checks of spec/agreement.md that a client has to pass.

Which path the client has taken is seen from where its media comes. Before a check asks what the client makes
of something unusual it lets the same call go the usual way, so that it fails for its own sentence alone.
"""

from __future__ import annotations

from conformance.checking import client
from conformance.client_ground import PATIENCE
from conformance.client_stage import (
    ACCEPTOR,
    DIALER,
    NONE,
    NOT_SELECTED,
    REPORT,
    SILENCE,
    UNHURRIED,
    ClientStage,
    Meeting,
    heard_audio,
)
from conformance.puppet import Puppet
from conformance.verdicts import Deviation, Untestable

DIRECT, RELAY = "direct", "relay"
SLOW = 0.4
"""The scale for a check that has to do something before a time runs out."""
LATE = 2.5
"""Seconds after which a client is late that had to do something after one."""


async def refused(stage: ClientStage) -> Meeting:
    """Bring a call to where the client's one candidate has refused it."""
    party = await stage.party()
    party.host.refuses = lambda _: True
    return await stage.meet(DIALER, party=party)


async def undecided(stage: ClientStage, role: str = ACCEPTOR) -> tuple[Meeting, Puppet, Puppet]:
    """Bring a call to where both paths are open and the client waits for the other end's report."""
    stage.scale = max(stage.scale, SLOW)
    meeting, direct = await stage.direct(role)
    room = await stage.joined()
    await stage.settle()
    if room.closed is not None or direct.closed is not None or stage.events("path"):
        message = f"the path was decided without a report of the other end ({room.closed or direct.closed})"
        raise Untestable(message)
    return meeting, direct, room


async def silent(stage: ClientStage) -> tuple[Meeting, Puppet, Puppet]:
    """Bring a call to where the client has joined the room because the direct path is silent."""
    stage.manners.company = 1
    meeting, direct = await stage.on_direct()
    room = await stage.joined(len(stage.rooms))
    await stage.settle()
    if direct.closed is not None or stage.events("path", path=RELAY):
        message = "the client left the direct path before it had met anybody in the room (AGREE-15)"
        raise Untestable(message)
    return meeting, direct, room


async def room_after(stage: ClientStage, since: int) -> float:
    """Return how many of the client's seconds after the last word on the direct path the room was dialled."""
    if not await stage.until(lambda: len(stage.rooms) > since, PATIENCE):
        waited = stage.since("word")
        message = f"{waited:.1f} s after the last word on the direct path the room had not been dialled"
        raise Deviation(message)
    room = stage.rooms[since][1]
    return (stage.moments[room.name] - stage.moments["word"]) / stage.scale


async def expects_path(stage: ClientStage, path: str, puppet: Puppet, call_id: str, case: str) -> None:
    """Raise Deviation unless the client's media takes this path."""
    if not await stage.takes(path, puppet, call_id):
        message = f"{case}: the client's media does not take the {path} path"
        raise Deviation(message)


async def counted(stage: ClientStage, call_id: str, *, ok: bool, case: str) -> None:
    """Raise Deviation unless the client reports this outcome, and does so once."""
    report = await stage.expects(stage.signal, "MediaPathReport", call_id=call_id)
    assert report.body["direct_ok"] is ok, f"{case}: the client reports direct_ok {report.body['direct_ok']}"
    stage.report(call_id, ok=ok)
    await stage.has("path", call_id=call_id)
    await stage.settle()
    reports = len(stage.signal.heard("MediaPathReport", call_id=call_id))
    assert reports == 1, f"{case}: the client sent {reports} reports"


@client("AGREE-5")
async def test_a_success_is_reported_once(stage: ClientStage) -> None:
    """The direct attempt succeeds, as a dialer's and as an acceptor's; one report must say so."""
    stage.scale = UNHURRIED
    for role in (DIALER, ACCEPTOR):
        meeting, _ = await stage.direct(role)
        await counted(stage, meeting.call_id, ok=True, case=f"an attempt that succeeded, as {role}")
        await stage.over(meeting.call_id)


@client("AGREE-5")
async def test_a_failure_is_reported_once(stage: ClientStage) -> None:
    """The one candidate refuses the client; one report must say that there is no direct path."""
    stage.scale = UNHURRIED
    meeting = await refused(stage)
    await counted(stage, meeting.call_id, ok=False, case="an attempt that failed")


@client("AGREE-5")
async def test_no_attempt_is_reported_once(stage: ClientStage) -> None:
    """There is no direct attempt; one report must say that there is no direct path."""
    stage.scale = UNHURRIED
    meeting = await stage.meet(NONE)
    await counted(stage, meeting.call_id, ok=False, case="no attempt")


@client("AGREE-6")
async def test_both_have_it(stage: ClientStage) -> None:
    """Both ends report a direct path; media must take it, whoever dialled."""
    stage.scale = UNHURRIED
    for role in (DIALER, ACCEPTOR):
        meeting, direct = await stage.direct(role)
        await stage.needs(stage.signal, "MediaPathReport", call_id=meeting.call_id, direct_ok=True)
        stage.report(meeting.call_id)
        await expects_path(stage, DIRECT, direct, meeting.call_id, f"both ends say ok, as {role}")
        await stage.over(meeting.call_id)


@client("AGREE-6")
async def test_the_other_end_has_it_not(stage: ClientStage) -> None:
    """The client has a direct path, and the other end says that it has none; media must take the relay."""
    stage.scale = UNHURRIED
    meeting, direct = await stage.direct(DIALER)
    await stage.needs(stage.signal, "MediaPathReport", call_id=meeting.call_id, direct_ok=True)
    stage.report(meeting.call_id, ok=False)
    await stage.settle()
    await stage.talk()
    await expects_path(stage, RELAY, await stage.joined(), meeting.call_id, "only the client says ok")
    told = stage.events("path", call_id=meeting.call_id, path=DIRECT)
    astray = heard_audio(direct) if stage.offers("media") else told
    assert not astray, "only the client says ok: media took the direct path at first"


@client("AGREE-6")
async def test_the_client_has_it_not(stage: ClientStage) -> None:
    """The client has no direct path; the other end says that it has one, that it has none, or nothing.

    Media must take the relay.
    """
    stage.scale = UNHURRIED
    for ok in (True, False, None):
        since, meeting = len(stage.rooms), await refused(stage)
        await stage.needs(stage.signal, "MediaPathReport", call_id=meeting.call_id, direct_ok=False)
        if ok is not None:
            stage.report(meeting.call_id, ok=ok)
        room = await stage.joined(since)
        await expects_path(stage, RELAY, room, meeting.call_id, f"not ok, and the other end says {ok}")
        await stage.over(meeting.call_id)


@client("AGREE-7")
async def test_a_silent_peer_is_not_waited_for(stage: ClientStage) -> None:
    """The client reports a direct path, and the other end says nothing.

    Media must take the relay 3 s after the client's report.
    """
    meeting, _ = await stage.direct(DIALER)
    await stage.needs(stage.signal, "MediaPathReport", call_id=meeting.call_id, direct_ok=True)
    within = REPORT * stage.scale / stage.slow + PATIENCE
    if not await stage.takes(RELAY, await stage.joined(), meeting.call_id, within):
        waited = stage.since("setup")
        message = f"{waited:.0f} s after CallSetup the client still waits for the other end's report"
        raise Deviation(message)


@client("AGREE-8")
async def test_a_report_of_another_call_decides_nothing(stage: ClientStage) -> None:
    """In a second call reports arrive that name the first one, and say not ok.

    One comes before CallSetup, one when the client has its direct path. The client must report that it has
    one, keep it, and take it when the report of its own call says ok, as it did in the first call.
    """
    stage.scale = UNHURRIED
    first, _ = await stage.on_direct()
    await stage.over(first.call_id)
    party = await stage.party()
    call_id = str((await stage.placed()).body["call_id"])
    stage.accept(call_id)
    stage.report(first.call_id, ok=False)
    stage.set_up(call_id, party.address)
    report = await stage.needs(stage.signal, "MediaPathReport", call_id=call_id)
    assert report.body["direct_ok"] is True, (
        "a report of the call before ended the direct attempt of this one"
    )
    direct = await stage.dialled(party)
    for ok in (False, True):
        stage.report(first.call_id, ok=ok)
    await stage.settle()
    assert direct.closed is None, f"a report of another call: the direct path was closed with {direct.closed}"
    assert not stage.events("path", call_id=call_id), "a report of another call decided the path"
    stage.report(call_id)
    await stage.has("path", call_id=call_id, path=DIRECT)


@client("AGREE-9")
async def test_an_early_good_report_counts(stage: ClientStage) -> None:
    """The other end's ok comes before CallSetup, and while the client's attempt is open.

    The client must take the direct path as soon as it has one, as it does when the ok comes later.
    """
    stage.scale = UNHURRIED
    stage.manners.company = 1
    usual, _ = await stage.on_direct()
    await stage.over(usual.call_id)
    for before in (True, False):
        party = await stage.party()
        party.host.held = True
        call_id = str((await stage.placed()).body["call_id"])
        stage.accept(call_id)
        if before:
            stage.report(call_id)
        stage.set_up(call_id, party.address)
        if not before:
            stage.report(call_id)
        await stage.settle()
        party.host.release()
        direct = await stage.dialled(party)
        case = "before CallSetup" if before else "before the client's attempt was decided"
        await expects_path(stage, DIRECT, direct, call_id, f"the other end said ok {case}")
        await stage.over(call_id)


@client("AGREE-9")
async def test_an_early_bad_report_counts(stage: ClientStage) -> None:
    """The other end's "not ok" comes before CallSetup, and while the client's attempt is open.

    The client must end its attempt and report that: as it leaves its direct path when the "not ok" is late.
    """
    stage.scale = UNHURRIED
    stage.manners.company = 1
    usual, direct = await stage.direct(DIALER)
    stage.report(usual.call_id, ok=False)
    await stage.has("path", call_id=usual.call_id, path=RELAY)
    if await stage.close_of(direct) is None:
        message = "the client keeps a direct path that the other end has not (AGREE-11)"
        raise Untestable(message)
    await stage.over(usual.call_id)
    for before in (True, False):
        party = await stage.party()
        party.host.held = True
        call_id = str((await stage.placed()).body["call_id"])
        stage.accept(call_id)
        if before:
            stage.report(call_id, ok=False)
        stage.set_up(call_id, party.address)
        if not before:
            stage.report(call_id, ok=False)
        await stage.settle()
        party.host.release()
        report = await stage.needs(stage.signal, "MediaPathReport", call_id=call_id)
        case = "before CallSetup" if before else "before the client's attempt was decided"
        went_on = report.body["direct_ok"]
        assert went_on is False, f"the other end said not ok {case}, and the client went on with its attempt"
        await stage.over(call_id)


@client("AGREE-16", "media")
async def test_media_on_the_direct_path_decides_for_it(stage: ClientStage) -> None:
    """No report of the other end comes, but it speaks on the direct path, which one or the other dialled.

    Once the client has taken that in, its own media must come there.
    """
    stage.scale = UNHURRIED
    for role in (DIALER, ACCEPTOR):
        meeting, direct = await stage.direct(role)
        mark = len(stage.adapter.events)
        stage.speaks(direct)
        await stage.has("received", since=mark, seq=1)
        await expects_path(stage, DIRECT, direct, meeting.call_id, f"the other end speaks there, as {role}")
        await stage.over(meeting.call_id)


@client("AGREE-10", "media")
async def test_nobody_speaks_before_the_decision(stage: ClientStage) -> None:
    """Both paths are open, the user speaks, and no report of the other end has come.

    No datagram may come on either; when the report has come, what is said must come.
    """
    meeting, direct, room = await undecided(stage, DIALER)
    await stage.ask("send", n=5, every_ms=20)

    def spoken() -> bool:
        return bool(direct.datagrams or room.datagrams)

    await stage.until(spoken, 0.2 * stage.scale / stage.slow)
    await stage.settle()
    if spoken() and stage.since("setup") < REPORT:
        where = direct.name if direct.datagrams else room.name
        message = f"a datagram came at {where} before the path was decided"
        raise Deviation(message)
    stage.report(meeting.call_id)
    if not await stage.takes(DIRECT, direct, meeting.call_id):
        message = "nothing of what is said comes on the direct path after the decision (AGREE-6)"
        raise Untestable(message)


@client("AGREE-11")
async def test_the_direct_path_is_left(stage: ClientStage) -> None:
    """The other end has no direct path; the client's connections must be closed with NOT_SELECTED."""
    stage.scale = UNHURRIED
    stage.manners.company = 1
    for role in (DIALER, ACCEPTOR):
        meeting, direct = await stage.direct(role)
        both = [direct] if role == DIALER else [direct, await stage.dial(meeting.party, meeting.room)]
        await stage.needs(stage.signal, "MediaPathReport", call_id=meeting.call_id, direct_ok=True)
        stage.report(meeting.call_id, ok=False)
        await stage.has("path", call_id=meeting.call_id, path=RELAY)
        for one in both:
            await stage.expects_close(one, NOT_SELECTED)
        await stage.over(meeting.call_id)


@client("AGREE-11")
async def test_the_room_is_left(stage: ClientStage) -> None:
    """The client has joined the room when both ends have said ok; the room must be left with NOT_SELECTED."""
    meeting, _, room = await undecided(stage)
    stage.report(meeting.call_id)
    await stage.has("path", call_id=meeting.call_id, path=DIRECT)
    await stage.expects_close(room, NOT_SELECTED)


@client("AGREE-12")
async def test_the_end_of_the_direct_path_is_not_the_end(stage: ClientStage) -> None:
    """The other end speaks on the direct path and then closes it with NOT_SELECTED.

    The client must dial the room before a second of silence tells it to, and its media come there.
    """
    stage.scale = UNHURRIED
    meeting, direct = await stage.on_direct()
    since = len(stage.rooms)
    stage.note("word")
    stage.speaks(direct)
    stage.closes(direct)
    after = await room_after(stage, since)
    assert after < SILENCE, f"the direct path was closed, and the room dialled after {after:.2f} s of silence"
    room = await stage.joined(since)
    await expects_path(stage, RELAY, room, meeting.call_id, "the direct path has ended")


@client("AGREE-12")
async def test_the_call_survives_a_close_without_a_hangup(stage: ClientStage) -> None:
    """The other end closes the direct path as if it had hung up, and no Hangup comes.

    The client's media must come through the relay.
    """
    meeting, direct = await stage.on_direct()
    since = len(stage.rooms)
    stage.closes(direct, 0)
    room = await stage.joined(since)
    await expects_path(stage, RELAY, room, meeting.call_id, "the direct path has ended")


@client("AGREE-13")
async def test_a_silent_direct_path_is_doubted(stage: ClientStage) -> None:
    """The other end says one word on the direct path and no more.

    A second later the client must dial the room.
    """
    stage.manners.company = 1
    _, direct = await stage.on_direct()
    since = len(stage.rooms)
    stage.note("word")
    stage.speaks(direct)
    after = await room_after(stage, since)
    assert after < LATE, f"the room was dialled {after:.1f} s after the last word on the direct path"


@client("AGREE-14")
async def test_a_peer_is_followed_to_the_relay(stage: ClientStage) -> None:
    """The direct path is silent, and the other end speaks in the room.

    The client must leave the direct path, and when the room says who is there its media come there.
    """
    meeting, direct, room = await silent(stage)
    stage.speaks(room)
    if await stage.close_of(direct) is None:
        await stage.tells("path", call_id=meeting.call_id, path=RELAY)
    stage.company(room, 2)
    await expects_path(stage, RELAY, room, meeting.call_id, "the other end speaks in the room")


@client("AGREE-15")
async def test_two_in_the_room_leave_a_silent_path(stage: ClientStage) -> None:
    """The direct path is silent, and the room says that the other end is there; media must come there."""
    meeting, _, room = await silent(stage)
    stage.company(room, 2)
    await expects_path(stage, RELAY, room, meeting.call_id, "both ends are in the room")
