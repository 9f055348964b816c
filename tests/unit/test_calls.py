"""The calls of a relay: the whole table from outside, and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from reference.core.call import LIVE, By, Call, Event, Receipt, State
from reference.core.calls import Calls
from reference.core.errors import HangupReason
from reference.core.messages import AcceptMode, CallSetup, DirectCallAnswer, Hangup, MediaPathReport, Message
from reference.core.phases import NEWEST
from reference.core.privacy import NOTHING
from reference.core.sessions import SMALL_MESSAGE, Limits
from tests.world import Puppet, World, identity, nothing_is_left, offer
from tools.chapters import table

CALL_ID = "c1"
THIRD = "third"
BY_RELAY = (Event.FLUSHED, Event.TIMEOUT, Event.SHUTDOWN)
WRITTEN = {
    (start, event, by): (to, to_caller, to_callee)
    for start, event, by, to, to_caller, to_callee in table("call", "from", "event", "by", "to").rows
}
ACCEPT = DirectCallAnswer(call_id=CALL_ID, accept_mode=AcceptMode.ACCEPT_TRUSTED)
REJECT = DirectCallAnswer(call_id=CALL_ID, accept_mode=AcceptMode.REJECT)
REPORT = MediaPathReport(call_id=CALL_ID, direct_ok=True, race_winner="Direct")
HANGUP = Hangup(reason=HangupReason.BUSY)
"""A reason that the relay itself does not use once a call is live."""

SAID: dict[Event, Message] = {
    Event.ACCEPT: ACCEPT,
    Event.REJECT: REJECT,
    Event.HANGUP: HANGUP,
    Event.REPORT: REPORT,
}
PADDING = {"padding": "x" * SMALL_MESSAGE}
TIMEOUT = 60.0


class Stage:
    """A world with a caller, a callee and a third party, and one call between the first two."""

    def __init__(self, state: State | None, limits: Limits | None = None) -> None:
        """Bring the call to a state."""
        self.world = World(limits=limits, phase=NEWEST)
        self.parties = {name: self.world.puppet(name) for name in (By.CALLER, By.CALLEE, THIRD)}
        self.caller, self.callee, self.third = self.parties.values()
        self.offer = offer(self.caller.identity, self.callee.identity, CALL_ID)
        self.call: Call | None = None
        if state is None:
            return
        self.callee.link.granted = state is not State.PENDING
        self.caller.says(self.offer)
        self.call = self.calls.registry.get(CALL_ID)
        if state is State.ACTIVE:
            self.callee.says(ACCEPT)
        elif state is State.ENDED:
            self.callee.says(REJECT)

    @property
    def calls(self) -> Calls:
        """Return the calls of the relay."""
        return self.world.relay.calls

    @property
    def state(self) -> State:
        """Return where the call stands; one that is not there has ended or has never been."""
        live = self.calls.registry.get(CALL_ID)
        return State.ENDED if live is None or live.state is None else live.state

    def receipt(self) -> Receipt | None:
        """Return what comes back when the offer of the call has left, if there is a call."""
        session = self.world.relay.presence.session(self.call.callee) if self.call else None
        return Receipt(self.call, session) if self.call and session is not None else None

    def play(self, event: Event, by: str) -> dict[str, list[str]]:
        """Let something happen; return what each party was told of it, in order."""
        mark = len(self.world.journal)
        self.perform(event, self.parties.get(by))
        told: dict[str, list[str]] = {name: [] for name in self.parties}
        for line in self.world.journal[mark:]:
            name, said, what = line.partition(" <- relay ")
            if said and what != "RegisterPresenceAck":
                told[name].append(what)
        return told

    def perform(self, event: Event, party: Puppet | None) -> None:
        """Do what an event is."""
        if party is None:
            self.pass_by(event)
        elif event is Event.LOSS:
            party.leaves()
        elif event is Event.REGISTRATION:
            again = self.world.puppet(party.name, registered=False)
            again.link.granted = False
            again.says(party.link.sent[0])  # type: ignore[arg-type]
        else:
            target = self.caller if party is self.callee else self.callee
            placed = offer(party.identity, target.identity, CALL_ID)
            party.says({Event.OFFER: placed, **SAID}[event])

    def pass_by(self, event: Event) -> None:
        """Do what happens without a party."""
        relay, world = self.world.relay, self.world
        match event:
            case Event.FLUSHED:
                world.relay_does(relay.flushed(self.receipt()))
            case Event.TIMEOUT:
                world.advance(TIMEOUT)
            case Event.SHUTDOWN:
                world.relay_does(relay.shutdown())


def cells() -> Iterator[tuple[State | None, Event, str]]:
    """Yield every state, event and sender that can be played; an offer begins a call from no state."""
    for state, event in itertools.product((None, *State), Event):
        for by in (By.RELAY,) if event in BY_RELAY else (By.CALLER, By.CALLEE, THIRD):
            if event is not Event.OFFER or by == By.CALLER or state in LIVE:
                yield state, event, by


def spelt(words: str) -> list[str]:
    """Return a cell of the table as words; what is forwarded has the reason that was sent."""
    return (
        []
        if words == "–"
        else [word.replace("Hangup", "Hangup{Busy}", word == "Hangup") for word in words.split(", ")]
    )


@pytest.mark.parametrize(("state", "event", "by"), list(cells()), ids=str)
def test_the_relay_does_what_the_table_says(state: State | None, event: Event, by: str) -> None:
    """In every state, every event by everybody is told to whom the table says, and to nobody else."""
    stage = Stage(state)
    before = stage.state
    told = stage.play(event, by)
    start = None if state is State.ENDED and event is Event.OFFER else state
    to, to_caller, to_callee = WRITTEN.get((str(start or "–"), str(event), by), (str(before), "–", "–"))
    if start is None and event is Event.OFFER:  # nobody holds it back, so that flushed follows
        to, to_caller = "Ringing", "CallRinging"
    third = ["Hangup{Error}"] if (event, by) == (Event.OFFER, THIRD) else []
    assert {By.CALLER: spelt(to_caller), By.CALLEE: spelt(to_callee), THIRD: third} == told
    assert to == stage.state


@pytest.mark.parametrize(("state", "event", "by"), list(cells()), ids=str)
def test_nothing_is_left_when_all_have_gone(state: State | None, event: Event, by: str) -> None:
    """Whatever has happened, no table holds anything once every connection has ended."""
    stage = Stage(state)
    stage.play(event, by)
    for link in stage.world.links.values():
        stage.world.hang(link)
    stage.world.settle()
    assert nothing_is_left(stage.world.relay)


def test_the_answer_and_the_setup_go_out_in_order() -> None:
    """The caller hears the answer and then, at once, the setup, with the relay's own address."""
    stage = Stage(State.RINGING)
    stage.caller.hears()
    stage.callee.says(ACCEPT)
    answer, setup = stage.caller.messages
    assert ACCEPT == answer
    assert stage.callee.messages[-1] == setup
    assert stage.world.setting.relay_addr == getattr(setup, "relay_addr", None)


