"""The client behind the suite's control protocol, in this process, at relays on loopback."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from reference import lines, subject
from reference.buttons import Buttons
from reference.clock import Clock, Pace
from reference.control import FASTEST
from reference.core.addresses import format_address
from reference.core.line import Leg
from reference.core.media import HEADER_SIZE, Codec, Header
from reference.core.phases import NEWEST, Phase
from reference.courier import Courier
from reference.endpoint import EndpointLimits
from reference.handset import Handset
from reference.lines import LINE_LIMIT, Connection, Printer, Standard
from reference.subject import OVERRUN, Session
from tests.loopback.conftest import Recorder, Waiting, opened, run
from tests.loopback.test_nat import DEAD, relay, where

QUICK, SUDDEN = 0.25, 0.03125
ALICE, BOB = "11" * 32, "22" * 32
NOBODY = ":".join(["0000"] * 8)


class Seat(Waiting):
    """A client under test, and what it said."""

    def __init__(self, phase: Phase = NEWEST) -> None:
        """Start it."""
        super().__init__()
        self.said: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.buttons = Buttons(phase, self._say)
        self._number = 0

    def _say(self, what: Any) -> None:  # noqa: ANN401 - any JSON object
        self.said.append(json.loads(json.dumps(what)))
        self.changed()

    async def ask(self, do: str, **members: object) -> dict[str, Any]:
        """Send a request; return the reply, without its id."""
        self._number += 1
        await self.buttons.press(json.dumps({"id": self._number, "do": do, **members}).encode())
        (reply,) = [one for one in self.said if one.get("id") == self._number]
        return {name: value for name, value in reply.items() if name != "id"}

    async def does(self, do: str, **members: object) -> dict[str, Any]:
        """Send a request that is understood; return its `ok`."""
        reply = await self.ask(do, **members)
        assert ["ok"] == list(reply), reply
        ok: dict[str, Any] = reply["ok"]
        return ok

    async def registers(self, relay: str, seed: str, **members: object) -> str:
        """Configure and register; return the fingerprint."""
        await self.does("configure", relay=relay, seed=seed, **{"timers": QUICK, "candidates": [], **members})
        await self.does("register")
        tell = self.handset._tell

        def told(event: str, members: Mapping[str, object]) -> None:
            tell(event, members)
            self.told.append(event)
            self.changed()

        self.handset._tell = told
        return str((await self.event("registered"))["fingerprint"])

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a name, without it."""
        those = [one for one in self.said if one.get("event") == name]
        return [{key: value for key, value in one.items() if key != "event"} for one in those]

    async def event(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait for the so manieth event of a name."""
        await self.until(lambda: len(self.events(name)) >= count)
        return self.events(name)[count - 1]

    @property
    def handset(self) -> Handset:
        """The running client."""
        assert self.buttons.handset is not None
        return self.buttons.handset


@asynccontextmanager
async def seats(*phases: Phase) -> AsyncIterator[list[Seat]]:
    """Start clients under test; end them behind the test."""
    made = [Seat(phase) for phase in phases or (NEWEST,)]
    try:
        yield made
    finally:
        for seat in made:
            await seat.buttons.leave()


async def call(alice: Seat, bob: Seat, fingerprint: str, mode: str = "AcceptTrusted") -> str:
    """Let alice call bob, who answers; return the call_id."""
    await alice.does("call", target=fingerprint)
    call_id = str((await bob.event("incoming"))["call_id"])
    await bob.does("answer", call_id=call_id, mode=mode)
    return call_id


@pytest.mark.parametrize("phase", [Phase.SIGNALLED_CALL, Phase.RACE, NEWEST], ids=str)
def test_two_of_a_phase_call_each_other(phase: Phase) -> None:
    """Each event of a call is told with its call_id; the path is direct where the phase has one."""

    async def test() -> None:
        async with relay() as there, seats(phase, phase) as (alice, bob):
            caller = await alice.registers(where(there), ALICE)
            call_id = await call(alice, bob, await bob.registers(where(there), BOB))
            assert [{"call_id": call_id, "caller": caller}] == bob.events("incoming")
            assert {"call_id": call_id} == await alice.event("ringing")
            paths = [await seat.event("path") for seat in (alice, bob)]
            path = "direct" if phase >= Phase.RACE else "relay"
            assert [path, path] == [one["path"] for one in paths]
            ports = {seat.handset.sockets.ports[4] for seat in (alice, bob)}
            remotes = {int(str(one["remote"]).rpartition(":")[2]) for one in paths}
            assert remotes == (ports if path == "direct" else {there.endpoint.address[1]})
            expected = {"registered": True, "call_id": call_id, "path": path}
            assert expected == await alice.does("state")
            await alice.does("hangup")
            assert {"call_id": call_id, "reason": "hung up"} == await alice.event("ended")
            assert {"call_id": call_id, "reason": "Normal"} == await bob.event("ended")
            assert {"registered": True, "call_id": None, "path": None} == await bob.does("state")

    run(test())


@pytest.mark.parametrize("way", ["auto", "relay"])
def test_what_is_sent_is_heard(way: str) -> None:
    """Every frame that is sent is told at the other end, once, by its number and the digest of its bytes."""

    async def test() -> None:
        async with relay() as there, seats(NEWEST, NEWEST) as (alice, bob):
            await alice.registers(where(there), ALICE, path=way)
            await call(alice, bob, await bob.registers(where(there), BOB))
            for seat in (alice, bob):
                await seat.until(lambda seat=seat: "talking" in seat.told)  # type: ignore[misc]
            sent: list[bytes] = []
            send = alice.handset.sockets.send_datagram

            def sends(leg: int, data: bytes) -> None:
                sent.append(data)
                send(leg, data)

            alice.handset.sockets.send_datagram = sends  # type: ignore[method-assign]
            await alice.does("send", n=30, every_ms=20)
            await bob.event("received", 30)
            assert [(one["seq"], one["digest"]) for one in bob.events("received")] == [
                (Header.decode(data).sequence, hashlib.sha256(data[HEADER_SIZE:]).hexdigest())
                for data in sent[:30]
            ]
            assert all(16 <= len(data) - HEADER_SIZE <= 200 for data in sent[:30])
            assert (Leg.MEDIA in alice.handset.sockets._sessions) == (way == "relay")

    run(test())


def test_a_courier_keeps_its_pace() -> None:
    """One frame is said every so many turns, in the order of the requests, and no more wait than 1000."""

    async def test() -> None:
        spoken: list[bytes | None] = []
        courier = Courier(Clock(), lambda *_: None, spoken.append, lambda _: None)
        assert courier.order(2, 3)
        assert courier.order(1, 1)
        assert not courier.order(998, 1)
        courier._pace.stop()
        for _ in range(9):
            courier._turn()
        said = ["-" if one is None else "x" for one in spoken]
        assert "-" + "x--x--x--" == "".join(said)
        assert 0 == courier.waiting

    run(test())


def test_a_courier_tells_of_audio_alone() -> None:
    """Comfort noise and repair are not told; a frame of audio is, whatever its codec, with its report."""

    async def test() -> None:
        heard: list[tuple[int, str]] = []
        courier = Courier(Clock(), lambda *what: heard.append(what), lambda _: None, lambda _: None)
        for number, header in enumerate(
            (
                Header(codec=Codec.COMFORT_NOISE, sequence=1, timestamp=0),
                Header(codec=Codec.OPUS_24K, sequence=2, timestamp=0, repair=True),
                Header(codec=Codec.CODEC2_1200, sequence=3, timestamp=0, report=True),
            )
        ):
            courier.hear(header.encode() + bytes([number]) * 9)
        assert [(3, hashlib.sha256(bytes([2]) * 9).hexdigest())] == heard
        assert {"sent": 0, "received": 1} == courier.close()

    run(test())


def test_one_number_hurries_the_whole_client() -> None:
    """With `timers` the machine's waits, the limits of the sockets and the frames are shorter alike."""

    async def test() -> None:
        async with opened(Recorder()) as silent, seats() as (alice,):
            there = format_address(*silent.address)
            await alice.does("configure", relay=there, seed=ALICE, timers=SUDDEN)
            await alice.does("register")
            loop, timer = asyncio.get_running_loop(), alice.handset._timer
            assert timer is not None
            assert timer.when() <= loop.time() + SUDDEN * alice.handset.core.account.signal_timeout
            (endpoint, *_) = alice.handset.sockets._endpoints.values()
            usual, quick = EndpointLimits(), endpoint.limits
            assert SUDDEN * usual.keep_alive == quick.keep_alive
            assert SUDDEN * usual.stream_timeout == quick.stream_timeout
            assert SUDDEN * usual.handshake_timeout == quick.handshake_timeout
            assert usual.idle_timeout == quick.idle_timeout
            assert {"reason", "final"} == (await alice.event("offline")).keys()
            assert Pace(lambda: None, Clock(SUDDEN))._frame == SUDDEN * Pace(lambda: None)._frame

    run(test())


def test_a_pace_makes_up_for_missed_turns_and_not_for_a_long_sleep() -> None:
    """What was missed is made up for at once; what lies longer back than a second is past."""

    async def test() -> None:
        loop = asyncio.get_running_loop()
        turns: list[float] = []
        pace = Pace(lambda: turns.append(loop.time()))
        pace._next = loop.time() - 0.21
        pace._wake()
        assert 11 <= len(turns) <= 50
        turns.clear()
        pace._next = loop.time() - 5
        pace._wake()
        assert 1 == len(turns)
        pace.stop()
        pace._wake()
        assert 1 == len(turns)

    run(test())


def test_the_addresses_of_the_suite_are_claimed() -> None:
    """With `candidates` the client advertises these, with its port, and not those of its interfaces."""

    async def test() -> None:
        async with relay() as there, seats(Phase.HOST_CANDIDATES) as (alice,):
            await alice.registers(where(there), ALICE, candidates=["10.1.2.3", "127.0.0.1", "192.168.9.9"])
            await alice.does("call", target=NOBODY)
            await alice.event("ended")
            told: list[tuple[str, ...]] = []
            await alice.does("call", target=NOBODY)
            gathering = alice.handset.core.telephone.call.gathering  # type: ignore[union-attr]
            await alice.event("ended", 2)
            told.append(tuple(gathering.hosts))
            port = alice.handset.sockets.ports[4]
            assert [(f"10.1.2.3:{port}", f"192.168.9.9:{port}")] == told

    run(test())


def test_a_relay_with_another_key_is_left_for_good() -> None:
    """With `fingerprint` the client leaves a relay that has another key, and does not come back."""

    async def test() -> None:
        async with relay() as there, seats() as (alice,):
            pin = ":".join(["AB"] * 32)
            await alice.does("configure", relay=where(there), seed=ALICE, fingerprint=pin)
            await alice.does("register")
            assert (await alice.event("offline"))["final"] is True
            assert {"error": "the client is not registered"} == await alice.ask("call", target=NOBODY)

    run(test())


def test_a_lost_relay_is_told_and_so_is_the_return() -> None:
    """Without its relay the client is offline and comes back by itself; replaced by another, it does not."""

    async def test() -> None:
        async with relay() as there, seats(NEWEST, NEWEST) as (alice, other):
            await alice.registers(where(there), ALICE)
            (endpoint, *_) = alice.handset.sockets._endpoints.values()
            endpoint.close(alice.handset.sockets._sessions[Leg.SIGNAL], 1, "away")
            assert {"reason": "away", "final": False} == await alice.event("offline")
            await alice.event("registered", 2)
            await other.registers(where(there), ALICE)
            assert (await alice.event("offline", 2))["final"] is True

    run(test())


def test_relays_are_asked_as_by_the_client() -> None:
    """`nat` tells what each relay saw, in their order, the same one twice too, and nothing of a dead one."""

    async def test() -> None:
        async with relay() as one, relay() as other, seats() as (alice,):
            await alice.does("configure", relay=where(one), seed=ALICE, timers=QUICK)
            named = [where(other), where(one), DEAD, where(other)]
            said = await alice.does("nat", relays=named)
            first, second, dead, again = said["observed"]
            assert first == second == again
            assert first.startswith("127.0.0.1:")
            assert dead is None
            assert "Unknown" == said["verdict"]

    run(test())


def test_a_reset_in_mid_call_ends_it_for_both() -> None:
    """`reset` hangs up before it replies; afterwards there is no registration and no configuration."""

    async def test() -> None:
        async with relay() as there, seats(NEWEST, NEWEST) as (alice, bob):
            await alice.registers(where(there), ALICE)
            call_id = await call(alice, bob, await bob.registers(where(there), BOB))
            await alice.event("path")
            await alice.does("reset")
            assert [{"call_id": call_id, "reason": "hung up"}] == alice.events("ended")
            assert "event" in alice.said[-2]
            assert {"call_id": call_id, "reason": "Normal"} == await bob.event("ended")
            assert {"registered": False, "call_id": None, "path": None} == await alice.does("state")
            assert "error" in await alice.ask("register")
            assert [] == alice.events("offline")

    run(test())


def open_files() -> int:
    """Count the open files of this process, sockets among them."""
    return len(list(Path("/dev/fd").iterdir()))


def test_resets_leave_nothing() -> None:
    """However often a client is configured, registered and reset, nothing of it stays."""

    async def test() -> None:
        async with relay() as there, seats() as (alice,):
            counts = []
            for _ in range(3):
                for _ in range(10):
                    await alice.registers(where(there), ALICE)
                    alice.said.clear()
                    stats = alice.handset.sockets.stats
                    await alice.does("reset")
                    assert {0} == set(stats().values())
                    del stats
                gc.collect()
                kept = sum(isinstance(one, Handset) for one in gc.get_objects())
                counts.append((kept, open_files(), len(asyncio.all_tasks()), threading.active_count()))
            assert 0 == counts[-1][0]
            assert counts[1] == counts[2]

    run(test())


def test_hello_says_the_phase() -> None:
    """The greeting names client, phase and features."""

    async def test() -> None:
        async with seats(Phase.RACE) as (alice,):
            said = await alice.does("hello")
            assert ("3.5", 1, ["client"]) == (said["phase"], said["control"], said["roles"])
            assert {"candidates", "fingerprint", "media", "nat", "path", "timers"} == set(said["features"])

    run(test())


def test_what_cannot_be_done_now_is_an_error() -> None:
    """Each request at the wrong time is refused with a sentence, and changes nothing."""

    async def test() -> None:
        async with relay() as there, seats(NEWEST, NEWEST) as (alice, bob):
            configuration = {"relay": where(there), "seed": ALICE}
            none = "there is no configuration: configure comes first"
            off, idle = "the client is not registered", "there is no call"
            on = "the client is registered or about to be: reset comes first"
            assert {"error": none} == await alice.ask("register")
            for do, members in (
                ("call", {"target": NOBODY}),
                ("answer", {"call_id": "c1", "mode": "Reject"}),
                ("hangup", {}),
                ("send", {"n": 1, "every_ms": 20}),
            ):
                assert {"error": off} == await alice.ask(do, **members)
            name = await alice.registers(where(there), ALICE)
            assert {"error": on} == await alice.ask("configure", **configuration)
            assert {"error": on} == await alice.ask("register")
            assert {"error": idle} == await alice.ask("hangup")
            assert {"error": idle} == await alice.ask("send", n=1, every_ms=20)
            assert {"error": idle} == await alice.ask("answer", call_id="c1", mode="Reject")
            await bob.registers(where(there), BOB)
            await bob.does("call", target=name)
            call_id = (await alice.event("incoming"))["call_id"]
            refused = await alice.ask("answer", call_id="c1", mode="AcceptTrusted")
            assert {"error": "no call 'c1' comes in"} == refused
            assert {"error": "the call was not placed or accepted yet"} == await alice.ask(
                "send", n=1, every_ms=20
            )
            assert {"error": f"the call {call_id!r} is on"} == await alice.ask("call", target=NOBODY)
            await alice.does("answer", call_id=call_id, mode="AcceptGeneric")
            again = await alice.ask("answer", call_id=call_id, mode="AcceptGeneric")
            assert {"error": f"no call {call_id!r} comes in"} == again
            await alice.does("send", n=1000, every_ms=1000)
            assert "too many more" in (await alice.ask("send", n=1000, every_ms=20))["error"]

    run(test())


GOOD = {"relay": "127.0.0.1:4433", "seed": ALICE}


@pytest.mark.parametrize(
    ("do", "members", "named"),
    [
        ("configure", {"seed": ALICE}, "relay has to be a string, not null"),
        ("configure", {**GOOD, "relay": "here:1"}, "'here:1'"),
        ("configure", {**GOOD, "relay": "127.0.0.1:0"}, "127.0.0.1:0"),
        ("configure", {**GOOD, "seed": "11"}, "seed '11'"),
        ("configure", {**GOOD, "seed": 11}, "seed has to be a string, not 11"),
        ("configure", {**GOOD, "fingerprint": "ab"}, "fingerprint 'ab'"),
        ("configure", {**GOOD, "path": "direct"}, "path is one of auto, relay, not 'direct'"),
        ("configure", {**GOOD, "candidates": "10.0.0.1"}, "candidates has to be a list of strings"),
        ("configure", {**GOOD, "candidates": ["10.0.0"]}, "'10.0.0' is no IP literal"),
        ("configure", {**GOOD, "timers": 0}, "timers has to be a number"),
        ("configure", {**GOOD, "timers": 1.5}, "not 1.5"),
        ("configure", {**GOOD, "timers": FASTEST / 2}, "from 0.01 to 1"),
        ("configure", {**GOOD, "timers": True}, "not true"),
        ("call", {"target": "me"}, "target 'me' is no fingerprint"),
        ("answer", {"call_id": "c1", "mode": "Maybe"}, "not 'Maybe'"),
        ("answer", {"mode": "Reject"}, "call_id has to be a string"),
        ("send", {"n": 0, "every_ms": 20}, "n has to be an integer, from 1 to 1000, not 0"),
        ("send", {"n": 1001, "every_ms": 20}, "not 1001"),
        ("send", {"n": 1.5, "every_ms": 20}, "not 1.5"),
        ("send", {"n": 1, "every_ms": 0}, "at least 20, not 0"),
        ("send", {"n": 1, "every_ms": 30}, "every_ms 30 is no multiple of 20"),
        ("nat", {"relays": []}, "1 to 8 entries, not 0"),
        ("nat", {"relays": ["224.0.0.1:1"]}, "no relay can be at 224.0.0.1:1"),
    ],
)
def test_a_wrong_value_is_named(do: str, members: dict[str, object], named: str) -> None:
    """A request with a wrong value is refused with a sentence that says which and why."""

    async def test() -> None:
        async with seats() as (alice,):
            assert named in (await alice.ask(do, **members))["error"]

    run(test())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"hello\n",
        b"[1]\n",
        b"\xff\n",
        b"{}\n",
        b'{"do":"hello"}\n',
        b'{"id":0,"do":"hello"}\n',
        b'{"id":true,"do":"hello"}\n',
        b'{"id":1,"do":1}\n',
        b'{"id":1,"id":1,"do":"hello"}\n',
        b"[" * 60_000,
    ],
)
def test_what_is_no_request_is_not_answered(line: bytes) -> None:
    """A line that is no object with an id and a `do` is counted, and nothing is said."""

    async def test() -> None:
        async with seats() as (alice,):
            await alice.buttons.press(line)
            assert (1, []) == (alice.buttons.strange, alice.said)

    run(test())


