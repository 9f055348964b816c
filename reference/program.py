"""The client's two programs, to listen and to call, from their start to their exit status."""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

from reference import interfaces
from reference.core.line import Answer
from reference.display import Display
from reference.handset import Handset
from reference.signals import on_signals
from reference.talk import Talk

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from reference.core.line import Account
    from reference.endpoint import EndpointLimits
    from reference.talk import AudioPlan
    from reference.voice import Speak

AUDIO = 7
"""Exit status when a file or a device for audio cannot be used."""

STATUS = {"asked": 0, "unreachable": 3, "wrong-key": 4, "refused": 5, "replaced": 6}
"""Exit status by the kind of the event `stopped`."""

FINE = {"hung up", "Normal", "taken over"}
"""Ends of a call that nobody minds, once it has been a call."""

LETTERS = {"t": Answer.TRUSTED, "g": Answer.GENERIC, "r": Answer.REJECT}
TAIL = 0.6  # seconds on the line after the last word: what is under way and in the other end's buffer
REFRESH = 0.2


class Program:
    """One run of a client program."""

    def __init__(
        self,
        account: Account,
        plan: AudioPlan,
        *,
        as_json: bool,
        use: Sequence[str] = (),
        avoid: Sequence[str] = (),
    ) -> None:
        """Prepare; nothing is opened yet. `use` and `avoid` name network interfaces."""
        self.handset = Handset(account, self._pick_up, self._tell, partial(interfaces.addresses, use, avoid))
        self.display = Display(as_json=as_json)
        self.ends: list[str] = []
        self.talked = False
        self._plan = plan
        self._talk: Talk | None = None
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._status: int | None = None

    async def listen(self, calls: int, limits: EndpointLimits) -> int:
        """Take calls until stopped, or until `calls` of them are over; return the exit status."""
        if self.handset.core.account.answer is Answer.ASK:
            threading.Thread(
                target=self._read_answers, args=(asyncio.get_running_loop(),), daemon=True
            ).start()
        return await self._run(self._until(lambda: calls > 0 and len(self.ends) >= calls), limits)

    async def call(self, target: str, duration: float, limits: EndpointLimits, *, stay: bool) -> int:
        """Call `target` and talk for `duration` seconds, or until all is sent; return the exit status.

        To `stay` is to remain registered after the call, until stopped.
        """
        status = await self._run(self._converse(target, duration, stay=stay), limits)
        if status:
            return status
        return 0 if self.talked and self.ends and self.ends[-1] in FINE else 1

    async def _run(self, work: Coroutine[None, None, None], limits: EndpointLimits) -> int:
        on_signals(asyncio.get_running_loop(), self._stop)
        with self.display:
            await self.handset.open(limits)
            tasks = {
                asyncio.ensure_future(work),
                asyncio.ensure_future(self._stop.wait()),
                asyncio.ensure_future(self._until(lambda: self._status is not None)),
            }
            watch = asyncio.ensure_future(self._watch())
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in {*tasks, watch}:
                    task.cancel()
                await self.handset.close()
        return self._status or 0

    async def _converse(self, target: str, duration: float, *, stay: bool) -> None:
        core = self.handset.core
        await self._until(lambda: core.online)
        self.ends.clear()  # what ended before was somebody else's call to us
        self.handset.perform(core.place(target, self.handset.clock.now()))
        await self._until(lambda: self.talked or bool(self.ends))
        if not self.ends:
            await self._converse_for(duration)
        if stay:
            await self._stop.wait()

    async def _converse_for(self, duration: float) -> None:
        talk = self._talk
        ended = asyncio.ensure_future(self._until(lambda: bool(self.ends)))
        if duration:
            await asyncio.wait({ended}, timeout=duration)
        elif talk is not None and self._plan.send != "none":
            finished = asyncio.ensure_future(talk.finished.wait())
            await asyncio.wait({ended, finished}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({ended}, timeout=TAIL)
            finished.cancel()
        else:
            await ended
        ended.cancel()
        self.handset.perform(self.handset.core.hangup())

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def _watch(self) -> None:
        while True:
            self.display.status(self._words)
            await asyncio.sleep(REFRESH)

    def _words(self) -> str:
        call, talk = self.handset.core.telephone.call, self._talk
        if call is None:
            return "online" if self.handset.core.online else "offline"
        if talk is None or call.paths is None:
            return str(call.line)
        heard, path = talk.playout, call.paths.path or "no path yet"
        return f"{call.line} · {path} · sent {talk.sent} · received {heard.received} · loss {heard.loss:.1%}"

    def _tell(self, event: str, members: Mapping[str, object]) -> None:
        self.display.tell(event, members)
        if event == "incoming" and self.handset.core.account.answer is Answer.ASK:
            self.display.ask("answer with t (trusted), g (generic) or r (reject) and Enter")
        if event == "stopped" and self._status is None:
            self._status = STATUS.get(str(members["kind"]), 1)
        elif event == "error" and members.get("kind") == "audio":
            self._status = AUDIO
        elif event == "talking":
            self.talked = True
        elif event == "ended":
            self.ends.append(str(members["reason"]))
        self._changed.set()

    def _pick_up(self, speak: Speak, fail: Callable[[str], None]) -> Talk:
        self._talk = Talk(self._plan, speak, fail)
        return self._talk

    def _read_answers(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read t, g or r from standard input, in a thread of its own: reading blocks."""
        for line in sys.stdin:
            answer = LETTERS.get(line.strip().lower()[:1])
            if answer is not None:
                loop.call_soon_threadsafe(self._answer, answer)

    def _answer(self, answer: Answer) -> None:
        self.handset.perform(self.handset.core.answer(answer, self.handset.clock.now()))