def test_a_name_that_a_caller_claims_is_overwritten() -> None:
    """The callee sees the fingerprint of the connection, whatever the offer says (CALL-2)."""
    stage = Stage(None)
    claimed = offer(
        stage.caller.identity, stage.callee.identity, CALL_ID, caller_fingerprint=stage.third.fingerprint
    )
    stage.caller.says(claimed)
    assert [stage.offer] == stage.callee.messages


@pytest.mark.parametrize("case", ["nobody", "myself", "others", "large"])
def test_an_offer_that_cannot_be_is_an_error(case: str) -> None:
    """An offer to nobody, to oneself, with the call_id of others or too large is answered with Error."""
    stage = Stage(State.RINGING if case == "others" else None)
    sender = stage.third
    made = {
        "nobody": lambda: offer(sender.identity, identity("nobody"), "c2"),
        "myself": lambda: offer(sender.identity, sender.identity, "c2"),
        "others": lambda: offer(sender.identity, stage.callee.identity, CALL_ID),
        "large": lambda: offer(sender.identity, stage.callee.identity, "c2", rest=PADDING),
    }
    stage.callee.hears()
    live = len(stage.calls.registry)
    sender.hears()
    sender.says(made[case]())
    assert ["Hangup{Error}"] == sender.hears()
    assert [] == stage.callee.hears()
    assert live == len(stage.calls.registry)


