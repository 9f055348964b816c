"""The client: `python -m reference.client identity|ping|listen|call`.

Exit statuses: 0 done · 1 the call was not made or went wrong · 2 the command line is wrong · 3 no relay
answers · 4 the relay has another key than it should · 5 the relay refused the registration · 6 another
program has taken this identity over · 7 audio: a file or a device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from reference import identity as identities
from reference import interfaces
from reference.commandline import (
    CommandError,
    address,
    build,
    command,
    complaints,
    fingerprint_of,
    fingerprint_of_relay,
    finish,
    phase_of,
    relay_of,
)
from reference.core.line import Account, Answer, Way
from reference.core.phases import NEWEST, Phase
from reference.core.registration import Identity
from reference.endpoint import EndpointLimits
from reference.nat import NatOptions, nat
from reference.opus import AudioError
from reference.probe import round_trips
from reference.program import AUDIO, Program
from reference.quic.traces import traces
from reference.talk import DELAY, LONGEST, AudioPlan
from reference.tokens import token_of
from reference.usage import Group

KEEP_ALIVE, ALIAS = 5.0, 255
RELAY, IDENTITY = "127.0.0.1:4433", Path("client.identity")
Relay = Annotated[str, typer.Option("--relay", help="ip:port of the relay")]
Pin = Annotated[str, typer.Option("--relay-fingerprint", help="TLS fingerprint the relay must have")]


@dataclass(frozen=True, kw_only=True, slots=True)
class PingOptions:
    """The options of `ping`."""

    relay: Relay = RELAY
    pin: Pin = ""
    count: Annotated[int, typer.Option(min=1, help="how often")] = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What `listen` and `call` have in common; times in seconds."""

    relay: Relay = RELAY
    pin: Pin = ""
    identity: Annotated[Path, typer.Option("--identity", help="seed file, see `identity new`")] = IDENTITY
    alias: Annotated[str | None, typer.Option(help="a name to show to the other end")] = None
    token: Annotated[str, typer.Option(help="show it to a relay that asks; others can see it here")] = ""
    token_file: Annotated[Path | None, typer.Option(help="a file with the token")] = None
    send: Annotated[str, typer.Option(help="what to send: FILE.wav, tone, mic or none")] = "none"
    record: Annotated[Path | None, typer.Option(help="WAV file for what is heard, written anew")] = None
    playout_delay: Annotated[int, typer.Option(min=20, max=LONGEST, help="ms to hold sound back")] = DELAY
    path: Annotated[Way, typer.Option(help="the way of the media")] = Way.AUTO
    interface: Annotated[list[str] | None, typer.Option(help="advertise this one's addresses only")] = None
    avoid_interface: Annotated[list[str] | None, typer.Option(help="never advertise this one's")] = None
    speaker: Annotated[bool, typer.Option("--speaker", help="play what is heard")] = False
    phase: Annotated[str, typer.Option(help="be a client of this phase")] = NEWEST.value
    idle_timeout: Annotated[float, typer.Option(min=1, help="silence until a connection is lost")] = 30.0
    as_json: Annotated[bool, typer.Option("--json", help="print events as JSON lines")] = False
    qlog: Annotated[Path | None, typer.Option(help="qlog file of its connections, written at the end")] = None

    def program(self, answer: Answer) -> Program:
        """Return the program of these options, with files read and devices tried."""
        account = self._account(answer)
        use, avoid = self.interface or [], self.avoid_interface or []
        try:
            interfaces.check([*use, *avoid])
        except ValueError as error:
            raise CommandError(f"--interface: {error}") from error
        try:
            plan = AudioPlan.checked(self.send, self.record, self.playout_delay, speaker=self.speaker)
        except AudioError as error:
            raise CommandError(str(error), AUDIO) from error
        return Program(account, plan, as_json=self.as_json, use=use, avoid=avoid)

    @contextmanager
    def limits(self) -> Iterator[EndpointLimits]:
        """Give the limits of the endpoint; a short patience asks for more signs of life."""
        keep_alive = min(KEEP_ALIVE, self.idle_timeout / 3)
        try:
            with traces(self.qlog) as log:
                yield EndpointLimits(idle_timeout=self.idle_timeout, keep_alive=keep_alive, log=log)
        except OSError as error:
            raise CommandError(
                f"--qlog {self.qlog}: cannot be written: {(error.strerror or 'no reason').lower()}"
            ) from error

    def _account(self, answer: Answer) -> Account:
        reachable = relay_of(self.relay)
        pin = fingerprint_of_relay(self.pin)
        try:
            who = identities.load(self.identity)
        except identities.IdentityFileError as error:
            hint = "`python -m reference.client identity new FILE` makes one"
            raise CommandError(f"{error}; {hint}") from error
        if self.alias is not None and not (len(self.alias) <= ALIAS and self.alias.isprintable()):
            raise CommandError(
                f"--alias {self.alias!r}: a name has at most {ALIAS} characters, all printable"
            )
        phase, token = phase_of(self.phase), token_of(self.token, self.token_file)
        if self.path is Way.DIRECT and phase < Phase.RACE:
            raise CommandError(f"--path direct: phase {phase} has no direct path; it came with {Phase.RACE}")
        return Account(who, reachable, pin, self.alias, answer, self.path, phase, build(), token=token)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenOptions(Options):
    """The options of `listen`."""

    answer: Annotated[Answer, typer.Option("--answer", "--accept", help="what to do with incoming calls")] = (
        Answer.ASK
    )
    calls: Annotated[int, typer.Option(min=0, help="stop after so many calls; 0: never")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class CallOptions(Options):
    """The options of `call`."""

    target: Annotated[str, typer.Argument(metavar="FINGERPRINT", help="whom to call")]
    duration: Annotated[float, typer.Option(min=0, help="seconds to talk; 0: until all is sent")] = 0.0
    stay: Annotated[bool, typer.Option("--stay", help="stay registered after the call")] = False


def ping(options: PingOptions) -> None:
    """Measure the time a handshake with the relay takes, and show the relay's fingerprint."""
    relay, pin = address("--relay", relay_of(options.relay)), fingerprint_of_relay(options.pin)
    finish(round_trips(relay, pin, options.count))


def listen(options: ListenOptions) -> None:
    """Stay registered and take calls until told to stop."""
    with options.limits() as limits:
        finish(options.program(options.answer).listen(options.calls, limits))


def call(options: CallOptions) -> None:
    """Call somebody, talk, and hang up."""
    target = fingerprint_of(options.target)
    with options.limits() as limits:
        program = options.program(Answer.REJECT)
        if target == program.handset.core.account.identity.fingerprint:
            raise CommandError(f"{target} is {options.identity} itself: a call takes two identities")
        finish(program.call(target, options.duration, limits, stay=options.stay))


app = typer.Typer(
    name="client", cls=Group, no_args_is_help=True, add_completion=False, help="A DirectCall client."
)
identity_app = typer.Typer(no_args_is_help=True, help="Make or show an identity.")
app.add_typer(identity_app, name="identity")
command(app, "client", PingOptions, ping, "ping")
command(app, "client", NatOptions, nat, "nat")
command(app, "client", ListenOptions, listen, "listen")
command(app, "client", CallOptions, call, "call")


@identity_app.command("new")
def identity_new(file: Annotated[Path, typer.Argument(help="file to write")] = IDENTITY) -> None:
    """Draw a new identity and write its seed to a file that only its owner can read."""
    show(identities.create, file)


@identity_app.command("show")
def identity_show(file: Annotated[Path, typer.Argument(help="file to read")] = IDENTITY) -> None:
    """Print the fingerprint of an identity: what others call."""
    show(identities.load, file)


def show(made: Callable[[Path], Identity], file: Path) -> None:
    """Print the fingerprint of the identity that `made` gives for `file`."""
    with complaints("client"):
        try:
            typer.echo(made(file).fingerprint)
        except identities.IdentityFileError as error:
            raise CommandError(str(error)) from error


if __name__ == "__main__":
    app()
