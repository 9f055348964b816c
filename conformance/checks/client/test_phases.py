"""Checks of spec/phases.md that a client has to pass: how phases live together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import schemas
from conformance import generate, spec, understanding
from conformance.checking import client
from conformance.client_stage import ClientStage
from conformance.codec import Message, body_of, name_of
from conformance.puppet import Puppet
from conformance.understanding import Form
from conformance.verdicts import Unsupported

TOLD = ("DirectCallOffer", "DirectCallAnswer", "CallSetup", "Hangup")
"""Messages to a client that have got members since they exist."""
EXAMPLES = 4
"""Generated offers of each older phase."""


def _older(phase: str) -> dict[str, frozenset[tuple[str, str]]]:
    """Return the phases before this one in which a client is told other members, and what they have not."""
    found: dict[frozenset[tuple[str, str]], str] = {}
    for one in spec.REACHED[: spec.REACHED.index(phase)]:
        told = frozenset(pair for pair in spec.younger(one) - spec.younger(phase) if pair[0] in TOLD)
        found.setdefault(told, one)
    return {one: younger for younger, one in found.items()}


@client("PHASE-3")
async def test_older_peers_are_understood(stage: ClientStage) -> None:
    """A relay and a caller of every older phase say all they have to say.

    It must have the effect that it has in the words of the client's own phase.
    """
    older = _older(stage.phase)
    if not older:
        message = f"nothing is older than phase {stage.phase}"
        raise Unsupported(message)
    await stage.online()
    for phase, younger in older.items():
        form = Form(f"of phase {phase}", partial(_without, younger))
        await understanding.incoming(stage, form)
        await understanding.outgoing(stage, form)


def _without(younger: frozenset[tuple[str, str]], message: Message) -> Message:
    name = name_of(message)
    return {name: {key: value for key, value in body_of(message).items() if (name, key) not in younger}}


@client("PHASE-3")
async def test_whatever_older_callers_say_rings(stage: ClientStage) -> None:
    """Generated offers, as clients of every older phase may send them, must ring."""
    older = _older(stage.phase)
    if not older:
        message = f"nothing is older than phase {stage.phase}"
        raise Unsupported(message)
    await stage.online()
    for phase in older:
        offers = generate.valid("DirectCallOffer", phase, "emit")
        for drawn in understanding.samples(offers, EXAMPLES, stage.random().randrange(1 << 32)):
            await _rings(stage, phase, body_of(drawn))


async def _rings(stage: ClientStage, phase: str, drawn: dict[str, object]) -> None:
    call_id = stage.call_id()
    offer = stage.other.offer(stage.subject.fingerprint, call_id)
    ours = body_of(offer)
    said = drawn | {name: ours[name] for name in ("caller_fingerprint", "target_fingerprint", "call_id")}
    order = schemas.view(phase, "emit")["$defs"]["DirectCallOffer"]["properties"]
    told = {name: said[name] for name in order if said.get(name) is not None}  # WIRE-8 and WIRE-9 apart
    form = Form(f"of phase {phase}, as drawn", lambda _: {"DirectCallOffer": told})
    await understanding.compare(
        stage, stage.signal, form, [offer], lambda: understanding.rings(stage, call_id)
    )
    await understanding.over(stage, call_id)


def _too_young(puppet: Puppet, younger: frozenset[tuple[str, str]]) -> Iterator[str]:
    """Yield what a puppet heard that the client's phase has not."""
    for one in puppet.heard():
        if (one.name, "") in younger:
            yield f"{puppet.name} received {one.name}"
        for member in one.body:
            if (one.name, member) in younger:
                yield f"{puppet.name} received {one.name} with {member!r}"


@client("PHASE-4")
async def test_nothing_younger_is_sent(stage: ClientStage) -> None:
    """A client of an older phase rejects and accepts calls, places one, joins its room and hangs up.

    Its messages must have no name and no member that is younger than its phase.
    """
    younger = spec.younger(stage.phase)
    if not younger:
        message = (
            f"nothing newer than phase {stage.phase} exists that its client could send; "
            f"--phase {spec.REACHED[spec.REACHED.index(stage.phase) - 1]}, or an older one, judges this"
        )
        raise Unsupported(message)
    await understanding.conversation(stage)
    faults = dict.fromkeys(fault for one in stage.puppets for fault in _too_young(one, younger))
    assert not faults, f"a client of phase {stage.phase} sends what is younger: {'; '.join(faults)}"
