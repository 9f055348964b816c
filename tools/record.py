"""Record: makes again by hand what the site shows of real runs; the site is built from what is committed.

    python -m tools.record                     everything
    python -m tools.record dialogues NAME …    the canonical calls and the races, or those that are named
    python -m tools.record verdicts            what the suite says of the reference at every phase
    python -m tools.record picture             the demo as a picture
    python -m tools.record --check             whether what is committed is sound; runs nothing

The records are in docs/dialogues/, docs/results/ and docs/assets/; logs and traces stay under out/record/.
The exit status is 1 when something cannot be made or is not sound, 2 when the command line is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

from tools.processes import ROOT, ProcessError
from tools.recording import order, picture, verdicts
from tools.recording.dialogue import Reading
from tools.recording.made import FOLDER, RecordError, load, made, write
from tools.recording.scenes import BY_NAME, SCENES, Scene, perform

OUT = ROOT / "out" / "record"
TRIES = 8
"""How often a scene is played until the caller is the one who dials: ports decide that, and are drawn."""

say = partial(print, flush=True)


def dialogues(names: Sequence[str]) -> None:
    """Play scenes and keep what their traces say; all of them when none is named."""
    for name in names:
        if name not in BY_NAME:
            raise RecordError(f"there is no dialogue {name!r}: there are {', '.join(BY_NAME)}")
    for scene in [BY_NAME[name] for name in names] or SCENES:
        found = played(scene)
        record = {"made": made(f"python -m tools.record dialogues {scene.name}"), **found.record()}
        wrong = order.faults(record)
        if wrong:
            raise RecordError("; ".join(wrong))
        write(FOLDER / f"{scene.name}.json", record)
        say(f"{scene.name}: {len(record['rows'])} rows")


def played(scene: Scene) -> Reading:
    """Play one scene, and again until nobody or the caller dials the other end: all pictures are alike."""
    for _ in range(TRIES):
        perform([scene], OUT)
        found = Reading(scene, OUT / scene.name)
        if found.dialer in {"", "caller"}:
            return found
    raise RecordError(f"{scene.name}: the callee was the dialer {TRIES} times")


def unsound() -> list[str]:
    """Return a sentence for everything that is wrong with what is committed."""
    found = []
    for name in BY_NAME:
        try:
            found += order.faults(load(FOLDER / f"{name}.json"))
        except RecordError as error:
            found.append(str(error))
    known = {f"{name}.json" for name in BY_NAME}
    strangers = sorted(path.name for path in FOLDER.glob("*.json") if path.name not in known)
    found += [f"docs/dialogues/{name} is the record of no scene" for name in strangers]
    return [*found, *verdicts.faults(), *picture.faults()]


PARTS: dict[str, Callable[[Sequence[str]], object]] = {
    "dialogues": dialogues,
    "verdicts": lambda _: verdicts.record(say),
    "picture": lambda _: picture.record(),
}


def main(arguments: Sequence[str]) -> int:
    """Make what is asked for; return the exit status."""
    if arguments == ["--check"]:
        wrong = unsound()
        for one in wrong:
            print(one, file=sys.stderr)
        return 1 if wrong else 0
    part, *names = arguments or [""]
    if part not in {"", *PARTS} or (names and part != "dialogues"):
        there = ", ".join(PARTS)
        print(f"record: cannot make {' '.join(arguments)!r}: there are {there}, and --check", file=sys.stderr)
        return 2
    try:
        for name in [part] if part else PARTS:
            PARTS[name](names)
    except (RecordError, ProcessError, OSError) as error:
        print(f"record: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("record: stopped")
