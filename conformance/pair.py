"""Pair: two relays under test that are linked, and people who are registered at the one and at the other.

Rules of this file: the relays have the identities of two that run already, so that each can be told of the
other; what was said at one has been handled at both when an offer that came behind it has been refused by the
other relay, and nothing more comes of it when that has happened HOPS times.
"""

from __future__ import annotations

import hashlib
from typing import Any

from conformance.border import Border
from conformance.crossing import Intrigue
from conformance.ground import Memory
from conformance.identity import Identity
from conformance.neighbour import Peer
from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.targets import ADVERTISED, Relay, Target, written
from conformance.verdicts import Untestable
from conformance.watch import GRACE

ADDRESSES = (ADVERTISED, "198.51.100.8:4433")
"""What the two name in relay_addr."""
CALLS = 12
"""Calls that are tried until the link is up: fewer than a client may place at once."""
HOPS = 3
"""Links that something crosses before nothing more comes of it: an answer, a setup, and what follows."""


async def linked(stage: Border, target: Target) -> tuple[Relay, Relay]:
    """Return two relays that dial each other, once a run; raises Unsupported."""
    known = stage.memory.pair
    if known is None:
        origins = stage.relay, await stage.outpost()
        prints = [await _fingerprint(stage, origin) for origin in origins]
        first = await target.another([Peer(prints[1], "second")], like=origins[0], advertise=ADDRESSES[0])
        there = Peer(prints[0], "first", written(first.address))
        second = await target.another([there], like=origins[1], advertise=ADDRESSES[1])
        known = stage.memory.pair = first, second
    return known


async def _fingerprint(stage: Border, relay: Relay) -> str:
    """Return the TLS fingerprint of a relay, as its certificate gives it."""
    looking = await stage.dial("somebody who looks", relay=relay)
    return hashlib.sha256(looking.quic.peer_certificate).digest().hex(":")


class Pair(Stage):
    """Puppets around two relays; whoever registers does so by turns at the one and at the other."""

    def __init__(self, stage: Border, relays: tuple[Relay, Relay]) -> None:
        """Stand around these relays, in the dialogue of `stage`, which lets everybody go."""
        seed = stage.person("pair").fingerprint
        how = {"slow": stage.slow, "phase": stage.phase}
        super().__init__(stage.target, relays[0], seed, memory=Memory(), **how)  # type: ignore[arg-type]
        self.dialogue, self.puppets, self.relays = stage.dialogue, stage.puppets, relays
        self.recorder = stage.recorder
        self.homes: dict[str, Relay] = {}
        self._scouts: list[Puppet] = []

    @classmethod
    async def around(cls, stage: Border) -> Pair:
        """Return a pair whose link is up; raises Unsupported and Untestable."""
        pair = cls(stage, await linked(stage, stage.target))
        pair._scouts = await pair.register_all("a scout here", "a scout there")
        here, there = pair._scouts
        for _ in range(CALLS):
            call_id = pair.call_id()
            here.send(here.identity.offer(there.identity.fingerprint, call_id))
            if await pair.find(there, "DirectCallOffer", call_id=call_id, within=GRACE):
                here.send(here.identity.hangup(call_id))
                await pair.needs(there, "Hangup", within=1.0)
                return pair
        message = "no call crosses the link of two relays that have been started to dial each other"
        raise Untestable(message)

    async def dial(self, name: str, server_name: str | None = "_signal", **how: Any) -> Puppet:  # noqa: ANN401
        """Connect a puppet to the relay at which its person is at home, or by turns to either."""
        who: Identity = how.get("who") or self.person(name)
        turn = self.relays[len(self.homes) % len(self.relays)]
        home = self.homes.setdefault(who.fingerprint, turn)
        return await super().dial(name, server_name, **{**how, "relay": home})

    async def settle(self, *puppets: Puppet, rounds: int = 2) -> None:
        """Wait until all that was said has been handled at both relays, and all of it has arrived."""
        await super().settle(*puppets, rounds=1)
        for hop in range(HOPS if rounds > 1 and self._scouts else 0):
            await self._cross(self._scouts[hop % len(self._scouts)])
        await super().settle(*puppets, rounds=1)

    async def _cross(self, scout: Puppet) -> None:
        """Let an offer go over the link and be refused there; raises Untestable when it is not."""
        mark, nobody = scout.mark(), self.person("nobody")
        scout.send(scout.identity.offer(nobody.fingerprint, self.call_id()))
        if not await self.until(lambda: bool(scout.heard("Hangup", mark)), 4 * GRACE):
            message = "an offer to nobody is not refused by the other relay (FED-16, FED-17)"
            raise Untestable(message)


class Crosswind(Intrigue):
    """Calls between people of two relays, who answer for others; each relay counts its own call_ids."""

    def _meddle(self, call: Any) -> None:  # noqa: ANN401 - as Intrigue has it
        """Strangers answer, and so does the caller; all of them advertise."""
        for stranger in call.strangers:
            said = self._told("callee", call, stranger)
            stranger.send(stranger.identity.answer(call.call_id, **said))
        said = self._told("callee", call, *call.parties)
        call.caller.send(call.caller.identity.answer(call.call_id, **said))
