"""Serve: one puppet left running, for a debugger or a phone: a relay, or one end of a call.

    relay      acknowledges every registration, tells everybody's address, accepts every call in the name
               of the one who is called, and admits to its room; with `ring` it calls whoever registers
    callee     registers at a relay and answers every call
    caller     registers at a relay and calls

Rules of this file: what is said is printed as it is said, a line of JSON each; it goes on until it is
interrupted, and then everybody is told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from conformance.client_stage import ClientStage
from conformance.codec import Message
from conformance.dialogue import Dialogue, shorten
from conformance.ground import Memory
from conformance.identity import fingerprint
from conformance.puppet import Heard, Puppet
from conformance.stage import Stage
from conformance.targets import Relay, Target
from conformance.verdicts import Exit, TargetFaultError, Untestable

Print = Callable[[str], None]
AWAKE = 5.0
"""Seconds between two packets on a connection that is otherwise silent (TRANS-3)."""
NAMES = "serve"


class Aloud(Dialogue):
    """A dialogue that prints every step and keeps none of the steps of long ago."""

    def __init__(self, show: Print) -> None:
        """Start with nothing said; `show` prints a line."""
        super().__init__()
        self._show = show

    def note(self, who: str, direction: str, what: object, *, missing: bool = False) -> None:
        """Add a step and print it."""
        super().note(who, direction, what, missing=missing)
        step = self._steps[-1]
        self._show(json.dumps(step | {"what": shorten(step["what"])}, ensure_ascii=False))


class _Nobody:
    """Stands for the adapter: nobody presses the buttons of the client that comes."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.fault = None

    def offers(self, feature: str) -> bool:
        """Tell that it has no feature."""
        del feature
        return False

    async def ask(self, do: str) -> dict[str, Any]:
        """Do nothing."""
        del do
        return {}


class OpenHouse(ClientStage):
    """A puppet relay for whoever comes."""

    def __init__(self, phase: str, show: Print, *, ring: bool) -> None:
        """Prepare; with `ring` everybody who registers is called."""
        super().__init__(_Nobody(), NAMES, slow=1.0, phase=phase)  # type: ignore[arg-type] # in its place
        self.dialogue = Aloud(show)
        self._ring = ring

    def _signal_reflex(self, puppet: Puppet, heard: Heard, relay: str) -> None:
        super()._signal_reflex(puppet, heard, relay)
        body = heard.body
        match heard.name:
            case "RegisterPresence" if self._ring and bytes(body["identity_pub"]) != bytes(32):
                name = fingerprint(bytes(body["identity_pub"]))
                puppet.send(self.other.offer(name, self.call_id()))
            case "DirectCallOffer":
                self.accept(body["call_id"])
                self.set_up(body["call_id"], body.get("caller_reflexive_addr") and self.other.reflexive)
            case "DirectCallAnswer" if body["accept_mode"] != "Reject":
                self.set_up(body["call_id"], body.get("callee_reflexive_addr") and self.other.reflexive)
            case "Hangup":
                for _, room in self.rooms:
                    room.leave()
                self.rooms.clear()


class End(Stage):
    """One end of a call at a relay that is not ours."""

    def __init__(self, relay: tuple[str, int], phase: str, name: str, mode: str, show: Print) -> None:
        """Prepare the person of this name, who answers with `mode`."""
        target = Target(f"udp:{relay[0]}:{relay[1]}", phase=phase)
        where = Relay(relay, "", "", {}, {}, phase)
        super().__init__(target, where, NAMES, slow=1.0, memory=Memory(), phase=phase)
        self.dialogue = Aloud(show)
        self._name, self._mode = name, mode
        self._rooms: set[asyncio.Task[Puppet]] = set()

    async def enter(self) -> Puppet:
        """Register; raises Untestable when the relay does not let us."""
        puppet = await self.dial(self._name)
        puppet.reflex = lambda heard: self._answer(puppet, heard)
        puppet.send(puppet.identity.registration())
        await self.needs(puppet, "RegisterPresenceAck", within=AWAKE)
        return puppet

    def _answer(self, puppet: Puppet, heard: Heard) -> None:
        call_id = str(heard.body.get("call_id", ""))
        if heard.name == "DirectCallOffer":
            puppet.send(puppet.identity.answer(call_id, self._mode))
        elif heard.name == "CallSetup":
            task = asyncio.ensure_future(self.knock(puppet, call_id))
            self._rooms.add(task)
            task.add_done_callback(self._rooms.discard)


async def relay(address: tuple[str, int], phase: str, show: Print, *, ring: bool) -> None:
    """Be a relay at this address until cancelled; raises TargetFaultError when it cannot be had."""
    house = OpenHouse(phase, show, ring=ring)
    try:
        host = await house.open(address=address)
    except OSError as error:
        message = f"no relay can be opened at {address[0]}:{address[1]}: {error.strerror}"
        raise TargetFaultError(message, Exit.USAGE) from None
    where = f"{host.address[0]}:{host.address[1]}"
    show(json.dumps({"ready": {"addr": where, "tls_fingerprint": host.certificate.fingerprint}}))
    try:
        await _stay(house.puppets)
    finally:
        await house.leave()


async def end(
    at: tuple[str, int], phase: str, show: Print, *, name: str, mode: str = "AcceptTrusted", target: str = ""
) -> None:
    """Be one end of a call until cancelled; with a `target` call it. Raises TargetFaultError."""
    party = End(at, phase, name, mode, show)
    try:
        puppet = await party.enter()
        show(json.dumps({"ready": {"fingerprint": puppet.identity.fingerprint}}))
        if target:
            message: Message = puppet.identity.offer(target, party.call_id())
            puppet.send(message)
        await _stay(party.puppets)
    except Untestable as error:
        raise TargetFaultError(str(error), Exit.NOT_JUDGED) from None
    finally:
        party.clear()


async def _stay(puppets: list[Puppet]) -> None:
    """Keep every connection awake, for ever."""
    while True:
        await asyncio.sleep(AWAKE)
        puppets[:] = [one for one in puppets if one.closed is None]
        for one in puppets:
            if one.connected:
                one.quic.send_ping(0)
                one.link.transmit()
