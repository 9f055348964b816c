"""Checks of spec/race.md that a client has to pass.

The client is told a reflexive address that decides its role, and whatever it dials is on loopback. Sentences
about a time are judged by lower bounds, which the suite measures from its own sending, and by what comes
before what; where only an upper bound is left the client's clock is not hurried, so that it is wide.
"""

from __future__ import annotations

from conformance import spec
from conformance.checking import client
from conformance.client_ground import LARGE, PATIENCE, SMALL, Party
from conformance.client_stage import (
    ACCEPTOR,
    DEADLINE,
    DIALER,
    HEAD_START,
    NOT_SELECTED,
    UNHURRIED,
    ClientStage,
    Meeting,
)
from conformance.puppet import Puppet
from conformance.verdicts import Deviation, Unsupported, Untestable

BRIEF = 0.1
"""Seconds in which a client that has had its turn would have answered somebody."""
QUICK, SLOW = 0.1, 0.4
"""Scales for a check in which a time runs out and nothing has to be done before, and for one where it has."""
NO_SUCH_SERVICE = spec.close_codes()["NO_SUCH_SERVICE"]
STRANGERS = ("call-somebody", "_signal", None)
"""Server names that are none of any call, or no name at all."""


async def several(stage: ClientStage, count: int = 2) -> tuple[Meeting, list[Party]]:
    """Bring a call to where the client dials so many candidates; nothing that it sends is handled yet."""
    if not stage.knows("5.5"):
        message = f"a client of phase {stage.phase} is told of one candidate only"
        raise Unsupported(message)
    parties = [await stage.party(f"candidate {number}") for number in range(1, count + 1)]
    for party in parties:
        party.host.held = True
    meeting = await stage.meet(DIALER, hosts=[one.address for one in parties[:-1]], party=parties[-1])
    return meeting, parties


async def dials(stage: ClientStage, *parties: Party) -> None:
    """Raise Untestable unless the client has dialled all of these."""
    if not await stage.until(lambda: all(one.host.attempts() for one in parties), PATIENCE):
        silent = [one.host.name for one in parties if not one.host.attempts()]
        message = f"the client has not dialled {' and '.join(silent)} (RACE-3)"
        raise Untestable(message)


async def let_in(stage: ClientStage, puppet: Puppet) -> bool:
    """Tell whether the client takes a dial in: a handshake completes, and no refusal follows (RACE-7)."""
    await stage.settle()
    await stage.until(lambda: puppet.connected or puppet.closed is not None, BRIEF)
    closed = await stage.close_of(puppet) if puppet.connected else None
    return puppet.connected and (closed is None or closed.code != NO_SUCH_SERVICE)


async def both_open(stage: ClientStage, *puppets: Puppet) -> None:
    """Raise Untestable unless the client keeps all of these (RACE-9)."""
    await stage.settle()
    for puppet in puppets:
        if puppet.closed is not None:
            message = f"the client closed {puppet.name} with {puppet.closed} (RACE-9)"
            raise Untestable(message)


def early_room(stage: ClientStage) -> float | None:
    """Return after how many seconds the room was dialled, if that was within the head start."""
    at = stage.moments.get("room")
    after = None if at is None else (at - stage.moments["setup"]) / stage.scale
    return after if after is not None and after < HEAD_START else None


async def talk_over(stage: ClientStage, meeting: Meeting) -> None:
    """Let the other party agree on the direct path, where ends agree, and the room be empty but for us."""
    stage.manners.company = 1
    if stage.knows("6"):
        stage.report(meeting.call_id)
    await stage.has("path", path="direct", call_id=meeting.call_id)


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


# The acceptor


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


# Both


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
