"""Racing: what the checks of a client's direct attempt share.

The client is told a reflexive address that decides its role, and whatever it dials is on loopback. Sentences
about a time are judged by lower bounds, which the suite measures from its own sending, and by what comes
before what; where only an upper bound is left the client's clock is not hurried, so that it is wide.
"""

from __future__ import annotations

from conformance import spec
from conformance.client_ground import PATIENCE, Party
from conformance.client_stage import DIALER, HEAD_START, ClientStage, Meeting
from conformance.puppet import Puppet
from conformance.verdicts import Unsupported, Untestable

BRIEF = 0.1
"""Seconds in which a client that has had its turn would have answered somebody."""
NO_SUCH_SERVICE = spec.close_codes()["NO_SUCH_SERVICE"]


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
