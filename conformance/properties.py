"""Properties: what holds of every history, whatever the plan was (spec/call.md, candidates, privacy, wire).

Each property is a function of a history and of nothing else, and yields findings. What is not certain,
because a beat had no order, is judged by what holds in every order that there may have been.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from conformance import forwarding, spec
from conformance.performance import ACKNOWLEDGEMENT, History, Line
from conformance.prediction import ADMITTED, REFUSED, Told
from conformance.script import Advertised, advertised

TRUSTED = "AcceptTrusted"
PEER = (("peer_direct_addr", "3"), ("peer_local_addrs", "5.5"))
"""The members of a CallSetup that tell of the other party, and their phases."""
HANGUPS = "hangups"
"""Stands for the call of a Hangup where relays do not name it."""
_NOTHING = Advertised(None, ())
_SHOWN = 120
# Why somebody must not hear something, where no step says so.
_EXTRA = {
    "DirectCallOffer": "CALL-1",
    "DirectCallAnswer": "CALL-24",
    "CallSetup": "CALL-24",
    "CallRinging": "CALL-5",
    "Hangup": "CALL-31",
    "MediaPathReport": "AGREE-2",
}


class Finding(NamedTuple):
    """Something that no history may show; `place` is that of a line of the history, -1 for its end."""

    property: str
    rule: str
    sentence: str
    place: int

    def __str__(self) -> str:
        """Say it for a person."""
        return f"{self.rule}: {self.sentence}"


Found = Iterator[tuple[str, str, int]]
"""The rule, the sentence and the place of each finding."""


def shown(value: object) -> str:
    """Return a JSON value for a person, cut when it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


# What was said, and what may have come of it


def said_of(history: History, name: str, call: str) -> list[Line]:
    """Return the messages of one name that were said of a call, but for those that had to be ignored."""
    call_id = history.script.ids[call]
    return [
        line
        for _, line in history.said(name)
        if not line.room
        and line.body.get("call_id") == call_id
        and not history.script.refused(line.step, history.phase)
    ]


def call_of(history: History, line: Line) -> str:
    """Return the call that a message names, by its name in the plan, or nothing."""
    return history.script.calls.get(str(line.body.get("call_id")), "")


def target_of(history: History, offer: Line) -> str:
    """Return whom an offer is for, by name, or nothing."""
    target = offer.body.get("target_fingerprint")
    return next((name for name, one in history.script.cast.items() if one.fingerprint == target), "")


Compared = dict[tuple[str, str], tuple[list[Told], list[tuple[int, Line]]]]


def compared(history: History) -> Compared:
    """Return what had to be heard and what was, by person and call, of every call that is certain."""
    open_calls = history.forecast.left_open
    pairs: Compared = {}
    named = spec.exists("7", history.phase)
    for told in (
        one for beat in history.forecast.told for one in beat if one.word not in (ADMITTED, REFUSED)
    ):
        call = told.call if named or not told.word.startswith("Hangup") else HANGUPS
        pairs.setdefault((told.who, call), ([], []))[0].append(told)
    for place, line in history.heard():
        if line.name != ACKNOWLEDGEMENT:
            call = call_of(history, line) if named or line.name != "Hangup" else HANGUPS
            pairs.setdefault((line.who, call), ([], []))[1].append((place, line))
    unsure = {*open_calls, HANGUPS} if open_calls else set()
    return {key: pair for key, pair in pairs.items() if key[1] not in unsure}


def certain(history: History) -> dict[int, Told]:
    """Return, by its place, what was predicted of each message that came as predicted."""
    found: dict[int, Told] = {}
    for (_, call), (expected, actual) in compared(history).items():
        if call != HANGUPS and [one.word for one in expected] == [line.word for _, line in actual]:
            found |= {place: one for one, (place, _) in zip(expected, actual, strict=True)}
    return found


# Cross-wiring


class Choice(NamedTuple):
    """What a CallSetup may tell a party: which party, whether the callee trusts, and what of the other."""

    side: str
    trusted: bool
    peer: Advertised


def cross_wiring(history: History) -> Found:
    """Yield every CallSetup that tells a party anything but what the other one advertised for this call."""
    if not spec.exists("3", history.phase):
        return
    known = certain(history)
    for place, line in history.heard():
        call = call_of(history, line)
        if line.name != "CallSetup" or not call:
            continue
        actual = _peer(history, line)
        choices = _choices(history, line.who, call, known.get(place))
        if choices and actual not in [one.peer for one in choices]:
            rule, sentence = _miswired(actual, choices)
            yield rule, f"in the CallSetup of {call} {line.who} learns {sentence}", place


