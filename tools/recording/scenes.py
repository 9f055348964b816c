"""Scenes: the canonical calls, each played by real programs, whose traces are left in a folder.

    python -m tools.recording.scenes --left NAMESPACE --out FOLDER SCENE…      inside the home, see `perform`

Rules of this file: a scene is relays and two clients as processes of their own, each of them traced
(traced.py); nothing is waited for by the clock. Most are played on loopback. Those that need a network in
which packets can get lost are played in the laboratory's home (tools/lab_network.py), built anew for them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reference import identity
from tools import lab_network as network
from tools.demo import at
from tools.linked import linked
from tools.processes import ROOT, Process, ProcessError, Troupe, troupe
from tools.recording.made import RecordError

STAGE = "stage"
"""Whose trace holds what the scene itself did."""
CLIENTS = ("caller", "callee")
HOME_RELAY = f"{network.OUTSIDE}:4433"
VPN = {"caller": "10.8.0.2", "callee": "10.8.0.3"}
"""A network card that leads nowhere: each has one, and advertises it."""
LIMIT = 120.0
"""Seconds that the scenes of the home may take together."""


@dataclass(frozen=True)
class Scene:
    """A call to play: how it is answered, what else the clients are told, by how many relays, and where.

    `at_home` is in the laboratory's home; `cut` takes the way between the two away while they talk there.
    """

    name: str
    answer: str = "trusted"
    caller: tuple[str, ...] = ()
    both: tuple[str, ...] = ()
    relays: tuple[str, ...] = ("relay",)
    at_home: bool = False
    cut: bool = False
    nobody: bool = False
    seconds: float = 1.0

    @property
    def cast(self) -> tuple[str, ...]:
        """The names of those who play."""
        return ("caller", *self.relays, "callee")


SCENES = (
    Scene("direct-call"),
    Scene("relayed-call", answer="generic"),
    Scene("rejected-call", answer="reject"),
    Scene("nobody-there", nobody=True),
    Scene("path-that-dies", at_home=True, cut=True, seconds=5.0),
    Scene("two-relays", answer="generic", relays=("north", "south")),
    Scene("older-caller", caller=("--phase", "0")),
    Scene("race-at-home", at_home=True),
    Scene("race-for-nothing", at_home=True, both=("--avoid-interface", "home"), seconds=1.0),
)
BY_NAME = {scene.name: scene for scene in SCENES}


def play(scene: Scene, folder: Path) -> None:
    """Play one scene where we are and leave its traces in `folder`; raises ProcessError if it goes wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    with troupe(folder, _places(scene, folder)) as cast:
        for who in CLIENTS:
            identity.create(folder / f"{who}.identity")
        relays = _relays(scene, cast)
        callee = _callee(scene, cast, relays[-1])
        target = "0000:" * 7 + "0000" if scene.nobody else callee.event("registered")["fingerprint"]
        words = (*_common(scene, relays[0]), "--duration", scene.seconds, *scene.caller)
        caller = cast.client("caller", "call", _address(scene, relays[0]), target, *words)
        if scene.cut:
            _cut(folder, caller, callee)
        caller.event("ended" if not scene.nobody else "stopped")
        caller.end()
        if scene.nobody:
            callee.close()
        else:
            callee.end()
        for relay in relays:
            relay.close()


def _places(scene: Scene, folder: Path) -> dict[str, Sequence[str]]:
    """Return what stands before the command of everybody: where it runs, and the trace."""
    places: dict[str, Sequence[str]] = {}
    for who in scene.cast:
        traced = [sys.executable, "-m", "tools.recording.traced", str(trace_of(folder, who))]
        where = network.inside("relay" if who in scene.relays else who) if scene.at_home else []
        places[who] = [*where, *traced]
    return places


def trace_of(folder: Path, who: str) -> Path:
    """Return the file of a trace."""
    return folder / f"{who}.trace"


def _relays(scene: Scene, cast: Troupe) -> list[Process]:
    if scene.at_home:
        relay = cast.relay(listen=HOME_RELAY)
        relay.ready()
        return [relay]
    return [*linked(cast, *scene.relays).running.values()]


def _address(scene: Scene, relay: Process) -> str:
    return HOME_RELAY if scene.at_home else str(relay.ready()["addr"])


def _common(scene: Scene, relay: Process) -> tuple[object, ...]:
    """Return the options that both clients have: whom they trust, what they say, what they advertise."""
    pin = ("--relay-fingerprint", relay.ready()["tls_fingerprint"])
    return (*(pin if scene.at_home else at(relay)[1:]), "--send", "tone", *scene.both)


def _callee(scene: Scene, cast: Troupe, relay: Process) -> Process:
    words = (*_common(scene, relay), "--answer", scene.answer, "--calls", 1)
    callee = cast.client("callee", "listen", _address(scene, relay), *words)
    callee.event("registered")
    return callee


def _cut(folder: Path, *clients: Process) -> None:
    """Let nothing pass between the two as soon as both have heard each other; wait for the way around."""
    for client in clients:
        client.event("heard", path="direct")
    for who, other in zip(CLIENTS, reversed(CLIENTS), strict=True):
        network.rules(who, _closed(other))
    note = {"time": time.time(), "what": "stage", "text": "from here on nothing passes between the two"}
    trace_of(folder, STAGE).write_text(json.dumps(note) + "\n", encoding="utf-8")
    for client in clients:
        client.event("path", path="relay")


def _closed(other: str) -> str:
    """Return rules that let nothing in from the other host."""
    return f"""
table inet cut {{
  chain in {{
    type filter hook input priority 0
    ip saddr {network.FOUR[other]} drop
    ip6 saddr {network.SIX[other]} drop
  }}
}}
"""


def perform(scenes: Iterable[Scene], out: Path) -> None:
    """Play scenes, each in a folder of its own under `out`; those at home in namespaces of their own.

    Raises RecordError when that is not to be had here, and ProcessError when a scene goes wrong.
    """
    those = tuple(scenes)
    for scene in those:
        if not scene.at_home:
            play(scene, out / scene.name)
    at_home = [scene.name for scene in those if scene.at_home]
    for name in at_home:  # each in a home of its own, because one of them breaks it
        try:
            way = network.way_in()
        except network.NetworkError as error:
            raise RecordError(f"{name} is played in the laboratory's home: {error}") from error
        again = ["-m", "tools.recording.scenes", "--left", network.home(), "--out", str(out.resolve()), name]
        command = [*way, sys.executable, *again]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False)
        if done.returncode:
            raise RecordError(f"{name}: {done.stderr.strip()[-300:]}")


def _build(left: str) -> None:
    """Build the home, and give each host the card that leads nowhere."""
    network.build(left)
    for who, address in VPN.items():
        script = f"""
ip -n {who} link add name vpn type veth peer name nowhere
ip -n {who} addr add {address}/24 dev vpn
ip -n {who} link set dev nowhere up
ip -n {who} link set dev vpn up
"""
        network.run(["sh", "-es"], script)


def main(arguments: Sequence[str]) -> int:
    """Play scenes in the home; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.recording.scenes")
    parser.add_argument("--left", required=True, help="the mount namespace that we came from")
    parser.add_argument("--out", type=Path, required=True, help="where the folders of the scenes are")
    parser.add_argument("scenes", nargs="+", choices=[one.name for one in SCENES if one.at_home])
    options = parser.parse_args(arguments)
    try:
        _build(options.left)
        for name in options.scenes:
            play(BY_NAME[name], options.out / name)
    except (network.NetworkError, ProcessError, OSError) as error:
        print(f"scenes: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
