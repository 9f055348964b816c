"""Privacy: what a relay takes out, and, whatever happens, who receives whose addresses.

The machine below lets four people do what they like, advertising addresses that are all different; after
every step each message of the relay, down to its last member, has been foretold from what was sent, and
no other byte of it is an address of anybody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import Phase as Stage
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from reference.core import privacy, wire
from reference.core.call import By, Call, Says
from reference.core.effects import Close, Effect, Send
from reference.core.errors import BadMessage, HangupReason
from reference.core.messages import AcceptMode, DirectCallAnswer, Hangup, MediaPathReport, Message
from reference.core.phases import IMPLEMENTED, NEWEST, Phase
from reference.core.privacy import NOTHING, Advertised
from reference.core.relay import RelayCore
from reference.core.sessions import Limits, Setting
from reference.core.strict_json import JsonObject
from tests.world import RELAY, entropy, identity, nothing_is_left, offer, registration

ALICE, BOB = identity("alice"), identity("bob")
REFLEXIVE, LOCAL = "192.0.2.1:4433", ("192.168.1.2:4433", "[2001:db8::1]:4433")
TOLD = Advertised(REFLEXIVE, LOCAL)
OFFER = offer(ALICE, BOB, "c1", caller_reflexive_addr=REFLEXIVE, caller_local_addrs=LOCAL)


def answer(mode: AcceptMode, told: Advertised = TOLD, **others: object) -> DirectCallAnswer:
    """Return an answer that advertises."""
    members: dict[str, object] = {
        "call_id": "c1",
        "accept_mode": mode,
        "callee_reflexive_addr": told.reflexive,
        "callee_local_addrs": told.local,
    }
    return DirectCallAnswer(**{**members, **others})  # type: ignore[arg-type]


def test_the_callee_is_shown_no_address_by_the_offer() -> None:
    """The offer to the callee is the caller's without its candidates, and all else in it stays."""
    assert offer(ALICE, BOB, "c1") == privacy.offer_for_callee(OFFER)
    assert TOLD == privacy.by_caller(OFFER)


@pytest.mark.parametrize("mode", AcceptMode)
def test_only_a_trusting_answer_keeps_its_addresses(mode: AcceptMode) -> None:
    """The caller's answer has the callee's candidates when it is AcceptTrusted, and never else."""
    told = TOLD if mode is AcceptMode.ACCEPT_TRUSTED else NOTHING
    assert answer(mode, told) == privacy.answer_for_caller(answer(mode))


@pytest.mark.parametrize("mode", [AcceptMode.ACCEPT_GENERIC, AcceptMode.REJECT])
def test_without_trust_nothing_is_exchanged(mode: AcceptMode) -> None:
    """Neither party is told of the other one, whatever both advertised."""
    assert (NOTHING, NOTHING) == privacy.exchanged(TOLD, answer(mode))


def test_with_trust_each_is_told_what_there_is() -> None:
    """The candidates of both are handed over as they came, and nothing stands for what was not told."""
    trusted = AcceptMode.ACCEPT_TRUSTED
    assert (NOTHING, TOLD) == privacy.exchanged(NOTHING, answer(trusted))
    assert (TOLD, NOTHING) == privacy.exchanged(TOLD, answer(trusted, NOTHING))


PEOPLE = {name: identity(name) for name in ("alice", "bob", "carol", "dave")}
ADDRESS = re.compile(r"198\.51\.\d+\.\d+:\d+|nowhere \d+")
EXTRA: JsonObject = {"peer_direct_addr": "said by nobody", "note": {"peer_local_addrs": [None, "x"]}}
"""Members that the message has not: they are forwarded, and stand for nothing."""
CALL_IDS = ("c1", "c2", "c3", "c4")
LIMITS = Limits(calls=10_000, offers_burst=10_000)

ACCEPTS = (AcceptMode.ACCEPT_TRUSTED, AcceptMode.ACCEPT_GENERIC)
names, call_ids = st.sampled_from(tuple(PEOPLE)), st.sampled_from(CALL_IDS)
spelt = st.sampled_from(["readable", "unreadable", "again"])
tells = st.tuples(st.none() | spelt, st.lists(spelt, max_size=3))
"""How the reflexive candidate is spelt, if there is one, and how the host candidates are."""
extras = st.sampled_from([{}, EXTRA])
seldom = st.sampled_from([True, *[False] * 5])

Body = dict[str, Any]
Heard = list[tuple[str, str, Body]]
"""Who hears which message with which members."""


