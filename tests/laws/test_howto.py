"""What the pages for implementers say, held to its sources: the rules of each phase, and every byte shown."""

from __future__ import annotations

import json
import re

import pytest

import schemas
from conformance import codec
from tools import chapters

HOW_TO = chapters.ROOT / "docs" / "how-to"
VECTORS = json.loads((chapters.ROOT / "tests" / "vectors" / "identity.json").read_text(encoding="utf-8"))
PHASE = re.compile(
    r"^## Phase (?P<phase>[0-9.]+): [^\n]+\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL
)
IN_FORCE = re.compile(
    r"^In force since phase (?P<phase>[0-9.]+):(?P<ids>.+?)(?=^#|^```|\Z)", re.MULTILINE | re.DOTALL
)
COMFORT_NOISE = 5


def page(name: str) -> str:
    """Return the text of a page of docs/how-to."""
    return (HOW_TO / name).read_text(encoding="utf-8")


def cited(text: str) -> list[str]:
    """Return the ids of requirements in a text, in its order."""
    known = chapters.every_requirement()
    return [found["id"] for found in chapters.CITED.finditer(text) if found["id"] in known]


def in_force(text: str) -> dict[str, list[str]]:
    """Return the ids that a page has in force since each phase, those of a phase in the section of it."""
    sections = {found["phase"]: found["text"] for found in PHASE.finditer(text)}
    lists = {phase: IN_FORCE.search(section) for phase, section in sections.items()}
    assert {phase for phase, found in lists.items() if found and found["phase"] != phase} == set()
    return {phase: cited(found["ids"]) if found else [] for phase, found in lists.items()}


def since(role: str) -> dict[str, list[str]]:
    """Return the ids of a role's requirements by the phase since which they hold."""
    rules = [one for one in chapters.every_requirement().values() if role in one.role.split()]
    return {phase: sorted(one.id for one in rules if one.since == phase) for phase in schemas.PHASES}


@pytest.mark.parametrize("role", ["client", "relay"])
def test_each_phase_names_the_rules_that_it_adds(role: str) -> None:
    """The page for implementers of a role has a section for each phase, with just the rules since then."""
    found = {phase: sorted(ids) for phase, ids in in_force(page(f"implement-a-{role}.md")).items()}
    assert since(role) == found


def test_the_first_message_is_shown_as_it_is() -> None:
    """The bytes and the length of the first frame are those of the registration in the chapter's example."""
    dialogue = next(
        fence.text
        for fence in chapters.fences(chapters.chapters()["registration"])
        if fence.info.startswith("dialogue")
    )
    frame = codec.frame(dialogue.splitlines()[0].removeprefix("alice -> relay ").encode())
    shown = f"said  {frame[:32].hex(' ', 4)} … {len(frame)} bytes in all"
    assert shown in page("implement-a-client.md")


def test_what_follows_from_a_seed_is_shown_as_it_is() -> None:
    """The keys and the signature of the page are those of the vectors and of the example."""
    identity = next(one for one in VECTORS["identities"] if one["seed_hex"] == "aa" * 32)
    example = chapters.ROOT / "schemas" / "examples" / "RegisterPresence" / "signed.json"
    message = json.loads(example.read_text(encoding="utf-8"))["RegisterPresence"]
    values = [identity[name] for name in ("seed_hex", "ed25519_private_seed_hex", "ed25519_public_hex")]
    shown = re.findall(r"`([0-9a-f]{64,128})` \|$", page("implement-a-client.md"), re.MULTILINE)
    assert [*values, bytes(message["signature"]).hex()] == shown


def test_the_chapter_derives_its_identities_as_the_vectors_do() -> None:
    """What the chapter says that a seed gives is what it gives in the vectors."""
    names = {
        "private seed": "ed25519_private_seed_hex",
        "public key": "ed25519_public_hex",
        "fingerprint": "fingerprint",
    }
    rows = chapters.table("registration", "seed", "gives", "value").rows
    vectors = {one["seed_hex"]: one for one in VECTORS["identities"]}
    assert [name for _, name, _ in rows] == [*names] * 3
    for seed, name, value in rows:
        byte, _, count = seed.partition(" x ")
        assert vectors[byte * int(count)][names[name]] == value.strip("`")


def test_the_datagrams_are_shown_as_they_are() -> None:
    """A frame of audio and the comfort noise behind it have the headers of the chapter."""
    audio, noise = codec.datagram(b"", sequence=7), codec.datagram(b"\0", codec=COMFORT_NOISE, sequence=8)
    text = page("implement-a-client.md")
    assert f"`{audio.hex(' ', -4)}` and the Opus packet" in text
    assert f"`{noise[:12].hex(' ', -4)} {noise[12:].hex()}` |" in text
