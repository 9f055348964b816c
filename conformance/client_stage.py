"""Client stage: the calls that a client under test has, brought to where a check starts from.

What a state needs and does not come is Untestable: the check that is about it fails, and no other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from conformance import codec, identity, spec
from conformance.client_ground import LARGE, PATIENCE, SMALL, ClientGround, Party, written
from conformance.codec import Message
from conformance.puppet import Heard, Puppet
from conformance.verdicts import Untestable

DIALER, ACCEPTOR, NONE = "dialer", "acceptor", "none"
COMFORT_NOISE = 5
"""Its codec id (spec/media.md, table of codecs)."""
HEAD_START, DEADLINE, REPORT, SILENCE = 0.5, 2.0, 3.0, 1.0
"""Times of spec/race.md and spec/agreement.md, in seconds of the client."""
TRIES, SLACK = 3, 0.5
"""How often a client may try to be in time, and how many seconds a busy machine may take beside."""
UNHURRIED = 1.0
"""The scale for a check in which no time of the client has to run out: they are all far away."""
NOT_SELECTED = spec.close_codes()["NOT_SELECTED"]


@dataclass
class Meeting:
    """A call that was set up: its id, the other party, the role of the client, and who called."""

    call_id: str
    party: Party
    role: str
    caller: bool

    @property
    def room(self) -> str:
        """The name of the room, and of the call's direct connections."""
        return f"call-{self.call_id}"


