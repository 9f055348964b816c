"""Buttons: the client under test as the suite uses it: requests in, replies and events out.

Rules of this file: every request has one reply, and a reply stands before what comes of the request, but for
`reset`, `bye` and `nat`, which are answered when they are done; what cannot be done now is an error and
changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from reference import control, interfaces
from reference.clock import REAL
from reference.commandline import build
from reference.control import Configuration, Members, Refused
from reference.core.line import Account, Line, OwnCall
from reference.core.phases import Phase
from reference.core.strict_json import shown
from reference.courier import Courier
from reference.endpoint import EndpointLimits
from reference.events import event, heard
from reference.handset import Handset
from reference.nat import PATIENCE, conclude
from reference.survey import ask

NAME = "directcall-reference"

Say: TypeAlias = Callable[[Mapping[str, object]], None]


async def own_addresses(candidates: Sequence[str] | None) -> Sequence[str]:
    """Return the addresses that the suite wants us to claim, or those of our interfaces."""
    return await interfaces.addresses() if candidates is None else candidates


class Buttons:
    """A client of one phase; `over` is set when the suite has said bye."""

    def __init__(self, phase: Phase, say: Say) -> None:
        """Start without a configuration; `say` takes replies and events."""
        self.phase = phase
        self.over = False
        self.strange = 0  # lines that were no requests
        self.handset: Handset | None = None
        self._configuration: Configuration | None = None
        self._call_id = ""
        self._say = say
        self._requests: Mapping[str, Callable[[Members], Awaitable[None]]] = {
            "hello": self._hello,
            "configure": self._configure,
            "register": self._register,
            "call": self._call,
            "answer": self._answer,
            "hangup": self._hangup,
            "send": self._send,
            "nat": self._nat,
            "state": self._state,
            "reset": self._reset,
            "bye": self._bye,
        }

    async def press(self, line: bytes) -> None:
        """Do what a line asks for, and reply; a line that is no request is counted."""
        request = control.request(line)
        if request is None:
            self.strange += 1
            return
        does = self._requests.get(str(request["do"]))
        if does is None:
            why = f"{shown(request['do'])} is no request of version {control.VERSION}"
            self._say({"id": request["id"], "unsupported": why})
            return
        try:
            await does(request)
        except Refused as refused:
            self._say({"id": request["id"], "error": str(refused)})

    async def leave(self) -> None:
        """Hang up, leave the relay, forget the configuration; nothing is left open."""
        handset, self.handset, self._configuration = self.handset, None, None
        if handset is not None:
            await handset.close()

    async def _hello(self, request: Members) -> None:
        said = {"name": NAME, "version": build() or "unknown", "phase": str(self.phase)}
        self._ok(request, control=control.VERSION, **said, roles=["client"], features=list(control.FEATURES))

    async def _configure(self, request: Members) -> None:
        if self.handset is not None:
            raise Refused("the client is registered or about to be: reset comes first")
        self._configuration = control.configuration(request)
        self._ok(request)

    async def _register(self, request: Members) -> None:
        told = self._configuration
        if told is None:
            raise Refused("there is no configuration: configure comes first")
        if self.handset is not None:
            raise Refused("the client is registered or about to be: reset comes first")
        account = Account(told.identity, told.relay, told.pin, way=told.way, phase=self.phase, build=build())
        account = replace(account, token=told.token)
        voice, listed = partial(Courier, told.clock, self._heard), partial(own_addresses, told.candidates)
        handset = Handset(account, voice, self._told, listed, told.clock)
        try:
            await handset.open(EndpointLimits())
        except OSError as error:
            raise Refused(f"no socket can be opened: {(error.strerror or str(error)).lower()}") from None
        self.handset = handset
        self._ok(request)

    async def _call(self, request: Members) -> None:
        target, handset = control.target(request), self._registered()
        if handset.core.telephone.call is not None:
            raise Refused(f"the call {shown(self._call_id)} is on")
        self._ok(request)
        effects = handset.core.place(target, handset.clock.now())
        self._call_id = self._on(handset).call_id
        handset.perform(effects)

    async def _answer(self, request: Members) -> None:
        mode = control.one_of(request, "mode", control.MODES)
        call_id, handset = control.text(request, "call_id"), self._registered()
        call = self._on(handset)
        if call.call_id != call_id or call.line is not Line.INCOMING:
            raise Refused(f"no call {shown(call_id)} comes in")
        self._ok(request)
        handset.perform(handset.core.answer(mode, handset.clock.now()))

    async def _hangup(self, request: Members) -> None:
        handset = self._registered()
        self._on(handset)
        self._ok(request)
        handset.perform(handset.core.hangup())

    async def _send(self, request: Members) -> None:
        frames, turns = control.pace(request)
        handset = self._registered()
        self._on(handset)
        if not isinstance(handset.talk, Courier):
            raise Refused("the call was not placed or accepted yet")
        if not handset.talk.order(frames, turns):
            raise Refused(f"{handset.talk.waiting} frames wait to be sent, and {frames} are too many more")
        self._ok(request)

    async def _nat(self, request: Members) -> None:
        relays = control.relays(request)
        clock = REAL if self._configuration is None else self._configuration.clock
        probes = await ask(dict.fromkeys(relays), clock.lasts(PATIENCE))
        observed = {probe.relay: probe.observed for probe in probes}
        _, verdict, _ = conclude(probes)
        self._ok(request, verdict=verdict, observed=[observed[relay] for relay in relays])

    async def _state(self, request: Members) -> None:
        core = None if self.handset is None else self.handset.core
        call = None if core is None else core.telephone.call
        path = None if call is None or call.paths is None else call.paths.path
        call_id = None if call is None else call.call_id
        self._ok(request, registered=core is not None and core.online, call_id=call_id, path=path)

    async def _reset(self, request: Members) -> None:
        await self.leave()
        self._ok(request)

    async def _bye(self, request: Members) -> None:
        await self._reset(request)
        self.over = True

    def _ok(self, request: Members, **members: object) -> None:
        self._say({"id": request["id"], "ok": members})

    def _registered(self) -> Handset:
        if self.handset is None or not self.handset.core.online:
            raise Refused("the client is not registered")
        return self.handset

    def _on(self, handset: Handset) -> OwnCall:
        if handset.core.telephone.call is None:
            raise Refused("there is no call")
        return handset.core.telephone.call

    def _heard(self, sequence: int, digest: str) -> None:
        self._say(heard(sequence, digest))

    def _told(self, name: str, members: Mapping[str, object]) -> None:
        if name == "incoming":
            self._call_id = str(members["call_id"])
        elif name == "error":
            print(f"subject: {members['why']}", file=sys.stderr)  # noqa: T201 - a complaint
        told = event(name, members, self._call_id)
        if told is not None:
            self._say(told)