def test_the_largest_offer_is_taken() -> None:
    """An offer of exactly 16,384 bytes rings, and one byte more does not (CALL-14)."""
    stage = Stage(None)
    state = stage.world.relay.sessions[stage.caller.link.session]
    sizes = {SMALL_MESSAGE: None, SMALL_MESSAGE + 1: HangupReason.ERROR}
    fingerprint = stage.caller.fingerprint
    assert sizes == {size: stage.calls.refusal(fingerprint, state, stage.offer, 0.0, size) for size in sizes}


def test_a_large_answer_is_ignored() -> None:
    """An answer of more than 16,384 bytes moves nothing and is answered by nothing (CALL-27)."""
    stage = Stage(State.RINGING)
    padded = DirectCallAnswer(call_id=CALL_ID, accept_mode=AcceptMode.ACCEPT_TRUSTED, rest=PADDING)
    stage.caller.hears()
    stage.callee.says(padded)
    assert [] == stage.caller.hears()
    assert State.RINGING is stage.state


@pytest.mark.parametrize("full", [By.CALLER, By.CALLEE])
def test_a_party_has_so_many_calls_and_no_more(full: By) -> None:
    """The offer beyond the limit of live calls of either party is refused with Busy, until a call ends."""
    stage = Stage(None, Limits(calls=3))
    others = [stage.world.puppet(f"other {number}") for number in range(4)]
    pairs = [(stage.caller, one) if full is By.CALLER else (one, stage.callee) for one in others]
    for number, (sender, target) in enumerate(pairs):
        sender.hears()
        sender.says(offer(sender.identity, target.identity, f"n{number}"))
        assert ["CallRinging" if number < 3 else "Hangup{Busy}"] == sender.hears()
    others[0].says(HANGUP)
    sender, target = pairs[3]
    sender.hears()
    sender.says(offer(sender.identity, target.identity, "n3"))
    assert ["CallRinging"] == sender.hears()


def test_a_burst_of_offers_is_cut_off() -> None:
    """Twenty offers at once are judged one by one, the next is Busy, and a second later ten are judged."""
    stage = Stage(None)
    nobody = offer(stage.caller.identity, identity("nobody"), "c2")
    stage.caller.says(*[nobody] * 21)
    assert ["Hangup{Error}"] * 20 + ["Hangup{Busy}"] == stage.caller.hears()
    stage.world.advance(1)
    stage.caller.says(*[nobody] * 11)
    assert ["Hangup{Error}"] * 10 + ["Hangup{Busy}"] == stage.caller.hears()


def test_a_foreign_offer_does_not_touch_a_live_call() -> None:
    """A third party that offers with the call_id of a live call changes nothing of it (CALL-13)."""
    stage = Stage(State.RINGING)
    stage.play(Event.OFFER, THIRD)
    told = stage.play(Event.ACCEPT, By.CALLEE)
    assert ["DirectCallAnswer", "CallSetup"] == told[By.CALLER]
    assert [] == told[THIRD]


@pytest.mark.parametrize("case", ["another target", "itself", "large", "from the callee"])
def test_another_offer_of_a_live_call_is_ignored(case: str) -> None:
    """A party's offer with the call_id of its live call is no Hangup, which would end the call (CALL-40)."""
    stage = Stage(State.RINGING)
    caller, callee = stage.caller, stage.callee
    sender, made = {
        "another target": (caller, offer(caller.identity, stage.third.identity, CALL_ID)),
        "itself": (caller, offer(caller.identity, caller.identity, CALL_ID)),
        "large": (caller, offer(caller.identity, stage.third.identity, CALL_ID, rest=PADDING)),
        "from the callee": (callee, offer(callee.identity, caller.identity, CALL_ID)),
    }[case]
    mark = len(stage.world.journal)
    sender.says(*[made] * 30)
    assert [] == [line for line in stage.world.journal[mark:] if "<-" in line]
    assert State.RINGING is stage.state