def test_a_request_of_a_later_version_is_unsupported() -> None:
    """What the client does not know it says so of, in few words; members it does not know it ignores."""

    async def test() -> None:
        async with seats() as (alice,):
            said = await alice.ask("dance" * 1000, **GOOD)
            assert ["unsupported"] == list(said)
            assert len(said["unsupported"]) < 100
            await alice.does("configure", **GOOD, hat="green")

    run(test())


class Suite:
    """The suite's end of a session over pipes, as one over standard input and output is."""

    def __init__(self) -> None:
        """Start the session, of which `served` gives the exit status."""
        self.stop = asyncio.Event()
        theirs, self.requests = os.pipe()
        self.replies, ours = os.pipe()
        self.session = Session(NEWEST, Standard(theirs).reader, Printer(ours))
        self.served = asyncio.ensure_future(self.session.serve(self.stop))
        self._ends = theirs, ours

    def says(self, *requests: bytes) -> None:
        """Send lines."""
        os.write(self.requests, b"".join(requests))

    async def ends(self) -> tuple[int, list[dict[str, Any]]]:
        """Return the exit status and what was said, once the session is over."""
        status = await self.served
        os.close(self._ends[1])
        with os.fdopen(self.replies, "rb") as replies:
            said = [json.loads(line) for line in replies]
        os.close(self._ends[0])
        return status, said


