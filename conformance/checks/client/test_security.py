"""Checks of spec/security.md that a client has to pass."""

from __future__ import annotations

from conformance.checking import client
from conformance.client_ground import PATIENCE, written
from conformance.client_stage import ClientStage
from conformance.host import certificate
from conformance.puppet import Puppet
from conformance.verdicts import Untestable

IMPOSTOR = "impostor"


async def _introduced(stage: ClientStage, puppet: Puppet) -> list[str]:
    """Return what the client has said when it has left, or had the time to introduce itself."""
    await stage.until(lambda: bool(puppet.closed or puppet.inbox), PATIENCE)
    if not (puppet.connected or puppet.closed):
        message = f"the connection of {puppet.name} did not come about, so that nobody could be recognised"
        raise Untestable(message)
    return [one.name for one in puppet.inbox]


@client("SEC-2", "fingerprint")
async def test_another_relay_learns_nothing(stage: ClientStage) -> None:
    """The client is told to expect another fingerprint than the relay has, and to register.

    It must not say RegisterPresence there.
    """
    await stage.configure(fingerprint=certificate(IMPOSTOR).fingerprint)
    await stage.ask("register")
    await stage.until(lambda: bool(stage.signals), PATIENCE)
    said = await _introduced(stage, stage.signal)
    registered = "RegisterPresence" in said
    assert not registered, "the client registered at a relay with another fingerprint"


@client("SEC-2", "fingerprint")
async def test_a_room_of_another_relay_is_not_entered(stage: ClientStage) -> None:
    """The client has registered at the relay that it was told to expect; CallSetup names another one.

    The other one has another fingerprint: the client must not say CallOffer there.
    """
    relay = await stage.open()
    await stage.online(fingerprint=relay.certificate.fingerprint)
    impostor = await stage.open(IMPOSTOR)
    call_id = str((await stage.placed()).body["call_id"])
    stage.accept(call_id)
    stage.set_up(call_id, relay=written(impostor.address))
    await stage.until(lambda: bool(stage.rooms), PATIENCE)
    if not stage.rooms:
        message = "the client did not dial the relay that CallSetup names"
        raise Untestable(message)
    said = await _introduced(stage, stage.rooms[0][1])
    joined = "CallOffer" in said
    assert not joined, "the client introduced itself in a room at a relay with another fingerprint"
