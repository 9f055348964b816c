"""Self-test (spec/transport.md): one look, before a socket opens, at what the QUIC stack must do.

The adapter leans on private names of aioquic; a release that moved one is refused here, by name,
instead of losing calls. Two handshakes in memory, some milliseconds, once a process.
"""

from __future__ import annotations

from functools import cache

import aioquic
from aioquic.quic.events import DatagramFrameReceived, PingAcknowledged, QuicEvent, StreamDataReceived

from reference.quic.connection import Connection, Ending
from reference.quic.credentials import Credentials
from reference.quic.parameters import configuration

_ADDRESS = ("192.0.2.1", 1)
_DATAGRAM = bytes(1170)
_ENDING = Ending(7, "self-test", by_peer=True)


@cache
def self_test() -> None:
    """Raise RuntimeError, naming the release of aioquic, if the adapter does not work with it."""
    credentials = Credentials.fresh()
    try:
        for name, expected in (("Self-Test", "self-test"), (None, None)):
            _exchange(credentials, name, expected)
    except (AttributeError, IndexError, TypeError, ValueError, AssertionError) as error:
        raise RuntimeError(f"aioquic {aioquic.__version__} does not work here: {error}") from error


def _exchange(credentials: Credentials, name: str | None, expected: str | None) -> None:
    settings = configuration(1.0, name=name)
    settings.quantum_readiness_test = True  # a ClientHello over two packets
    client = Connection(settings, datagrams=2)
    first = client.original_destination_connection_id
    server = Connection(configuration(1.0, credentials=credentials), 2, first_destination=first)
    client.connect(_ADDRESS, now=0.0)
    _require(server.untouched, "a fresh connection counts as touched")
    _pump(client, server)
    _require(server.hello_seen and server.sni == expected, f"the server name {name} is {server.sni}")
    _require(client.peer_fingerprint == credentials.fingerprint, "the peer has another certificate")
    _require(client.largest_datagram == len(_DATAGRAM), f"datagrams of {client.largest_datagram}")
    pushed_out = [client.push_datagram(data) for data in (b"old", b"", _DATAGRAM)]
    client.send_ping(1)
    stream_id = client.write(b"frame")
    _require(not client.is_sent(stream_id, 5), "a frame is sent before its packet")
    to_client, to_server = _pump(client, server)
    _require(pushed_out == [False, False, True], f"the datagram queue pushes out {pushed_out}")
    received = [event.data for event in to_server if isinstance(event, DatagramFrameReceived)]
    _require(received == [b"", _DATAGRAM], f"{len(received)} datagrams arrived")
    _require(any(isinstance(event, PingAcknowledged) for event in to_client), "no ping came back")
    framed = [event.data for event in to_server if isinstance(event, StreamDataReceived)]
    _require(framed == [b"frame"] and client.is_sent(stream_id, 5), f"the stream gave {framed}")
    _require(server.peer_streams == 1 and server.received(0) == len(b"frame"), "no stream counted")
    server.grant(0)
    client.close(error_code=_ENDING.code, reason_phrase=_ENDING.reason)
    _require(client.closing, "a close is not pending")
    _pump(client, server)
    _require(server.ending == _ENDING, f"the close reads {server.ending}")


def _pump(client: Connection, server: Connection) -> tuple[list[QuicEvent], list[QuicEvent]]:
    """Exchange packets until nobody has any; return the events of both."""
    happened: tuple[list[QuicEvent], list[QuicEvent]] = ([], [])
    for tick in range(1, 13):
        now = tick * 0.002
        for source, target in ((client, server), (server, client)):
            for data, _ in source.datagrams_to_send(now=now):
                target.receive_datagram(data, _ADDRESS, now=now)
    for connection, heard in zip((client, server), happened, strict=True):
        while (event := connection.next_event()) is not None:
            heard.append(event)
    return happened


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise AssertionError(otherwise)
