"""Tests of plans: how they are read, drawn, predicted, judged, shrunk, performed and replayed."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from conformance import drawing, exploration, plan, prediction, shrinking, spec
from conformance import replay as replaying
from conformance.codec import body_of, name_of
from conformance.dialogue import Dialogue
from conformance.exploration import Explorer
from conformance.identity import Identity
from conformance.performance import History, Line
from conformance.plan import NOBODY, Plan
from conformance.prediction import ADMITTED, REFUSED
from conformance.properties import Finding, findings
from conformance.script import Script
from conformance.seats import Company
from conformance.targets import EXAMPLES, Target
from conformance.verdicts import UsageError
from tests.mutants.subtle import SUBTLE

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
ONE, OTHER = "198.51.100.1:40001", "198.51.100.2:40002"
OFFER = {"who": "alice", "does": "offer", "call": "c1", "to": "bob", "reflexive": ONE}
ANSWER = {"who": "bob", "does": "answer", "call": "c1", "mode": "AcceptTrusted", "reflexive": OTHER}
CALL = {"people": {"alice": "7", "bob": "7"}, "beats": [[OFFER], [ANSWER]]}
QUIET = {
    "people": {"alice": "7", "bob": "7", "carol": "5.5"},
    "beats": [
        [OFFER],
        [ANSWER, {"who": "carol", "does": "reflect"}],
        [{"who": one, "does": "join", "call": "c1"} for one in ("alice", "bob")],
        [{"who": "alice", "does": "media", "call": "c1"}, {"who": "bob", "does": "report", "call": "c1"}],
        [{"who": "carol", "does": "register"}],
        [{"who": "alice", "does": "hangup", "call": "c1"}],
        [{"who": "carol", "does": "leave"}],
    ],
}
CAUGHT = {"SUBTLE-1": "cross-wiring", "SUBTLE-2": "privacy", "SUBTLE-3": "forwarding"}
"""Each subtle relay, and the property that has to find it."""
FEW = 40
"""Random plans; a run of the suite before the reference performs many more."""


def people(*names: str) -> dict[str, Identity]:
    """Return somebody for each name, and nobody."""
    return {name: Identity.named("test", name) for name in (*names, NOBODY)}


def script(value: dict[str, Any]) -> Script:
    """Return the script of a plan."""
    read = plan.read(value)
    return Script(read, people(*read.people), lambda call: call * 8)


def with_steps(*beats: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a plan of three people with these beats."""
    return {"people": {"alice": "7", "bob": "7", "carol": "7"}, "beats": list(beats)}


# Reading


