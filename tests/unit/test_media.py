"""Media: the header bit by bit, what a relay drops, what a sender numbers, and who sits in a room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.core import media
from reference.core.errors import Misuse
from reference.core.media import Codec, Header, QualityReport, Room, Sender, SessionKey
from tests.world import identity

BYTE = st.integers(0, 255)
HEADERS = st.builds(
    Header,
    codec=st.integers(0, 15),
    sequence=st.integers(0, 2**16 - 1),
    timestamp=st.integers(0, 2**32 - 1),
    version=st.booleans(),
    repair=st.booleans(),
    report=st.booleans(),
    fec_ratio=st.integers(0, 127),
    fec_block=BYTE,
    fec_symbol=BYTE,
    reserved=BYTE,
    csrc_count=BYTE,
    low_bits=st.integers(0, 3),
)
PLAIN = Header(codec=0, sequence=1, timestamp=20).encode()
WITH_REPORT = Header(codec=0, sequence=1, timestamp=20, report=True).encode()


@given(HEADERS)
def test_a_header_comes_back(header: Header) -> None:
    """Every header is 12 bytes and is read from them as it was."""
    assert media.HEADER_SIZE == len(header.encode())
    assert header == Header.decode(header.encode() + b"payload")


@given(st.binary(min_size=12, max_size=12))
def test_every_twelve_bytes_are_a_header(data: bytes) -> None:
    """No bit of a header is lost in reading it."""
    assert data == Header.decode(data).encode()


def test_a_header_is_not_read_from_less() -> None:
    """Reading a header without having looked whether it is there is a mistake of the caller."""
    with pytest.raises(Misuse, match="11 bytes"):
        Header.decode(bytes(11))


@pytest.mark.parametrize("codec", range(16))
def test_a_codec_is_known_or_dropped(codec: int) -> None:
    """Codec ids up to 8 are forwarded, 9 to 15 are dropped (MEDIA-21)."""
    header = Header(codec=codec, sequence=0, timestamp=0).encode()
    assert ("" if codec in list(Codec) else "codec") == media.unfit(header)


@pytest.mark.parametrize(("size", "expected"), [(0, "short"), (11, "short"), (12, ""), (1150, "")])
def test_a_datagram_without_a_header_is_dropped(size: int, expected: str) -> None:
    """Less than 12 bytes are no datagram of ours (MEDIA-20)."""
    assert expected == media.unfit(bytes(size))


@pytest.mark.parametrize(("size", "expected"), [(0, "report"), (3, "report"), (4, ""), (5, "")])
def test_a_report_that_is_announced_is_there(size: int, expected: str) -> None:
    """With Q set there are four bytes behind the header, or the datagram is dropped (MEDIA-22)."""
    assert expected == media.unfit(WITH_REPORT + bytes(size))


def test_a_report_is_taken_off_the_payload() -> None:
    """The last four bytes are the report if Q is set, and payload if it is not."""
    report = QualityReport(1, 2, 3, 4)
    _, payload, found = media.split(WITH_REPORT + b"audio" + report.encode())
    assert (b"audio", report) == (payload, found)
    _, payload, found = media.split(PLAIN + b"audio" + report.encode())
    assert (b"audio\1\2\3\4", None) == (payload, found)


@pytest.mark.parametrize(
    ("measured", "expected"),
    [((-0.0, 0, 0), (0, 0, 0)), ((50, 3.9, 0.9), (127, 0, 0)), ((250, 9999, 9999), (255, 255, 255))],
)
def test_a_report_is_capped(measured: tuple[float, float, float], expected: tuple[int, int, int]) -> None:
    """What does not fit into a byte is its largest value."""
    assert QualityReport(*expected) == QualityReport.measured(*measured)


def test_a_sender_counts_round() -> None:
    """Sequence and timestamp begin again at their ends, and neither stops nor grows (MEDIA-26)."""
    sender = Sender(sequence=65_535, timestamp=2**32 - 20)
    first, second = (Header.decode(sender.datagram(b"audio")) for _ in range(2))
    assert (65_535, 2**32 - 20) == (first.sequence, first.timestamp)
    assert (0, 0) == (second.sequence, second.timestamp)


def test_a_refused_payload_is_not_counted() -> None:
    """A payload that is too large takes no number, so that nothing seems lost (MEDIA-28)."""
    sender = Sender()
    with pytest.raises(Misuse, match="1139"):
        sender.datagram(bytes(1139))
    assert Sender() == sender


def test_a_fingerprint_has_one_seat() -> None:
    """The newest session of a fingerprint sits, and is the last to have come (MEDIA-10, MEDIA-11)."""
    room = Room()
    assert [None, None, 1] == [room.sit("a", 1, "A"), room.sit("b", 2, None), room.sit("a", 3, "A again")]
    assert {"b": 2, "a": 3} == room.seats
    assert ["b", "a"] == [one["fingerprint"] for one in room.participants()]
    assert [None, "A again"] == [one["alias"] for one in room.participants()]


def test_who_lost_a_seat_does_not_empty_it() -> None:
    """Leaving frees a seat for the session that sits there, and for no other."""
    room = Room()
    room.sit("a", 1, None)
    room.sit("a", 2, None)
    assert [False, False, True] == [room.leave("a", 1), room.leave("b", 1), room.leave("a", 2)]
    assert ({}, {}) == (room.seats, room.aliases)


def test_an_introduction_is_signed_by_its_own_key() -> None:
    """The signature covers the fresh key and the constant, by the key that is named (MEDIA-2, MEDIA-6)."""
    alice, bob, fresh = identity("alice"), identity("bob"), bytes(range(32))
    signature = alice.sign(fresh + media.OFFER)
    assert media.introduced(alice.public, fresh, signature, media.OFFER)
    assert not media.introduced(bob.public, fresh, signature, media.OFFER)
    assert not media.introduced(alice.public, fresh, signature, media.ANSWER)
    assert not media.introduced(alice.public, bytes(32), signature, media.OFFER)


def test_both_ends_agree_on_a_session() -> None:
    """Each end derives the same key, id and code from its own private and the other's public bytes."""
    one, two = bytes([1] * 32), bytes([2] * 32)
    mine = SessionKey.agree(one, media.ephemeral_public(two))
    assert mine == SessionKey.agree(two, media.ephemeral_public(one))
    assert mine != SessionKey.agree(one, media.ephemeral_public(one))