class ClientStage(ClientGround):
    """One client under test, and the states that it can be brought to."""

    async def placed(self) -> Heard:
        """Let the user call the other party; return the offer."""
        signal, since = self.signal, self.signal.mark()
        await self.ask("call", target=self.other.fingerprint)
        target = self.other.fingerprint
        return await self.needs(signal, "DirectCallOffer", since=since, target_fingerprint=target)

    async def rung(self, call_id: str | None = None, **others: Any) -> str:  # noqa: ANN401 - members of an offer
        """Let the other party call; return the call_id, once it rings at the user's."""
        call_id = call_id or self.call_id()
        self.say(self.signal, self.other.offer(self.subject.fingerprint, call_id, **others))
        await self.has("incoming", call_id=call_id)
        return call_id

    async def answered(self, call_id: str, mode: str = "AcceptTrusted") -> Heard:
        """Let the user answer; return the answer."""
        await self.ask("answer", call_id=call_id, mode=mode)
        return await self.needs(self.signal, "DirectCallAnswer", call_id=call_id)

    async def hung_up(self, call_id: str) -> None:
        """Let the user hang up; return when the call is over."""
        await self.ask("hangup")
        await self.has("ended", call_id=call_id)

    async def again(self, **members: Any) -> Puppet:  # noqa: ANN401 - see configure
        """Let the client forget everything and register anew; return its signal connection."""
        since = len(self.adapter.events)
        await self.ask("reset")
        await self.configure(**members)
        await self.ask("register")
        await self.has("registered", since=since)
        return self.signal

    async def in_time(
        self,
        begin: Callable[[], Awaitable[None]],
        name: str,
        seconds: float,
        **members: Any,  # noqa: ANN401 - see configure
    ) -> Heard:
        """Return the message that has to come within `seconds` of the client's time behind `begin`.

        The client is new at its relay each time. One that is late is late each time; a busy machine is not.
        Raises Deviation when it never was in time.
        """
        within = seconds * self.scale + SLACK
        for _ in range(TRIES - 1):
            await self.again(**members)
            await begin()
            found = await self.find(self.signal, name, within=within)
            if found is not None:
                return found
        await self.again(**members)
        await begin()
        return await self.expects(self.signal, name, within=within)

    def accept(self, call_id: str, mode: str = "AcceptTrusted", **others: Any) -> None:  # noqa: ANN401
        """Let the other party have accepted a call that the client placed: it rings, and is answered."""
        self.say(self.signal, {"CallRinging": {"call_id": call_id}})
        self.say(self.signal, self.other.answer(call_id, mode, **others))

    def set_up(
        self, call_id: str, peer: str | None = None, hosts: list[str] | None = None, relay: str = ""
    ) -> None:
        """Send CallSetup, with these candidates of the other party as far as the phase has them."""
        body: dict[str, Any] = {
            "call_id": call_id,
            "room": f"call-{call_id}",
            "relay_addr": relay or written(self.relay.address),
        }
        if peer is not None and self.knows("3"):
            body["peer_direct_addr"] = peer
        if hosts and self.knows("5.5"):
            body["peer_local_addrs"] = hosts
        self.note("setup")
        self.say(self.signal, {"CallSetup": body})

    async def meet(
        self,
        role: str,
        *,
        caller: bool = True,
        hosts: list[str] | None = None,
        party: Party | None = None,
        mode: str = "AcceptTrusted",
    ) -> Meeting:
        """Bring a call up to its CallSetup, in which the client has this role (RACE-1).

        The one address that a dialer is told, beside `hosts`, is the party's.
        """
        party = party or await self.party()
        self.manners.observes = {DIALER: LARGE, ACCEPTOR: SMALL, NONE: None}[role]
        if not self.signals:
            await self.online()
        if caller:
            offer = await self.placed()
            call_id = str(offer.body["call_id"])
            self.accept(call_id, mode)
        else:
            call_id = await self.rung()
            await self.answered(call_id, mode)
        self.set_up(call_id, None if role == NONE else party.address, hosts)
        return Meeting(call_id, party, role, caller)

    # The direct path

    async def dialled(self, party: Party, since: int = 0, within: float = PATIENCE) -> Puppet:
        """Return the connection with which the client reached a party; raises Untestable without one."""
        await self.until(lambda: any(one.connected for _, one in party.dialled[since:]), within)
        for _, puppet in party.dialled[since:]:
            if puppet.connected:
                return puppet
        message = f"the client has opened no connection to {party.host.name} (RACE-3)"
        raise Untestable(message)

    async def direct(self, role: str, *, caller: bool = True) -> tuple[Meeting, Puppet]:
        """Bring a call to a direct connection, of which the other party has not spoken yet."""
        meeting = await self.meet(role, caller=caller)
        if role == DIALER:
            return meeting, await self.dialled(meeting.party)
        return meeting, await self.dial(meeting.party, meeting.room)

    def report(self, call_id: str, *, ok: bool = True) -> None:
        """Let the other party say how its direct attempt ended."""
        self.say(self.signal, identity.report(call_id, direct_ok=ok))

    async def on_direct(self, role: str = DIALER, *, caller: bool = True) -> tuple[Meeting, Puppet]:
        """Bring a call to where the client has taken the direct path."""
        meeting, puppet = await self.direct(role, caller=caller)
        if self.knows("6"):
            self.report(meeting.call_id)
        await self.has("path", path="direct")
        return meeting, puppet

    def closes(self, puppet: Puppet, code: int = NOT_SELECTED) -> None:
        """Let the other party close a direct connection, as one that it did not select."""
        self.dialogue.note(puppet.name, "->", {"close": code})
        puppet.quic.close(error_code=code, reason_phrase="closed by the other party")
        puppet.link.transmit()
        puppet.connected = False

    def speaks(self, puppet: Puppet, number: int = 1) -> bytes:
        """Let the other party say something on a path, under this sequence number; return the payload."""
        word = b"a word of the other party, %d" % number
        puppet.datagram(codec.datagram(word, sequence=number))
        return word

    # The relay path

    async def joined(self, since: int = 0, within: float = PATIENCE) -> Puppet:
        """Return the client's media connection at the relay, once it has introduced itself."""
        await self.until(lambda: any(one.heard("CallOffer") for _, one in self.rooms[since:]), within)
        for _, room in self.rooms[since:]:
            if room.heard("CallOffer"):
                return room
        message = "the client has not introduced itself in the room of its call (MEDIA-29)"
        raise Untestable(message)

    async def on_relay(self, *, caller: bool = True) -> tuple[Meeting, Puppet]:
        """Bring a call to where the client has taken the relay path, without any direct attempt."""
        meeting = await self.meet(NONE, caller=caller)
        room = await self.joined()
        await self.has("path", path="relay")
        return meeting, room

    async def over(self, call_id: str) -> None:
        """Let the other party hang up, so that another call can begin."""
        self.say(self.signal, self.other.hangup(call_id))
        await self.has("ended", call_id=call_id)

    async def takes(self, path: str, puppet: Puppet, call_id: str, within: float = PATIENCE) -> bool:
        """Tell whether the client's media comes this way, which ends at `puppet`, in time.

        An adapter without media tells which path was taken, and the verdict rests on that.
        """
        if not self.offers("media"):
            self.reported = True
            return await self._event("path", within, 0, {"call_id": call_id, "path": path}) is not None
        before = len(heard_audio(puppet))
        await self.talk()
        return await self.until(lambda: len(heard_audio(puppet)) > before, within)

    async def talk(self) -> None:
        """Let the user speak for some seconds; what falls before the decision on the path is dropped."""
        if self.offers("media"):
            await self.ask("send", n=250, every_ms=40)

    async def audio(
        self, puppet: Puppet, n: int = 1, since: int = 0, within: float = PATIENCE
    ) -> list[bytes]:
        """Return the first n datagrams of audio that arrive on a connection; raises Untestable without."""
        await self.until(lambda: len(heard_audio(puppet)[since:]) >= n, within)
        found = heard_audio(puppet)[since : since + n]
        if len(found) < n:
            message = f"{len(found)} datagrams of audio arrived at {puppet.name}, and {n} were to come"
            raise Untestable(message)
        return found


def heard_audio(puppet: Puppet) -> list[bytes]:
    """Return the datagrams of audio that arrived: no repair and no comfort noise (spec/media.md)."""
    return [one for one in puppet.datagrams if not one[0] & 0x40 and (one[0] >> 2) & 0x0F != COMFORT_NOISE]


def hangup_of(call_id: str | None, reason: str = "Normal") -> Message:
    """Return Hangup; of the call, if it names one."""
    return identity.hangup(reason, **({"call_id": call_id} if call_id is not None else {}))
