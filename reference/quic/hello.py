"""ClientHello (spec/transport.md, Server names): where a server learns the name that it is asked for."""

from __future__ import annotations

from collections.abc import Callable

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic.connection import QuicConnection


class AlertUnrecognizedName(tls.Alert):
    """The server name is not one that is served here (RFC 6066 section 3)."""

    description = tls.AlertDescription.unrecognized_name


def watch(server: QuicConnection, take: Callable[[str | None], None]) -> None:
    """Call `take` with the name in a complete ClientHello, None without one, before the costly part.

    A ValueError of `take` says that it is no server name; an alert of `take` ends the handshake.
    """
    inner = tls.Context._server_handle_hello  # noqa: SLF001 - bound, it would be a circle

    def handle_hello(hello: Buffer, *rest: Buffer) -> None:
        start = hello.tell()
        name = tls.pull_client_hello(hello).server_name
        hello.seek(start)
        try:
            take(name)
        except ValueError as error:
            raise tls.AlertIllegalParameter(str(error)) from error
        inner(server.tls, hello, *rest)

    server.tls._server_handle_hello = handle_hello  # type: ignore[method-assign,assignment] # noqa: SLF001
