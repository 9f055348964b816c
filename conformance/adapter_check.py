"""Adapter check: whether an adapter keeps to the control protocol, before anything is judged through it.

A probe is an async function of a client stage. It says in its docstring what the adapter has to do; what it
raises is the adapter's fault.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

from conformance.adapter import Adapter, Refused
from conformance.client_stage import ClientStage
from conformance.clients import ClientTarget
from conformance.identity import Identity
from conformance.interruption import INTERRUPTION
from conformance.verdicts import Deviation, Exit, TargetFaultError, Unsupported, Untestable

WORD = "pirouette"
"""A request that no version of the protocol has."""


class Found(NamedTuple):
    """What became of one probe: what was asked for, and what was wrong, or nothing."""

    probe: str
    fault: str


Probe = Callable[[ClientStage], Awaitable[None]]


async def greets(stage: ClientStage) -> None:
    """Say who it is, and the same again when it is asked again."""
    if await stage.adapter.hello() != stage.adapter.greeting:
        message = "the second greeting is another one than the first"
        raise Deviation(message)


async def knows_its_limits(stage: ClientStage) -> None:
    """Answer `unsupported` to a request that it does not know."""
    reply = await stage.adapter.send({"do": WORD})
    if "unsupported" not in reply:
        message = f"the request {WORD!r}, which does not exist, was answered with {reply}"
        raise Deviation(message)


async def survives_bad_lines(stage: ClientStage) -> None:
    """Go on after lines that are no JSON, no object, or nothing at all."""
    for line in (b"\n", b"{\n", b"[]\n", b'"hello"\n', b"\xff\xfe\n"):
        stage.adapter.write(line)
    await stage.adapter.ask("state")


async def puts_lines_together(stage: ClientStage) -> None:
    """Read a request that comes in pieces, and two that come in one."""
    await stage.adapter.ask("state", padding="x" * 20_000)
    await stage.adapter.send({"do": "state"}, pieces=3)


async def refuses_nonsense(stage: ClientStage) -> None:
    """Answer `error` to what cannot be done now, or at all: a bad address or seed, no call to answer."""
    await _refused(stage, "configure", relay="nowhere", seed="00" * 32)
    await _refused(stage, "configure", relay="127.0.0.1:4433", seed="00")
    await stage.configure()
    await _refused(stage, "answer", call_id="c0ffee", mode="AcceptTrusted")


async def registers(stage: ClientStage) -> None:
    """Connect to the relay with the identity of the seed, and tell of it."""
    await stage.online()
    event = await stage.tells("registered")
    if event["fingerprint"] != stage.subject.fingerprint:
        message = f"the seed gives the fingerprint {stage.subject.fingerprint}, not {event['fingerprint']}"
        raise Deviation(message)
    standing = await stage.adapter.ask("state")
    if standing.get("registered") is not True or standing.get("call_id") is not None:
        message = f"the state of a registered client without a call was told as {standing}"
        raise Deviation(message)


async def tells_of_calls(stage: ClientStage) -> None:
    """Tell of an incoming call, wait for the user's answer, and give it."""
    await stage.online()
    call_id = await stage.rung()
    answer = await stage.answered(call_id, "Reject")
    if answer.body["accept_mode"] != "Reject":
        message = f"the user rejected, and the client answered {answer.body['accept_mode']}"
        raise Deviation(message)


async def resets_in_mid_call(stage: ClientStage) -> None:
    """Leave everything at `reset`, also in the middle of a call, and be somebody else afterwards."""
    signal = await stage.online()
    await stage.placed()
    await stage.ask("reset")
    if await stage.close_of(signal) is None:
        message = "after `reset` the connection to the relay is still open"
        raise Deviation(message)
    stage.subject = Identity.named("somebody else", stage.subject.fingerprint, phase=stage.phase)
    stage.adapter.events.clear()
    await stage.online()


PROBES: tuple[Probe, ...] = (
    greets,
    knows_its_limits,
    survives_bad_lines,
    puts_lines_together,
    refuses_nonsense,
    registers,
    tells_of_calls,
    resets_in_mid_call,
)


async def check(target: ClientTarget, *, slow: float, told: Callable[[Found], None]) -> list[Found]:
    """Run every probe; `told` hears of each. Raises TargetFaultError when there is no adapter."""
    adapter = await target.connect()
    found: list[Found] = []
    try:
        for probe in PROBES:
            found.append(Found(_words(probe), await _fault(probe, adapter, target.phase, slow)))
            told(found[-1])
            if adapter.fault is not None:
                break
    finally:
        await adapter.close()
    return found


async def _fault(probe: Probe, adapter: Adapter, phase: str, slow: float) -> str:
    stage = ClientStage(adapter, probe.__name__, slow=slow, phase=phase)
    try:
        with _leaving(stage):
            await probe(stage)
            await stage.leave()
    except (Deviation, Untestable, Refused, Unsupported, TargetFaultError) as error:
        with contextlib.suppress(Refused, Unsupported, TargetFaultError):
            await stage.leave()
        return str(error)
    return ""


@contextlib.contextmanager
def _leaving(stage: ClientStage) -> Iterator[None]:
    """Free the sockets of a probe even when it is interrupted."""
    try:
        yield
    except asyncio.CancelledError:
        for host in stage.hosts:
            host.close()
        raise


async def _refused(stage: ClientStage, do: str, **members: object) -> None:
    reply = await stage.adapter.send({"do": do} | members)
    if "error" not in reply:
        message = f"the request {do!r} with {members} was answered with {reply}, and `error` was expected"
        raise Deviation(message)


def _words(probe: Probe) -> str:
    return " ".join((probe.__doc__ or "").split())


def run(target: ClientTarget, *, slow: float, told: Callable[[Found], None]) -> Exit:
    """Check an adapter; return the exit status."""
    try:
        found = INTERRUPTION.run(check(target, slow=slow, told=told))
    finally:
        target.close()
    return Exit.BROKE_PROTOCOL if any(one.fault for one in found) else Exit.PASSED
