"""The floor of the stack: `python -m bench.floor` forwards datagrams between pairs of connections.

aioquic's own server and protocol class, and nothing else: no registration, no room, no check, no limit,
no log. Whatever the relay costs above this is the relay's.
"""

from __future__ import annotations

import asyncio
import json
import signal
from typing import ClassVar

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration

from reference.core.addresses import format_address
from reference.quic.credentials import Credentials


class Forwarder(QuicConnectionProtocol):
    """One connection; the next one that connects is its other half."""

    single: ClassVar[list[Forwarder]] = []
    other: Forwarder | None = None

    def quic_event_received(self, event: events.QuicEvent) -> None:
        """Pair connections up and forward their datagrams."""
        if isinstance(event, events.DatagramFrameReceived) and self.other is not None:
            self.other._quic.send_datagram_frame(event.data)  # noqa: SLF001 - as the library's examples do
            self.other.transmit()
        elif isinstance(event, events.HandshakeCompleted):
            if self.single:
                self.other = self.single.pop()
                self.other.other = self
                for party in (self, self.other):  # tells both that there is somebody to talk to
                    party._quic.send_datagram_frame(b"")  # noqa: SLF001
                    party.transmit()
            else:
                self.single.append(self)
        elif isinstance(event, events.ConnectionTerminated):
            self.other = None


async def main() -> None:
    """Serve on a free port of loopback until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    credentials = Credentials.fresh()
    configuration = QuicConfiguration(
        alpn_protocols=["wzp"],
        certificate=credentials.certificate,
        is_client=False,
        max_datagram_frame_size=65_535,
        private_key=credentials.private_key,
    )
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Forwarder)
    transport = server._transport  # noqa: SLF001 - it has no public name
    if transport is None:
        raise RuntimeError("the server has no socket")
    host, port = transport.get_extra_info("sockname")[:2]
    print(json.dumps({"ready": {"addr": format_address(host, port)}}), flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