def test_a_large_hangup_is_ignored() -> None:
    """A Hangup of more than 16,384 bytes ends nothing and reaches nobody (CALL-41)."""
    stage = Stage(State.ACTIVE)
    stage.callee.hears()
    stage.caller.says(Hangup(reason=HangupReason.NORMAL, rest=PADDING))
    assert [] == stage.callee.hears()
    assert State.ACTIVE is stage.state


def test_a_hangup_ends_every_call_of_its_sender() -> None:
    """A Hangup that names no call means all of its sender, and none of others (CALL-32)."""
    stage = Stage(State.RINGING)
    stage.third.says(offer(stage.third.identity, stage.callee.identity, "c2"))
    stage.third.says(offer(stage.third.identity, stage.caller.identity, "c3"))
    told = stage.play(Event.HANGUP, By.CALLEE)
    assert {By.CALLER: ["Hangup{Busy}"], By.CALLEE: [], THIRD: ["Hangup{Busy}"]} == told
    assert ["c3"] == [call.call_id for call in stage.calls.registry]


def test_every_hangup_names_its_call() -> None:
    """A Hangup that means two calls arrives with the call_id of each, a refusal with its own (CALL-43)."""
    stage = Stage(State.RINGING)
    stage.third.says(offer(stage.third.identity, stage.callee.identity, "c2"))
    stage.third.says(offer(stage.third.identity, stage.callee.identity, CALL_ID))
    stage.callee.says(HANGUP)
    hangups = [
        (name, one.reason, one.call_id)
        for name, party in stage.parties.items()
        for one in party.messages
        if isinstance(one, Hangup)
    ]
    assert [
        (By.CALLER, HangupReason.BUSY, CALL_ID),
        (THIRD, HangupReason.ERROR, CALL_ID),
        (THIRD, HangupReason.BUSY, "c2"),
    ] == hangups


@pytest.mark.parametrize("event", [Event.REJECT, Event.LOSS, Event.TIMEOUT, Event.SHUTDOWN])
def test_every_hangup_of_the_relay_names_its_call(event: Event) -> None:
    """However a call ends, the Hangup that the caller receives has its call_id (CALL-43)."""
    stage = Stage(State.RINGING)
    stage.perform(event, None if event in BY_RELAY else stage.callee)
    assert [CALL_ID] == [one.call_id for one in stage.caller.messages if isinstance(one, Hangup)]


def test_a_hangup_ends_the_call_that_it_names() -> None:
    """Another call of its sender goes on (CALL-44)."""
    stage = Stage(State.RINGING)
    stage.third.says(offer(stage.third.identity, stage.callee.identity, "c2"))
    stage.third.hears()
    stage.callee.says(Hangup(reason=HangupReason.NORMAL, call_id=CALL_ID))
    assert (["CallRinging", "Hangup{Normal}"], []) == (stage.caller.hears(), stage.third.hears())
    assert ["c2"] == [call.call_id for call in stage.calls.registry]


@pytest.mark.parametrize(("sender", "named"), [(By.CALLER, "c9"), (THIRD, CALL_ID)])
def test_a_hangup_of_no_call_of_its_sender_is_ignored(sender: str, named: str) -> None:
    """A Hangup for a call that is over, has never been or is of others ends nothing (CALL-33, CALL-45)."""
    stage = Stage(State.ACTIVE)
    mark = len(stage.world.journal)
    stage.parties[sender].says(Hangup(reason=HangupReason.NORMAL, call_id=named))
    assert [] == [line for line in stage.world.journal[mark:] if "<-" in line]
    assert State.ACTIVE is stage.state


def test_a_large_report_is_ignored() -> None:
    """A report of more than 16,384 bytes reaches nobody, and the largest one arrives (AGREE-4)."""
    stage = Stage(State.ACTIVE)
    stage.callee.hears()
    fingerprint = stage.caller.fingerprint
    assert 1 == len(stage.calls.media_path_report(fingerprint, REPORT, SMALL_MESSAGE))
    stage.caller.says(MediaPathReport(call_id=CALL_ID, direct_ok=True, rest=PADDING))
    assert [] == stage.callee.hears()


