"""Limited: the client's program with files that may not grow beyond the bytes of its first argument."""

from __future__ import annotations

import resource
import signal
import sys

from reference.client import app

if __name__ == "__main__":
    longest = int(sys.argv.pop(1))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error, as a full disk is
    resource.setrlimit(resource.RLIMIT_FSIZE, (longest, longest))
    app()
