"""Memory: what a crowd has left behind goes back to the system (spec/errors.md, Limits).

Freed memory stays with the process as long as the C library thinks that it will be wanted again. A relay
that has served a thousand clients would look as large as ever, and a leak would not be told from it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc


def give_back() -> None:
    """Collect what is unreachable and return free memory to the system, where the C library can."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
