"""Parameters (spec/transport.md): what both ends of every connection announce."""

from __future__ import annotations

import ssl

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.logger import QuicLogger
from aioquic.quic.packet import QuicProtocolVersion

from reference.quic.credentials import Credentials
from reference.quic.flow import RECEIVE_WINDOW, STREAM_WINDOW

ALPN = "wzp"
"""The one application protocol, for every role (TRANS-1, TRANS-18)."""

VERSIONS = [int(QuicProtocolVersion.VERSION_1)]
"""The QUIC versions that are spoken, best first."""

ID_BYTES = 8
"""The length of our connection ids: short headers do not tell it."""

_LARGEST_DATAGRAM_FRAME = 65_535  # TRANS-2


def configuration(
    idle_timeout: float,
    *,
    credentials: Credentials | None = None,
    name: str | None = None,
    log: QuicLogger | None = None,
) -> QuicConfiguration:
    """Return the parameters of a server with `credentials`, or of a client that dials `name`.

    What the connection does is told to `log`.
    """
    return QuicConfiguration(
        alpn_protocols=[ALPN],
        certificate=None if credentials is None else credentials.certificate,
        connection_id_length=ID_BYTES,
        idle_timeout=idle_timeout,  # TRANS-17
        is_client=credentials is None,
        max_data=RECEIVE_WINDOW,
        max_datagram_frame_size=_LARGEST_DATAGRAM_FRAME,
        max_stream_data=STREAM_WINDOW,
        private_key=None if credentials is None else credentials.private_key,
        quic_logger=log,
        server_name=name,
        supported_versions=VERSIONS,
        verify_mode=ssl.CERT_NONE,  # the caller knows the peer by its fingerprint
    )
