"""Adapter: the suite's end of the control protocol (control.schema.json, docs/how-to/adapter.md).

One request is on its way at a time. Rules of this file: what is no line of the protocol, a reply that nobody
waits for, a reply that does not come and a closed pipe are each the adapter's fault, and the sentence says
which; every wait is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, Protocol

import jsonschema
from jsonschema.protocols import Validator

from conformance.verdicts import Exit, TargetFaultError, Unsupported

LINE_LIMIT = 65_536
REPLY = 5.0
"""Seconds that a reply may take; others may take longer: they wait for the client, or for its start."""
LONGER = {"hello": 30.0, "reset": 10.0, "nat": 30.0, "bye": 10.0}
EVENTS = 10_000
"""Events that one check may bring about."""

Event = dict[str, Any]


class Refused(Exception):  # noqa: N818 - named for what it is
    """The client under test cannot do now what it was asked for."""


class Writer(Protocol):
    """Where requests go."""

    def write(self, data: bytes) -> None:
        """Send bytes, some time."""

    def close(self) -> None:
        """Let go."""


@cache
def _whole() -> dict[str, Any]:
    text = resources.files("conformance").joinpath("control.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


@cache
def _validator(kind: str) -> Validator:
    whole = _whole()
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": whole["$defs"]})


@cache
def known_events() -> dict[str, str]:
    """Return the shape of each event of this version by its name; others are ignored."""
    kinds = (one["$ref"].rpartition("/")[2] for one in _whole()["$defs"]["Event"]["oneOf"])
    return {_whole()["$defs"][kind]["properties"]["event"]["const"]: kind for kind in kinds}


class Adapter:
    """One adapter that has been started or connected to; `told` is called after every line of it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: Writer,
        *,
        slow: float = 1.0,
        epitaph: Callable[[], str] = str,
    ) -> None:
        """Talk through these; `slow` scales every patience, `epitaph` tells how an adapter ended."""
        self.events: list[Event] = []
        self.fault: TargetFaultError | None = None
        self.greeting: dict[str, Any] = {}
        self.told: Callable[[], None] = lambda: None
        self._epitaph = epitaph
        self._reader, self._writer, self._slow = reader, writer, slow
        self._number = 0
        self._waiting: asyncio.Future[dict[str, Any]] | None = None
        self._leaving = False
        self._task = asyncio.ensure_future(self._read())

    async def hello(self) -> dict[str, Any]:
        """Ask who is there, and return it; raises TargetFaultError for what is no greeting."""
        greeting = await self.ask("hello")
        self._shape("Greeting", greeting, "its greeting")
        if self.fault is not None:
            raise self.fault
        self.greeting = greeting
        return greeting

    def offers(self, feature: str) -> bool:
        """Tell whether the adapter has a feature."""
        return feature in self.greeting.get("features", ())

    async def ask(self, do: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
        """Send a request and return the `ok` of its reply.

        Raises Refused for `error`, Unsupported for `unsupported`, and TargetFaultError for an adapter that
        does not keep to the protocol.
        """
        reply = await self.send({"do": do} | members, LONGER.get(do, REPLY))
        if "error" in reply:
            message = f"the client under test refused {do!r}: {reply['error'][:300]}"
            raise Refused(message)
        if "unsupported" in reply:
            message = f"the adapter does not support {do!r}: {reply['unsupported'][:300]}"
            raise Unsupported(message)
        ok: dict[str, Any] = reply["ok"]
        return ok

    async def send(
        self, request: dict[str, Any], seconds: float = REPLY, *, pieces: int = 1
    ) -> dict[str, Any]:
        """Send a request, whatever is in it, and return the reply; raises TargetFaultError without one.

        It leaves in so many pieces.
        """
        if self.fault is not None:
            raise self.fault
        self._number += 1
        self._waiting = asyncio.get_running_loop().create_future()
        self._leaving = request.get("do") == "bye"
        line = json.dumps({"id": self._number} | request).encode() + b"\n"
        for piece in range(pieces):
            self.write(line[piece * len(line) // pieces : (piece + 1) * len(line) // pieces])
            await asyncio.sleep(0)  # each piece is a write of its own
        try:
            return await asyncio.wait_for(self._waiting, seconds * self._slow)
        except TimeoutError:
            patience = seconds * self._slow
            message = f"the adapter did not answer {request.get('do')!r} within {patience:.0f} s"
            raise self._blame(f"{message}; answer at once, and tell by events what comes of it") from None
        finally:
            self._waiting = None

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)

    async def close(self) -> None:
        """Say bye, if anybody is there to hear it, and let go."""
        if self.fault is None:
            with contextlib.suppress(TargetFaultError, Refused, Unsupported):
                await self.ask("bye")
        await self.drop()

    async def drop(self) -> None:
        """Let go without a word."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._writer.close()
        await asyncio.sleep(0)  # a transport frees its descriptor in the turn after its close

    async def _read(self) -> None:
        while self.fault is None:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                self._blame(f"the adapter wrote a line of more than {LINE_LIMIT} bytes")
                return
            except (asyncio.IncompleteReadError, OSError) as error:
                left = getattr(error, "partial", b"")
                if not self._leaving:
                    what = f" in the middle of a line, {left[:60]!r}" if left else ""
                    end = f"{self._epitaph()}; it is asked to with `bye`, not before"
                    self._blame(f"the adapter closed its end{what}{end}")
                return
            self._line(line)
            self.told()

    def _line(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict) or not {"id", "event"} & said.keys():
            hint = "nothing else belongs on standard output; what is for people goes to standard error"
            self._blame(
                f"the adapter wrote {line[:80]!r} where a line of the control protocol was expected; {hint}"
            )
        elif "event" in said:
            self._event(said, known_events().get(str(said["event"])))
        elif self._shape("Reply", said, "a reply of it"):
            if self._waiting is None or self._waiting.done() or said["id"] != self._number:
                self._blame(f"the adapter replied to the request {said['id']}, which waits for no reply")
            else:
                self._waiting.set_result(said)

    def _event(self, said: Event, kind: str | None) -> None:
        if kind is None or not self._shape(kind, said, f"its event {said['event']!r}"):
            return
        self.events.append(said)
        if len(self.events) > EVENTS:
            self._blame(f"the adapter told {EVENTS} events and more, and nobody had asked for so many")

    def _shape(self, kind: str, said: dict[str, Any], what: str) -> bool:
        error = jsonschema.exceptions.best_match(_validator(kind).iter_errors(said))
        if error is not None:
            path = error.json_path[2:] or "whole"
            words = f"the control protocol refuses {what}, {json.dumps(said)[:120]}"
            self._blame(f"{words}: {path}: {error.message[:200]}")
        return error is None

    def _blame(self, sentence: str) -> TargetFaultError:
        """Keep the first fault, and let nobody wait any more."""
        if self.fault is None:
            self.fault = TargetFaultError(sentence, Exit.BROKE_PROTOCOL)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(self.fault)
        self.told()
        return self.fault
