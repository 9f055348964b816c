"""Demo: three calls on this machine, what each party saw, and whether what was heard is what was said.

    python -m tools.demo        what `make demo` runs

The first call is accepted with AcceptTrusted, and the two ends find a direct path; the second one with
AcceptGeneric, and the relay carries it; in the third one the two have different relays, and the link between
these carries it. Relays and clients are processes of their own. Recordings, logs and identities are left
under out/demo/. The exit status is 0 only when each call took the path it should, every packet arrived and
all recordings match; 1 when not, 2 when the command line is wrong, 130 when it was interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import ifaddr
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reference import identity
from reference.audio import AudioError, read_wav, similarity
from reference.display import sentence
from tools.ending import ending, refusal
from tools.linked import linked
from tools.processes import ROOT, Event, Process, ProcessError, Troupe, troupe

OUT = ROOT / "out" / "demo"
SAMPLES = ROOT / "reference" / "samples"
ALIKE = 0.9
"""The similarity from which on a recording is what was sent."""
PATIENT = 400
"""Milliseconds that the clients hold sound back: a machine that is busy with something else is heard less."""
LISTEN = """\
listen:      {out}/direct/callee-heard.wav is what the callee heard the caller say,
             caller-heard.wav what the caller heard; relay/ and linked/ have the same
similarity:  how alike what was said and what was heard are: 1 is the same, {alike} is enough
beside them: what each party told (.jsonl), the relays' logs (.log), the identities
next:        docs/tutorial.md does the same by hand"""
LOOK = "look: {out}/ holds what each party heard (-heard.wav), told (.jsonl) and logged (.log)"
BUSY = (
    "this machine is busy (load {load:.1f} on {there} processors), which may be why; try again when it is not"
)
ORPHAN = ("setpriv", "--pdeathsig", "TERM")
"""What ends the program that it becomes when we are killed and cannot do that ourselves."""
RELAY_SAYS = {
    "ready": "ready at {addr}",
    "registered": "registered {fingerprint}",
    "call.offer": "offer: the call is {state}",
    "call.flushed": "the offer has left: {state}",
    "call.accept": "accepted: {state}",
    "call.hangup": "hung up: {state}",
    "link.up": "linked with {peer}",
    "link.down": "the link to {peer} is gone",
    "room.joined": "{fingerprint} sits in the room ({count})",
    "room.left": "{fingerprint} left the room",
    "stopped": "stopped, {datagrams_forwarded_total:.0f} packets forwarded",
}
COLOURS = {"caller": "cyan", "callee": "magenta"}
WIDTH = 80
VERDICT = ("direction", "sent", "received", "lost", "similarity", "")


@dataclass(frozen=True)
class Plan:
    """A call to make: how it is accepted, the path that it has to take, the relays of caller and callee."""

    title: str
    answer: str
    path: str
    relays: tuple[str, ...] = ("relay",)


@dataclass(frozen=True)
class Flow:
    """The sound of one direction: counted packets, and how alike what was said and heard are."""

    direction: str
    sent: int
    received: int
    lost: int
    similarity: float

    def faults(self) -> Iterator[str]:
        """Yield a sentence for all that is not as it should be."""
        if not self.sent or self.received != self.sent or self.lost:
            yield f"{self.direction}: {self._counts()}"
        if self.similarity < ALIKE:
            yield f"{self.direction}: the recording is not what was said: {self.similarity:.3f} of {ALIKE}"

    def _counts(self) -> str:
        """Say how what was sent and what arrived differ; the receiver counts the gaps in what it hears."""
        missing = self.sent - self.received
        if not self.sent:
            return "nothing was sent"
        if missing < 0:
            return f"{self.sent} packets were sent, and {self.received} arrived"
        if self.lost > missing:
            return f"{self.received} of {self.sent} packets arrived, and yet {self.lost} are counted as lost"
        return (
            f"{missing} of {self.sent} packets did not arrive: {self.lost} in between, "
            f"{missing - self.lost} at the beginning or the end"
        )


@dataclass(frozen=True)
class Taken:
    """The path that one party took: where to, and the seconds from CallSetup to the first media heard."""

    who: str
    path: str
    remote: str
    heard: str
    after: float

    @classmethod
    def told(cls, client: Process) -> Taken:
        """Read it from what a client told."""
        talking, heard = client.event("talking"), client.event("heard")
        return cls(client.name, talking["path"], talking["remote"], heard["path"], float(heard["after"]))

    def faults(self, wanted: str) -> Iterator[str]:
        """Yield a sentence for each way in which this is not the path that is `wanted`."""
        if self.path != wanted:
            yield f"{self.who}: the call took the path {self.path} ({self.remote}), not {wanted}"
        if self.heard != wanted:
            yield f"{self.who}: the first media was heard by {self.heard}, not {wanted}"


@dataclass
class Scene:
    """What became of one call: the moments of each party in seconds, paths, flows, and what went wrong."""

    title: str
    moments: list[tuple[float, str, str]] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    paths: list[Taken] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def call_on_the_direct_path(cast: Troupe, say: Callable[[str], None]) -> Scene:
    """Place a call that the callee accepts with trust: the two ends talk to each other (phases 1 to 7)."""
    return place(Plan("AcceptTrusted: the two ends talk directly", "trusted", "direct"), cast, say)


def call_through_the_relay(cast: Troupe, say: Callable[[str], None]) -> Scene:
    """Place a call that the callee accepts without trust: the relay carries it (phase 0)."""
    return place(Plan("AcceptGeneric: the relay carries the call", "generic", "relay"), cast, say)


def call_across_two_relays(cast: Troupe, say: Callable[[str], None]) -> Scene:
    """Place a call between clients of two relays: the link between these carries it (phase 4)."""
    relays = ("north", "south")
    return place(
        Plan("Two relays: the link between them carries the call", "generic", "relay", relays), cast, say
    )


CALLS = {"direct": call_on_the_direct_path, "relay": call_through_the_relay, "linked": call_across_two_relays}


def place(plan: Plan, cast: Troupe, say: Callable[[str], None]) -> Scene:
    """Make one call as planned and judge it."""
    scene = Scene(plan.title)
    names = {
        who: identity.create(cast.folder / f"{who}.identity").fingerprint for who in ("caller", "callee")
    }
    say(f"starting {' and '.join(plan.relays)}")
    relays = [*linked(cast, *plan.relays).running.values()]
    say(f"ready at {' and '.join(one.ready()['addr'] for one in relays)}; the callee registers")
    answer = ("--answer", plan.answer, "--calls", 1)
    callee = cast.client("callee", "listen", *at(relays[-1]), *sound(cast, "callee"), *answer)
    callee.event("registered")
    say("the caller calls")
    there, pinned = at(relays[0])[0], at(relays[0])[1:]
    caller = cast.client("caller", "call", there, names["callee"], *pinned, *sound(cast, "caller"))
    caller.event("talking")
    say("they talk, for about five seconds")
    caller.event("ended"), callee.event("ended")
    for relay in relays:
        relay.close()  # it stops when it is asked to, and its log is whole
    scene.faults += [sad for process in (caller, callee, *relays) for sad in ends(process)]
    scene.paths = [Taken.told(caller), Taken.told(callee)]
    scene.flows = [flow(cast.folder, caller, callee), flow(cast.folder, callee, caller)]
    scene.moments = moments(names, relays, caller, callee)
    packets = sum(one.sent for one in scene.flows) if plan.path == "relay" else 0
    scene.faults += [fault for relay in relays for fault in carried(relay.logged(), packets)]
    scene.faults += [fault for one in scene.paths for fault in one.faults(plan.path)]
    return scene


def at(relay: Process) -> tuple[str, ...]:
    """Return where a relay is, and the options of a client that trusts it and stays on this machine."""
    ready = relay.ready()
    return ready["addr"], "--relay-fingerprint", ready["tls_fingerprint"], "--interface", loopback()


def loopback() -> str:
    """Return the name of this machine's loopback interface, of which a client advertises nothing."""
    here = (each.name for each in ifaddr.get_adapters() if any(it.ip == "127.0.0.1" for it in each.ips))
    return next(here)


