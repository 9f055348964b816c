"""Targets: the relay under test, running already or started by the suite.

    udp:HOST:PORT      a relay that somebody runs
    exec:COMMAND       a command that prints the ready line; `{options}` in it stands for the suite's options,
                       `{links}` for a file that names the relays to link with, where there are any
    ref:               the reference
    mutant:ID          the reference with the rule ID broken

Rules of this file: a relay is started at most once a variant and run; nothing that was started outlives
the target; whose fault it is that nothing can be judged is said in one sentence.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import shlex
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from conformance import neighbour, spec
from conformance.neighbour import Peer
from conformance.process import Launch, Process, cold
from conformance.service import Service
from conformance.verdicts import Exit, TargetFaultError, Unsupported, UsageError

TIMERS = {
    "register": 10.0,
    "ring": 60.0,
    "media": 10.0,
    "stream": 10.0,
    "keep_alive": 5.0,
    "drain": 0.0,
    "hello": 5.0,
    "search": 5.0,
}
"""Seconds that the specification names (spec/errors.md, Limits)."""
LIMITS = {
    "connections": 10_000,
    "calls": 8,
    "offers_burst": 20,
    "offers_per_second": 10,
    "offers_waiting": 8,
    "reflections_burst": 20,
    "reflections_per_second": 10,
    "bad_messages": 60,
    "said_burst": 1_310_720,
    "said_per_second": 262_144,
    "unread": 64,
}
ADVERTISED = "198.51.100.7:4433"

_SIGNED = ("--registration", "signed", "--advertise", ADVERTISED, "--max-connections", "64")
_BRIEF = (
    *("--registration", "open"),
    *("--ring-timeout", "0.4", "--register-timeout", "0.4", "--media-timeout", "0.4"),
    *("--stream-timeout", "0.3", "--keep-alive", "0.2"),
)
_HASTY = (*_SIGNED, "--hello-timeout", "1", "--search-timeout", "1")
_FEW = "16"  # connections: what fills a relay up is dear, and one that serves little is enough
SERVICE = "{service}"
"""What stands in the options for the URL of the suite's own authentication service."""
OPTIONS = {
    "signed": _SIGNED,
    "brief": _BRIEF,
    "older": (*_SIGNED[:-1], _FEW),
    "linked": _SIGNED,
    "hasty": _HASTY,
    "draining": (*_SIGNED, "--drain", "6"),
    "authenticated": (*_SIGNED[:-1], _FEW, "--auth-url", SERVICE),
}
"""The processes of a run, and how the suite configures each."""
VARIANTS = {
    "signed": "signed",
    "open": "brief",
    "quick": "brief",
    "older": "older",
    "few": "older",
    "stopped": "signed",
    "linked": "linked",
    "draining": "draining",
    "authenticated": "authenticated",
}
"""What a check can ask for, and the process that serves it; who asks for `stopped` stops it, last of all."""
EXTRAS = {"draining": "--drain", "authenticated": "--auth-url"}
"""The processes that a relay need not be able to be, and the option that it may not know."""
OLDEST = "0"
"""The phase of the process `older`; where a message is younger than the phase judged, none is started."""
PLACEHOLDER = "{options}"
LINKS = "{links}"
LINKED = "linked"
"""The variant that trusts the neighbours, which are the same in every run."""
HASTY = "hasty"
"""The options of a relay that is started to be waited for."""
SINCE_LINKS = "4"
_TIMER_OPTIONS = {
    "register": "--register-timeout",
    "ring": "--ring-timeout",
    "media": "--media-timeout",
    "stream": "--stream-timeout",
    "keep_alive": "--keep-alive",
    "hello": "--hello-timeout",
    "search": "--search-timeout",
    "drain": "--drain",
}


EXAMPLES = 250
"""Plans that a run performs, unless it is told otherwise."""


@dataclass(frozen=True)
class Exploring:
    """What is drawn in a run: how many plans, from which seed, and where those are written that fail."""

    examples: int = EXAMPLES
    seed: int = 0
    out: Path | None = None


@dataclass(frozen=True)
class Relay:
    """One running relay: where it is, how it is configured, and its process when the suite started it."""

    address: tuple[str, int]
    policy: str
    advertise: str
    timers: Mapping[str, float]
    limits: Mapping[str, float]
    phase: str
    process: Process | None = None
    ready: Mapping[str, Any] = field(default_factory=dict)

    @property
    def peers(self) -> frozenset[str]:
        """The plain fingerprints of the relays that it says it links with."""
        said = self.ready.get("peers")
        return frozenset(neighbour.plain(str(one)) for one in said) if isinstance(said, list) else frozenset()


