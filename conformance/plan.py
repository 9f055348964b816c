"""Plan: one dialogue of several people with a relay, as one JSON document.

    {
     "people": {"alice": "7", "bob": "7"},
     "beats": [
      [{"who": "alice", "does": "offer", "call": "c1", "to": "bob", "reflexive": "198.51.100.1:40001"}],
      [{"who": "bob", "does": "answer", "call": "c1", "mode": "AcceptTrusted"}]
     ]
    }

Rules of this file: the shape is that of plan.schema.json; what is in one beat is said without waiting, and
between two beats everything settles; a plan says nothing of fingerprints and call_ids, which are drawn when
it is performed; whoever reads a wrong plan is told the path and the value.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.protocols import Validator

import schemas
from conformance.verdicts import UsageError

NOBODY = "nobody"
"""The name of a person that is never registered."""
MOST = {"offer": 20, "reflect": 20}
"""Steps of a kind that one person may have: what a relay takes in one go (spec/errors.md, Limits)."""
_HERE = Path(__file__).resolve().parent
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Faults:
    """What the network does to the packets of a person: a delay in seconds, and shares of them."""

    delay: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """What one person does; which members count, the schema says for each `does`."""

    who: str
    does: str
    call: str = ""
    to: str = ""
    mode: str = ""
    reflexive: str = ""
    host: tuple[str, ...] = ()
    large: int = 0
    members: Mapping[str, Any] = field(default_factory=dict)
    message: Any = None

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Step:
        """Return the step of a JSON object that the schema accepts."""
        return cls(**{**value, "host": tuple(value.get("host", ()))})

    def written(self) -> dict[str, Any]:
        """Return the step as JSON, without what is empty."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            name: list(value) if name == "host" else value
            for name, value in values.items()
            if value or (name == "message" and value is not None)
        }


Beat = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan: people by name with the phase of their client, and the beats."""

    people: Mapping[str, str]
    beats: tuple[Beat, ...]
    network: Mapping[str, Faults] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    seed: int = 0

    def steps(self) -> Iterator[tuple[int, Step]]:
        """Yield every step with its number in the plan."""
        yield from enumerate(step for beat in self.beats for step in beat)

    def numbered(self) -> list[list[tuple[int, Step]]]:
        """Return the beats, each step with its number in the plan."""
        count = iter(range(sum(map(len, self.beats))))
        return [[(next(count), step) for step in beat] for beat in self.beats]

    def calls(self) -> list[str]:
        """Return the names of the calls, in the order of their first mention."""
        return list(dict.fromkeys(step.call for _, step in self.steps() if step.call))

    def written(self) -> dict[str, Any]:
        """Return the plan as JSON, without what is empty."""
        value: dict[str, Any] = {"people": dict(self.people)}
        if self.fresh:
            value["fresh"] = list(self.fresh)
        if self.network:
            value["network"] = {who: _faults(one) for who, one in self.network.items()}
        if self.seed:
            value["seed"] = self.seed
        return value | {"beats": [[step.written() for step in beat] for beat in self.beats]}

    def text(self) -> str:
        """Return the plan as a person reads it: JSON, one step a line."""
        value = self.written()
        head = [f' "{name}": {_line(one)}' for name, one in value.items() if name != "beats"]
        beats = ["[" + ",\n   ".join(map(_line, beat)) + "]" for beat in value["beats"]]
        body = ' "beats": [\n  ' + ",\n  ".join(beats) + "\n ]" if beats else ' "beats": []'
        return "{\n" + ",\n".join([*head, body]) + "\n}\n"


def _faults(one: Faults) -> dict[str, float]:
    return {name: value for name in Faults.__slots__ if (value := getattr(one, name))}


def _line(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(value, ensure_ascii=False)


def load(path: Path) -> Plan:
    """Return the plan in a file; raises UsageError with a sentence that says what is wrong in it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"the plan {path} cannot be read: {error.strerror}"
        raise UsageError(message) from None
    except ValueError as error:
        message = f"the plan {path} is not JSON: {error}"
        raise UsageError(message) from None
    return read(value)


