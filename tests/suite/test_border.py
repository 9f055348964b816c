"""Tests of conformance/border.py and of the targets whose relays link: who is asked, and who is told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance import neighbour
from conformance.border import SCENES, Border, Scene
from conformance.dialogue import Dialogue
from conformance.ground import Memory
from conformance.neighbour import Neighbour, plain
from conformance.pulse import Pulse
from conformance.targets import HASTY, LINKED, Target
from conformance.verdicts import Blocked, Deviation, Unsupported

NOWHERE = "udp:127.0.0.1:9"
RELAY = """
import json, pathlib, signal, sys, tomllib
ready = {"addr": "127.0.0.1:9"}
if "--config" in sys.argv:
    file = pathlib.Path(sys.argv[sys.argv.index("--config") + 1])
    ready["peers"] = [one["fingerprint"] for one in tomllib.loads(file.read_text())["trusted"]][OBEYS:]
print(json.dumps({"ready": ready}), flush=True)
signal.pause()
"""
EVERYBODY = {plain(peer.fingerprint) for peer in neighbour.trusted()}


@pytest.fixture
def relay(tmp_path: Path) -> Callable[..., Target]:
    """Return a maker of targets: relays that do nothing but trust whom they are told to, or fewer."""

    def make(words: str, *, obeys: bool = True) -> Target:
        path = tmp_path / "relay.py"
        path.write_text(RELAY.replace("OBEYS", "0" if obeys else "1"), encoding="utf-8")
        return Target(f"exec:{sys.executable} {path} {words}")

    return make


def border() -> Border:
    """Return a stage around a linked relay that is not there."""
    target = Target(NOWHERE, linked=True)
    return Border(target, target.relay(LINKED), "seed", slow=0.01, memory=Memory(), phase="7")


def test_a_relay_is_told_of_the_neighbours_where_it_is_to_link(relay: Callable[..., Target]) -> None:
    """With both places in its command a relay is started twice, and once it is to trust the neighbours."""
    with relay("{options} {links}") as target:
        target.start("signed", LINKED)
        assert EVERYBODY == target.relay(LINKED).peers
        assert frozenset() == target.relay("signed").peers


def test_a_relay_of_one_configuration_links_always(relay: Callable[..., Target]) -> None:
    """A relay that takes no options is started once, and trusts the neighbours then."""
    with relay("{links}") as target:
        assert EVERYBODY == target.relay(LINKED).peers
        assert target.relay(LINKED).process is target.relay("signed").process


def test_a_relay_that_trusts_only_some_is_not_asked(relay: Callable[..., Target]) -> None:
    """A relay whose ready line does not name every neighbour is told which ones it has to trust."""
    names = ", ".join(peer.fingerprint for peer in neighbour.trusted())
    with relay("{options} {links}", obeys=False) as target, pytest.raises(Unsupported, match=names):
        target.relay(LINKED)
    with relay("{options}") as target, pytest.raises(Unsupported, match=r"the command have \{links\}"):
        target.relay(LINKED)


def test_of_a_running_relay_its_user_says_that_it_links() -> None:
    """A relay that the suite did not start is asked when --linked says that it trusts the neighbours."""
    assert EVERYBODY == Target(NOWHERE, linked=True).relay(LINKED).peers
    with pytest.raises(Unsupported, match="say --linked when it does"):
        Target(NOWHERE).relay(LINKED)


@pytest.mark.parametrize("target", [NOWHERE, f"exec:{sys.executable} {{options}}"])
def test_who_cannot_be_configured_dials_nobody(target: str) -> None:
    """A relay that takes no file of peers cannot be started to dial a neighbour."""
    with Target(target) as unable, pytest.raises(Unsupported, match=r"\{options\} \{links\}"):
        asyncio.run(unable.another(neighbour.trusted()))


def test_a_relay_that_is_waited_for_is_hasty(relay: Callable[..., Target]) -> None:
    """A relay that is started with short times is taken to have them, another one those of the chapter."""
    with relay("{options} {links}") as target:
        hasty = asyncio.run(target.another(neighbour.trusted(), options=HASTY))
        assert (1.0, 1.0) == (hasty.timers["hello"], hasty.timers["search"])
        usual = asyncio.run(target.another(neighbour.trusted()))
        assert (5.0, 5.0) == (usual.timers["hello"], usual.timers["search"])


def test_a_scene_that_was_begun_is_told_to_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a scene has shown ahead is raised in its check, with what was said; another time it is played."""
    played: list[Border] = []

    async def play(stage: Border) -> None:
        played.append(stage)

    async def told() -> None:
        stage, said = border(), Dialogue()
        said.note("alice", "->", "something")
        begun: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        begun.set_result((said, Deviation("it was wrong")))
        stage.memory.once["a scene"] = begun
        with pytest.raises(Deviation, match="it was wrong"):
            await stage.ahead("a scene")
        assert ["something"] == [step["what"] for step in stage.dialogue.steps()]
        assert [] == played
        await stage.ahead("a scene")
        assert [stage] == played

    monkeypatch.setitem(SCENES, "a scene", Scene(play))
    asyncio.run(told())


def test_a_link_without_answers_is_blamed_once() -> None:
    """Where no Ping on a link is answered, what stands on that is blocked and not failed."""

    class Silent(Neighbour):
        """A link on which nothing comes."""

        alive = True
        closed = None

        def send(self, message: Any, *, fin: bool = True) -> int:  # noqa: ANN401 - as Puppet has it
            """Say it to nobody."""
            del message, fin
            return 0

    async def wait() -> None:
        stage = border()
        for _ in range(2):
            with pytest.raises(Blocked, match=r"^FED-9: "):
                await stage.fence(Silent("east", Dialogue(), Pulse(), "7"))
        assert stage.memory.answers_links is False

    asyncio.run(wait())
