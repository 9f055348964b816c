"""`python -m tests.mutants --list | [--client] ID [options of the relay or the subject]`.

The id of a client's rule runs the client behind the suite's control protocol, that of a relay's rule a relay.

For the suite there are, besides: `--serve`, which starts relays and clients as its standard input asks for
them (serving.py); `--subject [options]`, the unbroken client; `--touched`, which functions each mutant
replaces; and `--footprint MAP [options of the relay]`, the unbroken relay, which marks in a file the
functions that run (footprint.py).
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
    federation,
    federation_calls,
    federation_media,
    footprint,
    media,
    privacy,
    reflection,
    registration,
    serving,
    subtle,
    transport,
    wire,
)

CHAPTERS = (
    *(transport, wire, registration, reflection, call, privacy),
    *(candidates, agreement, media, federation, federation_calls, federation_media, errors),
)


def listing() -> list[dict[str, object]]:
    """Return every mutant: id, title, collateral, kind, and the phase that a client has to be of, if any."""
    from tests.mutants import client  # noqa: PLC0415 - what is loaded is counted in a relay's footprint

    rows: list[dict[str, object]] = [
        {"id": mutant.id, "title": mutant.title, "collateral": list(mutant.collateral), "kind": "relay"}
        for mutant in RELAY_MUTANTS.values()
    ]
    for broken in client.CLIENT_MUTANTS:
        row = {"id": broken.id, "title": (broken.__doc__ or "").strip(), "kind": "client"}
        rows.append({**row, "collateral": list(broken.collateral), "phase": broken.phase})
    return rows


def main(arguments: list[str]) -> int:
    """List the mutants, or run a relay or a client."""
    match arguments:
        case ["--list"]:
            print(json.dumps(listing()))  # noqa: T201 - the answer
            return 0
        case ["--names"]:
            names = {"relay": [*RELAY_MUTANTS | subtle.SUBTLE], "client": sorted(client_rules())}
            print(json.dumps(names))  # noqa: T201 - the answer
            return 0
        case ["--touched"]:
            print(json.dumps(footprint.listing()))  # noqa: T201 - the answer
            return 0
        case ["--serve"]:
            rehearse()
            return main(serving.serve(socket.socket(fileno=0)))
        case ["--footprint", path, *options]:
            footprint.record(Path(path))
            return run(options)
        case [rule, *options] if rule in RELAY_MUTANTS | subtle.SUBTLE:
            (RELAY_MUTANTS | subtle.SUBTLE)[rule].apply()
            return run(options)
        case ["--subject", *options]:
            return subject(options)
        case ["--client", rule, *options] | [rule, *options] if rule in client_rules():
            from tests.mutants import client  # noqa: PLC0415 - as above

            client.named(rule).apply()
            return subject(options)
    print(f"tests.mutants: no such mutant: {' '.join(arguments)!r}", file=sys.stderr)  # noqa: T201
    return 2


def run(options: list[str]) -> int:
    """Be the relay, with these options."""
    sys.argv[1:] = options
    relay.app()
    return 0


def client_rules() -> set[str]:
    """Return the rules whose mutant is a client."""
    from tests.mutants import client  # noqa: PLC0415 - as above

    return {one.id for one in client.CLIENT_MUTANTS}


def subject(options: list[str]) -> int:
    """Be the client under test, with these options."""
    from reference import subject as program  # noqa: PLC0415 - as above

    sys.argv[1:] = options
    program.app()
    return 0


def rehearse() -> None:
    """Load what is loaded only when options are read, by reading one that is refused at once."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        run(["--listen", "nowhere"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
