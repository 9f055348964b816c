"""Cable: a way over UDP between two processes that can be cut and mended; it reads no packet."""

from __future__ import annotations

import select
import socket
import threading
from typing import Self

LOOK = 0.05
"""Seconds between two looks at whether the cable is still wanted."""


class Cable:
    """Two sockets in front of a target: whoever sends to `address` is the other end."""

    def __init__(self, target: tuple[str, int]) -> None:
        """Lay the cable."""
        self.cut = False
        self._done = False
        self._front, self._back = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self._front.bind(("127.0.0.1", 0))
        self._back.connect(target)
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where the other end sends to."""
        host, port = self._front.getsockname()
        return f"{host}:{port}"

    def _carry(self) -> None:
        other: tuple[str, int] | None = None
        while not self._done:
            for ready in select.select([self._front, self._back], [], [], LOOK)[0]:
                try:
                    packet, source = ready.recvfrom(65535)
                except OSError:  # nobody is at the target
                    continue
                other = source if ready is self._front else other
                if self.cut or other is None:
                    continue
                if ready is self._front:
                    self._back.send(packet)
                else:
                    self._front.sendto(packet, other)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self._done = True
        self._thread.join()
        for end in (self._front, self._back):
            end.close()
