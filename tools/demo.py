"""Demo: a call on this machine, what each party saw of it, and whether what was heard is what was said.

    python -m tools.demo        what `make demo` runs

Starts a relay and two clients, each a process of its own. Recordings, logs and identities are left under
out/demo/. The exit status is 0 only when every packet arrived and both recordings match.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reference import identity
from reference.audio import AudioError, read_wav, similarity
from reference.display import sentence
from tools.processes import ROOT, Process, ProcessError, Troupe, troupe

OUT = ROOT / "out" / "demo"
SAMPLES = ROOT / "reference" / "samples"
ALIKE = 0.9
"""The similarity from which on a recording is what was sent."""
RELAY_SAYS = {
    "ready": "ready at {addr}",
    "registered": "registered {fingerprint}",
    "call.offer": "offer: the call is {state}",
    "call.flushed": "the offer has left: {state}",
    "call.accept": "accepted: {state}",
    "call.hangup": "hung up: {state}",
    "room.joined": "{fingerprint} sits in the room ({count})",
    "room.left": "{fingerprint} left the room",
    "stopped": "stopped, {datagrams_forwarded_total:.0f} packets forwarded",
}
PARTIES = ("caller", "relay", "callee")


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
            yield f"{self.direction}: {self.received} of {self.sent} packets arrived, {self.lost} were lost"
        if self.similarity < ALIKE:
            yield f"{self.direction}: the recording is not what was said: {self.similarity:.3f} of {ALIKE}"


@dataclass
class Scene:
    """What became of one call: the moments of each party in seconds, the two flows, and what went wrong."""

    title: str
    moments: list[tuple[float, str, str]] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def call_through_the_relay(cast: Troupe, say: Callable[[str], None]) -> Scene:
    """Place a signalled call whose media goes through the relay (phase 0)."""
    scene = Scene("A signalled call, media through the relay")
    names = {
        who: identity.create(cast.folder / f"{who}.identity").fingerprint for who in ("caller", "callee")
    }
    say("starting the relay")
    relay = cast.relay()
    ready = relay.ready()
    pin = ("--relay-fingerprint", ready["tls_fingerprint"])
    say(f"the relay is ready at {ready['addr']}; the callee registers")
    sound = {who: ("--send", SAMPLES / f"{who}.wav", "--record", cast.folder / f"{who}.wav") for who in names}
    callee = cast.client(
        "callee", "listen", ready["addr"], *pin, *sound["callee"], "--answer", "trusted", "--calls", 1
    )
    callee.event("registered")
    say("the caller calls")
    caller = cast.client("caller", "call", ready["addr"], names["callee"], *pin, *sound["caller"])
    caller.event("talking")
    say("they talk, for about five seconds")
    caller.event("ended"), callee.event("ended")
    relay.close()  # it stops when it is asked to, and its log is whole
    for process in (caller, callee, relay):
        status = process.end()
        if status:
            scene.faults.append(
                f"{process.name} ended with status {status}: {process.errors().strip()[-300:]}"
            )
    scene.flows = [flow(cast.folder, caller, callee), flow(cast.folder, callee, caller)]
    scene.moments = moments(names, relay, caller, callee)
    return scene


CALLS = (call_through_the_relay,)


def flow(folder: Path, sender: Process, receiver: Process) -> Flow:
    """Compare what one party sent with what the other received."""
    sent, received = sender.event("ended"), receiver.event("ended")
    said, heard = read_wav(SAMPLES / f"{sender.name}.wav"), read_wav(folder / f"{receiver.name}.wav")
    alike = similarity(said, heard).correlation
    counts = int(sent.get("sent", 0)), int(received.get("received", 0)), int(received.get("lost", 0))
    return Flow(f"{sender.name} → {receiver.name}", *counts, alike)


def moments(names: dict[str, str], relay: Process, *clients: Process) -> list[tuple[float, str, str]]:
    """Return what every party saw, in the order of time; a fingerprint becomes the name of its owner."""
    told = [(client.name, one) for client in clients for one in client.events()]
    seen = [(float(one["time"]), who, sentence(one["event"], one)) for who, one in told]
    for one in relay.logged():
        at = datetime.fromisoformat(one["timestamp"]).timestamp()
        name = str(one["event"])
        form = RELAY_SAYS.get(name, name)
        seen.append((at, relay.name, form.format_map(one)))
    for name, fingerprint in names.items():
        seen = [(at, who, text.replace(fingerprint, name)) for at, who, text in seen]
    return sorted(seen)


def show(console: Console, scene: Scene) -> None:
    """Print the timeline, a column a party, and the verdict."""
    timeline = Table("ms", *PARTIES, title=scene.title, title_justify="left", show_edge=False)
    timeline.columns[0].justify = "right"
    began = min((at for at, _, _ in scene.moments), default=0.0)
    for at, who, text in scene.moments:
        timeline.add_row(
            f"{(at - began) * 1000:.0f}", *(Text(text if who == party else "") for party in PARTIES)
        )
    verdict = Table("direction", "sent", "received", "lost", "similarity", "", show_edge=False)
    for one in scene.flows:
        good = "[red]wrong" if list(one.faults()) else "[green]good"
        numbers = (one.sent, one.received, one.lost, f"{one.similarity:.3f}")
        verdict.add_row(one.direction, *map(str, numbers), good)
    console.print(timeline, "", verdict, "")


def perform(call: Callable[[Troupe, Callable[[str], None]], Scene], console: Console) -> list[str]:
    """Play one call in a folder of its own and show it; return what went wrong."""
    folder = OUT / call.__name__.replace("_", "-")
    folder.mkdir(parents=True)
    try:
        with troupe(folder) as cast, console.status("starting") as status:

            def say(text: str) -> None:
                console.print(text)
                status.update(f"{text} …")

            scene = call(cast, say)
    except (ProcessError, AudioError, identity.IdentityFileError, OSError) as error:
        return [str(error)]
    show(console, scene)
    return scene.faults + [fault for one in scene.flows for fault in one.faults()]


def main() -> int:
    """Perform every call; return the exit status."""
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 110)
    shutil.rmtree(OUT, ignore_errors=True)
    faults = [fault for call in CALLS for fault in perform(call, console)]
    console.print(f"Recordings, logs and identities are in {OUT.relative_to(ROOT)}.")
    for fault in faults:
        print(f"demo: failed: {fault}", file=sys.stderr)
    if not faults:
        console.print("[green]Both heard what the other said.")
    return 1 if faults else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("demo: stopped")
