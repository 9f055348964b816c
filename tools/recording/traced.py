"""Traced: runs a program of the reference and writes down what passes the door of its endpoint.

    python -m tools.recording.traced FILE python -m reference.relay …

It stands in front of a command and becomes it, in this very process. What is written is what the endpoint
is told and what it tells: dials, handshakes, whole messages, the first media each way, ends. One JSON object
a line, with the wall clock in seconds. Nothing is changed on the way, and nothing is added to the reference.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from pathlib import Path
from typing import Any

from reference import sockets, switch
from reference.core.errors import BadFrame
from reference.endpoint import Credentials, DatagramFate, Endpoint, EndpointLimits, Handler

LINES = 2_000
"""The most lines of one program; one that has more to say is not for a picture."""
USAGE = "traced: say FILE, and behind it the command: python -m MODULE and its arguments"
_DOORS = (switch, sockets)
"""The modules that open endpoints."""


class Trace:
    """The file of one program."""

    def __init__(self, path: Path) -> None:
        """Begin it anew."""
        self._file = path.open("w", encoding="utf-8", buffering=1)
        self._left = LINES

    def note(self, what: str, **members: Any) -> None:  # noqa: ANN401 - JSON values
        """Write one line."""
        if self._left:
            self._left -= 1
            self._file.write(json.dumps({"time": time.time(), "what": what} | members) + "\n")


class Tap:
    """A handler in front of another one: it notes what the endpoint tells, and tells it on."""

    def __init__(self, handler: Handler, trace: Trace, port: int = 0) -> None:
        """Stand in front of `handler`; `port` is that of the endpoint's socket, as soon as it has one."""
        self.port = port
        self.live: dict[int, dict[str, Any]] = {}
        self._handler, self._trace = handler, trace

    def note(self, what: str, session: int, **members: Any) -> None:  # noqa: ANN401 - JSON values
        """Note something of a session that is known here."""
        if session in self.live:
            known = {key: value for key, value in self.live[session].items() if key not in {"sent", "got"}}
            self._trace.note(what, session=session, port=self.port, **(known | members))

    def dialled(self, session: int, address: tuple[str, int], sni: str | None) -> None:
        """Know a session from its dial on."""
        peer = f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
        self.live[session] = {"peer": peer, "sni": sni, "dialled": True, "sent": 0, "got": 0}
        self.note("dial", session)

    def spoken(self, session: int) -> None:
        """Count a datagram that goes out, and note the first one."""
        if session in self.live:
            self.live[session]["sent"] += 1
            if self.live[session]["sent"] == 1:
                self.note("speaks", session)

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Know a session from its handshake on."""
        dialled = session in self.live
        told = {"peer": address, "sni": sni, "dialled": dialled, "sent": 0, "got": 0}
        self.live[session] = told
        self.note("connected", session)
        self._handler.connected(session, sni, address, fingerprint)

    def frame(self, session: int, payload: bytes) -> None:
        """Note a message that came."""
        self.note("got", session, payload=payload.decode("utf-8", "replace"))
        self._handler.frame(session, payload)

    def datagram(self, session: int, data: bytes) -> None:
        """Count a datagram that came, and note the first one."""
        if session in self.live:
            self.live[session]["got"] += 1
            if self.live[session]["got"] == 1:
                self.note("hears", session)
        self._handler.datagram(session, data)

    def lost(self, session: int, code: int, reason: str, by_peer: bool) -> None:  # noqa: FBT001 - told by position
        """Note an end, and how many datagrams went each way until then."""
        counts = self.live.get(session, {"sent": 0, "got": 0})
        members = {"code": code, "reason": reason, "by_peer": by_peer}
        self.note("lost", session, datagrams=[counts["sent"], counts["got"]], **members)
        self.live.pop(session, None)
        self._handler.lost(session, code, reason, by_peer)

    def moved(self, session: int, address: str) -> None:
        """Tell it on: no picture has it."""
        self._handler.moved(session, address)

    def fault(self, session: int, fault: BadFrame) -> None:
        """Tell it on: no picture has it."""
        self._handler.fault(session, fault)

    def flushed(self, session: int, receipt: object) -> None:
        """Tell it on: no picture has it."""
        self._handler.flushed(session, receipt)

    def slow(self, session: int) -> None:
        """Tell it on: no picture has it."""
        self._handler.slow(session)


class TracedEndpoint(Endpoint):
    """An endpoint with a tap in front of its handler, and one behind what it is asked to do."""

    trace: Trace

    def __init__(self, handler: Handler, credentials: Credentials | None, limits: EndpointLimits) -> None:
        """Put the tap in front of the handler."""
        self.tap = Tap(handler, self.trace)
        super().__init__(self.tap, credentials, limits)

    def dial(self, address: tuple[str, int], sni: str | None) -> int:
        """Dial, and note it."""
        self.tap.port = self.address[1]
        session = super().dial(address, sni)
        self.tap.dialled(session, address, sni)
        return session

    def send(self, session: int, payload: bytes, receipt: object | None = None) -> None:
        """Note a message that goes out, and send it."""
        self.tap.note("sent", session, payload=payload.decode("utf-8", "replace"))
        super().send(session, payload, receipt)

    def send_datagram(self, session: int, data: bytes) -> DatagramFate:
        """Send a datagram; note the first one."""
        self.tap.spoken(session)
        return super().send_datagram(session, data)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Know the port of the socket before anything comes of a packet."""
        if not self.tap.port:
            self.tap.port = self.address[1]
        super().datagram_received(data, addr)


def main(arguments: list[str]) -> None:
    """Become the program that is named, traced."""
    path, *command = arguments or [""]
    if not path or len(command) < 3 or command[1] != "-m":  # noqa: PLR2004 - python -m MODULE
        sys.exit(USAGE)
    TracedEndpoint.trace = Trace(Path(path))
    for module in _DOORS:
        if vars(module).get("Endpoint") is not Endpoint:
            sys.exit(f"traced: {module.__name__} opens no endpoint that could be traced")
        vars(module)["Endpoint"] = TracedEndpoint
    sys.argv = command[2:]
    runpy.run_module(command[2], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