class Target:
    """Relays under test, by variant."""

    def __init__(
        self,
        text: str,
        *,
        slow: float = 1.0,
        timers: Mapping[str, float] | None = None,
        advertise: str = "",
        phase: str = spec.NEWEST,
        launch: Launch = cold,
        plans: Exploring = Exploring(),
        linked: bool = False,
        ahead: bool = True,
    ) -> None:
        """Parse a target; raises UsageError for one that is none.

        `timers`, `advertise` and `linked` tell of a relay that cannot tell itself; `launch` starts what is
        started. With `ahead` what takes long may be begun before it is asked for.
        """
        self.text = text
        self.ahead = ahead
        self.plans = plans
        self._launcher = launch
        self._slow = slow
        self._timers = TIMERS | dict(timers or {})
        self._advertise = advertise
        self.phase = phase
        self._linked = linked
        self._others = itertools.count(1)
        self._options = dict(OPTIONS)
        self._running: dict[str, Process] = {}
        self._relays: dict[str, Relay] = {}
        self._lacking: dict[str, str] = {}
        self._service: Service | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._read(text)

    def _read(self, text: str) -> None:
        """Parse the target; raises UsageError for one that is none."""
        kind, _, rest = text.partition(":")
        self._command: list[str] | None = None
        self._address: tuple[str, int] | None = None
        if kind == "udp":
            self._address = resolve(rest, named=f"the target {text!r}")
        elif kind == "exec" and rest.strip():
            self._command = split(rest)
        elif text == "ref:":
            self._command = [sys.executable, "-m", "reference.relay", PLACEHOLDER, LINKS]
        elif kind == "mutant" and rest:
            self._command = [sys.executable, "-m", "tests.mutants", rest, PLACEHOLDER, LINKS]
        else:
            client = "; tcp: is for the adapter of a client: say --role client" if kind == "tcp" else ""
            message = f"{text!r} is no relay: say udp:HOST:PORT, exec:COMMAND, ref: or mutant:ID{client}"
            raise UsageError(message)

    @property
    def configurable(self) -> bool:
        """Whether the suite can choose the relay's options."""
        return self._command is not None and PLACEHOLDER in self._command

    @property
    def linkable(self) -> bool:
        """Whether the suite can name the relays that the relay under test links with."""
        return self._command is not None and LINKS in self._command

    def start(self, *variants: str) -> None:
        """Start the relays of these variants, all at once, without waiting for them."""
        if self._command is None:
            return
        for name in dict.fromkeys(map(self._process_of, variants)):
            if name not in self._running and (self.configurable or name not in {"older", *EXTRAS}):
                self._running[name] = self._launch(name)

    def started(self, name: str) -> bool:
        """Tell whether the process of this name has been started."""
        return name in self._running

    def _process_of(self, variant: str) -> str:
        """Return the process that serves a variant; a relay without options has one configuration."""
        if variant == "older" or (variant == "few" and self.configurable):
            return "signed" if any(not member for _, member in spec.younger(self.phase)) else "older"
        if variant == LINKED and not (self.linkable and spec.exists(SINCE_LINKS, self.phase)):
            return "signed"
        return VARIANTS[variant] if self.configurable or variant in EXTRAS else "signed"

    def relay(self, variant: str) -> Relay:
        """Return the relay of a variant; raises Unsupported when the target has no such variant."""
        if variant in self._relays:
            return self._relays[variant]
        if variant == LINKED and not spec.exists(SINCE_LINKS, self.phase):
            message = f"there are no links before phase {SINCE_LINKS}"
            raise Unsupported(message)
        if self._process_of(variant) == "older" and not self.configurable:
            message = f"this needs a relay of phase {OLDEST}: let the suite start yours with {{options}}"
            raise Unsupported(message)
        relay = self._extra(variant) if variant in EXTRAS else self._reach(variant)
        self._serves(variant, relay)
        self._relays[variant] = relay
        return relay

    def _reach(self, variant: str) -> Relay:
        """Return the relay that stands for a variant; raises Unsupported where it cannot be stopped."""
        if self._address is None:
            self.start(variant)
            return self._ready(self._process_of(variant))
        if variant == "stopped":
            message = "a relay that the suite did not start cannot be stopped by it"
            raise Unsupported(message)
        advertise = self._advertise or written(self._address)
        peers = {"peers": [peer.fingerprint for peer in neighbour.trusted()]} if self._linked else {}
        return Relay(self._address, "", advertise, self._timers, LIMITS, self.phase, ready=peers)

    def _serves(self, variant: str, relay: Relay) -> None:
        """Raise Unsupported for a relay that says that it is not what a variant asks for."""
        if variant == "open" and relay.policy != "open":
            how = "let the suite start yours with {options}, or start it so and let"
            if self.configurable:
                how = "take the --registration open that the options hold, and let"
            message = (
                f'this needs a relay whose policy is open: {how} its ready line say "registration":"open"'
            )
            raise Unsupported(message)
        if variant == "older" and relay.phase != self.phase and relay.ready.get("phase") != relay.phase:
            message = (
                f"this needs a relay that is of phase {relay.phase} when --phase says so: "
                f'let the ready line of yours say "phase":"{relay.phase}" then'
            )
            raise Unsupported(message)
        if variant == LINKED:
            self._linkable(relay)

    def _extra(self, variant: str) -> Relay:
        """Return the relay of a variant that it need not have; raises Unsupported when it has not."""
        option = EXTRAS[variant]
        if not self.configurable:
            how = "let the suite start yours with {options}"
            raise Unsupported(f"this needs a relay that takes {option}: {how}")
        if variant not in self._lacking:
            self.start(variant)
            process = self._running[variant]
            try:
                if confirms(variant, process.ready()):
                    return self._ready(variant)
                self._lacking[variant] = "its ready line does not say so"
            except TargetFaultError as error:
                self._lacking[variant] = str(error)
            process.stop()
        raise Unsupported(f"this needs a relay that takes {option}: {self._lacking[variant]}")

    def _linkable(self, relay: Relay) -> None:
        """Raise Unsupported for a relay that does not trust the neighbours."""
        if all(neighbour.plain(peer.fingerprint) in relay.peers for peer in neighbour.trusted()):
            return
        names = ", ".join(peer.fingerprint for peer in neighbour.trusted())
        how = f'let its ready line say "peers":[…] and, if it is to be started so, the command have {LINKS}'
        if self._address is not None:
            how = "say --linked when it does"
        message = f"no link can be opened: let the relay trust {names}, and {how}"
        raise Unsupported(message)

    async def another(
        self,
        peers: Sequence[Peer],
        *,
        like: Relay | None = None,
        advertise: str = ADVERTISED,
        options: str = LINKED,
    ) -> Relay:
        """Start one more relay, which links with these; `like` is the one whose identity it has.

        Its options are those of OPTIONS with that name.

        Returns when it is ready; raises Unsupported where the suite cannot configure the relay so.
        """
        if not (self.configurable and self.linkable):
            message = f"this needs a relay that the suite configures: give the command {PLACEHOLDER} {LINKS}"
            raise Unsupported(message)
        name = f"{LINKED}-{next(self._others)}"
        self._options[name] = tuple(advertise if one == ADVERTISED else one for one in OPTIONS[options])
        if like is not None:
            origin = next(one for one, process in self._running.items() if process is like.process)
            shutil.copy(self._file(origin, "identity"), self._file(name, "identity"))
        process = self._running[name] = self._launch(name, peers)
        await asyncio.to_thread(process.ready)
        return self._ready(name)

    def died(self) -> str:
        """Return a sentence about a relay that ended by itself, or nothing.

        One that was started with an option that it may not know has to get as far as its ready line first.
        """
        here = (one for name, one in self._running.items() if name not in EXTRAS or name in self._relays)
        return next((sentence for one in here if (sentence := one.died())), "")

    def close(self) -> None:
        """Stop everything that was started."""
        processes = [*self._running.values()]
        for process in processes:
            process.stop()
        for process in processes:
            process.wait()
        if self._service is not None:
            self._service.close()
            self._service = None
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        """Use the target for a while."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything that was started."""
        self.close()

    def _file(self, name: str, kind: str) -> Path:
        """Return where a process has its file of a kind."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="conformance-")
        return Path(self._folder.name) / f"{name}.{kind}"

    def _launch(self, name: str, peers: Sequence[Peer] = ()) -> Process:
        options = ["--listen", "127.0.0.1:0", "--identity", str(self._file(name, "identity"))]
        options += ["--log-level", "error", *self._options[name], "--phase", self._phase_of(name)]
        if SERVICE in options:
            self._service = self._service or Service()
            options[options.index(SERVICE)] = self._service.url
        if name == LINKED or not self.configurable:
            peers = neighbour.trusted() if spec.exists(SINCE_LINKS, self.phase) else ()
        links = ["--config", str(self._file(name, "toml"))] if peers else []
        if peers:
            self._file(name, "toml").write_text(neighbour.tables(peers), encoding="utf-8")
        stands = {PLACEHOLDER: options, LINKS: links}
        command = [part for word in self._command or () for part in stands.get(word, [word])]
        return Process(command, self._file(name, "log"), 15.0 * self._slow, self._launcher)

    def _fits(self, ready: Mapping[str, Any]) -> None:
        """Raise TargetFaultError for a relay that says that it is of another phase than is judged."""
        phase = str(ready.get("phase", self.phase))
        if phase == self.phase:
            return
        known = phase in spec.REACHED
        otherwise = f"let it take --phase with {PLACEHOLDER}"
        if self.configurable:
            otherwise = f"let it obey the --phase {self.phase} that it was started with"
        message = (
            f"the relay says that it is of phase {phase if known else repr(phase[:20])}, and phase "
            f"{self.phase} is judged: {f'say --phase {phase}, or ' if known else ''}{otherwise}"
        )
        raise TargetFaultError(message, Exit.NOT_JUDGED)

    def _phase_of(self, name: str) -> str:
        return OLDEST if name == "older" else self.phase

    def _ready(self, name: str) -> Relay:
        """Return the relay as its ready line tells it; what that leaves out is as it was told to be."""
        options = told(self._options[name]) if self.configurable else {}
        process = self._running[name]
        ready = {**options, **process.ready()}
        try:
            host, _, port = ready["addr"].rpartition(":")
            address = resolve(f"{host}:{port}")
            policy = str(ready.get("registration", ""))
            said = {**options.get("timers", {}), **ready.get("timers", {})}
            timers = self._timers | {name: float(value) for name, value in said.items()}
            limits = LIMITS | {name: float(value) for name, value in ready.get("limits", {}).items()}
        except (AttributeError, KeyError, TypeError, ValueError, UsageError) as error:
            message = f"the ready line of the relay under test makes no sense: {error}"
            raise TargetFaultError(message, Exit.BROKE_PROTOCOL) from None
        if name != "older":
            self._fits(ready)
        advertise = str(ready.get("advertise") or self._advertise or written(address))
        return Relay(address, policy, advertise, timers, limits, self._phase_of(name), process, ready)


def confirms(variant: str, ready: Mapping[str, Any]) -> bool:
    """Tell whether a ready line says that the relay is what this variant asks for."""
    if variant == "authenticated":
        return ready.get("auth") is True
    timers = ready.get("timers")
    return isinstance(timers, dict) and timers.get("drain", 0) != 0


def told(words: Sequence[str]) -> dict[str, Any]:
    """Return what the options of a process mean, in the words of the ready line."""
    given = dict(zip(words[::2], words[1::2], strict=True))
    timers = {word: float(given[option]) for word, option in _TIMER_OPTIONS.items() if option in given}
    ready: dict[str, Any] = {"registration": given["--registration"], "timers": timers}
    if "--advertise" in given:
        ready["advertise"] = given["--advertise"]
    if "--max-connections" in given:
        ready["limits"] = {"connections": float(given["--max-connections"])}
    return ready


def resolve(text: str, *, free: bool = False, named: str = "") -> tuple[str, int]:
    """Return the IP address and port of HOST:PORT; raises UsageError when there is none.

    With `free` port 0 is one: any that is free. `named` is what the text belongs to, for the complaint.
    """
    host, colon, port = text.rpartition(":")
    least = 0 if free else 1
    if not colon or not host or not port.isdecimal() or not least <= int(port) < 65536:  # noqa: PLR2004
        message = f"{named} has {text!r} where HOST:PORT belongs" if named else f"{text!r} is no HOST:PORT"
        raise UsageError(message)
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
    except OSError as error:
        message = f"{host!r} has no address: {error.strerror}"
        raise UsageError(message) from None
    ip = str(found[0][4][0])
    return ip, int(port)


def written(address: tuple[str, int]) -> str:
    """Return an IP address and port in the one text form (spec/conventions.md, Addresses)."""
    ip, port = address
    return f"[{ip}]:{port}" if ipaddress.ip_address(ip).version == 6 else f"{ip}:{port}"  # noqa: PLR2004


def split(command: str) -> list[str]:
    """Return the words of a command; raises UsageError for one that cannot be read."""
    try:
        return shlex.split(command)
    except ValueError as error:
        message = f"the command {command!r} cannot be read: {error}"
        raise UsageError(message) from None