@dataclass
class Modelled:
    """A live call: its parties, the offer as the callee gets it, what the caller told, if it is Active."""

    caller: str
    callee: str
    offer: Body
    told: Advertised
    active: bool = False
    reported: set[str] = field(default_factory=set)

    def other(self, name: str) -> str:
        """Return the other party."""
        return self.callee if name == self.caller else self.caller


@dataclass
class Post:
    """One relay of a phase and the connections to it; every message crosses as the bytes it is sent as."""

    phase: Phase
    sessions: dict[str, int] = field(default_factory=dict)
    owners: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start the relay."""
        drawn = entropy("relay")
        self.relay = RelayCore(Setting(identity("relay"), RELAY, limits=LIMITS), lambda: drawn(32))

    def receive(self, session: int, message: Message) -> tuple[Body, Heard]:
        """Let a relay of its phase read a message; return the body that was sent, and what came of it."""
        payload = wire.encode(message, NEWEST)
        ((_, body),) = json.loads(payload).items()
        try:
            read = wire.decode(payload, self.phase)
        except BadMessage as fault:
            return body, self.perform(self.relay.bad(session, fault, 0.0))
        return body, self.perform(self.relay.receive(session, read, 0.0, len(payload)))

    def perform(self, effects: list[Effect]) -> Heard:
        """Deliver everything; return who heard what, without what names no call and what only rings."""
        heard: Heard = []
        for effect in effects:
            if isinstance(effect, Send):
                payload = wire.encode(effect.message, self.phase)
                ((name, body),) = json.loads(payload).items()
                if name not in {"RegisterPresenceAck", "CallRinging"}:
                    heard.append((self.owners[effect.session], name, body))
                else:
                    assert None is ADDRESS.search(payload.decode())
                if effect.receipt is not None:
                    heard += self.perform(self.relay.flushed(effect.receipt))
            else:
                assert None is ADDRESS.search(repr(effect))
                if isinstance(effect, Close):
                    heard += self.perform(self.relay.lost(effect.session))
        return heard


class Wanderers(RuleBasedStateMachine):
    """Four people, three call_ids, and addresses that are told once each."""

    phase = NEWEST

    def __init__(self) -> None:
        """Start with everybody away."""
        super().__init__()
        self.post = Post(self.phase)
        self.calls: dict[str, Modelled] = {}
        self.last = 0
        self.count = 0

    def knows(self, since: Phase) -> bool:
        """Tell whether the relay knows a member of this phase."""
        return since <= self.phase

    def told(self, how: tuple[str | None, list[str]]) -> Advertised:
        """Make up addresses that nobody has told before; the host candidates may name one twice."""
        reflexive, local = how
        return Advertised(
            self.address(reflexive) if reflexive else None, tuple(self.address(one) for one in local)
        )

    def address(self, spelling: str) -> str:
        """Make up an address, or repeat the one before."""
        self.count += spelling != "again"
        text = f"198.51.{self.count // 250}.{self.count % 250}:{10_000 + self.count}"
        return f"nowhere {self.count:05}" if spelling == "unreadable" else text

    def stripped(self, body: Body, side: By) -> Body:
        """Return a forwarded body without the addresses that a relay of this phase knows."""
        since = {f"{side}_reflexive_addr": Phase.ADVERTISING, f"{side}_local_addrs": Phase.HOST_CANDIDATES}
        hidden = {name for name, phase in since.items() if self.knows(phase)}
        return {name: value for name, value in body.items() if name not in hidden}

    def setup(self, call_id: str, of: Advertised) -> Body:
        """Return the CallSetup that names these candidates."""
        body: Body = {"call_id": call_id, "room": f"call-{call_id}", "relay_addr": RELAY}
        if of.reflexive and self.knows(Phase.ADVERTISING):
            body["peer_direct_addr"] = of.reflexive
        if of.local and self.knows(Phase.HOST_CANDIDATES):
            body["peer_local_addrs"] = list(of.local)
        return body

    def hangup(self, body: Body, call_id: str) -> Body:
        """Return a Hangup that a relay sends or forwards."""
        return {**body, "call_id": call_id} if self.knows(Phase.DUAL_STACK) else body

    def says(self, name: str, message: Message, expected: Callable[[Body], Heard]) -> None:
        """Let somebody say something; what follows is what was expected of the body that was sent."""
        body, heard = self.post.receive(self.post.sessions[name], message)
        self.compare(expected(body), heard)

    @staticmethod
    def compare(expected: Heard, heard: Heard) -> None:
        """Compare what each party heard, in its order; calls that end together have none."""
        if {one[1] for one in expected} == {"Hangup"}:
            expected, heard = sorted(expected, key=repr), sorted(heard, key=repr)
        for name in PEOPLE:
            assert [one for one in expected if one[0] == name] == [one for one in heard if one[0] == name]

    @initialize()
    def begins(self) -> None:
        """Everybody is there at first."""
        for name in PEOPLE:
            self.comes(name)

    @rule(name=names)
    def comes(self, name: str) -> None:
        """Somebody registers on a new connection; whoever is called there is called again."""
        self.last += 1
        self.post.perform(self.post.relay.connected(self.last, "_signal", "203.0.113.9:9", 0.0))
        self.post.sessions[name], self.post.owners[self.last] = self.last, name
        rings = [
            (name, "DirectCallOffer", call.offer)
            for call in self.calls.values()
            if call.callee == name and not call.active
        ]
        self.says(name, registration(PEOPLE[name]), lambda _: rings)

    @rule(name=names, now=seldom)
    def goes(self, name: str, *, now: bool) -> None:
        """Somebody's connection ends, and with it every call of theirs."""
        session = self.post.sessions.pop(name, None) if now else None
        if session is not None:
            normal: Heard = [
                (call.other(name), "Hangup", self.hangup({"reason": "Normal"}, call_id))
                for call_id, call in self.end(name)
            ]
            self.compare(normal, self.post.perform(self.post.relay.lost(session)))

    def end(self, name: str) -> list[tuple[str, Modelled]]:
        """Forget every call of a party, and return them."""
        over = [(key, call) for key, call in self.calls.items() if name in (call.caller, call.callee)]
        for call_id, _ in over:
            del self.calls[call_id]
        return over

    @rule(name=names, callee=names, call_id=call_ids, how=tells, extra=extras)
    def offers(
        self, name: str, callee: str, call_id: str, how: tuple[str | None, list[str]], extra: JsonObject
    ) -> None:
        """Somebody calls somebody, once more perhaps, and advertises each time."""
        if name not in self.post.sessions:
            return
        told = self.told(how)
        message = offer(
            PEOPLE[name],
            PEOPLE[callee],
            call_id,
            caller_reflexive_addr=told.reflexive,
            caller_local_addrs=told.local,
            rest=extra,
        )

        def expected(body: Body) -> Heard:
            live = self.calls.get(call_id)
            if live is not None and name in (live.caller, live.callee):
                return []
            if live is not None or callee == name or callee not in self.post.sessions:
                return [(name, "Hangup", self.hangup({"reason": "Error"}, call_id))]
            call = self.calls[call_id] = Modelled(name, callee, self.stripped(body, By.CALLER), told)
            return [(callee, "DirectCallOffer", call.offer)]

        self.says(name, message, expected)

    @rule(data=st.data(), how=tells)
    def calls_besides(self, data: st.DataObject, how: tuple[str | None, list[str]]) -> None:
        """Somebody whose call waits calls somebody else besides."""
        free = [call_id for call_id in CALL_IDS if call_id not in self.calls]
        waiting = [(call.caller, call.callee) for call in self.calls.values() if not call.active]
        if free and waiting:
            name, callee = data.draw(st.sampled_from(waiting))
            others = sorted(PEOPLE.keys() - {name, callee})
            self.offers(name, data.draw(st.sampled_from(others)), data.draw(st.sampled_from(free)), how, {})

    @rule(name=names, call_id=call_ids, mode=st.sampled_from(AcceptMode), how=tells, extra=extras)
    def answers(
        self,
        name: str,
        call_id: str,
        mode: AcceptMode,
        how: tuple[str | None, list[str]],
        extra: JsonObject,
    ) -> None:
        """Somebody answers a call, a party of it or not, for the first time or not, and advertises."""
        if name not in self.post.sessions:
            return
        told = self.told(how)

        def expected(body: Body) -> Heard:
            call = self.calls.get(call_id)
            if call is None or call.active or name != call.callee:
                return []
            if mode is AcceptMode.REJECT:
                del self.calls[call_id]
                return [(call.caller, "Hangup", self.hangup({"reason": "Declined"}, call_id))]
            call.active = True
            trusted = mode is AcceptMode.ACCEPT_TRUSTED
            return [
                (call.caller, "DirectCallAnswer", body if trusted else self.stripped(body, By.CALLEE)),
                (call.caller, "CallSetup", self.setup(call_id, told if trusted else NOTHING)),
                (name, "CallSetup", self.setup(call_id, call.told if trusted else NOTHING)),
            ]

        self.says(name, answer(mode, told, call_id=call_id, rest=extra), expected)

    @rule(data=st.data(), mode=st.sampled_from(ACCEPTS), how=tells)
    def accepts(self, data: st.DataObject, mode: AcceptMode, how: tuple[str | None, list[str]]) -> None:
        """The callee of a call that waits accepts it."""
        waiting = [call_id for call_id, call in self.calls.items() if not call.active]
        if waiting:
            call_id = data.draw(st.sampled_from(waiting))
            self.answers(self.calls[call_id].callee, call_id, mode, how, {})

    @rule(name=names, call_id=call_ids, extra=extras)
    def reports(self, name: str, call_id: str, extra: JsonObject) -> None:
        """Somebody reports a path, a party of an Active call or not."""
        if name not in self.post.sessions:
            return

        def expected(body: Body) -> Heard:
            call = self.calls.get(call_id)
            known = self.knows(Phase.PATH_AGREEMENT)
            if not known or call is None or not call.active or name not in (call.caller, call.callee):
                return []
            if name in call.reported:  # the first of a party counts (AGREE-17)
                return []
            call.reported.add(name)
            return [(call.other(name), "MediaPathReport", body)]

        self.says(name, MediaPathReport(call_id=call_id, direct_ok=True, rest=extra), expected)

    @rule(name=names, named=st.none() | call_ids, now=seldom)
    def hangs_up(self, name: str, named: str | None, *, now: bool) -> None:
        """Somebody hangs up, naming a call, of theirs or not, or none."""
        if not now or name not in self.post.sessions:
            return

        def expected(body: Body) -> Heard:
            one = named if self.knows(Phase.DUAL_STACK) else None
            kept = {key: call for key, call in self.calls.items() if one not in (None, key)}
            over = {key: call for key, call in self.calls.items() if key not in kept}
            self.calls = over
            ended = self.end(name)
            self.calls = {**self.calls, **kept}
            return [(call.other(name), "Hangup", self.hangup(body, key)) for key, call in ended]

        self.says(name, Hangup(reason=HangupReason.BUSY, call_id=named), expected)

    def teardown(self) -> None:
        """Let everybody leave: nothing is left."""
        for name in list(self.post.sessions):
            self.goes(name, now=True)
        assert nothing_is_left(self.post.relay)


