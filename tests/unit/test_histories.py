"""Histories: whatever many clients do in whatever order, the relay says what the table of spec/call.md says.

The model knows the table, who registered last, and who sits where. After every step each message of the
relay has been predicted, and every table of the relay is as large as the model says.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from reference.core.call import Receipt
from reference.core.effects import Close, Effect, Send, SendDatagram
from reference.core.errors import HangupReason
from reference.core.media import Header
from reference.core.messages import AcceptMode, DirectCallAnswer, Hangup, MediaPathReport, Message
from reference.core.relay import RelayCore
from reference.core.sessions import Limits, Setting
from tests.world import RELAY, entropy, identity, introduction, nothing_is_left, offer, registration, word
from tools.chapters import table

NAMES = ("alice", "bob", "carol")
PEOPLE = {name: identity(name) for name in NAMES}
HELLO = {name: registration(who) for name, who in PEOPLE.items()}
INTRODUCTION = {name: introduction(who) for name, who in PEOPLE.items()}
CALL_IDS = ("c1", "c2", "c3")
LIMITS = Limits(calls=2, offers_burst=10_000)
RING, REGISTER, MEDIA = LIMITS.ring_timeout, LIMITS.register_timeout, LIMITS.media_timeout
AUDIO = Header(codec=0, sequence=0, timestamp=0).encode() + b"audio"
ROWS = {
    (start, event, by): (to, to_caller, to_callee)
    for start, event, by, to, to_caller, to_callee in table("call", "from", "event", "by", "to").rows
}
FORWARDED = {"DirectCallAnswer", "Hangup", "MediaPathReport"}

names, call_ids = st.sampled_from(NAMES), st.sampled_from(CALL_IDS)
seldom = st.sampled_from([True, False, False])
"""What ends things comes seldom, so that there is something to end."""

Said = list[tuple[int, str]]


@dataclass(eq=False)
class Modelled:
    """One call as the table sees it, and the room that belongs to it."""

    caller: str
    callee: str
    state: str
    until: float
    seats: dict[str, int] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)


@dataclass
class Model:
    """What a relay has to remember, and what it has to say."""

    newest: dict[str, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    unregistered: dict[int, float] = field(default_factory=dict)
    unadmitted: dict[int, tuple[str, float]] = field(default_factory=dict)
    calls: dict[str, Modelled] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)

    def move(self, call_id: str, event: str, by: str, forwarded: str = "") -> Said:
        """Move a call by the table; return what each party hears."""
        call = self.calls.get(call_id)
        row = ROWS.get((call.state, event, by)) if call else None
        if call is None or row is None:
            return []
        call.state = row[0]
        said = []
        for party, words in ((call.caller, row[1]), (call.callee, row[2])):
            spelt = [] if words == "–" else words.split(", ")
            said += [(self.newest[party], forwarded if one in FORWARDED else one) for one in spelt]
        if call.state == "Ended":
            self.closed |= set(call.seats.values())
            del self.calls[call_id]
        return said

    def each(self, name: str, event: str, forwarded: str = "") -> Said:
        """Move every call of a party."""
        said: Said = []
        for call_id, call in list(self.calls.items()):
            if name in (call.caller, call.callee):
                said += self.move(call_id, event, "caller" if name == call.caller else "callee", forwarded)
        return said

    def one(self, name: str, call_id: str, event: str, forwarded: str) -> Said:
        """Move a call that somebody names, if it is theirs."""
        call = self.calls.get(call_id)
        if call is None or name not in (call.caller, call.callee):
            return []
        return self.move(call_id, event, "caller" if name == call.caller else "callee", forwarded)

    def offer(self, name: str, target: str, call_id: str, now: float, waiting: list[int]) -> Said:
        """Refuse, ignore, repeat or begin a call; `waiting` has a session for each offer still on its way."""
        live, mine = self.calls.get(call_id), self.newest[name]
        if live is not None and name in (live.caller, live.callee):
            same = (live.caller, live.callee) == (name, target)
            return self.move(call_id, "offer", "caller") if same else []
        if target == name or live is not None:
            return [(mine, "Hangup{Error}")]
        if target not in self.newest:
            return [(mine, "Hangup{Error}")]
        if LIMITS.calls <= waiting.count(self.newest[target]):
            return [(mine, "Hangup{Busy}")]
        for party in (name, target):
            if LIMITS.calls <= sum(party in (call.caller, call.callee) for call in self.calls.values()):
                return [(mine, "Hangup{Busy}")]
        self.calls[call_id] = Modelled(name, target, "–", now + RING)
        return self.move(call_id, "offer", "caller")


class Histories(RuleBasedStateMachine):
    """Random verbs of three people with three call_ids, on as many connections as they like."""

    def __init__(self) -> None:
        """Start with an empty relay and an empty model."""
        super().__init__()
        drawn = entropy("relay")
        self.relay = RelayCore(Setting(identity("relay"), RELAY, limits=LIMITS), lambda: drawn(32))
        self.model = Model()
        self.now = 0.0
        self.last = 0
        self.receipts: list[tuple[Receipt, str, Modelled]] = []

    def expect(self, said: Said, effects: list[Effect]) -> None:
        """Compare what was said with what had to be, for each session in order."""
        heard: Said = []
        for effect in effects:
            if isinstance(effect, Send):
                heard.append((effect.session, word(effect.message)))
            if isinstance(effect, Send | SendDatagram):
                assert effect.session in self.relay.sessions
            if isinstance(effect, Send) and isinstance(effect.receipt, Receipt):
                call_id = getattr(effect.message, "call_id", "")
                self.receipts.append((effect.receipt, call_id, self.model.calls[call_id]))
        assert sorted(said, key=lambda one: one[0]) == sorted(heard, key=lambda one: one[0])
        closed = {effect.session for effect in effects if isinstance(effect, Close)}
        assert self.model.closed == closed
        self.model.closed = set()
        for session in sorted(closed):
            self.forget(session)

    def forget(self, session: int) -> None:
        """Let the relay learn that a connection has ended, as an endpoint does after every close."""
        name = self.model.names.pop(session, None)
        self.model.unregistered.pop(session, None)
        self.model.unadmitted.pop(session, None)
        left: Said = []
        for call in self.model.calls.values():
            for who, seat in list(call.seats.items()):
                if seat == session:
                    del call.seats[who]
                    left = [(other, "RoomUpdate") for other in call.seats.values()]
        said = left
        if name is not None and self.model.newest.get(name) == session:
            said = said + self.model.each(name, "loss")
            del self.model.newest[name]
        self.expect(said, self.relay.lost(session))

    def says(self, name: str, message: Message, said: Said) -> None:
        """Let a registered person say something on the newest connection."""
        self.expect(said, self.relay.receive(self.model.newest[name], message, self.now))

    @initialize()
    def begins(self) -> None:
        """Everybody is there at first."""
        for name in NAMES:
            self.registers(name)

    @rule(sni=st.sampled_from(["_signal", *(f"call-{call_id}" for call_id in CALL_IDS)]))
    def connects(self, sni: str) -> None:
        """Somebody opens a connection and says nothing yet."""
        self.last += 1
        self.expect([], self.relay.connected(self.last, sni, "198.51.100.1:1", self.now))
        if sni == "_signal":
            self.model.unregistered[self.last] = self.now + REGISTER
        else:
            self.model.unadmitted[self.last] = (sni.removeprefix("call-"), self.now + MEDIA)

    @rule(name=names)
    def registers(self, name: str) -> None:
        """Somebody registers, on a connection that waits or on a new one."""
        if not self.model.unregistered:
            self.connects("_signal")
        session = min(self.model.unregistered)
        del self.model.unregistered[session]
        self.model.names[session] = name
        if name in self.model.newest:
            self.model.closed = {self.model.newest[name]}
        self.model.newest[name] = session
        said = [(session, "RegisterPresenceAck"), *self.model.each(name, "registration")]
        self.expect(said, self.relay.receive(session, HELLO[name], self.now))

    @rule(name=names, callee=names, call_id=call_ids)
    def offers(self, name: str, callee: str, call_id: str) -> None:
        """Somebody calls somebody."""
        if name in self.model.newest:
            message = offer(PEOPLE[name], PEOPLE[callee], call_id)
            waiting = [receipt.session for receipt, _, _ in self.receipts]
            self.says(name, message, self.model.offer(name, callee, call_id, self.now, waiting))

    @rule(name=names, call_id=call_ids, mode=st.sampled_from(AcceptMode))
    def answers(self, name: str, call_id: str, mode: AcceptMode) -> None:
        """Somebody answers a call, a party of it or not."""
        if name not in self.model.newest:
            return
        event = "reject" if mode is AcceptMode.REJECT else "accept"
        said = self.model.one(name, call_id, event, "DirectCallAnswer")
        self.says(name, DirectCallAnswer(call_id=call_id, accept_mode=mode), said)

    @rule(data=st.data())
    def accepts(self, data: st.DataObject) -> None:
        """The callee of a call that waits accepts it."""
        waiting = [call_id for call_id, call in self.model.calls.items() if call.state != "Active"]
        if waiting:
            call_id = data.draw(st.sampled_from(waiting))
            self.answers(self.model.calls[call_id].callee, call_id, AcceptMode.ACCEPT_GENERIC)

    @rule(data=st.data())
    def enters(self, data: st.DataObject) -> None:
        """A party of an Active call opens its room and introduces itself."""
        active = [call_id for call_id, call in self.model.calls.items() if call.state == "Active"]
        if active and not self.model.unadmitted:
            call_id = data.draw(st.sampled_from(active))
            call = self.model.calls[call_id]
            self.connects(f"call-{call_id}")
            self.joins(data.draw(st.sampled_from([call.caller, call.callee])))

    @rule(name=names, reason=st.sampled_from(HangupReason), call_id=st.none() | call_ids, now=seldom)
    def hangs_up(self, name: str, reason: HangupReason, call_id: str | None, *, now: bool) -> None:
        """Somebody hangs up, with a call or without, and names one, of theirs or not, or none."""
        if now and name in self.model.newest:
            message = Hangup(reason=reason, call_id=call_id)
            if call_id is None:
                said = self.model.each(name, "hangup", word(message))
            else:
                said = self.model.one(name, call_id, "hangup", word(message))
            self.says(name, message, said)

    @rule(name=names, call_id=call_ids)
    def reports(self, name: str, call_id: str) -> None:
        """Somebody reports a path of a call, a party of it or not."""
        if name in self.model.newest:
            said = self.model.one(name, call_id, "report", "MediaPathReport")
            if said:
                call = self.model.calls[call_id]
                said = [] if name in call.reported else said  # the first of a party counts (AGREE-17)
                call.reported.add(name)
            self.says(name, MediaPathReport(call_id=call_id, direct_ok=True), said)

    @rule(data=st.data())
    def flushes(self, data: st.DataObject) -> None:
        """An offer has left the relay, perhaps of a call that is over."""
        if self.receipts:
            receipt = self.receipts.pop(data.draw(st.integers(0, len(self.receipts) - 1)))
            call = self.model.calls.get(receipt[1])
            live = call is not None and call is receipt[2]
            said = self.model.move(receipt[1], "flushed", "relay") if live else []
            self.expect(said, self.relay.flushed(receipt[0]))

    @rule(name=names)
    def joins(self, name: str) -> None:
        """Somebody introduces himself in the room that somebody opened, allowed to or not."""
        if not self.model.unadmitted:
            return
        session = min(self.model.unadmitted)
        call_id, _ = self.model.unadmitted.pop(session)
        call, said = self.model.calls.get(call_id), list[tuple[int, str]]()
        if call is None or call.state != "Active" or name not in (call.caller, call.callee):
            self.model.closed = {session}
        else:
            if name in call.seats:
                self.model.closed = {call.seats.pop(name)}
            call.seats[name] = session
            said = [(session, "CallAnswer"), *((seat, "RoomUpdate") for seat in call.seats.values())]
        self.expect(said, self.relay.receive(session, INTRODUCTION[name], self.now))

    @rule(data=st.data())
    def speaks(self, data: st.DataObject) -> None:
        """A datagram comes on some connection and goes to the other seat of its room, if at all."""
        if self.relay.sessions:
            session = data.draw(st.sampled_from(sorted(self.relay.sessions)))
            rooms = [list(call.seats.values()) for call in self.model.calls.values()]
            others = [seat for room in rooms if session in room for seat in room if seat != session]
            heard = [one for one in self.relay.datagram(session, AUDIO) if isinstance(one, SendDatagram)]
            assert [SendDatagram(other, AUDIO) for other in others] == heard

    @rule(data=st.data(), now=seldom)
    def loses(self, data: st.DataObject, *, now: bool) -> None:
        """Some connection ends."""
        if now and self.relay.sessions:
            self.forget(data.draw(st.sampled_from(sorted(self.relay.sessions))))

    @rule(seconds=st.sampled_from([0.1, 0.2, 0.5, 1.0, 2.0, 9.0, 61.0]))
    def waits(self, seconds: float) -> None:
        """Time passes; calls ring out and idle connections are closed."""
        self.now += seconds
        said: Said = []
        late = [call_id for call_id, call in self.model.calls.items() if call.until <= self.now]
        for call_id in late:
            said += self.model.move(call_id, "timeout", "relay")
        self.model.closed |= {
            session for session, until in self.model.unregistered.items() if until <= self.now
        }
        self.model.closed |= {one for one, (_, until) in self.model.unadmitted.items() if until <= self.now}
        self.expect(said, self.relay.tick(self.now))

    @invariant()
    def remembers_what_it_has_to_and_no_more(self) -> None:
        """Every table of the relay is as large as the model says."""
        model, relay = self.model, self.relay
        seats = [seat for call in model.calls.values() for seat in call.seats.values()]
        unanswered = sum(call.state in {"Pending", "Ringing"} for call in model.calls.values())
        waiting = len(model.unregistered) + len(model.unadmitted)
        assert waiting + unanswered == len(relay.timers)
        assert waiting + len(model.names) + len(seats) == len(relay.sessions)
        assert len(model.newest) == len(relay.presence)
        assert {one: call.state for one, call in model.calls.items()} == {
            call.call_id: str(call.state) for call in relay.calls.registry
        }
        assert sum(bool(call.seats) for call in model.calls.values()) == len(relay.calls.rooms)

    def teardown(self) -> None:
        """Let everybody leave: nothing is left, in no table."""
        for session in sorted(self.relay.sessions):
            self.forget(session)
        assert nothing_is_left(self.relay)
        assert None is self.relay.deadline()


def test_the_relay_follows_the_table_in_every_history() -> None:
    """Whatever is said, lost and waited for, each message is foretold and nothing is left in the end."""
    run_state_machine_as_test(
        Histories, settings=settings(max_examples=80, stateful_step_count=60, deadline=None)
    )
