"""Laboratory: real NATs between Linux network namespaces; not built yet, and this says so.

It exits 2, as a command does that cannot do what it was asked: nothing was measured.
"""

from __future__ import annotations

import sys

WORD = """\
The laboratory is not built yet: nothing was run.

What it will be: Linux network namespaces with real NATs of every kind between two clients and
one or more relays, so that direct calls (phases 3 to 7) are tried through the kernel's own
address translation and not only through the simulated one. It will need Linux and root.

What there is today: `make test` runs relay and clients over loopback, `make demo` places a whole
call, and `make bench` measures the relay.
"""


def main() -> int:
    """Say what is not there yet; return the status of a command that did nothing."""
    print(WORD, end="", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
