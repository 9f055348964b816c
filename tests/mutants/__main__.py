"""`python -m tests.mutants --list | --judge ID | ID [options of the relay]`."""

from __future__ import annotations

import json
import sys

from reference import relay
from tests.mutants import RELAY_MUTANTS, call, errors, media, registration, transport, wire

CHAPTERS = (transport, wire, registration, call, media, errors)


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


def main() -> int:
    """List, judge a client mutant, or run a relay mutant."""
    match sys.argv[1:]:
        case ["--list"]:
            print(json.dumps(listing()))  # noqa: T201 - the answer
            return 0
        case ["--judge", rule]:
            from tests.mutants import client  # noqa: PLC0415 - as above

            return client.judge(rule)
        case [rule, *options] if rule in RELAY_MUTANTS:
            RELAY_MUTANTS[rule].apply()
            sys.argv[1:] = options
            relay.app()
            return 0
    print(f"tests.mutants: no such mutant: {' '.join(sys.argv[1:])!r}", file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main())
