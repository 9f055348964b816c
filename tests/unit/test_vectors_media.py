"""Vectors: the datagram is that of deployed peers, and what our relay does otherwise is listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import schemas
from reference.core import media
from reference.core.media import GOOD, Codec, Header, QualityReport
from reference.core.messages import AcceptMode, DirectCallAnswer
from tests.world import World, introduction, offer
from tools.chapters import chapters, table, tables

VECTORS = Path(__file__).parents[1] / "vectors"
MEDIA: dict[str, Any] = json.loads((VECTORS / "media_header.json").read_text(encoding="utf-8"))
DISAGREEMENTS = {"two low bits of byte 1 set: zeroed by the relay": "MEDIA-17"}
"""Datagrams that a deployed relay changes and ours forwards byte for byte, and the rule that says so."""

ELSEWHERE = {"notes": "prose", "not_on_the_wire": "no deployed client sends or decodes it"}


def by_name(row: dict[str, Any]) -> str:
    """Return the name of a row."""
    return str(row["name"])


def forwarded(datagram: bytes) -> list[bytes]:
    """Return what arrives at the other participant of a room."""
    world = World()
    alice, bob = world.puppet("alice"), world.puppet("bob")
    alice.says(offer(alice.identity, bob.identity, "c1"))
    bob.says(DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.ACCEPT_TRUSTED))
    rooms = [world.puppet(who.name, "call-c1") for who in (alice, bob)]
    for room in rooms:
        room.says(introduction(room.identity))
    rooms[0].throws(datagram)
    assert [] == rooms[0].datagrams
    return rooms[1].datagrams


@pytest.mark.parametrize("row", MEDIA["forwarding"], ids=by_name)
def test_a_datagram_is_forwarded_as_deployed_or_as_listed(row: dict[str, Any]) -> None:
    """It is dropped where a deployed relay drops it, else forwarded, and changed only where it is listed."""
    sent = bytes.fromhex(row["input_hex"])
    assert ([sent] if row["accepted"] else []) == forwarded(sent)
    assert row["accepted"] == (not media.unfit(sent))
    theirs = bytes.fromhex(row.get("output_hex", row["input_hex"]))
    assert (row["name"] in DISAGREEMENTS) == (theirs != sent)


def test_each_disagreement_is_a_row_of_the_vectors_and_of_the_chapter() -> None:
    """The list names rows that there are, and spec/deployed.md has a row for each rule."""
    assert set() == set(DISAGREEMENTS) - {row["name"] for row in MEDIA["forwarding"]}
    differing = [one for one in tables(chapters()["deployed"]) if "deployed does" in one.header]
    rows = [row for one in differing for row in one.rows]
    for rule in DISAGREEMENTS.values():
        assert 1 == sum(f"[{rule}]" in row[1] for row in rows)
        assert f"**{rule}** (relay" in chapters()["media"]


@pytest.mark.parametrize("row", MEDIA["headers"], ids=lambda row: row["header_hex"])
def test_a_header_is_that_of_deployed_peers(row: dict[str, Any]) -> None:
    """Each field is read from its bits, and writing the fields gives the same bytes."""
    header = Header.decode(bytes.fromhex(row["header_hex"]))
    expected = Header(
        codec=row["codec_id"],
        sequence=row["seq"],
        timestamp=row["timestamp_ms"],
        version=bool(row["version"]),
        repair=row["repair"],
        report=row["quality_report"],
        fec_ratio=row["fec_ratio_encoded"],
        fec_block=row["fec_block"],
        fec_symbol=row["fec_symbol"],
        reserved=row["reserved"],
        csrc_count=row["csrc_count"],
    )
    assert expected == header
    assert row["header_hex"] == expected.encode().hex()


@pytest.mark.parametrize("row", MEDIA["fec_ratio"]["vectors"], ids=lambda row: str(row["ratio"]))
def test_a_repair_ratio_is_encoded_as_deployed(row: dict[str, Any]) -> None:
    """The seven bits of a ratio are those of the vectors, capped at 127."""
    assert row["encoded"] == media.encode_fec_ratio(row["ratio"])


def test_a_report_is_laid_out_as_deployed() -> None:
    """Header, payload and report of the example are found, and written again as the same bytes."""
    row = MEDIA["quality_report"]["packet"]
    header, payload, report = media.split(bytes.fromhex(row["packet_hex"]))
    assert (row["header_hex"], row["payload_hex"]) == (header.encode().hex(), payload.hex())
    expected = QualityReport(row["loss_pct"], row["rtt_4ms"], row["jitter_ms"], row["bitrate_cap_kbps"])
    assert expected == report
    assert row["trailer_hex"] == expected.encode().hex()


@pytest.mark.parametrize(
    "row", MEDIA["quality_report"]["from_path_stats"], ids=lambda row: str(row["measured"]["rtt_ms"])
)
def test_a_measurement_is_scaled_as_deployed(row: dict[str, Any]) -> None:
    """Loss, round trip and jitter become the bytes of the vectors."""
    measured, report = row["measured"], row["report"]
    made = QualityReport.measured(measured["loss_percent"], measured["rtt_ms"], measured["jitter_ms"])
    assert [report["loss_pct"], report["rtt_4ms"], report["jitter_ms"]] == list(made.encode()[:3])


def test_the_codecs_are_the_deployed_ones() -> None:
    """Ids and names are those of the vectors and of the chapter, and the other ids are dropped."""
    names = schemas.load("wire")["$defs"]["CodecId"]["enum"]
    assert [(row["id"], row["name"]) for row in MEDIA["codecs"]] == list(enumerate(names))
    assert [row["id"] for row in MEDIA["codecs"]] == list(Codec)
    rows = table("media", "id", "codec", "bit/s").rows
    for row, written in zip(MEDIA["codecs"], rows, strict=False):
        bits, frame = str(row["bits_per_second"]), f"{row['frame_ms']} ms"
        assert (str(row["id"]), row["name"], bits, frame) == written[:4]
    refused = [number for number in range(16) if media.unfit(bytes([number << 2]) + bytes(11))]
    assert MEDIA["rejected_codec_ids"] == refused


def test_the_profile_is_the_deployed_one() -> None:
    """The profile that every implementation sends is the deployed GOOD."""
    assert MEDIA["profiles"]["GOOD"] == GOOD
    assert media.FRAME_MS == GOOD["frame_duration_ms"]


def test_the_layout_is_that_of_the_chapter() -> None:
    """The chapter's table has a row for the bytes and bits of each deployed field, in order."""
    deployed = [(str(row["byte"]), row.get("bits", "")) for row in MEDIA["layout"]]
    rows = table("media", "byte", "bits", "field").rows
    assert deployed == [(byte.replace("–", "-"), bits) for byte, bits, _ in rows]


def test_nothing_of_the_vectors_is_passed_over() -> None:
    """Each part of the file is compared here, or it is said why not."""
    compared = {
        *("layout", "codecs", "rejected_codec_ids", "profiles", "fec_ratio"),
        *("headers", "quality_report", "forwarding"),
    }
    assert compared | set(ELSEWHERE) == set(MEDIA)
