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

from tools.ending import ending
from tools.processes import ROOT, ProcessError
from tools.recording import order, picture, verdicts
from tools.recording.dialogue import Reading
from tools.recording.made import FOLDER, RecordError, load, made, write
from tools.recording.scenes import BY_NAME, SCENES, Scene, perform

OUT = ROOT / "out" / "record"
RUNS, TRIES = 3, 16
"""How many runs of a scene there are to choose from, and how often it is played for that at most.

A run in which the callee dials the other end is not taken: ports decide that, and they are drawn.
"""

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
    """Play one scene until there are enough runs, and return the one whose messages were under way least."""
    found: list[Reading] = []
    for _ in range(TRIES):
        perform([scene], OUT)
        reading = Reading(scene, OUT / scene.name)
        if reading.dialer in {"", "caller"}:
            found.append(reading)
        if len(found) == RUNS:
            return min(found, key=haste)
    raise RecordError(f"{scene.name}: in {TRIES} runs the callee was the dialer too often")


def haste(reading: Reading) -> float:
    """Return how long the messages of a run were under way together, in milliseconds."""
    return sum(row["took"] or 0.0 for row in reading.rows() if row["kind"] == "message")


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
    with ending("record"):
        sys.exit(main(sys.argv[1:]))