@pytest.mark.parametrize(
    ("wrong", "place", "value"),
    [
        ({"people": {}}, "people", "{}"),
        ({"people": {"alice": "8"}}, "people.alice", "'8'"),
        ({"people": {"Alice": "7"}}, "people", "Alice"),
        ({"beats": [[{"who": "alice", "does": "sing"}]]}, "beats[0][0].does", "'sing'"),
        ({"beats": [[OFFER], [ANSWER | {"mode": "Perhaps"}]]}, "beats[1][0].mode", "'Perhaps'"),
        ({"beats": [[OFFER | {"who": "carol"}]]}, "beats[0][0].who", "'carol'"),
        ({"beats": [[OFFER | {"to": "carol"}]]}, "beats[0][0].to", "'carol'"),
        ({"beats": [[OFFER | {"call": "c9"}]]}, "beats[0][0].call", "'c9'"),
        ({"beats": [[OFFER | {"when": 1}]]}, "beats[0][0]", "'does': 'offer'"),
        ({"beats": [[{"who": "alice", "does": "offer", "call": "c1"}]]}, "beats[0][0]", "'does': 'offer'"),
        ({"beats": [[OFFER | {"host": [ONE, ONE + "0"]}]]}, "beats", f"'{ONE}'"),
        ({"beats": [[OFFER] * 8, [OFFER] * 8, [OFFER] * 8]}, "beats", "24 times offer by alice"),
        (
            {"beats": [[{"who": "alice", "does": "say", "message": "Reflect"}]]},
            "beats[0][0].message",
            "Reflect",
        ),
        ({"network": {"alice": {"loss": 1}}}, "network.alice.loss", "1"),
        ({"network": {"carol": {}}}, "network", "'carol'"),
        ({"fresh": ["carol"]}, "fresh", "'carol'"),
        ({"seed": -1}, "seed", "-1"),
    ],
)
def test_a_wrong_plan_is_refused_where_it_is_wrong(wrong: dict[str, Any], place: str, value: str) -> None:
    """The sentence names the path and the value."""
    with pytest.raises(UsageError) as refused:
        plan.read(CALL | wrong)
    assert f"the plan is wrong at {place}: " in str(refused.value)
    assert value in str(refused.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], r"the plan is wrong: \[\] is not what"),
        ("plan", "the plan is wrong: 'plan' is not what"),
        (None, "the plan is wrong: None is not what"),
        ({}, "^the plan has no 'people'$"),
        ({"people": {"alice": "7"}}, "^the plan has no 'beats'$"),
        (
            CALL | {"network": {"alice": {}}, "beats": [[{"does": "offer"}]]},
            r"the plan is wrong at beats\[0\]\[0\]: .* has no '\w+'$",
        ),
    ],
)
def test_what_is_no_plan_is_refused(value: object, words: str) -> None:
    """Another JSON value is told to be none, and of one that lacks something what it lacks."""
    with pytest.raises(UsageError, match=words):
        plan.read(value)


