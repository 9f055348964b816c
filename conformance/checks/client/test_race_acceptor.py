"""Checks of spec/race.md that a client has to pass as the acceptor: whom it lets in, and what it keeps."""

from __future__ import annotations

from conformance.checking import client
from conformance.checks.client.racing import both_open, let_in, talk_over
from conformance.client_ground import SMALL
from conformance.client_stage import ACCEPTOR, DIALER, NOT_SELECTED, UNHURRIED, ClientStage
from conformance.puppet import Puppet
from conformance.verdicts import Untestable

STRANGERS = ("call-somebody", "_signal", None)
"""Server names that are none of any call, or no name at all."""


@client("RACE-7")
async def test_strangers_are_refused(stage: ClientStage) -> None:
    """While the client accepts, somebody dials it under names that are none of its call's, and under none.

    It must refuse each: no handshake completes, or the connection is closed with NO_SUCH_SERVICE.
    """
    stage.scale = UNHURRIED
    meeting = await stage.meet(ACCEPTOR)
    for name in (*STRANGERS, f"call-call-{meeting.room}", f"{meeting.room}0"):
        stranger = await stage.dial(meeting.party, name, handshake=False)
        assert not await let_in(stage, stranger), f"a connection under the name {name!r} was let in"


@client("RACE-7")
async def test_nobody_is_let_in_outside_a_call(stage: ClientStage) -> None:
    """Somebody dials the client when it has no call, when it is the dialer of one, and when that is over.

    No connection may be let in and stay open.
    """
    stage.scale = UNHURRIED
    await stage.online()
    party, name = await stage.party("somebody"), "call-somebody"
    assert not await let_in(stage, await stage.dial(party, name, handshake=None)), "let in without a call"
    meeting, _ = await stage.direct(DIALER)
    dialled = await stage.dial(party, meeting.room, handshake=None)
    assert not await let_in(stage, dialled), "the dialer of a call let a connection of it in"
    await stage.over(meeting.call_id)
    after = await stage.dial(party, meeting.room, handshake=None)
    assert not await let_in(stage, after), "a connection was let in when its call was over"


@client("RACE-8")
async def test_a_stranger_costs_nothing(stage: ClientStage) -> None:
    """Strangers are refused, and then the other party dials under the call's name.

    The client must let it in.
    """
    stage.scale = UNHURRIED
    meeting = await stage.meet(ACCEPTOR)
    for name in STRANGERS:
        stranger = await stage.dial(meeting.party, name, handshake=False)
        if await let_in(stage, stranger):
            message = f"a connection under the name {name!r} was let in (RACE-7)"
            raise Untestable(message)
    near = await stage.dial(meeting.party, meeting.room, handshake=False)
    why = near.closed or "silence"
    assert near.connected, f"after strangers the dial of the call was met with {why}"


@client("RACE-9")
async def test_every_connection_is_kept(stage: ClientStage) -> None:
    """The other party opens three connections of the call, agrees on the direct path, and closes the first.

    The client must keep the others open.
    """
    stage.scale = UNHURRIED
    meeting = await stage.meet(ACCEPTOR)
    first, *others = [await stage.dial(meeting.party, meeting.room) for _ in range(3)]
    await stage.settle()
    _kept(first, *others)
    await talk_over(stage, meeting)
    stage.closes(first)
    await stage.settle()
    _kept(*others)


def _kept(*puppets: Puppet) -> None:
    for puppet in puppets:
        assert puppet.closed is None, f"a connection of the call was closed with {puppet.closed}"


@client("RACE-10", "media")
async def test_nobody_speaks_on_a_closed_connection(stage: ClientStage) -> None:
    """The other party opens two connections of the call and closes the first; then the user speaks.

    What is said must come on the second.
    """
    stage.scale = UNHURRIED
    meeting = await stage.meet(ACCEPTOR)
    first, second = [await stage.dial(meeting.party, meeting.room) for _ in range(2)]
    await talk_over(stage, meeting)
    await both_open(stage, first, second)
    stage.closes(first)
    await stage.settle()
    heard = await stage.takes("direct", second, meeting.call_id)
    assert heard, "one connection was closed, and nothing of what is said comes on the other"


@client("RACE-17")
async def test_the_first_word_settles_the_connection(stage: ClientStage) -> None:
    """The other party opens two connections of the call, speaks on the second, and opens a third.

    The client must close the first with NOT_SELECTED, keep the second, and not let the third in.
    """
    stage.scale = UNHURRIED
    meeting = await stage.meet(ACCEPTOR)
    first, second = [await stage.dial(meeting.party, meeting.room) for _ in range(2)]
    await talk_over(stage, meeting)
    await both_open(stage, first, second)
    stage.speaks(second)
    await stage.expects_close(first, NOT_SELECTED)
    third = await stage.dial(meeting.party, meeting.room, handshake=None)
    assert not await let_in(stage, third), "somebody was let in although the dialer had spoken elsewhere"
    assert second.closed is None, f"the connection that carries media was closed with {second.closed}"


@client("RACE-16")
async def test_an_early_dial_is_let_in(stage: ClientStage) -> None:
    """The other party dials before the client has its CallSetup, as the callee and as the caller.

    It comes under the call's name and under that of deployed dialers. The client must let it in, keep it when
    CallSetup comes, and take it for the direct path.
    """
    stage.scale = UNHURRIED
    party = await stage.party()
    for caller, prefix in ((True, ""), (False, "call-")):
        call_id = await _answered_only(stage, caller=caller)
        name = f"{prefix}call-{call_id}"
        near = await stage.dial(party, name, handshake=False)
        assert near.connected, f"an early dial under {name!r} was met with {near.closed or 'silence'}"
        stage.set_up(call_id, party.address)
        await stage.settle()
        assert near.closed is None, f"an early connection was closed with {near.closed} after CallSetup"
        if stage.knows("6"):
            stage.report(call_id)
        taken = await stage.takes("direct", near, call_id)
        assert taken, "the connection that came before CallSetup was not taken for the direct path"
        await stage.over(call_id)


async def _answered_only(stage: ClientStage, *, caller: bool) -> str:
    stage.manners.observes = SMALL
    stage.manners.company = 1
    if not stage.signals:
        await stage.online()
    if not caller:
        call_id = await stage.rung()
        await stage.answered(call_id)
        return call_id
    call_id = str((await stage.placed()).body["call_id"])
    stage.accept(call_id)
    await stage.settle()
    return call_id
