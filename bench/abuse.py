"""Abuse: `python -m bench.abuse`, or `make abuse`.

Two people talk through a relay and two others place one call after another, first undisturbed and then beside
a client that misbehaves, in each of its ways. One table says what that costs them; exit status 1 when it is
more than LOSS or SLOWER allow, or when something does not work at all.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench import counters, process, scenario
from bench.clients import Client, Crowd, StepError
from bench.offender import Kind
from bench.process import ROOT, BenchError, Measured
from bench.scenario import limited
from reference.core.addresses import format_address
from reference.core.line import Answer
from reference.endpoint import EndpointLimits

LOSS = 0.01
"""The part of the demo call's datagrams that may be lost beside an offender."""
SLOWER = 4.0
"""How many times as long as undisturbed a call may take to be set up, at the median."""
FRAME = 0.02
"""Seconds from one word of a talker to its next."""
PAUSE = 0.1
"""Seconds between two calls of those who call again and again: a relay takes 10 offers a second (CALL-16)."""
LAST_WORD = 2.0
"""Seconds in which the last datagrams of a call may still arrive."""
OPTIONS = ("--stream-timeout", "2")
"""A relay that gives up unfinished messages soon, so that it is seen how that ends."""
GIVEN_UP = 90.0
"""Seconds after which an offender that does not end is broken."""


@dataclass(slots=True)
class Seen:
    """What people saw for a while: datagrams, the longest silence, and how long calls took to set up.

    `cpu` is the part of a processor that the relay had meanwhile.
    """

    sent: int = 0
    heard: int = 0
    silence: float = 0.0
    set_up: list[float] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def loss(self) -> float:
        """The part of the datagrams that never came."""
        return 1 - self.heard / self.sent if self.sent else 1.0

    @property
    def typical(self) -> float:
        """Seconds from an offer until both have their CallSetup, at the median."""
        return median(self.set_up) if self.set_up else float("inf")


class Demo:
    """Two people in a call, two who place calls, and one who is rung and does not answer."""

    def __init__(self, relay: Measured, people: list[Client], bystander: Client) -> None:
        """Take those who are registered at `relay`."""
        self._relay = relay
        self._talkers, self._callers = people[:2], people[2:4]
        self.bystander = bystander

    @classmethod
    @asynccontextmanager
    async def open(cls, relay: Measured) -> AsyncIterator[Demo]:
        """Register everybody and begin the call."""
        sockets = await Crowd.open(process.LOOPBACK, EndpointLimits())
        try:
            people, _ = await scenario.register(sockets, relay, 4, lambda _: None)
            bystander = Client(sockets, relay.address, Answer.ASK)
            await limited(bystander.register(), "a registration")
            await limited(people[0].call(people[1]), "a call")
            yield cls(relay, people, bystander)
        finally:
            await sockets.close()

    @property
    def room(self) -> str:
        """The call_id of the call that goes on; raises StepError when it does not."""
        call = self._talkers[0].core.telephone.call
        if call is None:
            raise StepError(f"the call has ended: {self._talkers[0].ended}")
        return call.call_id

    async def watch(self, meanwhile: Awaitable[object]) -> Seen:
        """Let people talk and call until something else is done; raises BenchError when they cannot."""
        seen, over = Seen(), asyncio.Event()
        began, cpu = time.monotonic(), self._relay.cpu()
        work = [asyncio.ensure_future(self._talk(seen, over)), asyncio.ensure_future(self._call(seen, over))]
        try:
            await meanwhile
            seen.cpu = (self._relay.cpu() - cpu) / (time.monotonic() - began)
        finally:
            over.set()
            await asyncio.gather(*work)
        return seen

    async def _talk(self, seen: Seen, over: asyncio.Event) -> None:
        """Let both say a word every FRAME, and wait for the last ones."""
        last = dict.fromkeys(self._talkers, time.monotonic())

        def heard(party: Client) -> None:
            now = time.monotonic()
            seen.silence, last[party] = max(seen.silence, now - last[party]), now
            party.changed()

        for party in self._talkers:
            party.heard, party.answered = 0, lambda party=party: heard(party)  # type: ignore[misc]
        began = time.monotonic()
        while not over.is_set():
            for party in self._talkers if self.room else ():
                party.speak()
            seen.sent += len(self._talkers)
            behind = began + seen.sent / len(self._talkers) * FRAME - time.monotonic()
            await asyncio.sleep(max(0.0, behind))
        whole = seen.sent // len(self._talkers)
        for party in self._talkers:
            with suppress(TimeoutError):
                await asyncio.wait_for(party.until(lambda party=party: party.heard >= whole), LAST_WORD)  # type: ignore[misc]
        seen.heard = sum(party.heard for party in self._talkers)

    async def _call(self, seen: Seen, over: asyncio.Event) -> None:
        """Place calls, time how long each takes to be set up, and hang up."""
        caller, callee = self._callers
        while not over.is_set():
            began = time.monotonic()
            caller.place(callee)
            await self._both("set up", lambda party: party.set_up)
            seen.set_up.append(time.monotonic() - began)
            await self._both("carried", lambda party: party.talking)
            await limited(caller.hang_up(callee), "the end of a call")
            await asyncio.sleep(PAUSE)

    async def _both(self, what: str, holds: Callable[[Client], bool]) -> None:
        """Wait until something holds for both ends of the new call; raises StepError when it ends before."""
        caller, _ = self._callers
        for party in self._callers:
            ready = party.until(lambda party=party: holds(party) or bool(party.ended or caller.ended))  # type: ignore[misc]
            await limited(ready, f"a call to be {what}")
            if party.ended or caller.ended:
                raise StepError(f"a call ended before it was {what}: {party.ended or caller.ended}")


