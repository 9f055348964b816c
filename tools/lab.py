"""Laboratory: calls in a home behind one router that masquerades and does not turn packets back.

    python -m tools.lab               what `make lab` runs; says SKIPPED where it cannot be done
    python -m tools.lab --required    the same, and what is skipped has failed

Needs Linux, and root or a kernel that gives its users namespaces of their own. Relay and clients are the
real programs, each in its network namespace. Recordings, logs and identities are left under out/lab/;
nothing else is left, however it ends (tools/lab_network.py). The exit status is 0 only when all holds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from reference import identity
from reference.audio import AudioError
from tools import lab_network as network
from tools.demo import WIDTH, Taken, ends, flow, sound
from tools.ending import ending
from tools.lab_network import FOUR, HOSTS, SIX, WAN, NetworkError
from tools.lab_scenes import SCENES, Check, Outcome, Scene, addresses, other
from tools.processes import ROOT, Process, ProcessError, Troupe, troupe

OUT = ROOT / "out" / "lab"
SECONDS = 90
"""After which the laboratory gives up."""

SKIPPED = "SKIPPED"
WAITING = "The relays are there, and the callees wait."
RELAYS = {"relay": f"{network.OUTSIDE}:4433", "relay-too": f"{network.OUTSIDE_TOO}:4433"}
VERDICTS = {"cone": "Cone", "symmetric": "SymmetricPort"}
PLACES = {
    **{name: network.inside("relay") for name in RELAYS},
    **{name: network.inside(name) for name in HOSTS},
    **{name: network.inside("caller") for name in VERDICTS},
}
TITLE = f"""\
A home behind one router, and two relays outside
  relays  {network.OUTSIDE}, {network.OUTSIDE_TOO}
  router  {WAN}, inside {network.ROUTER_INSIDE}: masquerades, turns nothing back
  caller  {FOUR["caller"]}, {SIX["caller"]}
  callee  {FOUR["callee"]}, {SIX["callee"]}
"""


class LabError(Exception):
    """The laboratory cannot go on; the text says why."""


class Report:
    """What is printed, and how much of it held."""

    def __init__(self, console: Console) -> None:
        """Begin with nothing."""
        self.console = console
        self.good = self.bad = self.skipped = 0

    def judge(self, title: str, checks: Iterable[Check]) -> None:
        """Print the checks of one scene."""
        self.console.print("", Text(title, "bold"), sep="\n")
        for holds, text in checks:
            self.good, self.bad = self.good + holds, self.bad + (not holds)
            self.console.print(Text("  ok    " if holds else "  WRONG ", "green" if holds else "red") + text)

    def skip(self, what: str, why: str) -> None:
        """Say what cannot be done here."""
        self.skipped += 1
        self.console.print(Text(SKIPPED, "yellow") + f" {what}: {why}", soft_wrap=True)

    def sum_up(self, *, required: bool) -> int:
        """Print how much held; return the exit status: what is skipped has failed where it is required."""
        self.console.print(f"\n{self.good} hold, {self.bad} do not, {self.skipped} {SKIPPED}")
        return 1 if self.bad or (required and self.skipped) else 0


def told(scene: Scene, cast: Troupe, who: str, pin: str) -> tuple[object, ...]:
    """Return the options of one end."""
    identity.create(cast.folder / f"{who}.identity")
    return "--relay-fingerprint", pin, *scene.options, *sound(cast, who)


def await_calls(scene: Scene, cast: Troupe, pin: str) -> Process:
    """Start the callee of a scene, who waits for its call."""
    options = (*told(scene, cast, "callee", pin), "--answer", scene.answer, "--calls", 1)
    return cast.client("callee", "listen", RELAYS["relay"], *options)


def call(scene: Scene, cast: Troupe, callee: Process, pin: str) -> Outcome:
    """Make one call and gather what became of it."""
    target = callee.event("registered")["fingerprint"]
    for host in HOSTS if scene.walled else ():
        network.rules(host, network.wall(other(host)))
    network.counted()  # from here on
    caller = cast.client("caller", "call", RELAYS["relay"], target, *told(scene, cast, "caller", pin))
    both = (caller, callee)
    for process in both:
        process.event("ended")
    counts = network.counted()
    sad = [why for process in both for why in ends(process)]
    if sad:
        raise LabError("; ".join(sad))
    return Outcome(
        [Taken.told(process) for process in both],
        [flow(cast.folder, caller, callee), flow(cast.folder, callee, caller)],
        {process.name: process.event("setup")["candidates"] for process in both},
        counts,
    )


def verdict(cast: Troupe, name: str) -> Check:
    """Ask both relays from the caller's host what the router does."""
    asked = [part for address in RELAYS.values() for part in ("--relay", address)]
    process = cast.start(name, "reference.client", "nat", *asked, "--json")
    status = process.end()
    said = {"nat_type": f"status {status}", "probes": [], **(process.events() or [{}])[-1]}
    seen = ", ".join(str(one["observed_addr"]) for one in said["probes"])
    return Check(status == 0 and said["nat_type"] == VERDICTS[name], f"{said['nat_type']}: seen at {seen}")