def _peer(history: History, line: Line) -> Advertised:
    """Return what a CallSetup tells of the other party."""
    direct, local = (
        line.body.get(name) if spec.exists(since, history.phase) else None for name, since in PEER
    )
    return Advertised(direct, tuple(map(str, local)) if isinstance(local, list) else ())


def _choices(history: History, who: str, call: str, told: Told | None) -> list[Choice]:
    offers, answers = said_of(history, "DirectCallOffer", call), said_of(history, "DirectCallAnswer", call)
    if told is not None:
        offers = [line for line in offers if line.step == told.offer]
        answers = [line for line in answers if line.step == told.answer]
    choices = []
    for offer in offers:
        for answer in answers:
            if answer.who != target_of(history, offer) or who not in (offer.who, answer.who):
                continue
            side, source = ("caller", answer) if who == offer.who else ("callee", offer)
            peer = advertised({source.name: source.body})
            peer = peer if spec.exists("5.5", history.phase) else peer._replace(host=())
            trusted = answer.body.get("accept_mode") == TRUSTED
            choices.append(Choice(side, trusted, peer if trusted else _NOTHING))
    return choices


def _miswired(actual: Advertised, choices: list[Choice]) -> tuple[str, str]:
    nearest = next((one for one in choices if one.peer.reflexive == actual.reflexive), choices[0])
    caller = nearest.side == "caller"
    if not nearest.trusted:
        told = shown([text for text in actual.texts if text])
        return "PRIV-5" if caller else "PRIV-6", f"{told}, and the answer was not {TRUSTED}"
    other = "callee" if caller else "caller"
    if nearest.peer.reflexive != actual.reflexive:
        rule = ("CAND-1" if caller else "CAND-2") if nearest.peer.reflexive else "CAND-3"
        expected = nearest.peer.reflexive or "nothing"
        return rule, f"{shown(actual.reflexive)} and the {other} advertised {expected}"
    rule = ("CAND-4" if caller else "CAND-5") if nearest.peer.host else "CAND-3"
    return rule, f"{shown(actual.host)} and the {other} advertised {shown(nearest.peer.host)}"


# Privacy


class _Secret(NamedTuple):
    known_to: set[str]
    calls: set[str]
    rules: set[str]

    @property
    def rule(self) -> str:
        """The rule by which nobody else may learn it."""
        return min(self.rules)


def privacy(history: History) -> Found:
    """Yield every candidate that reached somebody else, in another call, or before it may be told."""
    if not spec.exists("3", history.phase):
        return
    secrets = _secrets(history)
    spelled = {candidate: spellings(candidate) for candidate in secrets}
    for place, line in enumerate(history.lines):
        if line.sent:
            continue
        yield from ((rule, sentence, place) for rule, sentence in _untimely(history, line))
        text, call = json.dumps(line.body, ensure_ascii=False), call_of(history, line)
        for candidate, secret in secrets.items():
            if any(way in text for way in spelled[candidate]):
                if line.who not in secret.known_to:
                    yield (
                        secret.rule,
                        f"{line.who} must not learn {candidate!r} and does in {line.word}",
                        place,
                    )
                elif call not in ("", *secret.calls):
                    yield "PRIV-7", f"{line.who} learns {candidate!r} in {line.word} of another call", place
    yield from _unread(history, secrets)


def _unread(history: History, secrets: Mapping[str, _Secret]) -> Found:
    """Yield candidates in bytes that were no message, or of another connection."""
    spelled = {candidate: [way.encode() for way in spellings(candidate)] for candidate in secrets}
    for who, pieces in history.received.items():
        whole = b"\n".join(pieces)  # no candidate reaches over the end of a stream
        for candidate, secret in secrets.items():
            if who not in secret.known_to and any(way in whole for way in spelled[candidate]):
                yield secret.rule, f"{who} must not learn {candidate!r}, and its bytes reach {who}", -1


def _untimely(history: History, line: Line) -> Iterator[tuple[str, str]]:
    """Yield the members that a relay has to take out of this message and that are in it."""
    if line.body.get("accept_mode") == TRUSTED:
        return
    for member, (since, rule) in forwarding.REMOVED.get(line.name, {}).items():
        if line.body.get(member) and spec.exists(since, history.phase):
            yield rule, f"{line.word} reaches {line.who} with {member} {shown(line.body[member])}"


