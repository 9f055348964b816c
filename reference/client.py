"""The client: `python -m reference.client identity|ping|listen|call`.

Exit statuses: 0 done · 1 the call was not made or went wrong · 2 the command line is wrong · 3 no relay
answers · 4 the relay has another key than it should · 5 the relay refused the registration · 6 another
program has taken this identity over · 7 audio: a file or a device.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from reference import identity as identities
from reference.core.addresses import format_address, parse_address
from reference.core.errors import DirectCallError
from reference.core.line import Account, Answer
from reference.core.phases import IMPLEMENTED, NEWEST, Phase
from reference.endpoint import EndpointLimits
from reference.opus import AudioError
from reference.probe import round_trips
from reference.program import Program
from reference.talk import AudioPlan

if TYPE_CHECKING:
    from collections.abc import Coroutine

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A DirectCall client.")
identity_app = typer.Typer(no_args_is_help=True, help="Make or show an identity.")
app.add_typer(identity_app, name="identity")

AUDIO = 7
Identity = Annotated[Path, typer.Option("--identity", help="seed file, see `identity new`")]
Relay = Annotated[str, typer.Option(help="ip:port of the relay")]
Pin = Annotated[str, typer.Option("--relay-fingerprint", help="TLS fingerprint the relay must have")]
Send = Annotated[str, typer.Option(help="what to send: FILE.wav, tone, mic or none")]
Record = Annotated[Path | None, typer.Option(help="WAV file for what is heard")]
Speaker = Annotated[bool, typer.Option("--speaker", help="play what is heard")]
Json = Annotated[bool, typer.Option("--json", help="print events as JSON lines")]
PhaseName = Annotated[str, typer.Option("--phase", help="be a client of this phase")]
Idle = Annotated[float, typer.Option(min=1, help="seconds without a packet until a connection is lost")]
Alias = Annotated[str | None, typer.Option(help="a name to show to the other end")]
RELAY = "127.0.0.1:4433"
IDENTITY = Path("client.identity")


@identity_app.command("new")
def identity_new(file: Annotated[Path, typer.Argument(help="file to write")] = IDENTITY) -> None:
    """Draw a new identity and write its seed to a file that only its owner can read."""
    try:
        typer.echo(identities.create(file).fingerprint)
    except identities.IdentityFileError as error:
        fail(str(error))


@identity_app.command("show")
def identity_show(file: Annotated[Path, typer.Argument(help="file to read")] = IDENTITY) -> None:
    """Print the fingerprint of an identity: what others call."""
    try:
        typer.echo(identities.load(file).fingerprint)
    except identities.IdentityFileError as error:
        fail(str(error))


@app.command()
def ping(relay: Relay = RELAY, pin: Pin = "", count: Annotated[int, typer.Option(min=1)] = 3) -> None:
    """Measure the time a handshake with the relay takes, and show the relay's fingerprint."""
    raise typer.Exit(asyncio.run(round_trips(address("--relay", relay), fingerprint_of_relay(pin), count)))


@app.command()
def listen(  # noqa: PLR0917 - one parameter an option
    relay: Relay = RELAY,
    identity: Identity = IDENTITY,
    pin: Pin = "",
    answer: Annotated[Answer, typer.Option(help="what to do with incoming calls")] = Answer.ASK,
    send: Send = "none",
    record: Record = None,
    speaker: Speaker = False,
    calls: Annotated[int, typer.Option(min=0, help="stop after so many calls; 0: never")] = 0,
    alias: Alias = None,
    phase: PhaseName = NEWEST.value,
    idle_timeout: Idle = 30.0,
    as_json: Json = False,
) -> None:
    """Stay registered and take calls until told to stop."""
    account = account_of(identity, relay, pin, alias, answer)
    program = Program(account, phase_of(phase), plan_of(send, record, speaker=speaker), as_json=as_json)
    finish(program.listen(calls, EndpointLimits(idle_timeout=idle_timeout)))


@app.command()
def call(  # noqa: PLR0917 - one parameter an option
    target: Annotated[str, typer.Argument(metavar="FINGERPRINT", help="whom to call")],
    relay: Relay = RELAY,
    identity: Identity = IDENTITY,
    pin: Pin = "",
    send: Send = "none",
    record: Record = None,
    speaker: Speaker = False,
    duration: Annotated[float, typer.Option(min=0, help="seconds to talk; 0: until all is sent")] = 0.0,
    alias: Alias = None,
    phase: PhaseName = NEWEST.value,
    idle_timeout: Idle = 30.0,
    as_json: Json = False,
) -> None:
    """Call somebody, talk, and hang up."""
    account = account_of(identity, relay, pin, alias, Answer.REJECT)
    groups = target.split(":")
    if len(groups) != 8 or any(len(group) != 4 or set(group) - set("0123456789abcdef") for group in groups):  # noqa: PLR2004
        fail(f"{target!r} is no fingerprint: it has eight groups of four lowercase hex digits, joined by ':'")
    program = Program(account, phase_of(phase), plan_of(send, record, speaker=speaker), as_json=as_json)
    finish(program.call(target, duration, EndpointLimits(idle_timeout=idle_timeout)))


def account_of(file: Path, relay: str, pin: str, alias: str | None, answer: Answer) -> Account:
    """Return the account that the options describe, or end the program with the reason."""
    reachable = format_address(*address("--relay", relay))
    try:
        who = identities.load(file)
    except identities.IdentityFileError as error:
        fail(f"{error}; `python -m reference.client identity new {file}` makes one")
    return Account(who, reachable, fingerprint_of_relay(pin), alias, answer)


def address(option: str, text: str) -> tuple[str, int]:
    """Return host and port, or end the program."""
    try:
        return parse_address(text)
    except ValueError as error:
        fail(f"{option}: {error}")


def fingerprint_of_relay(text: str) -> str:
    """Return a TLS fingerprint in its one form, or end the program."""
    digits = text.replace(":", "").lower()
    if text and (len(digits) != 64 or set(digits) - set("0123456789abcdef")):  # noqa: PLR2004
        fail(f"--relay-fingerprint: {text!r} is no TLS fingerprint: it has 32 pairs of hex digits")
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def phase_of(name: str) -> Phase:
    """Return the phase, or end the program."""
    try:
        phase = Phase.parse(name)
    except ValueError as error:
        fail(f"--phase: {error}")
    if phase not in IMPLEMENTED:
        fail(f"--phase {name} is not implemented yet: there is {', '.join(map(str, IMPLEMENTED))}")
    return phase


def plan_of(send: str, record: Path | None, *, speaker: bool) -> AudioPlan:
    """Return what to send and where to play, with files read and devices tried, or end the program."""
    try:
        return AudioPlan.checked(send, record, speaker=speaker)
    except AudioError as error:
        fail(str(error), AUDIO)


def finish(run: Coroutine[None, None, int]) -> NoReturn:
    """Run a program to its end and exit with its status."""
    try:
        status = asyncio.run(run)
    except DirectCallError as error:
        fail(str(error), AUDIO if isinstance(error, AudioError) else 1)
    except OSError as error:
        fail(f"cannot open a socket: {(error.strerror or str(error)).lower()}", 1)
    raise typer.Exit(status)


def fail(why: str, status: int = 2) -> NoReturn:
    """End the program with one sentence on standard error."""
    print(f"client: {why}", file=sys.stderr)  # noqa: T201 - the one place that speaks before there is a display
    raise typer.Exit(status)


if __name__ == "__main__":
    app()
