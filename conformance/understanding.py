"""Understanding (spec/wire.md, spec/phases.md): whether a client acts on what it is told, seen from outside.

An offer shows in the answer of the client's user, an answer and CallSetup in the room that is dialled, what
the room says in the path that is taken, Hangup in the end of the call.

Rules of this file: a message in another form is compared with the plain one. Where the plain one has no
effect either, nothing can be said about the form, and the check is untestable.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from conformance import codec
from conformance.adapter import Refused
from conformance.client_ground import LARGE, PATIENCE, written
from conformance.client_stage import ClientStage
from conformance.codec import Message
from conformance.puppet import Puppet
from conformance.verdicts import Deviation, Evidence, Untestable

T = TypeVar("T")
Acted = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Form:
    """A form of the relay's messages: what is special about it, and a message, or its payload, in it."""

    what: str
    write: Callable[[Message], Message | bytes]


def say(puppet: Puppet, told: Message | bytes) -> None:
    """Send a message, or a payload, whatever the schemas think of it."""
    if isinstance(told, bytes):
        puppet.send_bytes(codec.frame(told))
    else:
        puppet.send(told)


async def compare(
    stage: ClientStage, puppet: Puppet, form: Form, messages: Sequence[Message], acted: Acted
) -> None:
    """Send messages in a form; raise Deviation when the plain ones are acted on and these are not."""
    for one in messages:
        say(puppet, form.write(one))
    if await acted():
        return
    names = " and ".join(map(codec.name_of, messages))
    wanted = f"the effect of {names} {form.what}"
    if puppet.closed is not None:
        message = f"{names} {form.what} has no effect, and the client closed the connection: {puppet.closed}"
        raise Deviation(message, Evidence(puppet.name, wanted, f"a close with {puppet.closed}"))
    for one in messages:
        stage.say(puppet, one)
    if await acted():
        message = f"{names} {form.what} has no effect, and in its plain form it has"
        raise Deviation(message, Evidence(puppet.name, wanted, "nothing"))
    message = f"{names} has no effect in its plain form either"
    raise Untestable(message)


# What shows that the client has acted


async def told(stage: ClientStage, event: str, **members: Any) -> bool:  # noqa: ANN401 - see has
    """Tell whether the adapter tells an event in time: nothing on the wire would show it."""
    stage.reported = True
    with contextlib.suppress(Untestable):
        await stage.has(event, **members)
        return True
    return False


async def answers(stage: ClientStage, call_id: str, mode: str = "AcceptTrusted") -> bool:
    """Tell whether an answer to a call goes out: the user's, or one that the client gives by itself."""
    with contextlib.suppress(Refused):
        await stage.ask("answer", call_id=call_id, mode=mode)
        return await stage.find(stage.signal, "DirectCallAnswer", call_id=call_id) is not None
    return bool(stage.signal.heard("DirectCallAnswer", call_id=call_id))


async def rings(stage: ClientStage, call_id: str) -> bool:
    """Tell whether an offer is acted on: it rings, and the user's answer goes out."""
    with contextlib.suppress(Untestable):
        await stage.has("incoming", call_id=call_id)
        return await answers(stage, call_id)
    return False


def has_room(stage: ClientStage, call_id: str) -> bool:
    """Tell whether the client has dialled the room of a call."""
    return any(name == f"call-{call_id}" for name, _ in stage.rooms)


async def joins(stage: ClientStage, call_id: str) -> bool:
    """Tell whether the client dials the room of a call in time."""
    return await stage.until(lambda: has_room(stage, call_id), PATIENCE)


# What a relay says


def setup(stage: ClientStage, call_id: str, **others: Any) -> Message:  # noqa: ANN401 - members
    """Return CallSetup, with no candidate of the other party unless `others` names one."""
    where = {"call_id": call_id, "room": f"call-{call_id}", "relay_addr": written(stage.relay.address)}
    return {"CallSetup": where | others}


def company(stage: ClientStage) -> Message:
    """Return RoomUpdate: both parties are there."""
    people = [{"fingerprint": one.fingerprint, "alias": "puppet"} for one in (stage.subject, stage.other)]
    return {"RoomUpdate": {"count": len(people), "participants": people}}


async def ready(stage: ClientStage) -> str:
    """Let the user call, and the other party accept; return the call_id: CallSetup would come next."""
    call_id = str((await stage.placed()).body["call_id"])
    stage.accept(call_id)
    return call_id