@pytest.mark.parametrize("state", [None, State.PENDING, State.RINGING, State.ENDED])
def test_a_report_of_no_active_call_is_ignored(state: State | None) -> None:
    """Before the answer and after the end a report reaches nobody (AGREE-3)."""
    stage = Stage(state)
    assert {name: [] for name in stage.parties} == stage.play(Event.REPORT, By.CALLER)


def test_a_report_arrives_as_it_was_sent() -> None:
    """Unknown members come with it, and it goes to the other party's newest connection (AGREE-1)."""
    stage = Stage(State.ACTIVE)
    again = stage.world.puppet(By.CALLEE)
    report = MediaPathReport(call_id=CALL_ID, direct_ok=False, race_winner="", rest={"tried": [1, None]})
    stage.caller.says(report)
    assert [report] == again.messages
    again.says(report)
    assert report == stage.caller.messages[-1]


def test_the_candidates_of_a_call_outlive_its_connections() -> None:
    """Both parties register again while it rings, and each is told the other's candidates all the same."""
    stage = Stage(None)
    advertised = offer(
        stage.caller.identity,
        stage.callee.identity,
        CALL_ID,
        caller_reflexive_addr="192.0.2.1:4433",
        caller_local_addrs=("192.168.1.2:4433",),
    )
    stage.caller.says(advertised)
    caller, callee = (stage.world.puppet(name, registered=False) for name in (By.CALLER, By.CALLEE))
    for again, older in ((caller, stage.caller), (callee, stage.callee)):
        again.says(older.link.sent[0])  # type: ignore[arg-type]
    assert [stage.offer] == callee.messages[1:]
    callee.says(replace(ACCEPT, callee_reflexive_addr="198.51.100.9:4433"))
    told = [
        (one.peer_direct_addr, one.peer_local_addrs)
        for one in (callee.messages[-1], caller.messages[-1])
        if isinstance(one, CallSetup)
    ]
    assert [("192.0.2.1:4433", ("192.168.1.2:4433",)), ("198.51.100.9:4433", ())] == told


def test_a_repeated_offer_changes_no_candidates() -> None:
    """The candidates are those of the offer that placed the call, whatever is repeated later."""
    stage = Stage(None)
    for address in ("192.0.2.1:4433", "192.0.2.2:4433"):
        stage.caller.says(replace(stage.offer, caller_reflexive_addr=address))
    stage.callee.says(ACCEPT)
    assert "192.0.2.1:4433" == getattr(stage.callee.messages[-1], "peer_direct_addr", None)


def test_an_answered_call_keeps_no_candidates() -> None:
    """Once both have been told, the relay forgets what it was told for the call."""
    stage = Stage(None)
    stage.caller.says(replace(stage.offer, caller_reflexive_addr="192.0.2.1:4433"))
    live = stage.calls.registry.get(CALL_ID)
    stage.callee.says(ACCEPT)
    assert live is not None
    assert (None, NOTHING) == (live.offer, live.advertised)


def test_a_late_receipt_moves_nothing() -> None:
    """The receipt of a call that has ended does not make its successor of the same call_id ring."""
    stage = Stage(State.PENDING)
    older = stage.receipt()
    stage.caller.says(HANGUP)
    stage.caller.says(stage.offer)
    assert [] == stage.world.relay.flushed(older)
    assert [] == stage.world.relay.flushed("no receipt of ours")
    assert State.PENDING is stage.state


def test_a_call_outlives_the_replacement_of_its_parties() -> None:
    """Both parties register again, and the answer goes to the caller's newest connection."""
    stage = Stage(State.RINGING)
    caller, callee = (stage.world.puppet(name, registered=False) for name in (By.CALLER, By.CALLEE))
    for again, older in ((caller, stage.caller), (callee, stage.callee)):
        again.says(older.link.sent[0])  # type: ignore[arg-type]
    assert ["RegisterPresenceAck", "DirectCallOffer"] == callee.hears()
    callee.says(ACCEPT)
    assert ["RegisterPresenceAck", "DirectCallAnswer", "CallSetup"] == caller.hears()


def test_an_answered_call_has_no_deadline() -> None:
    """An Active call does not end by itself, and the relay waits for nothing."""
    stage = Stage(State.ACTIVE)
    assert None is stage.world.relay.deadline()
    stage.world.advance(86_400)
    assert State.ACTIVE is stage.state
