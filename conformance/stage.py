"""Stage: the states a check starts from: calls and rooms, on the ground that the puppets stand on.

What a state needs and does not come is Untestable: the check that is about it fails, and no other.
"""

from __future__ import annotations

from typing import Any

from conformance.codec import Message
from conformance.ground import Ground
from conformance.identity import Identity
from conformance.puppet import Puppet
from conformance.verdicts import Blocked, Deviation, Evidence, Untestable
from conformance.watch import FAST, GRACE

STREAMS_OF_A_SHY_PUPPET = 2
"""Streams that a puppet grants which is to leave a call Pending: its acknowledgement and one Pong."""


class Stage(Ground):
    """Puppets around one relay, and what they can be brought to."""

    # Calls

    async def place(self, caller: Puppet, callee: Puppet, call_id: str | None = None, **others: Any) -> str:  # noqa: ANN401
        """Bring a call to Ringing; return its call_id."""
        call_id = call_id or self.call_id()
        caller.send(caller.identity.offer(callee.identity.fingerprint, call_id, **others))
        await self.needs(callee, "DirectCallOffer", call_id=call_id)
        # The relay may learn from the callee's packets only that the offer has left it.
        await self.settle(callee, rounds=1)
        await self.settle(caller, rounds=1)
        return call_id

    async def expects_offer(self, callee: Puppet, call_id: str, when: str) -> None:
        """Raise Deviation, which tells when it was due, unless the offer of a call arrives."""
        if await self.find(callee, "DirectCallOffer", call_id=call_id) is None:
            got = ", ".join(map(str, callee.heard())) or "nothing"
            message = f"{when}, and {got} came on its new connection where the offer of the call was due"
            missing = {"DirectCallOffer": {"call_id": call_id}}
            raise Deviation(message, Evidence(callee.name, "DirectCallOffer", got, missing=missing))

    def withholds(self, puppet: Puppet) -> None:
        """Raise Blocked when nothing can be withheld from a puppet: streams of its own bring it messages."""
        if any(one.stream % 4 == 0 for one in puppet.inbox):
            message = (
                f"TRANS-9: the relay answers {puppet.name} on the streams of its requests, which no missing "
                "stream credit holds back"
            )
            raise Blocked(message)

    async def pend(self, caller: Puppet, callee: Puppet) -> str:
        """Bring a call to Pending: the callee withholds streams; return its call_id."""
        while callee.quic.frozen and len(callee.inbox) < STREAMS_OF_A_SHY_PUPPET:
            await self.settle(callee, rounds=1)
        self.withholds(callee)
        callee.speaks = False  # its next Pong would find no stream
        call_id = self.call_id()
        caller.send(caller.identity.offer(callee.identity.fingerprint, call_id))
        await self.settle(caller)
        if callee.heard("DirectCallOffer"):
            message = "the offer reached a callee that grants no stream for it"
            raise Untestable(message)
        return call_id

    async def set_up(self, caller: Puppet, callee: Puppet) -> str:
        """Bring a call to Active; return its call_id."""
        call_id = await self.place(caller, callee)
        await self.accept(callee, call_id)
        return call_id

    async def accept(self, callee: Puppet, call_id: str) -> None:
        """Accept a call that rings; raises Untestable when no sign of it being set up arrives."""
        callee.send(callee.identity.answer(call_id))
        if not await self.is_set_up(call_id):
            message = "the accepted call was not set up"
            raise Untestable(message)

    async def is_set_up(self, call_id: str) -> bool:
        """Tell whether any party has heard of the setup of a call."""
        await self.settle()
        return any(
            puppet.heard(name, call_id=call_id)
            for puppet in self.puppets
            for name in ("DirectCallAnswer", "CallSetup")
        )

    async def still_rings(self, callee: Puppet, call_id: str) -> bool:
        """Tell whether a call that rings can be accepted; it is Active then."""
        callee.send(callee.identity.answer(call_id))
        return await self.is_set_up(call_id)

    async def still_active(self, caller: Puppet, callee: Puppet, call_id: str) -> bool:
        """Tell whether an Active call lives: its room admits the caller, or its Hangup arrives."""
        if await self.admitted(await self.knock(caller, call_id)):
            return True
        mark = callee.mark()
        caller.send(caller.identity.hangup(call_id))
        await self.settle()
        return bool(callee.heard("Hangup", mark))

    # Rooms

    async def knock(self, who: Puppet | Identity, call_id: str, message: Message | None = None) -> Puppet:
        """Ask for admission to a room and return the media connection, whatever became of it."""
        person = who.identity if isinstance(who, Puppet) else who
        name = f"{who.name}'s media" if isinstance(who, Puppet) else "a stranger's media"
        media = await self.dial(name, f"call-{call_id}", who=person)
        media.send(message or person.admission())
        return media

    async def admitted(self, media: Puppet) -> bool:
        """Tell whether a media connection was let in, and stays in."""
        await self.until(lambda: bool(media.heard()) or bool(media.closed), 1.0)
        if media.heard() and not media.closed:
            await self.until(lambda: bool(media.closed), FAST)
        return bool(media.heard()) and not media.closed

    async def join(self, who: Puppet, call_id: str) -> Puppet:
        """Enter a room; raises Untestable when the relay does not admit."""
        media = await self.knock(who, call_id)
        await self.until(lambda: bool(media.heard()) or bool(media.closed), 1.0)
        if not media.heard("CallAnswer") and not media.heard("RoomUpdate"):
            message = f"{who.name} was not admitted to the room of its call"
            raise Untestable(message)
        return media

    async def meet(self, caller: Puppet, callee: Puppet) -> tuple[str, Puppet, Puppet]:
        """Set a call up and bring both parties into its room; return its call_id and both ends."""
        call_id = await self.set_up(caller, callee)
        return call_id, await self.join(caller, call_id), await self.join(callee, call_id)

    async def carries(self, sender: Puppet, receiver: Puppet, data: bytes, times: int = 5) -> bool:
        """Send a datagram until it arrives, at most `times`: the network may lose it, the relay not."""
        for _ in range(times):
            sender.datagram(data)
            if await self.until(lambda: data in receiver.datagrams, GRACE):
                return True
        return False

    async def marker(self, sender: Puppet, receiver: Puppet, data: bytes) -> None:
        """Close a forward: what was sent before this datagram has been handled; else Untestable."""
        if not await self.carries(sender, receiver, data):
            message = f"no datagram of {sender.name} arrives at {receiver.name}"
            raise Untestable(message)