def read(value: Any) -> Plan:  # noqa: ANN401 - any JSON value
    """Return the plan of a JSON value; raises UsageError with the path and the value that is wrong."""
    _accept("", value, "")
    for at, beat in enumerate(value["beats"]):
        for place, step in enumerate(beat):
            _step(f"beats[{at}][{place}]", step)
    plan = Plan(
        people=value["people"],
        beats=tuple(tuple(map(Step.read, beat)) for beat in value["beats"]),
        network={who: Faults(**one) for who, one in value.get("network", {}).items()},
        fresh=tuple(value.get("fresh", ())),
        seed=value.get("seed", 0),
    )
    _sense(plan)
    return plan


def _step(path: str, value: Mapping[str, Any]) -> None:
    kinds = [name for name in _schema()["$defs"] if name.islower()]
    if value.get("does") not in kinds:
        _refuse(f"{path}.does", value.get("does"), f"is none of {', '.join(kinds)}")
    _accept(path, value, str(value["does"]))


def _sense(plan: Plan) -> None:
    """Refuse what the schema cannot: names that are nobody's, and candidates that hide in one another."""
    for path, names in (("fresh", plan.fresh), ("network", tuple(plan.network))):
        for who in names:
            if who not in plan.people:
                _refuse(path, who, "is none of the people")
    for at, beat in enumerate(plan.beats):
        for place, step in enumerate(beat):
            _part(plan, f"beats[{at}][{place}]", step)
    for (who, does), count in Counter((step.who, step.does) for _, step in plan.steps()).items():
        if count > MOST.get(does, count):
            _refuse("beats", f"{count} times {does} by {who}", f"is more than the {MOST[does]} of one person")
    texts = {text for _, step in plan.steps() for text in (step.reflexive, *step.host) if text}
    for one, other in permutations(texts, 2):
        if one in other:
            _refuse("beats", one, f"is a candidate that is a part of another one, {other!r}")


def _part(plan: Plan, path: str, step: Step) -> None:
    """Refuse a step of somebody who has no part in the plan, and a message that there is."""
    if step.who not in plan.people:
        _refuse(f"{path}.who", step.who, "is none of the people")
    if step.to and step.to not in (*plan.people, NOBODY):
        _refuse(f"{path}.to", step.to, "is none of the people, and not nobody")
    name = step.message if isinstance(step.message, str) else next(iter(step.message or {}), "")
    if name in schemas.messages(schemas.PHASES[-1]):
        _refuse(f"{path}.message", name, "is the name of a message that there is")


@cache
def _schema() -> dict[str, Any]:
    value: dict[str, Any] = json.loads((_HERE / "plan.schema.json").read_text(encoding="utf-8"))
    return value


@cache
def _validator(kind: str) -> Validator:
    whole = _schema()
    if kind:
        whole = {"$schema": whole["$schema"], "$ref": f"#/$defs/{kind}", "$defs": whole["$defs"]}
    return jsonschema.Draft202012Validator(whole)


def _accept(path: str, value: Any, kind: str) -> None:  # noqa: ANN401 - any JSON value
    error = jsonschema.exceptions.best_match(_validator(kind).iter_errors(value))
    if error is not None and error.validator == "required":
        missing = next(one for one in error.validator_value if one not in error.instance)
        where = (path + error.json_path[1:]).removeprefix(".")
        if where:
            _refuse(where, error.instance, f"has no {missing!r}")
        message = f"the plan has no {missing!r}"
        raise UsageError(message)
    if error is not None:
        place = (path + error.json_path[1:]).removeprefix(".")
        _refuse(place, error.instance, f"is not what a plan may have there: {error.message[:200]}")


def _refuse(path: str, value: object, why: str) -> None:
    text = repr(value)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    message = f"the plan is wrong{f' at {path}' if path else ''}: {shown} {why}"
    raise UsageError(message)
