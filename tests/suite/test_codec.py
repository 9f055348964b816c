"""Tests of the suite's own codec, identities and streams."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance import codec
from conformance.checks.test_wire import MALFORMED
from conformance.identity import Identity
from conformance.streams import Streams

VECTORS = Path(__file__).resolve().parents[1] / "vectors"


def test_a_frame_is_a_length_and_a_payload() -> None:
    """The example of spec/wire.md comes out byte for byte."""
    expected = bytes.fromhex("0000001e") + b'{"Hangup":{"reason":"Normal"}}'
    assert expected == codec.encode({"Hangup": {"reason": "Normal"}})


def test_the_recorded_frames_are_read() -> None:
    """Every recorded frame gives the payload that was recorded with it."""
    recorded = json.loads((VECTORS / "frames.json").read_text(encoding="utf-8"))["frames"]
    for one in recorded:
        data = bytes.fromhex(one["frame_hex"])
        assert one["payload_text"].encode() == codec.whole(data)
        assert None is codec.whole(data[:-1])


@pytest.mark.parametrize("fault", MALFORMED)
def test_what_the_suite_sends_as_malformed_is_malformed(fault: str) -> None:
    """The strict reader refuses every payload that WIRE-4's check sends."""
    with pytest.raises(codec.NotAMessageError):
        codec.decode(MALFORMED[fault] % 5)


@pytest.mark.parametrize("count", [codec.MEMBER_LIMIT, codec.MEMBER_LIMIT + 1])
def test_what_the_suite_sends_as_too_much_is_that_much(count: int) -> None:
    """Every payload of WIRE-16's checks is the message, and has exactly so many members and entries."""
    message = {"Ping": {"timestamp_ms": 1}}

    def members(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return sum(1 + members(one) for one in inner)

    for payload in codec.crowded(message, count).values():
        value = json.loads(payload)
        assert count == members(value)
        del value["Ping"]["later"]
        assert message == value


def test_sixty_four_levels_are_no_fault() -> None:
    """One level less than the check of WIRE-4 sends is a message."""
    text = MALFORMED["65 levels"].replace(b"[", b"", 1).replace(b"]", b"", 1)
    assert codec.name_of(codec.decode(text % 5)) == "Ping"


def test_a_datagram_has_the_layout_of_the_chapter() -> None:
    """Codec, Q, sequence and reserved bits stand where spec/media.md puts them."""
    data = codec.datagram(b"", codec=8, sequence=0x0102, quality=True)
    assert (8 << 2 | 2, 0, 1, 2) == tuple(data[:4])
    reserved = codec.datagram(b"", reserved=True)
    assert (0x80, 0x03, 0xAB) == (reserved[0], reserved[1], reserved[10])
    assert codec.HEADER_LENGTH == len(data) == len(reserved)


@pytest.mark.parametrize(
    ("seed", "fingerprint"),
    [
        (0x42, "518e:b935:62fa:9e34:e59c:28b6:7fc2:d384"),
        (0xAA, "0258:ab5d:7c27:9b61:3b75:a4e3:7ce7:1bf9"),
        (0xBB, "5daf:cd48:13fb:bc41:a1e9:9a27:2ebe:6d66"),
    ],
)
def test_identities_are_derived_as_the_chapter_says(seed: int, fingerprint: str) -> None:
    """The table of spec/registration.md comes out."""
    assert fingerprint == Identity(bytes([seed]) * 32).fingerprint


def test_streams_come_out_in_their_order() -> None:
    """A whole frame on a later stream waits for the earlier one."""
    streams = Streams()
    first, second = codec.frame(b"1"), codec.frame(b"2")
    assert [] == streams.take(5, second, end=True)
    assert [] == streams.take(1, first[:3], end=False)
    assert [(1, b"1"), (5, b"2")] == streams.take(1, first[3:], end=True)
    assert [] == list(streams.irregular())


@pytest.mark.parametrize(
    ("stream", "data", "end"),
    [
        (1, codec.frame(b"1"), False),
        (1, codec.frame(b"1") * 2, True),
        (0, codec.frame(b"1"), True),
        (3, b"\0", True),
    ],
    ids=["not ended", "two frames", "on a request", "unidirectional"],
)
def test_irregular_streams_are_named(stream: int, data: bytes, end: bool) -> None:  # noqa: FBT001 - a parameter
    """Each way of not sending one frame on one ended stream gives a sentence."""
    streams = Streams()
    streams.take(stream, data, end=end)
    assert 1 == len(list(streams.irregular()))
