"""`python -m tests.mutants --list | --judge ID | ID [options of the relay]`.

For the suite there are, besides: `--serve`, which starts relays as its standard input asks for them
(serving.py); `--touched`, which functions each mutant replaces; and `--footprint MAP [options of the
relay]`, the unbroken relay, which marks in a file the functions that run (footprint.py).
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
from pathlib import Path

from reference import relay
from tests.mutants import (
    RELAY_MUTANTS,
    agreement,
    call,
    candidates,
    errors,
    footprint,
    media,
    privacy,
    reflection,
    registration,
    serving,
    transport,
    wire,
)

CHAPTERS = (
    *(transport, wire, registration, reflection, call, privacy),
    *(candidates, agreement, media, errors),
)


def listing() -> list[dict[str, object]]:
    """Return every mutant: id, title, collateral, kind, and for a client the command that judges it."""
    from tests.mutants import client  # noqa: PLC0415 - pulls in pytest, which a mutant relay does not need

    rows: list[dict[str, object]] = [
        {"id": mutant.id, "title": mutant.title, "collateral": list(mutant.collateral), "kind": "relay"}
        for mutant in RELAY_MUTANTS.values()
    ]
    for broken in client.CLIENT_MUTANTS:
        title = (broken.__doc__ or "").strip()
        command = [sys.executable, "-m", "tests.mutants", "--judge", broken.id]
        rows.append({"id": broken.id, "title": title, "collateral": [], "kind": "client", "command": command})
    return rows


def main(arguments: list[str]) -> int:
    """List, judge a client mutant, or run a relay."""
    match arguments:
        case ["--list"]:
            print(json.dumps(listing()))  # noqa: T201 - the answer
            return 0
        case ["--touched"]:
            print(json.dumps(footprint.listing()))  # noqa: T201 - the answer
            return 0
        case ["--judge", *rules] if rules:
            from tests.mutants import client  # noqa: PLC0415 - as above

            statuses = {rule: client.judge(rule) for rule in rules}
            for rule, status in statuses.items():
                print(json.dumps({"id": rule, "status": status}))  # noqa: T201 - the answer
            return max(statuses.values()) if len(rules) > 1 else statuses[rules[0]]
        case ["--serve"]:
            rehearse()
            return main(serving.serve(socket.socket(fileno=0)))
        case ["--footprint", path, *options]:
            footprint.record(Path(path))
            return run(options)
        case [rule, *options] if rule in RELAY_MUTANTS:
            RELAY_MUTANTS[rule].apply()
            return run(options)
    print(f"tests.mutants: no such mutant: {' '.join(arguments)!r}", file=sys.stderr)  # noqa: T201
    return 2


def run(options: list[str]) -> int:
    """Be the relay, with these options."""
    sys.argv[1:] = options
    relay.app()
    return 0


def rehearse() -> None:
    """Load what is loaded only when options are read, by reading one that is refused at once."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        run(["--listen", "nowhere"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
