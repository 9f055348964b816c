"""Checks of spec/registration.md that a client has to pass."""

from __future__ import annotations

from conformance import spec
from conformance.checking import client
from conformance.client_ground import PATIENCE
from conformance.client_stage import ClientStage
from conformance.puppet import Puppet
from conformance.verdicts import Untestable

CODES = spec.close_codes()
WAITS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""What REG-16 names, in seconds of the client."""
HURRIED = (0.0125, 0.05)
"""What the times of a client are multiplied by to see all its waits; the first at which it can register."""
A_WHILE = 2.0
"""Seconds of the client in which one that comes back after a loss has done so: the first wait and half of
another one."""


async def _first(stage: ClientStage, signal: Puppet) -> str:
    """Return the name of the first message of a signal connection; raises Untestable without any."""
    await stage.until(lambda: bool(signal.inbox), PATIENCE)
    if not signal.inbox:
        message = f"nothing was said on the connection of {signal.name}"
        raise Untestable(message)
    return signal.inbox[0].name


async def _comes_back(stage: ClientStage, number: int, within: float) -> Puppet | None:
    """Return the signal connection of this number, counted from 1, or None when it does not come."""
    patience = within * stage.scale / stage.slow + PATIENCE
    await stage.until(lambda: len(stage.signals) >= number, patience)
    return stage.signals[number - 1] if len(stage.signals) >= number else None


@client("REG-1")
async def test_registration_comes_first(stage: ClientStage) -> None:
    """The client is told to register; the first message of its connection must be RegisterPresence."""
    await stage.configure()
    await stage.ask("register")
    await stage.until(lambda: bool(stage.signals), PATIENCE)
    first = await _first(stage, stage.signal)
    assert "RegisterPresence" == first, f"the first message was {first}"


@client("REG-1")
async def test_registration_comes_first_again(stage: ClientStage) -> None:
    """The relay closes with SHUTDOWN; the client that comes back must begin with RegisterPresence again."""
    stage.close(await stage.online(), CODES["SHUTDOWN"])
    again = await _comes_back(stage, 2, A_WHILE)
    if again is None:
        message = "the client did not come back to a relay that was shut down"
        raise Untestable(message)
    first = await _first(stage, again)
    assert "RegisterPresence" == first, f"the first message was {first}"


@client("REG-26", "token")
async def test_a_token_comes_before_the_registration(stage: ClientStage) -> None:
    """The client has a token; the first message must be AuthToken with it, the next RegisterPresence."""
    token = stage.person("the one with a token").seed.hex()
    await stage.configure(token=token)
    await stage.ask("register")
    await stage.until(lambda: bool(stage.signals) and len(stage.signal.inbox) > 1, PATIENCE)
    first = await _first(stage, stage.signal)
    assert "AuthToken" == first, f"the first message was {first}"
    assert token == stage.signal.inbox[0].body["token"], "the token is not the one that the client was given"
    assert stage.signal.heard("RegisterPresence"), "no RegisterPresence followed the AuthToken"


@client("REG-15")
async def test_a_replaced_client_stays_away(stage: ClientStage) -> None:
    """The relay closes with REPLACED; after twice the first wait no new connection may have come."""
    stage.close(await stage.online(), CODES["REPLACED"])
    await stage.passes(A_WHILE)
    returned = len(stage.signals) - 1
    assert not returned, "the client came back though it had been replaced"
    await stage.has("offline")


async def _hurried(stage: ClientStage) -> Puppet:
    """Register the client at the greatest speed at which it can."""
    for scale in HURRIED if stage.offers("timers") else ():
        usual, stage.scale = stage.scale, scale
        try:
            return await stage.online()
        except Untestable:
            stage.scale = usual
            await stage.ask("reset")
    return await stage.online()


@client("REG-16")
async def test_attempts_are_spaced(stage: ClientStage) -> None:
    """The relay closes with SHUTDOWN, and every new connection with TOO_MANY_CONNECTIONS.

    No registration is acknowledged; 1, 2, 4, 8, 15 and 30 s at least must lie between two attempts.
    """
    signal = await _hurried(stage)
    stage.manners.acknowledges = False
    before, number = "the loss", len(stage.signals)
    stage.note(before)
    stage.close(signal, CODES["SHUTDOWN"])
    for place, least in enumerate(WAITS, start=number + 1):
        attempt = await _comes_back(stage, place, 2 * least)
        if attempt is None:  # who gives up keeps the rule, but not before there was anything to see
            break
        waited = (stage.moments[attempt.name] - stage.moments[before]) / stage.scale
        assert waited >= least, f"an attempt came {waited:.2f} s after {before}, not {least:g} s at least"
        await stage.until(lambda attempt=attempt: attempt.connected or bool(attempt.closed), PATIENCE)
        before = attempt.name
        stage.close(attempt, CODES["TOO_MANY_CONNECTIONS"])
    if before == "the loss":
        message = "the client did not come back to a relay that was shut down"
        raise Untestable(message)