HELLO, BYE = b'{"id":1,"do":"hello"}\n', b'{"id":2,"do":"bye"}\n'


def test_a_session_ends_with_bye(capfd: pytest.CaptureFixture[str]) -> None:
    """What came is answered in its order, in one line each; lines that were none are told of once."""

    async def test() -> None:
        suite = Suite()
        suite.says(b"noise\n", HELLO[:9])
        suite.says(HELLO[9:], b"more noise\n", BYE, HELLO)
        status, said = await suite.ends()
        assert (0, [1, 2]) == (status, [one["id"] for one in said])
        os.close(suite.requests)

    run(test())
    assert ("", "subject: lines of the suite that were no requests: 2\n") == capfd.readouterr()


@pytest.mark.parametrize("how", ["end of input", "stopped"])
def test_a_session_ends_when_nobody_asks_any_more(how: str) -> None:
    """At the end of its input, and told to stop, a session leaves the relay and is over."""

    async def test() -> None:
        async with relay() as there:
            suite = Suite()
            suite.says(
                json.dumps({"id": 1, "do": "configure", **GOOD, "relay": where(there)}).encode(), b"\n"
            )
            suite.says(b'{"id":2,"do":"register"}\n')
            buttons, until = suite.session._buttons, Waiting()
            said = buttons._say
            buttons._say = lambda what: (said(what), until.changed())[0]  # type: ignore[func-returns-value]
            await until.until(lambda: buttons.handset is not None and buttons.handset.core.online)
            handset = buttons.handset
            assert handset is not None
            if how == "stopped":
                suite.stop.set()
            else:
                os.close(suite.requests)
            status, replies = await suite.ends()
            assert (0, "registered") == (status, replies[-1]["event"])
            assert {0} == set(handset.sockets.stats().values())
            if how == "stopped":
                os.close(suite.requests)

    run(test())


