"""Options of the relay (spec/errors.md, Limits): every name, type, range and default, written once.

The rules of this file: a field of `Options` is an option of the command line and a key of the file of
settings; what follows from several of them together is a method here, and a fault is an OptionError.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from reference import logs
from reference.commandline import OFF_THE_LINE, OptionError, address, phase_of
from reference.core.addresses import format_address, undialable
from reference.core.phases import NEWEST, Phase
from reference.core.registration import Policy
from reference.core.sessions import Limits, Peer, Trust
from reference.endpoint import EndpointLimits
from reference.question import service_url

YEAR = 31_536_000
LARGEST = 1_000_000_000
"""The largest number that an option may be: beyond it clocks and queues of the system would not follow."""
UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 - named to be refused as an address to reach


def rate(what: str) -> Any:  # noqa: ANN401 - typer's own
    """Return what typer is told of a number that may be small and never is 0."""
    return typer.Option(min=0.01, max=LARGEST, help=what)


def seconds(what: str) -> Any:  # noqa: ANN401 - typer's own
    """Return what typer is told of a time."""
    return typer.Option(min=0.01, max=YEAR, help=f"seconds {what}")


def number(what: str) -> Any:  # noqa: ANN401 - typer's own
    """Return what typer is told of a number of things."""
    return typer.Option(min=1, max=LARGEST, help=what)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of a relay; times in seconds."""

    listen: Annotated[str, typer.Option(help="ip:port to listen on")] = "127.0.0.1:4433"
    advertise: Annotated[str, typer.Option(help="ip:port at which clients reach this relay")] = ""
    identity_file: Annotated[Path, typer.Option("--identity", help="seed file, created if missing")] = Path(
        "relay.identity"
    )
    registration: Annotated[Policy, typer.Option(help="which registrations to accept")] = Policy.SIGNED
    phase: Annotated[str, typer.Option(help="be a relay of this phase")] = NEWEST.value
    ring_timeout: Annotated[float, seconds("to answer a call")] = 60.0
    register_timeout: Annotated[float, seconds("for a connection to register")] = 10.0
    media_timeout: Annotated[float, seconds("for a media connection to introduce itself")] = 10.0
    stream_timeout: Annotated[float, seconds("to complete a message")] = 10.0
    hello_timeout: Annotated[float, seconds("to say hello on a link")] = 5.0
    search_timeout: Annotated[float, seconds("for another relay to say that it rings")] = 5.0
    keep_alive: Annotated[float, seconds("of silence before a sign of life is asked for")] = 5.0
    idle_timeout: Annotated[float, seconds("of silence before a connection is lost")] = 30.0
    drain: Annotated[float, typer.Option(min=0, max=YEAR, help="seconds that live calls have to end")] = 0.0
    max_connections: Annotated[int, number("connections")] = 10_000
    max_half_open: Annotated[int, number("handshakes under way")] = 256
    max_calls: Annotated[int, number("live calls of one fingerprint")] = 8
    max_offers: Annotated[int, number("offers of one connection at once")] = 20
    offers_per_second: Annotated[float, rate("and how fast they come back")] = 10.0
    max_reflections: Annotated[int, number("reflections of one connection at once")] = 20
    reflections_per_second: Annotated[float, rate("and how fast they come back")] = 10.0
    max_bad_messages: Annotated[int, number("bad messages of one connection in a minute")] = 60
    max_unread: Annotated[int, number("messages waiting for one peer")] = 64
    max_datagrams: Annotated[int, number("datagrams waiting for one peer")] = 16
    auth_url: Annotated[str, typer.Option(help="ask this service whether a client's token is right")] = ""
    auth_timeout: Annotated[float, seconds("for the service to answer")] = 5.0
    metrics: Annotated[str, typer.Option(help="ip:port to serve metrics on; off by default")] = ""
    log_level: Annotated[logs.LogLevel, typer.Option(help="least level that is logged")] = logs.LogLevel.INFO
    log_format: Annotated[logs.LogFormat, typer.Option(help="for people or for programs")] = (
        logs.LogFormat.CONSOLE
    )
    federation: Annotated[Trust, typer.Option(help="which relays to take a link from")] = Trust.PROVEN
    peers: tuple[Peer, ...] = field(default=(), metadata=OFF_THE_LINE)
    trusted: tuple[Peer, ...] = field(default=(), metadata=OFF_THE_LINE)

    def check(self) -> None:
        """Raise OptionError when these options cannot be followed, also several of them together."""
        address("--listen", self.listen)
        if self.metrics:
            address("--metrics", self.metrics)
        self.reachable()
        phase_of(self.phase)
        self.endpoint_limits()
        self._service()
        linked = {peer.fingerprint for peer in self.peers}
        if self.links() and phase_of(self.phase) < Phase.FEDERATION:
            why = f"--phase {self.phase}: a relay of this phase has no links, and there are peers or trusted"
            raise OptionError(why, "phase")
        for each in self.trusted:
            if each.fingerprint in linked:
                raise OptionError(f"trusted: {each.fingerprint} is that of a peer already", "trusted")

    def _service(self) -> None:
        """Raise OptionError when tokens cannot be judged as these options say."""
        if not self.auth_url:
            return
        try:
            service_url(self.auth_url)
        except ValueError as error:
            raise OptionError(f"--auth-url: {error}", "auth-url") from error
        if self.auth_timeout >= self.register_timeout:
            shorter = f"has to be shorter than --register-timeout {self.register_timeout:g}"
            why = f"--auth-timeout {self.auth_timeout:g} {shorter}: clients would be closed while they wait"
            raise OptionError(why, "auth-timeout", "register-timeout")

    def limits(self) -> Limits:
        """Return the limits of the machine."""
        return Limits(
            register_timeout=self.register_timeout,
            ring_timeout=self.ring_timeout,
            media_timeout=self.media_timeout,
            hello_timeout=self.hello_timeout,
            search_timeout=self.search_timeout,
            calls=self.max_calls,
            offers_burst=self.max_offers,
            offers_per_second=self.offers_per_second,
            reflections_burst=self.max_reflections,
            reflections_per_second=self.reflections_per_second,
            bad_messages=self.max_bad_messages,
            drain=self.drain,
        )

    def links(self) -> tuple[Peer, ...]:
        """Return the relays to link with: those to dial and those that may."""
        return (*self.peers, *self.trusted)

    def foreign(self, own: str) -> None:
        """Raise OptionError when a relay to link with is this one, whose TLS fingerprint is `own`."""
        if own in {peer.fingerprint for peer in self.links()}:
            raise OptionError(f"{own} is this relay's own fingerprint", "peers", "trusted")

    def endpoint_limits(self) -> EndpointLimits:
        """Return the limits of the endpoint; raises OptionError when idle clients would be lost."""
        if self.keep_alive >= self.idle_timeout:
            shorter = f"has to be shorter than --idle-timeout {self.idle_timeout:g}"
            why = f"--keep-alive {self.keep_alive:g} {shorter}: clients that say nothing would be lost"
            raise OptionError(why, "keep-alive", "idle-timeout")
        return EndpointLimits(
            connections=self.max_connections,
            half_open=self.max_half_open,
            stream_timeout=self.stream_timeout,
            idle_timeout=self.idle_timeout,
            keep_alive=self.keep_alive,
            unsent=self.max_unread,
            datagrams=self.max_datagrams,
        )

    def reachable(self) -> str:
        """Return the address to name to clients, or "" for the one that is listened on."""
        if not self.advertise:
            if address("--listen", self.listen)[0] in UNSPECIFIED:
                why = "takes every address: say with --advertise IP:PORT which one clients reach"
                raise OptionError(f"--listen {self.listen} {why}", "listen")
            return ""
        reachable = format_address(*address("--advertise", self.advertise))
        reason = undialable(reachable, loopback=True)
        if reason:
            why = f"--advertise {self.advertise}: no client can reach that: {reason}"
            raise OptionError(why, "advertise")
        return reachable