def sound(cast: Troupe, who: str) -> tuple[object, ...]:
    """Return the options by which a party sends its sample and records what it hears."""
    files = "--send", SAMPLES / f"{who}.wav", "--record", heard_by(who, cast.folder)
    return *files, "--playout-delay", PATIENT


def heard_by(who: str, folder: Path) -> Path:
    """Return where the recording of what a party heard stands: what the other one said."""
    return folder / f"{who}-heard.wav"


def ends(process: Process) -> Iterator[str]:
    """Wait for the end of a process; yield a sentence when it was a sad one."""
    status = process.end()
    if status:
        yield f"{process.name} ended with status {status}: {process.errors().strip()[-300:]}"


def carried(log: list[Event], wanted: int) -> Iterator[str]:
    """Yield a sentence when a relay did not forward as many packets as were its to forward."""
    counts = [int(one["datagrams_forwarded_total"]) for one in log if one["event"] == "stopped"]
    if counts != [wanted]:
        counted = " and ".join(map(str, counts)) or "an unknown number of"
        yield f"the relay forwarded {counted} packets, not {wanted}"


def flow(folder: Path, sender: Process, receiver: Process) -> Flow:
    """Compare what one party sent with what the other received."""
    sent, received = sender.event("ended"), receiver.event("ended")
    said, heard = read_wav(SAMPLES / f"{sender.name}.wav"), read_wav(heard_by(receiver.name, folder))
    alike = similarity(said, heard).correlation
    counts = int(sent.get("sent", 0)), int(received.get("received", 0)), int(received.get("lost", 0))
    return Flow(f"{sender.name} → {receiver.name}", *counts, alike)