def _secrets(history: History) -> dict[str, _Secret]:
    """Return every candidate that was advertised, who may learn it, and in which calls.

    The other party of a call may, if somebody it was offered to has answered with trust; so nobody else may
    in whatever order the offers and answers were handled.
    """
    secrets: dict[str, _Secret] = {}
    offers = [line for _, line in history.said("DirectCallOffer")]
    answers = [line for _, line in history.said("DirectCallAnswer")]
    for line in offers:
        callee = target_of(history, line)
        trusts = any(one.who == callee and _trusts(one, line) for one in answers)
        known_to = {line.who, callee} if trusts else {line.who}
        _tell(history, secrets, line, known_to, "PRIV-7" if trusts else "PRIV-6")
    for line in answers:
        pairs = [{one.who, target_of(history, one)} for one in offers if _trusts(line, one)]
        known_to = {line.who}.union(*(pair for pair in pairs if line.who in pair))
        trusts = line.body.get("accept_mode") == TRUSTED
        _tell(history, secrets, line, known_to, "PRIV-7" if trusts else "PRIV-5")
    return secrets


def _trusts(answer: Line, offer: Line) -> bool:
    same_call = answer.body.get("call_id") == offer.body.get("call_id")
    return same_call and answer.body.get("accept_mode") == TRUSTED


def _tell(history: History, secrets: dict[str, _Secret], line: Line, known_to: set[str], rule: str) -> None:
    told = advertised({line.name: line.body})
    texts = told.texts if spec.exists("5.5", history.phase) else told._replace(host=()).texts
    for text in filter(None, texts):
        secret = secrets.setdefault(text, _Secret(set(), set(), set()))
        secret.known_to.update(known_to)
        secret.calls.add(call_of(history, line))
        secret.rules.add(rule)


def spellings(text: str) -> tuple[str, ...]:
    """Return a text as it may stand in JSON."""
    return tuple({text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]})


# Forwarding


def forwards(history: History) -> Found:
    """Yield every forwarded message that is not what was said, but for what a relay may change."""
    known = certain(history)
    for place, line in history.heard():
        call = call_of(history, line)
        if line.name not in forwarding.FORWARDED or (line.name == "Hangup" and place not in known):
            continue
        told = known.get(place)
        if told is not None and line.name == "Hangup" and told.rule != "CALL-30":
            continue  # the relay's own
        if told is not None:
            sources = [one for one in history.lines if one.sent and one.step == told.step]
        elif call:
            sources = [one for one in said_of(history, line.name, call) if _may_reach(history, one, line.who)]
        else:
            continue
        if not sources:
            yield (
                _EXTRA[line.name],
                f"{line.who} receives {line.word} of {call}, which nobody said to them",
                place,
            )
            continue
        faults = [forwarding.changes(history, one, line) for one in sources]
        if all(faults):
            rule, sentence = min(faults, key=len)[0]
            yield rule, f"{line.word} of {call or 'a call'} reaches {line.who}, and {sentence}", place


def _may_reach(history: History, source: Line, who: str) -> bool:
    """Tell whether something that was said of a call can be for this person, in whatever order."""
    if source.name == "DirectCallOffer":
        return target_of(history, source) == who
    offers = said_of(history, "DirectCallOffer", call_of(history, source))
    pairs = [{one.who, target_of(history, one)} for one in offers]
    return source.who != who and {source.who, who} in pairs


# The table


def table(history: History) -> Found:
    """Yield the first message of each person and call that the table of spec/call.md does not say."""
    for (who, call), (expected, actual) in compared(history).items():
        words, came = [one.word for one in expected], [line.word for _, line in actual]
        if call in (HANGUPS, ""):
            fault = _counted(history, who, expected, actual)
        elif words != came:
            fault = _first_difference(history, who, expected, actual)
        else:
            fault = None
        if fault is not None:
            yield fault
    yield from _together(history)
    yield from ((rule, f"the connection of {who} has ended: {how}", -1) for who, how, rule in _ended(history))
    yield from _admission(history)
    yield from _media(history)


def _first_difference(
    history: History, who: str, expected: list[Told], actual: list[tuple[int, Line]]
) -> tuple[str, str, int]:
    at = next(
        (
            at
            for at, (one, (_, line)) in enumerate(zip(expected, actual, strict=False))
            if one.word != line.word
        ),
        min(len(expected), len(actual)),
    )
    if at == len(actual):
        return expected[at].rule, f"{who} does not receive {expected[at].word} of {expected[at].call}", -1
    place, line = actual[at]
    call = call_of(history, line)
    if at == len(expected):
        return (
            _cause(history, place, line),
            f"{who} receives {line.word} of {call}; nothing was expected",
            place,
        )
    wanted = expected[at].word
    silent = _silent(history, place, call)
    return silent or expected[at].rule, f"{who} receives {line.word} of {call} and not {wanted}", place