@dataclass(frozen=True, slots=True)
class Case:
    """What one offender did, how it ended, what it cost the others and what the relay counted."""

    kind: str
    done: int
    held_back: int
    ended: dict[str, int]
    quiet: Seen
    beside: Seen
    counted: dict[str, int]
    half_open: int

    @property
    def odd(self) -> dict[str, int]:
        """What the relay counted beside its work for the others, and the handshakes that it holds."""
        rooms = f"{counters.CLOSED}/call_ended"
        usual = (counters.PLACED, counters.ENDED, counters.FORWARDED, counters.BYTES, rooms)
        found = {name: value for name, value in self.counted.items() if not name.startswith(usual)}
        return found | ({"handshakes held": self.half_open} if self.kind == Kind.HALF_OPEN else {})

    @property
    def holds(self) -> bool:
        """Tell whether it cost the others no more than it may."""
        return self.beside.loss <= LOSS and self.beside.typical <= SLOWER * self.quiet.typical


async def abused(kinds: list[Kind], seconds: float, out: Path, told: Callable[[Kind], None]) -> list[Case]:
    """Let one offender after another loose; raises BenchError or StepError when something does not work."""
    process.require_proc()
    cases = []
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(process.relay("abused", out, *OPTIONS))
        demo = await stack.enter_async_context(Demo.open(relay))
        for kind in kinds:
            told(kind)
            cases.append(await _case(kind, relay, demo, seconds, out))
    return cases


async def _case(kind: Kind, relay: Measured, demo: Demo, seconds: float, out: Path) -> Case:
    """Watch the others undisturbed and then beside an offender, who is ready before either."""
    async with _offender(kind, relay, demo, seconds, out) as go:
        quiet = await demo.watch(asyncio.sleep(seconds))
        before = await counters.counted(relay)
        work = asyncio.ensure_future(go())
        beside = await demo.watch(work)
        said = work.result()
        half_open = (await relay.tables())["endpoint_half_open"]
        counted = counters.since(await counters.counted(relay), before)
    return Case(kind, said["done"], said["held_back"], said["ended"], quiet, beside, counted, half_open)


@asynccontextmanager
async def _offender(
    kind: Kind, relay: Measured, demo: Demo, seconds: float, out: Path
) -> AsyncIterator[Callable[[], Coroutine[None, None, Any]]]:
    """Start an offender and wait until it is ready; what is given lets it loose and returns what it says."""
    where = (kind, format_address(*relay.address), "--seconds", str(seconds))
    others = ("--target", demo.bystander.fingerprint, "--room", demo.room)
    with (out / f"{kind}.log").open("wb") as log:
        offender = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.offender", *where, *others),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    spoken, heard = offender.stdin, offender.stdout
    if spoken is None or heard is None:
        raise BenchError(f"the offender {kind} has no pipes")

    async def go() -> object:
        spoken.write(b"\n")
        async with asyncio.timeout(GIVEN_UP):
            return json.loads(await heard.readline())

    try:
        await limited(heard.readline(), "the start of an offender")
        yield go
    except (TimeoutError, ValueError) as error:
        raise BenchError(f"the offender {kind} did not say what it did: see {kind}.log") from error
    finally:
        if offender.returncode is None:
            offender.kill()
        await offender.wait()


def _show(cases: list[Case], console: Console) -> None:
    """Print one row a case: what the others saw undisturbed, and beside the offender."""
    columns = ("offender", "did", "and was ended", "lost", "longest silence", "set up", "relay", "it counted")
    table = Table(*columns, title="the others: undisturbed → beside an offender", show_lines=True)
    table.columns[-1].overflow = "fold"
    for one in cases:
        quiet, beside = one.quiet, one.beside
        back = f", {one.held_back:,} not taken" if one.held_back else ""
        table.add_row(
            one.kind if one.holds else f"{one.kind} FAILED",
            f"{one.done:,}{back}",
            ", ".join(f"{count:,} {name}" for name, count in one.ended.items()) or "–",
            f"{quiet.loss:.2%} → {beside.loss:.2%}",
            f"{1e3 * quiet.silence:.0f} → {1e3 * beside.silence:.0f} ms",
            f"{1e3 * quiet.typical:.1f} → {1e3 * beside.typical:.1f} ms",
            f"{quiet.cpu:.0%} → {beside.cpu:.0%}",
            ", ".join(f"{name} {value:,}" for name, value in sorted(one.odd.items())) or "–",
        )
    console.print(table)
    console.print(
        f"at most {LOSS:.0%} lost, and set up {SLOWER:g} times as slowly as undisturbed, at the median"
    )


def main(
    only: Annotated[list[Kind] | None, typer.Option(help="these offenders; all if none is named")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="how long each misbehaves")] = 5.0,
    out: Annotated[Path, typer.Option(help="folder for the results and the logs")] = ROOT / "out" / "abuse",
) -> None:
    """Let misbehaving clients loose on a relay, and see what that costs the others."""
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    try:
        cases = asyncio.run(abused(only or list(Kind), seconds, out, console.print))
    except (BenchError, StepError) as error:
        console.print(f"abuse: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    _show(cases, Console(width=None if console.is_terminal else 160))
    text = json.dumps([asdict(case) for case in cases], indent=2)
    (out / "results.json").write_text(f"{text}\n", encoding="utf-8")
    if not all(case.holds for case in cases):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