def router(outside: Troupe) -> Iterator[Check]:
    """Check the verdict on the router as it is, and when it takes a port for each destination."""
    yield verdict(outside, "cone")
    network.rules("router", network.SCATTER)
    yield verdict(outside, "symmetric")


def possible(report: Report, *, six: bool) -> Iterator[Scene]:
    """Yield the scenes that can be played here."""
    for scene in SCENES:
        if scene.walled and not six:
            report.skip(scene.name, "this kernel has no IPv6")
        else:
            yield scene


def experiment(report: Report, out: Path) -> None:
    """Make every call in the network that is there; all callees wait from the start, which saves time."""
    six = network.has_six()
    report.console.print(TITLE)
    with ExitStack() as stack:

        def folder(name: str) -> Troupe:
            (out / name).mkdir(parents=True)
            return stack.enter_context(troupe(out / name, PLACES))

        outside = folder("relays")
        relays = [outside.relay(name=name, listen=address) for name, address in RELAYS.items()]
        pin, _ = [str(relay.ready()["tls_fingerprint"]) for relay in relays]
        scenes = [(scene, folder(scene.name)) for scene in possible(report, six=six)]
        waiting = [await_calls(scene, cast, pin) for scene, cast in scenes]
        for callee in waiting:
            callee.event("registered")
        report.console.print(WAITING)
        for (scene, cast), callee in zip(scenes, waiting, strict=True):
            with report.console.status(f"{scene.name}: they call and talk …"):
                outcome = call(scene, cast, callee, pin)
            report.judge(scene.title, scene.judge(outcome, addresses(six=six)))
        report.judge("What the relays see of the router, with one port and with many", router(outside))


def too_long(*_: object) -> NoReturn:
    """Give up."""
    raise LabError(f"not done after {SECONDS} seconds")


def perform(options: argparse.Namespace) -> int:
    """Build the network around us, and experiment; return the exit status."""
    report = Report(Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDTH))
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        network.build(options.left)
        experiment(report, options.out)
    except (LabError, NetworkError, ProcessError, AudioError, OSError) as error:
        print(f"lab: failed: {error}; the logs are in {options.out}", file=sys.stderr)
        return 1
    finally:
        signal.alarm(0)
    return report.sum_up(required=options.required)


def enter(options: argparse.Namespace) -> int:
    """Become the same program in namespaces of its own; return an exit status when that cannot be."""
    try:
        way = network.way_in()
    except NetworkError as error:
        report = Report(Console(highlight=False, emoji=False))
        report.skip("the laboratory", str(error))
        return report.sum_up(required=options.required)
    if options.out == OUT:
        shutil.rmtree(OUT, ignore_errors=True)
    required = ["--required"] if options.required else []
    again = ["-m", "tools.lab", "--left", network.home(), "--out", str(options.out.resolve()), *required]
    sys.stdout.flush()
    os.chdir(ROOT)
    return os.execvp(way[0], [*way, sys.executable, *again])  # noqa: S606 - our own program again


def main(arguments: Sequence[str]) -> int:
    """Run the laboratory; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.lab", description=TITLE.partition("\n")[0])
    parser.add_argument("--required", action="store_true", help="what cannot be done here has failed")
    parser.add_argument("--out", type=Path, default=OUT, help="a new folder for logs and recordings")
    parser.add_argument("--left", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    os.environ["PATH"] += os.pathsep + os.pathsep.join(("/usr/sbin", "/sbin"))  # not on every user's
    return perform(options) if options.left else enter(options)


if __name__ == "__main__":
    with ending("lab"):
        sys.exit(main(sys.argv[1:]))