@pytest.mark.parametrize("text", ["", "{", '{"people"'])
def test_a_file_that_is_not_json_is_refused(text: str, tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    (tmp_path / "plan.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"plan\.json is not JSON"):
        plan.load(tmp_path / "plan.json")
    with pytest.raises(UsageError, match=r"other\.json cannot be read"):
        plan.load(tmp_path / "other.json")


@pytest.mark.parametrize("phase", ["0", "3", "4", spec.NEWEST])
def test_a_plan_that_is_drawn_can_be_read(phase: str, tmp_path: Path) -> None:
    """What is written into a file is the same plan when it is read again."""
    path = tmp_path / "plan.json"
    for drawn in drawing.drawn(20, 5, phase):
        path.write_text(drawn.text(), encoding="utf-8")
        assert drawn == plan.load(path)


def test_the_same_seed_draws_the_same_plans() -> None:
    """Another seed draws others, and hardly any plan comes twice."""
    first, again, other = (drawing.drawn(60, number) for number in (1, 1, 2))
    assert first == again != other
    assert len({one.text() for one in first}) > 55


def test_what_is_drawn_is_what_goes_wrong() -> None:
    """Calls of one pair beside each other, double answers, strangers and large members are common."""
    plans = drawing.drawn(EXAMPLES, 0)

    def share(holds: Callable[[Plan], bool]) -> float:
        return sum(map(holds, plans)) / len(plans)

    assert share(lambda one: len(one.calls()) > 1) > 0.6
    assert share(lambda one: any(step.large > 4096 for _, step in one.steps())) > 0.2
    assert share(_answered_twice) > 0.2
    assert share(_has_a_stranger) > 0.1


def _answered_twice(one: Plan) -> bool:
    answers = [(step.who, step.call) for _, step in one.steps() if step.does == "answer"]
    return len(answers) > len(set(answers))


def _has_a_stranger(one: Plan) -> bool:
    parties = {
        (step.call, name) for _, step in one.steps() if step.does == "offer" for name in (step.who, step.to)
    }
    return any((step.call, step.who) not in parties for _, step in one.steps() if step.does == "answer")


# Predicting


def told(value: dict[str, Any], phase: str = spec.NEWEST) -> list[list[tuple[str, str]]]:
    """Return what a relay of the phase has to say in each beat: to whom, and what."""
    forecast = prediction.predict(script(value), phase)
    return [[(one.who, one.word) for one in beat] for beat in forecast.told]


def test_a_call_is_predicted_by_the_table() -> None:
    """An offer rings, an answer sets up, in the order in which each party hears it."""
    assert [
        [("bob", "DirectCallOffer"), ("alice", "CallRinging")],
        [("alice", "DirectCallAnswer"), ("alice", "CallSetup"), ("bob", "CallSetup")],
    ] == told(CALL)


def test_what_has_no_order_is_left_open() -> None:
    """An offer and its answer in one beat may come either way round; a call beside it is certain."""
    beside = OFFER | {"call": "c2", "reflexive": "198.51.100.3:40003"}
    forecast = prediction.predict(script(with_steps([OFFER, ANSWER, beside])), "7")
    assert {"c1"} == set(forecast.left_open)
    assert [("bob", "DirectCallOffer"), ("alice", "CallRinging")] == [
        (one.who, one.word) for one in forecast.told[0]
    ]


def test_what_changes_nothing_needs_no_order() -> None:
    """The answers of a stranger and of the callee commute: the outcome is certain, and so is its source."""
    stranger = {"who": "carol", "does": "answer", "call": "c1", "mode": "AcceptTrusted"}
    forecast = prediction.predict(script(with_steps([OFFER], [stranger, ANSWER])), "7")
    assert frozenset() == forecast.left_open
    assert {(0, 2)} == {(one.offer, one.answer) for one in forecast.told[1]}
    assert {1: "CALL-24"} == forecast.silent


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (OFFER | {"to": "nobody"}, "CALL-10"),
        (OFFER | {"to": "alice"}, "CALL-11"),
        (OFFER | {"large": 17_000}, "CALL-14"),
    ],
)
def test_a_refusal_is_predicted(step: dict[str, Any], expected: str) -> None:
    """A refused offer is answered with Hangup{Error} and reaches nobody."""
    forecast = prediction.predict(script(with_steps([step])), "7")
    assert [("alice", "Hangup{Error}", expected)] == [
        (one.who, one.word, one.rule) for one in forecast.told[0]
    ]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"who": "bob", "does": "answer", "call": "c2", "mode": "Reject"}, "CALL-26"),
        ({"who": "alice", "does": "answer", "call": "c1", "mode": "Reject"}, "CALL-23"),
        ({"who": "carol", "does": "hangup", "call": "c1"}, "CALL-33"),
        ({"who": "alice", "does": "report", "call": "c1"}, "AGREE-3"),
        ({"who": "alice", "does": "say", "message": "Wave"}, "WIRE-6"),
        (ANSWER | {"members": {"accept_mode": "Perhaps"}}, "WIRE-5"),
        (ANSWER | {"large": 17_000}, "CALL-27"),
        (OFFER | {"to": "carol"}, "CALL-40"),
    ],
)
def test_what_leads_to_nothing_has_its_rule(step: dict[str, Any], expected: str) -> None:
    """A step that a relay has to ignore is predicted to be followed by nothing."""
    forecast = prediction.predict(script(with_steps([OFFER], [step])), "7")
    assert ({1: expected}, []) == (forecast.silent, forecast.told[1])


def test_an_older_relay_ends_every_call() -> None:
    """Before phase 7 a Hangup names no call, so both calls of its sender end."""
    other = OFFER | {"call": "c2", "to": "carol", "reflexive": OTHER}
    value = with_steps([OFFER], [other], [{"who": "alice", "does": "hangup", "call": "c1"}])
    assert [("bob", "Hangup{Normal}")] == told(value, "7")[2]
    assert [("bob", "Hangup{Normal}"), ("carol", "Hangup{Normal}")] == told(value, "6")[2]


# Judging


