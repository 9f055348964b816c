"""Crossing (spec/candidates.md, spec/privacy.md): calls whose parties name candidates, and who sees which.

To a relay a candidate is any text; what is drawn here is now an address and now none. Everything that is
drawn follows from the seed of the check, and no text is a part of another one.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.verdicts import Untestable

_NETWORK = ipaddress.IPv6Network("2001:db8::/32")

Members = dict[str, Any]


class Candidates:
    """Draws candidates of a check."""

    def __init__(self, stage: Stage) -> None:
        """Draw what the seed of `stage` says."""
        self.random: Random = stage.random()
        self._with_host_candidates = stage.knows("5.5")
        self._drawn: list[str] = []

    def address(self) -> str:
        """Return an address in the one text form."""
        port = self.random.randrange(1024, 65536)
        if self.random.random() < 0.5:  # noqa: PLR2004 - one half
            return self._new(f"{ipaddress.IPv4Address(self.random.randrange(1 << 24, 224 << 24))}:{port}")
        drawn = _NETWORK[self.random.getrandbits(96)]
        return self._new(f"[{drawn.compressed}]:{port}")

    def text(self) -> str:
        """Return a text that no relay can read as an address."""
        word = f"{self.random.getrandbits(64):016x}"
        forms = (
            f"host-{word}.example:4433",
            f"[fe80::{word[:4]}%eth{word}]:4433",
            f"999.0.0.1:{word}",
            f"straße {word}",
            f'"{word}\\',
            f"{word}/{'later ' * 20}",
        )
        return self._new(self.random.choice(forms))

    def any(self) -> str:
        """Return an address or a text that is none."""
        return self.address() if self.random.random() < 0.5 else self.text()  # noqa: PLR2004 - one half

    def advertised(self, side: str, *, host: int = 3) -> Members:
        """Return the members with which the caller or the callee advertises, as far as the phase has them."""
        members: Members = {f"{side}_reflexive_addr": self.any()}
        if self._with_host_candidates:
            members[f"{side}_local_addrs"] = [self.any() for _ in range(host)]
        return members

    def _new(self, text: str) -> str:
        if any(text in one or one in text for one in self._drawn):
            return self.address()
        self._drawn.append(text)
        return text


@dataclass(frozen=True)
class Crossed:
    """A call that was accepted, and the members of what arrived of it."""

    call_id: str
    offer: Members
    answer: Members
    to_caller: Members
    to_callee: Members


async def cross(
    stage: Stage,
    caller: Puppet,
    callee: Puppet,
    of_caller: Mapping[str, Any],
    of_callee: Mapping[str, Any],
    mode: str = "AcceptTrusted",
) -> Crossed:
    """Place a call and accept it, with these members in offer and answer.

    Raises Untestable when one of the four messages that tell of it does not arrive.
    """
    call_id = await stage.place(caller, callee, **of_caller)
    callee.send(callee.identity.answer(call_id, mode, **of_callee))
    offer = await stage.needs(callee, "DirectCallOffer", call_id=call_id)
    answer = await stage.needs(caller, "DirectCallAnswer", call_id=call_id)
    setups = [await stage.needs(party, "CallSetup", call_id=call_id) for party in (caller, callee)]
    return Crossed(call_id, offer.body, answer.body, *(one.body for one in setups))


@dataclass(frozen=True)
class Secret:
    """A candidate: in which call it was named, and the fingerprints that may learn it."""

    text: str
    call_id: str
    known_to: frozenset[str]


@dataclass(frozen=True)
class _Call:
    call_id: str
    caller: Puppet
    callee: Puppet
    mode: str
    strangers: tuple[Puppet, Puppet]

    @property
    def parties(self) -> tuple[Puppet, Puppet]:
        return self.caller, self.callee


class Intrigue:
    """Calls that run beside each other between four people, while everybody meddles with all of them."""

    CAST = (
        (0, 1, "AcceptTrusted"),
        (0, 2, "AcceptTrusted"),
        (1, 0, "AcceptTrusted"),
        (3, 1, "Reject"),
        (0, 1, "AcceptGeneric"),
        (0, 1, "AcceptTrusted"),
    )
    """Caller, callee and answer: the same two in several calls, both ways, and each of them with others."""

    def __init__(self, stage: Stage) -> None:
        """Play on `stage`."""
        self.secrets: list[Secret] = []
        self._stage = stage
        self._draw = Candidates(stage)

    async def play(self) -> None:
        """Place, meddle, answer, join a room, hang up; raises Untestable when a call goes another way."""
        people = await self._stage.register_all("alice", "bob", "carol", "dave")
        self._draw.random.shuffle(people)
        calls = [self._cast(people, *one) for one in self.CAST]
        for call in calls:
            self._offer(call)
        await self._stage.settle()
        if not all(call.callee.heard("DirectCallOffer", call_id=call.call_id) for call in calls):
            message = "an offer did not reach its target (CALL-1)"
            raise Untestable(message)
        for call in calls:
            self._meddle(call)
        await self._stage.settle()
        if any(self._set_up(one, call) for call in calls for one in people):
            message = "a call was set up before its callee had answered (CALL-23, CALL-24)"
            raise Untestable(message)
        self._draw.random.shuffle(calls)
        for call in calls:
            self._answer(call)
        await self._stage.settle()
        await self._end(calls, people)

    def leaks(self) -> list[str]:
        """Return a sentence for every candidate that reached somebody else, or arrived in another call."""
        return [fault for puppet in self._stage.puppets for fault in self._leaks_to(puppet)]

    def _leaks_to(self, puppet: Puppet) -> list[str]:
        faults = [
            f"the candidate {one.text!r} reached {puppet.name}, for whom it was not"
            for one in self.secrets
            if puppet.identity.fingerprint not in one.known_to and _received(puppet, one.text)
        ]
        for heard in puppet.heard():
            named = heard.body.get("call_id")
            text = json.dumps(heard.body, ensure_ascii=False)
            faults += [
                f"the candidate {one.text!r} reached {puppet.name} in {heard} of another call"
                for one in self.secrets
                if named not in (None, one.call_id) and any(way in text for way in _spellings(one.text))
            ]
        return faults

    def _cast(self, people: list[Puppet], caller: int, callee: int, mode: str) -> _Call:
        parties = (people[caller], people[callee])
        first, second = (one for one in people if one not in parties)
        return _Call(self._stage.call_id(), *parties, mode, (first, second))

    def _told(self, side: str, call: _Call, *known_to: Puppet) -> Members:
        """Draw what is advertised in a call; only these people may learn it."""
        members = self._draw.advertised(side)
        those = frozenset(one.identity.fingerprint for one in known_to)
        texts = [members[f"{side}_reflexive_addr"], *members.get(f"{side}_local_addrs", [])]
        self.secrets += [Secret(text, call.call_id, those) for text in texts]
        return members

    def _offer(self, call: _Call) -> None:
        target = call.callee.identity.fingerprint
        members = self._told("caller", call, *call.parties)
        members |= {"peer_direct_addr": self._draw.any(), "peer_local_addrs": [self._draw.any()]}
        call.caller.send(call.caller.identity.offer(target, call.call_id, **members))

    def _meddle(self, call: _Call) -> None:
        """Strangers answer and call with its call_id, and its caller answers; all of them advertise."""
        stranger, other = call.strangers
        for mode in ("AcceptTrusted", "AcceptGeneric"):
            said = self._told("callee", call, stranger)
            stranger.send(stranger.identity.answer(call.call_id, mode, **said))
        told = self._told("caller", call, other, stranger)
        other.send(other.identity.offer(stranger.identity.fingerprint, call.call_id, **told))
        said = self._told("callee", call, *call.parties)
        call.caller.send(call.caller.identity.answer(call.call_id, **said))

    def _answer(self, call: _Call) -> None:
        """The callee answers, with candidates whatever its mode, and then once more with others."""
        for mode in (call.mode, "AcceptTrusted"):
            said = self._told("callee", call, *call.parties)
            call.callee.send(call.callee.identity.answer(call.call_id, mode, **said))

    def _set_up(self, puppet: Puppet, call: _Call) -> bool:
        return any(puppet.heard(name, call_id=call.call_id) for name in ("DirectCallAnswer", "CallSetup"))

    async def _end(self, calls: list[_Call], people: list[Puppet]) -> None:
        accepted = [call for call in calls if call.mode != "Reject"]
        for call in accepted:
            if not self._set_up(call.caller, call) and any(self._set_up(one, call) for one in call.strangers):
                message = "a call was taken over by another offer with its call_id (CALL-13)"
                raise Untestable(message)
        if not any(self._set_up(call.caller, call) for call in accepted):
            message = "no call was set up at its caller (CALL-18, CALL-19)"
            raise Untestable(message)
        media = [await self._stage.knock(party, accepted[0].call_id) for party in accepted[0].parties]
        await self._stage.until(lambda: all(one.heard() or one.closed for one in media), 0.5)
        for call in accepted:
            call.caller.send(call.caller.identity.hangup(call.call_id))
        await self._stage.settle(*people)


def _spellings(text: str) -> tuple[str, ...]:
    """Return a text as it may stand in JSON."""
    return text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]


def _received(puppet: Puppet, text: str) -> bool:
    ways = [one.encode() for one in _spellings(text)]
    return any(way in data for data in puppet.received() for way in ways)
