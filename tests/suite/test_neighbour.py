"""Tests of conformance/neighbour.py: who the neighbours are, and what is heard of a relay over a link."""

from __future__ import annotations

import hashlib
import tomllib
from typing import Any

import pytest
from typer.testing import CliRunner

from conformance import codec, neighbour, validation
from conformance.cli import app
from conformance.dialogue import Dialogue
from conformance.identity import ABSENT, Identity, verifies
from conformance.neighbour import ENVELOPE, Neighbour, Peer, plain
from conformance.pulse import Pulse

RELAY = "20:86:96:9d:f2:5e:fa:1f:1d:a0:cc:8c:41:6c:6e:f7:df:0a:3d:ec:98:02:f9:65:aa:d6:14:f2:1b:fc:04:16"
EAST = "c3:50:10:3e:21:6b:1a:4e:58:e9:e2:c1:31:16:4a:30:76:d9:5c:a9:76:14:3b:e0:16:73:22:81:dd:e7:cf:40"
WEST = "e5:4b:e9:c2:35:07:5f:1a:cb:df:fb:12:87:43:5e:8f:ef:81:e8:60:6d:7a:cf:83:17:87:5b:ba:c9:0f:7d:c6"
CALL_ID = "6f1d2c3b4a5968778695a4b3c2d1e0ff"


class Known(Neighbour):
    """A neighbour whose relay is known without a connection."""

    relay = plain(RELAY)


def linked(phase: str = "7") -> Known:
    """Return a link that carries nothing by itself."""
    return Known("east", Dialogue(), Pulse(), phase)


def hears(link: Neighbour, *messages: codec.Message) -> None:
    """Let messages arrive on a link, one a stream."""
    for number, message in enumerate(messages):
        link._take(1 + 4 * number, codec.encode(message), end=True)


def envelope(inner: codec.Message, origin: str = RELAY, **others: object) -> codec.Message:
    """Return an envelope of the relay's."""
    return {ENVELOPE: {"inner": inner, "origin_relay_fp": origin, **others}}


def test_neighbours_never_change() -> None:
    """A relay that trusts the neighbours of one run trusts those of every other one."""
    assert [Peer(EAST, "east"), Peer(WEST, "west")] == list(neighbour.trusted())


def test_the_file_names_each_peer() -> None:
    """The file that tells a relay of its peers is TOML: to dial with an address, to trust without one."""
    text = neighbour.tables([*neighbour.trusted(), Peer(RELAY, "south", "127.0.0.1:1")])
    trusted = [{"fingerprint": EAST, "label": "east"}, {"fingerprint": WEST, "label": "west"}]
    peers = [{"address": "127.0.0.1:1", "fingerprint": RELAY, "label": "south"}]
    assert {"trusted": trusted, "peers": peers} == tomllib.loads(text)


def test_a_hello_proves_its_fingerprint() -> None:
    """The signature of a hello covers both certificates and the time, by the key of the one it shows."""
    body = codec.body_of(linked().hello())
    certificate = bytes(body["certificate"])
    assert plain(EAST) == hashlib.sha256(certificate).hexdigest() == plain(body["tls_fingerprint"])
    said = b"directcall-link" + bytes.fromhex(plain(EAST)) + bytes.fromhex(plain(RELAY))
    key = neighbour.shown("east").key.public_key().public_bytes_raw()
    assert verifies(key, bytes(body["signature"]), said + body["time"].to_bytes(8, "big"))


@pytest.mark.parametrize(
    "spoilt",
    [{"to": WEST}, {"later": 9000}, {"signer": "west"}, {"shows": "west"}, {"signature": ABSENT}],
    ids=str,
)
def test_a_spoilt_hello_is_another_one(spoilt: dict[str, Any]) -> None:
    """What a check spoils is different in the hello, and the hello still names its sender and is valid."""
    good, bad = linked().hello(), linked().hello(**spoilt)
    assert EAST == codec.body_of(bad)["tls_fingerprint"]
    assert any(codec.body_of(good)[name] != codec.body_of(bad).get(name) for name in codec.body_of(good))
    assert [] == list(validation.faults(bad, "4", "emit"))


@pytest.mark.parametrize("phase", ["4", "5.5", "7"])
def test_what_a_neighbour_says_is_valid(phase: str) -> None:
    """Every message that a neighbour makes itself is one of the phase that is judged."""
    away = Identity.named("away", phase=phase)
    said = [neighbour.ringing(CALL_ID), neighbour.setup(CALL_ID, away), neighbour.empty(CALL_ID)]
    said += [neighbour.sits(CALL_ID, away), envelope(away.hangup(CALL_ID), call_id=CALL_ID)]
    said += [away.hangup(CALL_ID), linked(phase).hello()]
    assert [] == [fault for one in said for fault in validation.faults(one, phase, "emit")]


def test_an_offer_of_a_neighbour_has_no_candidates() -> None:
    """What a relay must not send over a link, a neighbour does not send either."""
    offer = codec.body_of(Identity.named("away").offer("target", CALL_ID, **neighbour.UNSAID))
    assert set() == {"caller_reflexive_addr", "caller_local_addrs"} & {*offer}


def test_an_envelope_is_heard_as_its_message() -> None:
    """What came in an envelope goes by its own name, and its call is that of the envelope or its own."""
    link = linked()
    hears(link, envelope({"Hangup": {"reason": "Error"}}, call_id=CALL_ID), envelope(neighbour.ringing("11")))
    assert ["Hangup", "CallRinging"] == [one.name for one in link.heard()]
    assert [CALL_ID, "11"] == [one.body["call_id"] for one in link.heard()]
    assert 1 == len(link.heard("Hangup", call_id=CALL_ID, reason="Error"))


def test_what_is_in_no_envelope_goes_by_another_name() -> None:
    """A message beside an envelope, or in one of another relay, is not taken for one in the relay's own."""
    link = linked()
    ringing = neighbour.ringing(CALL_ID)
    hears(link, ringing, envelope(ringing, WEST), envelope(ringing, RELAY.upper()), neighbour.empty(CALL_ID))
    names = ["CallRinging without an envelope", "CallRinging of another relay", "CallRinging"]
    assert [*names, "GlobalRoomInactive"] == [one.name for one in link.heard()]


def test_tags_are_those_of_the_room() -> None:
    """The tag of a call is the beginning of the hash of its room's name."""
    assert hashlib.sha256(f"call-{CALL_ID}".encode()).digest()[:8] == neighbour.tag(CALL_ID)


def test_the_command_prints_the_file() -> None:
    """Whoever has a relay to be judged gets the neighbours from the command."""
    done = CliRunner().invoke(app, ["neighbours"])
    assert (0, neighbour.tables(neighbour.trusted())) == (done.exit_code, done.stdout)