def explore(phase: Phase, how: settings) -> None:
    """Let the four do what they like with a relay of a phase."""

    class At(Wanderers):
        """The machine at one phase."""

    At.phase = phase
    run_state_machine_as_test(At, settings=settings(how, stateful_step_count=50, deadline=None))


@pytest.mark.parametrize("phase", IMPLEMENTED, ids=str)
def test_an_address_reaches_the_other_party_of_its_call_only(phase: Phase) -> None:
    """Whatever four people do, each hears what it may, and each CallSetup names the other of its call."""
    explore(phase, settings(max_examples=12))


def per_caller(told: dict[str, Advertised]) -> Callable[..., Message]:
    """Return a way to speak that remembers what a caller advertised last, whichever call it was for."""
    honest = Call.spoken

    def spoken(self: Call, says: Says, to: By, forwarded: Message | None, relay_addr: str) -> Message:
        if says is Says.OFFER:
            told[self.caller] = self.advertised
        if says is Says.SETUP:
            self.advertised = told[self.caller]
        return honest(self, says, to, forwarded, relay_addr)

    return spoken


@pytest.mark.parametrize("leak", ["offer", "answer", "setup", "another call"])
def test_the_machine_above_sees_a_leak(leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that leaves one of the addresses in is found out."""
    match leak:
        case "offer":
            monkeypatch.setattr(privacy, "offer_for_callee", lambda message: message)
        case "answer":
            monkeypatch.setattr(privacy, "answer_for_caller", lambda message: message)
        case "setup":
            monkeypatch.setattr(privacy, "exchanged", lambda caller, _: (caller, NOTHING))
        case _:
            monkeypatch.setattr(Call, "spoken", per_caller({}))
    with pytest.raises(AssertionError):
        explore(NEWEST, settings(max_examples=500, phases=[Stage.generate], derandomize=True))