def honest(value: dict[str, Any]) -> History:
    """Return the history of a plan before a relay that does what the chapters say."""
    written = script(value)
    history = History(written.plan, written, "7", prediction.predict(written, "7"))
    for beat, steps in enumerate(written.plan.numbered()):
        for number, step in steps:
            message = written.messages[number]
            body = copy.deepcopy(body_of(message))
            history.lines.append(
                Line(beat, step.who, sent=True, name=name_of(message), body=body, step=number)
            )
        for one in history.forecast.told[beat]:
            assert one.word not in (ADMITTED, REFUSED)
            history.lines.append(
                Line(beat, one.who, sent=False, name=_name(one.word), body=_body(written, one))
            )
    return history


def _name(word: str) -> str:
    return word.partition("{")[0]


def _body(written: Script, one: prediction.Told) -> dict[str, Any]:
    """Return the members of a message that a relay sends."""
    body = copy.deepcopy(body_of(written.messages[max(one.step, 0)]))
    call_id = {"call_id": written.ids[one.call]}
    match one.word:
        case "DirectCallOffer":
            return {name: value for name, value in body.items() if "_addr" not in name}
        case "DirectCallAnswer" if body["accept_mode"] != "AcceptTrusted":
            return {name: value for name, value in body.items() if "_addr" not in name}
        case "CallSetup":
            source, side = (one.answer, "callee") if one.rule == "CALL-19" else (one.offer, "caller")
            peer = body_of(written.messages[source]).get(f"{side}_reflexive_addr")
            trusts = body_of(written.messages[one.answer])["accept_mode"] == "AcceptTrusted"
            return call_id | ({"peer_direct_addr": peer} if peer and trusts else {})
        case "CallRinging":
            return call_id
    return {**body, "reason": "Error"} if one.word == "Hangup{Error}" else body


def rules(history: History) -> list[tuple[str, str]]:
    """Return the property and the rule of each finding."""
    return [(one.property, one.rule) for one in findings(history)]


@pytest.mark.parametrize(
    "value", [CALL, with_steps([OFFER | {"large": 9000}], [ANSWER | {"mode": "AcceptGeneric"}])]
)
def test_nothing_is_found_in_an_honest_history(value: dict[str, Any]) -> None:
    """What the chapters say is no finding."""
    assert [] == findings(honest(value))


GENERIC = with_steps([OFFER], [ANSWER | {"mode": "AcceptGeneric"}])
DEEP = with_steps([OFFER | {"members": {"later": [1 << 63, {"a": None}]}}])