def _counted(
    history: History, who: str, expected: list[Told], actual: list[tuple[int, Line]]
) -> tuple[str, str, int] | None:
    """Compare what names no call and so has no order."""
    left = Counter(one.word for one in expected)
    for place, line in actual:
        if not left[line.word]:
            rule = "CALL-43" if line.name == "Hangup" else _cause(history, place, line)
            return rule, f"{who} receives {line.word}; it was not expected", place
        left[line.word] -= 1
    missing = next((one for one in expected if left[one.word]), None)
    return None if missing is None else (missing.rule, f"{who} does not receive {missing.word}", -1)


def _cause(history: History, place: int, line: Line) -> str:
    heard = [one for before, one in history.heard(line.who) if before < place and one.name == line.name]
    if line.name == "DirectCallOffer" and call_of(history, line) in [call_of(history, one) for one in heard]:
        return "CALL-6"
    return _silent(history, place, call_of(history, line)) or _EXTRA.get(line.name, "CALL-1")


def _silent(history: History, place: int, call: str) -> str:
    """Return the rule by which the last step of a call before a place leads to nothing, if it does."""
    steps = [
        one.step
        for one in history.lines[:place]
        if one.sent and history.script.steps[one.step].call == call and not one.room
    ]
    return history.forecast.silent.get(steps[-1], "") if steps else ""


def _together(history: History) -> Found:
    """Yield every answer behind which the caller hears something else than its CallSetup (CALL-19)."""
    for who in history.plan.people:
        lines = history.heard(who)
        for at, (place, line) in enumerate(lines):
            after = lines[at + 1][1] if at + 1 < len(lines) else None
            if line.name != "DirectCallAnswer" or (
                after is not None
                and after.name == "CallSetup"
                and after.body.get("call_id") == line.body.get("call_id")
            ):
                continue
            what = "nothing" if after is None else after.word
            yield "CALL-19", f"behind its DirectCallAnswer {who} hears {what}", place


def _ended(history: History) -> Iterator[tuple[str, str, str]]:
    for who, how in history.ended.items():
        steps = [one.step for one in history.lines if one.sent and one.who == who and one.step >= 0]
        rules = [rule for step in steps if (rule := history.forecast.silent.get(step, "")).startswith("WIRE")]
        yield who, how, rules[-1] if rules else "REG-20"


def _admission(history: History) -> Found:
    """Yield everybody who was let into a room and must not be, or the other way round (spec/media.md)."""
    if history.forecast.left_open:
        return
    for beat, told in enumerate(history.forecast.told):
        for one in told:
            if one.word not in (ADMITTED, REFUSED):
                continue
            room = one.call.partition(" ")[0]
            let_in = any(
                line.beat == beat and line.name == "CallAnswer" for _, line in history.heard(one.who, room)
            )
            if let_in != (one.word == ADMITTED):
                how = "is let into" if let_in else "is not let into"
                yield one.rule, f"{one.who} {how} the room of {room}", -1


def _media(history: History) -> Found:
    """Yield every datagram that reached somebody it was not for."""
    for who, room, data in history.datagrams:
        speaker, call = history.spoken.get(data, ("", ""))
        if not speaker:
            yield "MEDIA-16", f"{who} receives a datagram that nobody sent", -1
        elif call != room:
            yield "MEDIA-19", f"what {speaker} sends into the room of {call} reaches {who} in another one", -1
        elif speaker == who:
            yield "MEDIA-18", f"{who} receives the datagram that {who} sent", -1


PROPERTIES: Mapping[str, Callable[[History], Found]] = {
    "cross-wiring": cross_wiring,
    "privacy": privacy,
    "forwarding": forwards,
    "table": table,
}
"""Every property, by its name."""


def findings(history: History) -> list[Finding]:
    """Return everything that a history shows and must not."""
    return [
        Finding(name, rule, sentence, place)
        for name, holds in PROPERTIES.items()
        for rule, sentence, place in holds(history)
    ]


def step_of(history: History, finding: Finding) -> dict[str, Any] | None:
    """Return what shows a finding as a step of the dialogue says it, or None where no single one does."""
    if finding.place < 0:
        return None
    line = history.lines[finding.place]
    return {line.name: line.body}