def test_a_line_without_end_ends_the_session(capfd: pytest.CaptureFixture[str]) -> None:
    """Of a line of more than 64 KiB nothing is kept: the suite is let go of with one sentence."""

    async def test() -> None:
        suite = Suite()
        writing = threading.Thread(target=suite.says, args=(b"x" * (LINE_LIMIT + 2), b"\n", HELLO))
        writing.start()
        status, said = await suite.ends()
        assert (OVERRUN, []) == (status, said)
        os.close(suite.requests)
        writing.join()

    run(test())
    complaint = f"subject: a line of more than {LINE_LIMIT} bytes came: the suite is let go of\n"
    assert ("", complaint) == capfd.readouterr()


def test_a_suite_that_does_not_read_is_let_go_of(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """When more lines wait for the suite than are kept for it, the session ends."""
    monkeypatch.setattr(lines, "UNREAD", 3)
    monkeypatch.setattr(lines, "GOODBYE", 0.0)

    async def test() -> None:
        suite = Suite()
        suite.says(*[HELLO] * 1000)  # its replies are more than a pipe holds
        assert OVERRUN == await suite.served
        os.close(suite.requests)
        await suite.ends()

    run(test())
    assert ("", "subject: 3 lines wait to be read: the suite is let go of\n") == capfd.readouterr()


def small(end: socket.socket, buffer: int) -> None:
    """Let the system keep little for an end of a connection."""
    end.setsockopt(socket.SOL_SOCKET, buffer, 4096)


def test_a_suite_over_tcp_that_does_not_read_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a connection has a limit too."""
    monkeypatch.setattr(lines, "UNSENT", 1000)
    monkeypatch.setattr(lines, "GOODBYE", 0.1)

    async def test() -> None:
        statuses: asyncio.Queue[int] = asyncio.Queue(1)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            small(writer.get_extra_info("socket"), socket.SO_SNDBUF)
            session = Session(NEWEST, reader, Connection(writer))
            statuses.put_nowait(await session.serve(asyncio.Event()))

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=LINE_LIMIT)
        near = socket.socket()
        small(near, socket.SO_RCVBUF)
        near.connect(server.sockets[0].getsockname())
        _, writer = await asyncio.open_connection(sock=near)
        while statuses.empty():
            writer.write(HELLO * 1000)
            try:
                await writer.drain()
            except ConnectionError:
                break
        assert OVERRUN == await statuses.get()
        writer.close()
        server.close()

    run(test())


def test_standard_output_is_the_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a suite is served, what anything prints goes to standard error."""
    happened: list[object] = []

    async def serve(session: Session, stop: asyncio.Event) -> int:
        happened.extend((session, stop, sys.stdout is sys.stderr))
        return 0

    monkeypatch.setattr(Session, "serve", serve)
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    run_status: list[int] = []

    async def test() -> None:
        run_status.append(await subject.attend(NEWEST))

    run(test())
    assert ([0], True) == (run_status, happened[-1])