@pytest.mark.parametrize(
    ("value", "at", "changes", "expected"),
    [
        (CALL, 5, {"peer_direct_addr": ONE}, {("cross-wiring", "CAND-1")}),
        (CALL, 6, {"peer_direct_addr": OTHER}, {("cross-wiring", "CAND-2")}),
        (CALL, 6, {"peer_local_addrs": ["10.0.0.1:1"]}, {("cross-wiring", "CAND-3")}),
        (GENERIC, 5, {"peer_direct_addr": OTHER}, {("cross-wiring", "PRIV-5"), ("privacy", "PRIV-5")}),
        (GENERIC, 6, {"peer_direct_addr": ONE}, {("cross-wiring", "PRIV-6"), ("privacy", "PRIV-6")}),
        (
            GENERIC,
            4,
            {"callee_reflexive_addr": OTHER},
            {("privacy", "PRIV-3"), ("privacy", "PRIV-5")},
        ),
        (CALL, 1, {"caller_reflexive_addr": ONE}, {("privacy", "PRIV-1")}),
        (CALL, 1, {"caller_fingerprint": "me"}, {("forwarding", "CALL-2")}),
        (CALL, 1, {"ephemeral_pub": None}, {("forwarding", "CALL-1")}),
        (CALL, 1, {"extra": 1}, {("forwarding", "CALL-1")}),
        (DEEP, 1, {"later": [1 << 63, {"a": 0}]}, {("forwarding", "WIRE-11")}),
        (DEEP, 1, {"later": [(1 << 63) + 1, {"a": None}]}, {("forwarding", "WIRE-12")}),
        (DEEP, 1, {"later": [float(1 << 63), {"a": None}]}, set()),
        (CALL, 4, {"chosen_profile": {}}, {("forwarding", "CALL-18")}),
    ],
)
def test_what_is_changed_is_found(
    value: dict[str, Any], at: int, changes: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    """One member of one message is another one; the property that it belongs to finds it, with the rule."""
    history = honest(value)
    line = history.lines[at]
    history.lines[at] = line._replace(body=line.body | changes)
    assert expected == set(rules(history))


@pytest.mark.parametrize(
    ("at", "expected"), [(1, "CALL-1"), (2, "CALL-4"), (4, "CALL-18"), (5, "CALL-19"), (6, "CALL-20")]
)
def test_what_is_missing_is_found(at: int, expected: str) -> None:
    """Every message that the table names is missed, and the rule that asks for it is named."""
    history = honest(CALL)
    del history.lines[at]
    assert ("table", expected) in rules(history)


@pytest.mark.parametrize(
    ("step", "said", "expected"),
    [
        ({"who": "carol", "does": "answer", "call": "c1", "mode": "Reject"}, "Hangup", "CALL-24"),
        (OFFER, "DirectCallOffer", "CALL-6"),
        ({"who": "alice", "does": "say", "message": "Wave"}, "Hangup", "CALL-31"),
    ],
)
def test_what_is_too_much_is_found(step: dict[str, Any], said: str, expected: str) -> None:
    """Something comes that the table does not say; the last step before it tells the rule."""
    history = honest(with_steps([OFFER], [step]))
    body = {"call_id": history.script.ids["c1"], "reason": "Normal"}
    history.lines.append(Line(1, "bob", sent=False, name=said, body=body))
    assert ("table", expected) in rules(history)


def test_a_candidate_in_bytes_that_are_no_message_is_found() -> None:
    """Every byte that reaches a person is searched, and so is every spelling."""
    history = honest(with_steps([OFFER], [ANSWER]))
    history.received["carol"] = [b"\0\0", f"..{OTHER}..".encode()]
    assert [("privacy", "PRIV-7")] == rules(history)


def test_a_candidate_of_another_call_is_found() -> None:
    """What was advertised in one call may not come in another one of the same two."""
    second = OFFER | {"call": "c2", "reflexive": "198.51.100.3:40003"}
    history = honest(with_steps([OFFER], [second], [ANSWER]))
    at, line = next((at, one) for at, one in enumerate(history.lines) if one.name == "CallSetup")
    history.lines[at] = line._replace(body=line.body | {"note": second["reflexive"]})
    assert ("privacy", "PRIV-7") in rules(history) or ("privacy", "PRIV-6") in rules(history)


def test_what_holds_in_every_order_is_judged_without_one() -> None:
    """In a beat without an order a CallSetup may tell what any answer said, and nothing else."""
    value = with_steps([OFFER, ANSWER | {"who": "carol", "reflexive": "198.51.100.4:40004"}, ANSWER])
    history = honest(value)
    setup = {"call_id": history.script.ids["c1"], "peer_direct_addr": OTHER}
    answer = next(
        line.body
        for line in history.lines
        if line.sent and line.name == "DirectCallAnswer" and line.who == "bob"
    )
    history.lines += [
        Line(0, "alice", sent=False, name="DirectCallAnswer", body=answer),
        Line(0, "alice", sent=False, name="CallSetup", body=setup),
    ]
    assert [] == rules(history)
    history.lines[-1] = history.lines[-1]._replace(body=setup | {"peer_direct_addr": ONE})
    assert ("cross-wiring", "CAND-1") in rules(history)


# Shrinking


def shrunk(value: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Return the smallest part of a plan that fails."""

    async def asked(candidate: Plan) -> bool:
        return fails(candidate)

    return asyncio.run(shrinking.shrink(value, asked))


@pytest.mark.parametrize("number", range(6))
def test_a_plan_is_shrunk_to_what_matters(number: int) -> None:
    """Of a long plan those two steps are left that have to be there, and nobody who has no part in them."""
    long = plan.read(QUIET)
    at = number + 1
    wanted = [step for _, step in long.steps()][at - 1 : at + 1]

    def fails(candidate: Plan) -> bool:
        kinds = [(step.who, step.does) for _, step in candidate.steps()]
        return all((step.who, step.does) in kinds for step in wanted)

    small = shrunk(replace(long, people={"dave": "0", **long.people}), fails)
    assert [(one.who, one.does) for one in wanted] == [(step.who, step.does) for _, step in small.steps()]
    assert {name for step in wanted for name in (step.who, step.to) if name} == set(small.people)
    assert {"7"} == set(small.people.values())
    assert all(not step.reflexive and not step.large for _, step in small.steps())


def test_shrinking_ends() -> None:
    """A plan that fails whatever is left out becomes an empty one; one that never does stays as it is."""
    long = plan.read(QUIET)
    assert () == shrunk(long, lambda _: True).beats
    assert long == shrunk(long, lambda _: False)


# Exploring


class Imagined(Explorer):
    """Performs nothing: every plan has the history of a call, in which CallRinging is missing at first."""

    def __init__(self, *, missing: int) -> None:
        """Let it be missing in so many histories."""
        limits = dict.fromkeys(("connections", "offers_burst"), 64.0)
        super().__init__(Company(("127.0.0.1", 9), "key", phase="7", slow=1.0, limits=limits), "key")
        self.shown = 0
        self._missing = missing

    async def show(self, plan: Plan, *, alone: bool = False, dialogue: Dialogue | None = None) -> History:
        """Return such a history."""
        del plan, alone, dialogue
        history = honest(CALL)
        self.shown += 1
        if self.shown <= self._missing:
            del history.lines[2]
        return history


def test_a_relay_that_fails_most_plans_is_not_asked_them_all() -> None:
    """When very many fail the rest is left, and that is told."""
    explorer = Imagined(missing=1000)
    shown, stuck = asyncio.run(explorer.explore([plan.read(CALL)] * 200))
    assert list(range(exploration.PORTION)) == list(shown)
    assert [
        f"of 200 plans {exploration.PORTION} were performed, and {exploration.PORTION} of them failed"
    ] == stuck


@pytest.mark.parametrize(("missing", "confirmed"), [(exploration.CONFIRMED, True), (2, False)])
def test_a_finding_is_confirmed(missing: int, *, confirmed: bool) -> None:
    """What the same plan does not show every time is not confirmed."""
    finding = Finding("table", "CALL-4", "it does not ring", -1)
    assert confirmed == asyncio.run(Imagined(missing=missing).confirm(plan.read(CALL), finding))


# Performing


@pytest.fixture(scope="module")
def relays() -> Iterator[Callable[[str], Target]]:
    """Return relays by their targets; they start all at once and end with the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        targets = {name: Target(name) for name in ("ref:", *(f"mutant:{one}" for one in SUBTLE))}
        try:
            for target in targets.values():
                target.start("signed")
            yield targets.__getitem__
        finally:
            for target in targets.values():
                target.close()


def performing(target: Target, work: Callable[[Explorer], Coroutine[None, None, T]], key: str = "test") -> T:
    """Let somebody explore a target; return what comes of it."""
    relay = target.relay("signed")

    async def explore() -> T:
        company = Company(relay.address, key, phase=relay.phase, slow=2.0, limits=relay.limits)
        try:
            return await work(Explorer(company, key))
        finally:
            company.close()

    return asyncio.run(explore())


def test_a_quiet_plan_finds_nothing(relays: Callable[[str], Target]) -> None:
    """Everything that a person can do goes well before the reference, and its datagram arrives."""
    history = performing(relays("ref:"), lambda explorer: explorer.show(plan.read(QUIET)))
    assert [] == findings(history)
    assert [("bob", "c1")] == [(who, room) for who, room, _ in history.datagrams]


def test_random_plans_find_nothing(relays: Callable[[str], Target]) -> None:
    """The reference does what the chapters say in every dialogue that is drawn."""
    plans = drawing.drawn(FEW, 7)
    assert ({}, []) == performing(relays("ref:"), lambda explorer: explorer.explore(plans))


def test_bad_weather_finds_nothing(relays: Callable[[str], Target]) -> None:
    """Delay, loss, duplication and reordering between one person and the relay change no outcome."""
    plans = [
        replace(one, network={"bob": faults}, seed=number)
        for number, (one, faults) in enumerate(
            zip(drawing.drawn(len(drawing.WEATHER), 3), drawing.WEATHER, strict=True), start=1
        )
    ]
    assert ({}, []) == performing(relays("ref:"), lambda explorer: explorer.explore(plans))


async def caught(explorer: Explorer, name: str) -> tuple[Plan, Finding]:
    """Return the first plan of a run with default settings that shows that a property does not hold."""
    for one in drawing.drawn(EXAMPLES, 0, explorer.company.phase):
        for finding in findings(await explorer.show(one)):
            if finding.property == name:
                return one, finding
    message = f"none of {EXAMPLES} plans shows that {name} does not hold"
    raise AssertionError(message)


@pytest.mark.parametrize("name", sorted(SUBTLE))
def test_a_subtle_relay_is_caught(name: str, relays: Callable[[str], Target], tmp_path: Path) -> None:
    """Its property finds it at default settings, every time; the smallest plan has no superfluous step.

    The plan that is written is read and performed again, and shows the same.
    """
    target = relays(f"mutant:{name}")

    async def work(explorer: Explorer) -> tuple[Plan, Finding, list[int]]:
        one, finding = await caught(explorer, CAUGHT[name])
        assert await explorer.confirm(one, finding)
        small, found = await explorer.smallest(one, finding)
        needless = [
            at
            for at, _ in small.steps()
            if any(
                (one.property, one.rule) == (found.property, found.rule)
                for one in findings(await explorer.show(shrinking.without(small, {at})))
            )
        ]
        return small, found, needless

    small, found, needless = performing(target, work, name)
    assert [] == needless
    assert len(small.calls()) <= 2
    assert len(list(small.steps())) <= 3
    file = tmp_path / exploration.write(small, found, tmp_path)
    done = replaying.replay(plan.load(file), target, slow=2.0)
    assert (found.property, found.rule) in [(one.property, one.rule) for one in done.findings]


def test_the_same_seed_finds_the_same(relays: Callable[[str], Target]) -> None:
    """Of two explorations with one seed the same plans show the same."""
    plans = drawing.drawn(12, 0)
    target = relays("mutant:SUBTLE-3")

    async def work(explorer: Explorer) -> dict[int, set[tuple[str, str]]]:
        shown, _ = await explorer.explore(plans)
        return {number: {(one.property, one.rule) for one in those} for number, those in shown.items()}

    first, again = (performing(target, work, "twice") for _ in range(2))
    assert first
    assert first == again


def test_a_plan_is_replayed_by_the_command(
    relays: Callable[[str], Target], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a replay tells a person is who said what, and that nothing was found; its record lies there."""
    done = replaying.replay(plan.read(CALL), relays("ref:"), slow=2.0, out=tmp_path)
    replaying.told(done, print)
    lines = capsys.readouterr().out.splitlines()
    assert f"alice -> DirectCallOffer c1 caller_reflexive_addr={ONE}" == lines[0]
    assert "nothing was found" == lines[-1]
    assert {"alice.qlog", "bob.qlog", "dialogue.jsonl", "wire.pcapng"} == {
        one.name for one in tmp_path.iterdir()
    }
    steps = [json.loads(line) for line in (tmp_path / "dialogue.jsonl").read_text("utf-8").splitlines()]
    assert [*done.steps] == steps
    assert 1 == len(json.loads((tmp_path / "bob.qlog").read_text("utf-8"))["traces"])