async def connected(stage: ClientStage) -> str:
    """Bring a call that the client placed to its room, and return the call_id; raises Untestable."""
    call_id = await ready(stage)
    stage.say(stage.signal, setup(stage, call_id))
    if not await joins(stage, call_id):
        message = "the client does not dial the room of a call that was set up"
        raise Untestable(message)
    return call_id


async def over(stage: ClientStage, call_id: str) -> None:
    """Let the other party hang up; raises Untestable when the client does not take note."""
    stage.say(stage.signal, stage.other.hangup(call_id))
    await stage.has("ended", call_id=call_id)


async def conversation(stage: ClientStage) -> None:
    """Let the client say all it has to say: it rejects and accepts calls, places one and ends it."""
    stage.manners.observes = LARGE
    await stage.online()
    for mode in ("Reject", "AcceptGeneric", "AcceptTrusted"):
        call_id = await stage.rung()
        if not await answers(stage, call_id, mode):
            message = "the user's answer to a call does not go out"
            raise Untestable(message)
        if mode != "Reject":
            await over(stage, call_id)
    await connected(stage)
    await stage.joined()
    await stage.has("path", path="relay")
    await stage.ask("hangup")
    await stage.needs(stage.signal, "Hangup")
    await stage.settle()


# All of it in a form


async def registration(stage: ClientStage, form: Form) -> None:
    """Register the client, and once more with an acknowledgement in this form."""
    await stage.online()
    await stage.ask("reset")
    stage.manners.acknowledges = False
    before, since = len(stage.signals), len(stage.adapter.events)
    await stage.configure()
    await stage.ask("register")
    await stage.until(lambda: len(stage.signals) > before, PATIENCE)
    await stage.needs(stage.signal, "RegisterPresence")
    acknowledged: Message = {"RegisterPresenceAck": {"success": True}}
    acted = partial(told, stage, "registered", since=since)
    await compare(stage, stage.signal, form, [acknowledged], acted)


async def incoming(stage: ClientStage, form: Form) -> None:
    """Let the other party call and hang up, in the words of this form."""
    call_id = stage.call_id()
    offer = stage.other.offer(stage.subject.fingerprint, call_id)
    await compare(stage, stage.signal, form, [offer], lambda: rings(stage, call_id))
    hangup = stage.other.hangup(call_id)
    await compare(stage, stage.signal, form, [hangup], lambda: told(stage, "ended", call_id=call_id))


async def outgoing(stage: ClientStage, form: Form) -> None:
    """Let the other party accept the client's call, and the room admit the client, in this form."""
    stage.manners.observes, stage.manners.admits = LARGE, False
    call_id = str((await stage.placed()).body["call_id"])
    signal, ringing = stage.signal, {"CallRinging": {"call_id": call_id}}
    await compare(stage, signal, form, [ringing], lambda: told(stage, "ringing", call_id=call_id))
    accepted = [stage.other.answer(call_id), setup(stage, call_id)]
    await compare(stage, signal, form, accepted, lambda: joins(stage, call_id))
    room = await stage.joined(since=len(stage.rooms) - 1)
    admitted = [stage.admission(), company(stage)]
    await compare(stage, room, form, admitted, lambda: told(stage, "path", call_id=call_id, path="relay"))
    await over(stage, call_id)


async def reflection(stage: ClientStage, form: Form) -> None:
    """Tell the client its address in this form: its next offer has to carry it."""
    stage.manners.observes = ""
    observed: Message = {"ReflectResponse": {"observed_addr": LARGE}}
    for plain in (False, True):
        mark = stage.signal.mark()
        await stage.ask("call", target=stage.other.fingerprint)
        await stage.needs(stage.signal, "Reflect", since=mark)
        say(stage.signal, observed if plain else form.write(observed))
        offer = (await stage.needs(stage.signal, "DirectCallOffer", since=mark)).body
        if offer.get("caller_reflexive_addr") == LARGE:
            break
        await over(stage, str(offer["call_id"]))
    else:
        message = "the client does not advertise the address that its relay sees"
        raise Untestable(message)
    await over(stage, str(offer["call_id"]))
    if plain:
        message = f"ReflectResponse {form.what} has no effect, and in its plain form it has"
        raise Deviation(message)


async def everything(stage: ClientStage, form: Form) -> None:
    """Say everything in this form that a relay has to say to a client in calls through its rooms."""
    await registration(stage, form)
    await incoming(stage, form)
    if stage.knows("3"):
        await reflection(stage, form)
    await outgoing(stage, form)


def samples(strategy: st.SearchStrategy[T], count: int, number: int) -> list[T]:
    """Return `count` values of a strategy that follow from the seed `number`."""
    found: list[T] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: T) -> None:
        found.append(value)

    collect()
    return found[:count]
