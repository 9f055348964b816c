"""Script: the messages of a plan, once it is known who plays whom.

The same plan with the same people and call_ids gives the same messages. Whoever advertises nothing in the
plan says nothing of candidates; whatever else a client of the person's phase says is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from conformance import codec, identity, validation
from conformance.codec import Message, body_of, name_of
from conformance.identity import ABSENT, Identity
from conformance.plan import NOBODY, Plan, Step

UNKNOWN = "later"
"""The name of the unknown member that makes a message large."""
SIDES = {"offer": "caller", "answer": "callee"}
"""Who advertises in which step, as the names of the members begin."""
ON_SIGNAL = ("offer", "answer", "report", "hangup", "reflect", "say")
"""Steps that are one message on the signal connection."""
SMALL = 16_384
"""The largest payload, in bytes, of what a relay forwards (spec/errors.md, Limits)."""
_CERTAINLY_SMALL = 8_192
_FEW = 16


class Advertised(NamedTuple):
    """What one message tells of its sender; `reflexive` None and no `host` when it tells nothing."""

    reflexive: str | None
    host: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """Every candidate."""
        return (self.reflexive, *self.host) if self.reflexive else self.host


def advertised(message: Message) -> Advertised:
    """Return what an offer or an answer tells of its sender (spec/candidates.md)."""
    side = {"DirectCallOffer": "caller", "DirectCallAnswer": "callee"}[name_of(message)]
    body = body_of(message)
    reflexive, host = body.get(f"{side}_reflexive_addr"), body.get(f"{side}_local_addrs")
    texts = tuple(one for one in host if isinstance(one, str)) if isinstance(host, list) else ()
    return Advertised(reflexive if isinstance(reflexive, str) else None, texts)


class Script:
    """What is said in a plan, step by step."""

    def __init__(self, plan: Plan, cast: Mapping[str, Identity], ids: Callable[[str], str]) -> None:
        """Write the messages; `cast` says who plays each person and `ids` draws the call_id of a call.

        NOBODY is somebody too, who is never registered.
        """
        self.plan = plan
        self.cast = cast
        self.ids = {call: ids(call) for call in plan.calls()}
        self.calls = {one: call for call, one in self.ids.items()}
        self.steps = dict(plan.steps())
        self.messages = {
            number: message_of(step, cast[step.who], cast[step.to or NOBODY], self.ids.get(step.call, ""))
            for number, step in self.steps.items()
            if step.does in ON_SIGNAL
        }

    def large(self, number: int) -> bool:
        """Tell whether the message of a step is larger than what a relay forwards."""
        step = self.steps[number]
        if not step.members and step.large < _CERTAINLY_SMALL and len(step.host) <= _FEW:
            return False
        return len(codec.payload(self.messages[number])) > SMALL

    def refused(self, number: int, phase: str) -> bool:
        """Tell whether the accept view of a phase refuses the message of a step (WIRE-5)."""
        step = self.steps[number]
        return bool(step.members) and _spoilt(step.does, json.dumps(dict(step.members)), phase)


def message_of(step: Step, who: Identity, target: Identity, call_id: str) -> Message:
    """Return the message of a step that is one message on the signal connection."""
    message = _plain(step, who, target, call_id)
    if step.members:
        body_of(message).update(step.members)
    return message


def _plain(step: Step, who: Identity, target: Identity, call_id: str) -> Message:
    """Return the message of a step without the members that the plan puts into their places."""
    others: dict[str, Any] = {}
    if step.does in SIDES:
        side = SIDES[step.does]
        others[f"{side}_reflexive_addr"] = step.reflexive or ABSENT
        others[f"{side}_local_addrs"] = list(step.host) or ABSENT
    if step.large:
        others[UNKNOWN] = "x" * step.large
    match step.does:
        case "offer":
            return who.offer(target.fingerprint, call_id, **others)
        case "answer":
            return who.answer(call_id, step.mode, **others)
        case "report":
            return identity.report(call_id, **others)
        case "hangup" if step.call:
            return who.hangup(call_id, **others)
        case "hangup":
            return identity.hangup(**others)
        case "reflect":
            return "Reflect"
    message: Message = step.message
    return message


@lru_cache(maxsize=4096)
def _spoilt(does: str, members: str, phase: str) -> bool:
    """Tell whether these members make a message that is otherwise in order one that is refused."""
    somebody = Identity.named("template", phase=phase)
    step = Step("", does, call="c1", mode="AcceptTrusted", members=json.loads(members))
    return any(validation.faults(message_of(step, somebody, somebody, "c1"), phase, "accept"))
