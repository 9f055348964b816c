"""Flow control (RFC 9000 section 4): what bounds the bytes that wait in one connection.

aioquic doubles its windows as they fill and keeps what nobody reads; here the window of a connection
slides with what was taken, a stream has a large window in its turn only, and an unread one keeps nothing.
"""

from __future__ import annotations

from aioquic.quic.connection import Limit
from aioquic.quic.packet import QuicFrameType, QuicStreamFrame
from aioquic.quic.stream import QuicStream, QuicStreamReceiver

STREAM_WINDOW = 8_192
"""Bytes a peer may send on a stream whose turn has not come."""

RECEIVE_WINDOW = 2_883_584
"""Bytes a peer may have sent that nobody took yet, over all streams of a connection.

Three quarters of it, the least that is granted at any time, hold the largest frame on the stream whose
turn it is and STREAM_WINDOW on the 127 others, so that no others can keep that one from its end.
"""


class Window(Limit):
    """MAX_DATA as a window that slides (RFC 9000 section 4.1), where aioquic doubles it for ever."""

    def __init__(self) -> None:
        """Start with RECEIVE_WINDOW granted; assign to `granted` to slide it."""
        self.granted = RECEIVE_WINDOW
        super().__init__(QuicFrameType.MAX_DATA, "max_data", RECEIVE_WINDOW)

    @property
    def value(self) -> int:
        """The offset that the peer may send up to, in bytes over all streams."""
        return self.granted

    @value.setter
    def value(self, _doubled: int) -> None:
        """Leave the window as it was granted."""


class Discarding(QuicStreamReceiver):
    """A receiving half that nobody reads: its bytes count for flow control and are not kept."""

    def handle_frame(self, frame: QuicStreamFrame) -> None:
        """Count the bytes of one STREAM frame; the first that come stop the stream."""
        self.highest_offset = max(self.highest_offset, frame.offset + len(frame.data))
        if frame.fin:
            self.is_finished = True
        elif frame.data and self._stop_error_code is None:
            self.stop()


def discard(stream: QuicStream) -> QuicStreamReceiver:
    """Keep nothing of a stream from now on; return its new receiving half."""
    old = stream.receiver
    if not isinstance(old, Discarding):
        stream.receiver = Discarding(stream.stream_id, readable=True)
        stream.receiver.highest_offset = old.highest_offset
        # Once the final size is known nothing is missing: what is lost will not be read.
        stream.receiver.is_finished = old.is_finished or old._final_size is not None  # noqa: SLF001
    return stream.receiver
