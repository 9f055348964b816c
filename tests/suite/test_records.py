"""Tests of the records of failing checks: what passed on the wire, opened with the secrets beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aioquic._buffer import Buffer
from aioquic._crypto import CryptoError
from aioquic.quic.crypto import CryptoContext
from aioquic.quic.packet import QuicPacketType, QuicProtocolVersion, pull_quic_header
from aioquic.tls import CipherSuite

from conformance import archive, report, runner
from conformance.archive import Archive, place
from conformance.checking import CLIENT, RELAY, Check, catalogue
from conformance.dialogue import Dialogue
from conformance.record import Recorder
from conformance.runner import Order
from conformance.verdicts import Exit
from tests.suite.test_proxy import RELAY as THERE
from tests.suite.test_proxy import SEAT, blocks, packets_of

IP_AND_UDP = 28
"""Bytes of the headers before a QUIC packet over IPv4."""
ID_LENGTH = 8
SUITES = {
    32: (CipherSuite.AES_128_GCM_SHA256, CipherSuite.CHACHA20_POLY1305_SHA256),
    48: (CipherSuite.AES_256_GCM_SHA384,),
}
"""The cipher suites whose secrets have so many bytes (RFC 8446)."""


def contexts(secrets: bytes, side: str) -> Iterator[CryptoContext]:
    """Yield what opens the packets of one side, SERVER or CLIENT, from a key log."""
    for line in secrets.rstrip(b"\0").decode().splitlines():
        label, _, secret = line.split()
        if label == f"{side}_TRAFFIC_SECRET_0":
            for suite in SUITES[len(secret) // 2]:
                context = CryptoContext()
                context.setup(
                    cipher_suite=suite, secret=bytes.fromhex(secret), version=QuicProtocolVersion.VERSION_1
                )
                yield context


def opened(folder: Path, side: str) -> bytes:
    """Return what the packets of one side hold, as somebody reads it who has nothing but the record."""
    written = (folder / "wire.pcapng").read_bytes()
    keys = [*contexts(dict(blocks(written))[10][8:], side)]
    found = []
    for _, whole in packets_of(written):
        data = whole[IP_AND_UDP:]
        buffer = Buffer(data=data)
        while not buffer.eof() and data[buffer.tell()]:  # zeros behind the last packet fill a datagram up
            start = buffer.tell()
            header = pull_quic_header(buffer, host_cid_length=ID_LENGTH)
            begin, end = buffer.tell(), start + header.packet_length
            if header.packet_type == QuicPacketType.ONE_RTT:
                found += plain(keys, data[start:end], begin - start)
            buffer.seek(end)
    return b"".join(found)


def plain(keys: list[CryptoContext], packet: bytes, offset: int) -> list[bytes]:
    """Return what a packet holds, for each of the keys that open it."""
    found = []
    for key in keys:
        try:
            _, payload, _, _ = key.decrypt_packet(packet, offset, 0)
        except CryptoError:
            continue
        found.append(payload)
    return found


@pytest.mark.parametrize(
    ("role", "mutant", "side", "said", "logs"),
    [
        (RELAY, "CALL-3", "SERVER", b'"CallRinging"', {"alice.qlog", "bob.qlog"}),
        (CLIENT, "CALL-39", "CLIENT", b'"DirectCallAnswer"', {"relay.qlog"}),
    ],
)
def test_the_offending_message_is_in_the_record(
    role: str, mutant: str, side: str, said: bytes, logs: set[str], tmp_path: Path
) -> None:
    """The packets of a failing check open with their secrets, and hold what the check complains of."""
    done = runner.perform(Order(f"mutant:{mutant}", only=(mutant,), role=role, out=tmp_path))
    assert (Exit.FAILED, [3]) == (done.exit_status, [one.failed for one in done.outcomes])
    folder = tmp_path / mutant
    assert said in opened(folder, side)
    assert {"dialogue.jsonl", "wire.pcapng", *logs} == {one.name for one in folder.iterdir()}
    assert all(json.loads((folder / one).read_text(encoding="utf-8"))["traces"] for one in logs)
    (rule,) = report.load(tmp_path)["requirements"]
    (check,) = rule["checks"]
    assert (mutant, None) == (check["record"], check.get("record_note"))
    steps = [json.loads(line) for line in (folder / "dialogue.jsonl").read_text("utf-8").splitlines()]
    assert check["dialogue"] == [{name: step[name] for name in step if name != "ms"} for step in steps]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f'href="{mutant}/wire.pcapng"' in page
    assert f"tshark -r {mutant}/wire.pcapng" in page


def test_what_passes_leaves_no_record(tmp_path: Path) -> None:
    """Of a check that passes nothing is kept but its verdict."""
    done = runner.perform(Order("ref:", only=("CALL-3",), out=tmp_path))
    assert Exit.PASSED == done.exit_status
    assert [] == [one for one in tmp_path.iterdir() if one.is_dir()]


def check_of(rule: str) -> Check:
    """Return the first check of a rule."""
    return next(one for one in catalogue() if one.id == rule)


def recorder() -> Recorder:
    """Return a recorder that has seen one packet."""
    made = Recorder()
    made.witness(SEAT, THERE, b"packet")
    return made


def test_so_many_failures_are_recorded_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more failures than a run records, each of the others says so."""
    monkeypatch.setattr(archive, "RECORDS", 1)
    kept = Archive(tmp_path)
    assert ("CALL-3", "") == kept.keep(check_of("CALL-3"), recorder(), Dialogue())
    assert kept.recorder(logs=True) is None
    folder, note = kept.keep(check_of("CALL-9"), None, Dialogue())
    assert ("", "not recorded: a run records 1 failures, and these have been") == (folder, note)
    assert ["CALL-3"] == [one.name for one in tmp_path.iterdir()]


def test_a_record_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Where something is in the way of a record, the failure says what."""
    (tmp_path / "CALL-3").write_text("in the way", encoding="utf-8")
    folder, note = Archive(tmp_path).keep(check_of("CALL-3"), recorder(), Dialogue())
    assert "" == folder
    assert note.startswith("not recorded: ")
    assert "CALL-3" in note


def test_a_record_is_of_one_run(tmp_path: Path) -> None:
    """The qlogs of an earlier run in the same folder do not stay behind, and nothing else goes."""
    (tmp_path / "CALL-3").mkdir()
    for name in ("zoe.qlog", "notes.txt"):
        (tmp_path / "CALL-3" / name).write_text("{}", encoding="utf-8")
    Archive(tmp_path).keep(check_of("CALL-3"), recorder(), Dialogue())
    assert {"notes.txt", "dialogue.jsonl", "wire.pcapng"} == {
        one.name for one in (tmp_path / "CALL-3").iterdir()
    }


def test_without_a_folder_nothing_is_recorded() -> None:
    """A run without --out has neither records nor anything to say of them."""
    assert Archive().recorder(logs=True) is None
    assert ("", "") == Archive().keep(check_of("CALL-3"), None, Dialogue())


@pytest.mark.parametrize("role", [RELAY, CLIENT])
def test_every_check_has_a_folder_of_its_own(role: str) -> None:
    """Two checks of one rule are not recorded in one place."""
    places = [place(one) for one in catalogue(role)]
    assert len(places) == len(set(places))
    assert {one.id for one in catalogue(role)} <= set(places)
