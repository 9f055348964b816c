"""Drawing: whole plans from Hypothesis, weighted towards what goes wrong between several calls.

Rules of this file: the same seed draws the same plans; a plan is drawn whole before anything is performed;
every candidate of a plan is another text. A plan is woven of calls, each with a story of its own: an offer,
perhaps again, answers of the callee and of others, reports, an end.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from conformance import identity, spec
from conformance.plan import NOBODY, Beat, Faults, Plan, Step

NAMES = ("alice", "bob", "carol", "dave")
MODES = ("AcceptTrusted", "AcceptTrusted", "AcceptTrusted", "AcceptGeneric", "AcceptGeneric", "Reject")
SIZES = (40, 1_000, 4_090, 4_200, 5_000, 9_000, 15_000, 17_000)
"""Characters of a large unknown member; a payload may have 16,384 bytes."""
EXTENDED: tuple[dict[str, Any], ...] = (
    {"later": None},
    {"later": []},
    {"later": {"deep": [{"deeper": [None, "", {}]}], "9": False}},
    {"later": [(1 << 64) - 1, -(1 << 63), (1 << 53) + 1]},
    {"later": [0.1, 1e-7, 2.5e300, -0.5]},
    {"": "a member without a name", "späť": '"\\\u2028'},
    {"supported_profiles": [identity.PROFILE | {"later": {"more": [None, []]}}]},
    {"chosen_profile": identity.PROFILE | {"later": None}},
)
"""Members that a relay does not know, or knows with something in them that it does not know."""
ABSENT: tuple[dict[str, Any], ...] = (
    {"caller_alias": None},
    {"caller_local_addrs": []},
    {"callee_local_addrs": []},
    {"caller_reflexive_addr": None},
    {"callee_reflexive_addr": None},
    {"chosen_profile": None},
)
"""Members that stand there and say nothing."""
SPOILT: tuple[dict[str, Any], ...] = (
    {"call_id": 7},
    {"call_id": None},
    {"caller_local_addrs": None},
    {"callee_local_addrs": None},
    {"accept_mode": "Perhaps"},
    {"supported_profiles": None},
    {"identity_pub": [1, 2]},
    {"direct_ok": "yes"},
    {"reason": "Bored"},
)
"""Members that make some message one that is refused."""
STRANGE: tuple[str | dict[str, Any], ...] = (
    "Wave",
    {"Wave": {}},
    {"Wave": {"call_id": "c1", "at": [1, 2]}},
    {"CallTransfer": {"to": "carol"}},
)
"""Messages that no phase has."""
PHASES = ("7", "7", "7", "7", "6", "5.5", "3", "0")
WEATHER = (
    Faults(delay=0.002),
    Faults(delay=0.001, loss=0.05),
    Faults(duplication=0.3),
    Faults(delay=0.002, reordering=0.3),
    Faults(delay=0.001, loss=0.05, duplication=0.1, reordering=0.1),
)
WEATHER_EVERY = 60
"""One plan in so many has weather."""
COMING, MEDIA = 2, 1
"""Percent of calls beside which somebody comes or goes, and percent of those with media."""
MOST_A_BEAT = 4


class Texts:
    """The candidates of one plan, none of which is a part of another."""

    def __init__(self) -> None:
        """Start with the first."""
        self._count = 0

    def next(self, form: int) -> str:
        """Return another text: an IPv4 address, one for IPv6, or what nobody can read."""
        self._count += 1
        port = 40_000 + self._count
        forms = (
            f"198.51.100.{self._count}:{port}",
            f"[2001:db8::{self._count:x}]:{port}",
            f'straße "{port}"\\',
        )
        return forms[min(form, len(forms) - 1)]


class _Author:
    """Draws one plan."""

    def __init__(self, random: Random, phase: str) -> None:
        self._random = random
        self._phase = phase
        self._texts = Texts()
        names = NAMES[: random.choice((2, 2, 3, 3, 3, 4))]
        same = self._chance(60)  # most often all have the relay's phase
        self.people = {name: phase if same else random.choice(PHASES) for name in names}

    def _chance(self, percent: int) -> bool:
        return self._random.randrange(100) < percent

    def _anybody(self) -> str:
        return self._random.choice(tuple(self.people))

    def plan(self) -> Plan:
        count = self._random.choice((1, 1, 2, 2, 2, 2, 3))
        steps = self._woven([self._story(f"c{number}") for number in range(1, count + 1)])
        if self._chance(10):
            steps.append(Step(self._anybody(), "hangup"))
        beats = self._cut(steps)
        if self._random.randrange(WEATHER_EVERY):
            return Plan(self.people, beats)
        network = {self._anybody(): self._random.choice(WEATHER)}
        return Plan(self.people, beats, network, seed=self._random.randrange(1, 1000))

    def _pair(self) -> tuple[str, str]:
        """Draw who calls whom: most often the same two, either way round."""
        if self._chance(80) or len(self.people) < 3:  # noqa: PLR2004
            first, second = self._random.sample(NAMES[:2], 2)
            return first, second
        caller = self._anybody()
        return caller, self._random.choice([one for one in (*self.people, NOBODY) if one != caller])

    def _story(self, call: str) -> list[Step]:
        """Draw what is done to one call, in order."""
        caller, callee = self._pair()
        answerer = caller if callee == NOBODY else callee
        steps = [self._offer(call, caller, callee)]
        if self._chance(10):
            steps.append(self._offer(call, caller, callee if self._chance(80) else self._anybody()))
        if self._chance(30):
            steps.append(self._meddling(call))
        if self._chance(80):
            steps.append(self._answer(call, answerer))
            steps += [self._answer(call, answerer)] if self._chance(25) else []
        if spec.exists("6", self._phase) and self._chance(15):
            both = [Step(who, "report", call, **self._extras()) for who in (caller, answerer)]
            steps += both[: self._random.choice((1, 2))]
        if self._chance(MEDIA):
            steps += [Step(who, does, call) for does in ("join", "media") for who in (caller, answerer)]
        if self._chance(COMING):
            steps.append(Step(self._anybody(), self._random.choice(("leave", "register", "register"))))
        if self._chance(20):
            steps.append(Step(self._random.choice((caller, answerer)), "hangup", call, **self._extras()))
        return steps

    def _meddling(self, call: str) -> Step:
        """Draw what somebody, party or not, does to a call that may be none of theirs."""
        people = tuple(self.people)
        who = self._random.choice((*people, *people[2:] * 4))
        kinds = ["answer", "answer", "answer", "offer", "hangup", "say"]
        kinds += ["reflect"] if spec.exists("1", self._phase) else []
        match self._random.choice(kinds):
            case "answer":
                return self._answer(call, who)
            case "offer":
                return self._offer(call, who, self._anybody())
            case "say":
                return Step(who, "say", message=self._random.choice(STRANGE))
            case "reflect":
                return Step(who, "reflect")
        return Step(who, "hangup", call)

    def _offer(self, call: str, who: str, to: str) -> Step:
        return Step(who, "offer", call, to, **self._candidates(), **self._extras())

    def _answer(self, call: str, who: str) -> Step:
        mode = self._random.choice(MODES)
        return Step(who, "answer", call, mode=mode, **self._candidates(), **self._extras())

    def _candidates(self) -> dict[str, Any]:
        """Draw what is advertised, of what the phase knows: often both kinds, sometimes one or nothing."""
        if not spec.exists("3", self._phase) or not self._chance(75):
            return {}
        told: dict[str, Any] = {"reflexive": self._text()} if self._chance(85) else {}
        if spec.exists("5.5", self._phase) and self._chance(45):
            told["host"] = tuple(self._text() for _ in range(self._random.choice((1, 2, 3))))
        return told

    def _text(self) -> str:
        return self._texts.next(self._random.choice((0, 0, 0, 1, 1, 2)))

    def _extras(self) -> dict[str, Any]:
        """Draw what else stands in a message: often a large unknown member, now and then a fault."""
        if self._chance(70):
            return {}
        if self._chance(55):
            return {"large": self._random.choice(SIZES)}
        canned = self._random.choice((EXTENDED, EXTENDED, ABSENT, SPOILT))
        return {"members": self._random.choice(canned)}

    def _woven(self, stories: list[list[Step]]) -> list[Step]:
        """Mix the stories, each in its own order."""
        mixed: list[Step] = []
        while stories := [one for one in stories if one]:
            mixed.append(self._random.choice(stories).pop(0))
        return mixed

    def _cut(self, steps: list[Step]) -> tuple[Beat, ...]:
        """Divide steps into beats: mostly one each, often two, seldom more."""
        beats: list[list[Step]] = []
        for step in steps:
            if beats and len(beats[-1]) < MOST_A_BEAT and self._chance(33):
                beats[-1].append(step)
            else:
                beats.append([step])
        return tuple(map(tuple, beats))


def plans(phase: str = spec.NEWEST) -> st.SearchStrategy[Plan]:
    """Return plans for a relay of a phase.

    What is drawn is the chance that the whole plan follows from: to draw every step by itself takes longer
    than to perform it, and a plan is shrunk as a plan (shrinking.py).
    """
    return st.randoms(use_true_random=True).map(lambda random: _Author(random, phase).plan())


def drawn(count: int, number: int, phase: str = spec.NEWEST) -> list[Plan]:
    """Return `count` plans that follow from the seed `number`."""
    found: list[Plan] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(plans(phase))
    def collect(plan: Plan) -> None:
        found.append(plan)

    collect()
    return found[:count]