def moments(
    names: dict[str, str], relays: Sequence[Process], *clients: Process
) -> list[tuple[float, str, str]]:
    """Return what every party saw, in the order of time; a fingerprint becomes the name of its owner."""
    told = [(client.name, one) for client in clients for one in client.events()]
    seen = [(float(one["time"]), who, words(one)) for who, one in told]
    for relay in relays:
        for one in relay.logged():
            when = datetime.fromisoformat(one["timestamp"]).timestamp()
            name = str(one["event"])
            seen.append((when, relay.name, RELAY_SAYS.get(name, name).format_map(one)))
    for name, fingerprint in names.items():
        seen = [(when, who, text.replace(fingerprint, name)) for when, who, text in seen]
    return sorted(seen)


def words(event: Event) -> str:
    """Say an event of a client in one line, with the candidates that it is going to dial."""
    said = sentence(event["event"], event)
    candidates = event.get("candidates")
    return f"{said}; candidates: {', '.join(candidates)}" if candidates else said


def timeline(scene: Scene) -> Table:
    """Return what every party saw, in milliseconds from the first moment on."""
    table = Table("ms", "who", "what", title=scene.title, title_justify="left", show_edge=False)
    table.columns[0].justify = "right"
    began = min((at for at, _, _ in scene.moments), default=0.0)
    for at, who, text in scene.moments:
        table.add_row(f"{(at - began) * 1000:.0f}", Text(who, COLOURS.get(who, "")), Text(text))
    return table


def judged(one: Flow) -> tuple[str, ...]:
    """Return the cells of a direction, the last one its verdict."""
    good = "[red]wrong" if list(one.faults()) else "[green]good"
    return one.direction, *map(str, (one.sent, one.received, one.lost, f"{one.similarity:.3f}")), good


def show(console: Console, scene: Scene) -> None:
    """Print the timeline and the verdict."""
    paths = Table("who", "path", "to", "first heard after setup", show_edge=False)
    for it in scene.paths:
        paths.add_row(it.who, it.path, it.remote, f"{it.after * 1000:.0f} ms")
    verdict = Table(*VERDICT, show_edge=False)
    for one in scene.flows:
        verdict.add_row(*judged(one))
    console.print(timeline(scene), "", paths, "", verdict, "")


def perform(name: str, console: Console) -> tuple[Scene | None, list[str]]:
    """Play one call in a folder of its own and show it; return it, if it was played, and what went wrong."""
    folder = OUT / name
    folder.mkdir(parents=True)
    try:
        with troupe(folder, guarded()) as cast, console.status("starting") as status:

            def say(text: str) -> None:
                console.print(text)
                status.update(f"{text} …")

            scene = CALLS[name](cast, say)
    except (ProcessError, AudioError, identity.IdentityFileError) as error:
        return None, [f"{name}: {error}"]
    except OSError as error:
        return None, [f"{name}: {refusal(error)}"]
    for place in folder.iterdir():
        if not place.stat().st_size:  # a log in which nothing was said
            place.unlink()
    show(console, scene)
    faults = [*scene.faults, *(it for one in scene.flows for it in one.faults())]
    return scene, [f"{name}: {why}" for why in faults]


def guarded() -> dict[str, tuple[str, ...]]:
    """Return what stands before each program, so that none outlives us; nothing, where that cannot be."""
    try:
        there = subprocess.run([*ORPHAN, "true"], capture_output=True, check=False).returncode == 0
    except OSError:  # there is no such command
        there = False
    names = ("caller", "callee", "relay", "north", "south")
    return dict.fromkeys(names, ORPHAN) if there else {}


def busy() -> str:
    """Say that this machine has more to do than it has processors for; nothing, when it has not."""
    load, there = 0.0, os.cpu_count() or 1
    with contextlib.suppress(AttributeError, OSError):  # not every system counts it
        load = os.getloadavg()[0]
    return BUSY.format(load=load, there=there) if load > there else ""


def concluded(console: Console, faults: Sequence[str]) -> int:
    """Say what came of it all, and where to go from here; return the exit status."""
    out = OUT.relative_to(ROOT) if OUT.is_relative_to(ROOT) else OUT
    if not faults:
        paths = "directly, through the relay, and across two relays"
        console.print(f"[green]Both heard what the other said, {paths}.")
        console.print(LISTEN.format(out=out, alike=ALIKE), soft_wrap=True)
        return 0
    for fault in faults:
        print(f"demo: failed: {fault}", file=sys.stderr)
    print(*filter(None, (busy(), LOOK.format(out=out))), sep="\n", file=sys.stderr)
    return 1


def main(arguments: Sequence[str]) -> int:
    """Perform every call; return the exit status."""
    form = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser("python -m tools.demo", description=__doc__, formatter_class=form).parse_args(
        arguments
    )
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH)
    try:
        shutil.rmtree(OUT)
    except FileNotFoundError:  # nobody has run it yet
        pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(OUT)) from error  # the name was that inside its folder
    return concluded(console, [fault for name in CALLS for fault in perform(name, console)[1]])


if __name__ == "__main__":
    with ending("demo"):
        sys.exit(main(sys.argv[1:]))
