"""A small client of the phases 0 to 5.5, as a stranger writes it from spec/ and schemas/.

    python -m tests.independent.client --phase 5.5

It is driven by the control protocol of docs/how-to/adapter.md on standard input and output.
One call at a time: while there is one, another is rejected.
What it sends for audio is noise, and what it hears it only reports.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial

import schemas
from tests.independent.call import REFLECT_WAIT, Call, DirectLink, SignalLink
from tests.independent.endpoint import HOSTS, Socket, family_of, plain, verdict
from tests.independent.wire import (
    BAD_MESSAGES,
    NO_SUCH_SERVICE,
    NORMAL,
    REGISTRATION_REFUSED,
    REPLACED,
    Body,
    Identity,
    Link,
    address_text,
    read_address,
)

NEWEST = "5.5"
FEATURES = ["candidates", "fingerprint", "media", "nat", "path", "timers"]
BACK_OFF = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds, REG-16
FOR_GOOD = {REPLACED, REGISTRATION_REFUSED, NO_SUCH_SERVICE, BAD_MESSAGES}
HANDSHAKE = 10.0  # seconds
IDLE = 30.0  # seconds


class NotNowError(Exception):
    """A request that cannot be done now; the sentence goes back to who asked."""


class Client:
    """A user's program behind the control protocol."""

    def __init__(self, phase: str, write: Callable[[Body], None]) -> None:
        """Be of `phase` and tell events to `write`."""
        self.phase, self._write = phase, write
        self.finished = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self._forget()

    def _forget(self) -> None:
        self.relay, self.path, self.pace = "", "auto", 1.0
        self.pin: str | None = None
        self.given: list[str] | None = None
        self.identity = Identity(os.urandom(32))
        self.socket: Socket | None = None
        self.signal: SignalLink | None = None
        self.wanted = False
        self.failures = 0
        self.retry: asyncio.TimerHandle | None = None
        self.call: Call | None = None
        self.owes_hangup = False
        self.doubt: int | None = None  # the number of the Ping behind a rejection
        self.rejected: list[str] = []

    def since(self, phase: str) -> bool:
        """Tell whether this client is of `phase` or of a later one."""
        return schemas.PHASES.index(phase) <= schemas.PHASES.index(self.phase)

    def tell(self, event: str, **members: object) -> None:
        """Tell an event."""
        self._write({"event": event, **members})

    def say(self, name: str, body: Body) -> None:
        """Send a message to the relay, if there is a connection."""
        if self.signal is not None and self.signal.acknowledged:
            self.signal.say(name, body)

    def dial(self, address: str, name: str, make: Callable[..., Link], patience: float) -> Link:
        """Begin a connection from the one socket."""
        if self.socket is None:
            raise NotNowError("there is no socket: register first")
        return self.socket.dial(address, name, make, patience * self.pace)

    def host_candidates(self) -> list[str]:
        """Return the own addresses that may be advertised, with the port of the socket."""
        found = self.given if self.given is not None else [self._way_out()]
        medium = self.socket
        usable: list[str] = []
        for text in found:
            try:
                address = ipaddress.ip_address(text)
            except ValueError:
                continue
            named = address_text(text, medium.port if medium is not None else 0)
            if any(address in net for net in HOSTS) and medium is not None and medium.reaches(named):
                usable.append(named)
        return list(dict.fromkeys(usable))

    def _way_out(self) -> str:
        """Return the own address on the way to the relay."""
        host, port = read_address(self.relay)
        with socket.socket(family_of(host), socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))
            return str(probe.getsockname()[0])

    # The registration

    def _connect(self) -> None:
        if not self.wanted or self.socket is None:
            return
        make = partial(SignalLink, self, self.identity)
        link = self.dial(self.relay, "_signal", make, HANDSHAKE)
        assert isinstance(link, SignalLink)
        link.when_registered = self._registered
        link.when_closed = partial(self._lost, link)
        link.hears = self._heard
        self.signal = link

    def _registered(self) -> None:
        self.failures = 0
        self.tell("registered", fingerprint=self.identity.fingerprint)
        if self.owes_hangup:
            self.owes_hangup = False
            self.say("Hangup", {"reason": "Normal"})

    def _lost(self, link: SignalLink, code: int | None) -> None:
        if self.signal is not link:
            return
        self.signal, self.doubt = None, None
        final = code in FOR_GOOD or bool(link.refusal)
        if not self.wanted:
            return
        self.wanted = not final
        if self.call is not None:
            self.owes_hangup = self.call.agreed
            self.forget_call("the connection to the relay was lost")
        if link.acknowledged or final or self.failures == 0:
            reason = link.refusal or ("lost" if code is None else f"closed with the code {code}")
            self.tell("offline", reason=reason, final=final)
        if not final:
            wait = BACK_OFF[min(self.failures, len(BACK_OFF) - 1)] * self.pace
            self.failures += 1
            self.retry = self.loop.call_later(wait, self._connect)

    # What the relay says

    def _heard(self, name: str, body: Body) -> None:
        call = self.call
        if name == "DirectCallOffer":
            self._rings(body)
        elif name == "Pong" and body["timestamp_ms"] == self.doubt:
            self.doubt = None
        elif call is None:
            return
        elif name == "CallRinging" and call.ours and body["call_id"] == call.name:
            self.tell("ringing", call_id=call.name)
        elif name == "CallSetup" and body["call_id"] == call.name and call.agreed and not call.was_set_up:
            call.set_up(body)
        elif name == "Hangup" and (self.doubt is None or call.room is None):
            self.forget_call(body["reason"])

    def _rings(self, body: Body) -> None:
        name, call = body["call_id"], self.call
        if call is not None and call.name == name:
            return
        if call is not None or name in self.rejected:
            self._reject(name)
            if call is not None:
                self.doubt = int.from_bytes(os.urandom(6))
                self.say("Ping", {"timestamp_ms": self.doubt})
            return
        self.call = Call(self, name, body["caller_fingerprint"], ours=False)
        self.tell("incoming", call_id=name, caller=body["caller_fingerprint"])

    def _reject(self, name: str) -> None:
        self.rejected = [*self.rejected[-15:], name]
        self.say("DirectCallAnswer", {"call_id": name, "accept_mode": "Reject"})

    def hang_up(self, reason: str) -> None:
        """End the call: the Hangup leaves before its media ends (CALL-38)."""
        self.say("Hangup", {"reason": "Normal"})
        if self.signal is not None:
            self.signal.transmit()
        self.forget_call(reason)

    def forget_call(self, reason: str) -> None:
        """End the call on this side."""
        call, self.call = self.call, None
        if call is not None:
            call.end()
            self.tell("ended", call_id=call.name, reason=reason)

    # What the user wants

    async def do(self, wish: str, request: Body) -> Body:
        """Do what a request says, and return the reply without its id."""
        action = getattr(self, f"do_{wish}", None)
        if action is None:
            return {"unsupported": f"there is no request called {wish!r}"}
        try:
            return {"ok": await action(request) or {}}
        except NotNowError as why:
            return {"error": str(why)}
        except (KeyError, TypeError, ValueError, OSError) as why:
            return {"error": f"the request cannot be followed: {why!r}"}

    async def do_hello(self, _request: Body) -> Body:
        """Say who we are."""
        known = [each for each in FEATURES if each != "nat" or self.since("2")]
        return {
            "control": 1,
            "name": "independent-client",
            "version": "1",
            "roles": ["client"],
            "phase": self.phase,
            "features": known,
        }

    async def do_configure(self, request: Body) -> None:
        """Take a configuration."""
        if self.wanted:
            raise NotNowError("the client is registered: reset first")
        seed = bytes.fromhex(request["seed"])
        if len(seed) != 32:
            raise ValueError(f"a seed has 32 bytes, not {len(seed)}")
        read_address(request["relay"])
        self.relay, self.identity = request["relay"], Identity(seed)
        self.pin, self.given = request.get("fingerprint"), request.get("candidates")
        self.path, self.pace = request.get("path", "auto"), float(request.get("timers", 1.0))

    async def do_register(self, _request: Body) -> None:
        """Connect to the relay and stay registered."""
        if self.wanted or not self.relay:
            raise NotNowError("the client is registered" if self.wanted else "no relay is configured")
        if self.socket is None:
            family = family_of(read_address(self.relay)[0])
            self.socket = await Socket.open(family, partial(DirectLink, self), IDLE * self.pace)
            self.socket.accepts = lambda: self.call is not None and self.call.accepting()
        self.wanted, self.failures = True, 0
        self._connect()

    async def do_call(self, request: Body) -> None:
        """Place a call."""
        if self.call is not None or self.signal is None or not self.signal.acknowledged:
            raise NotNowError("there is a call already" if self.call else "the client is not registered")
        self.call = Call(self, os.urandom(16).hex(), request["target"], ours=True)
        self.call.start(self.call.place())

    async def do_answer(self, request: Body) -> None:
        """Answer the call that rings."""
        call, mode = self.call, request["mode"]
        if call is None or call.ours or call.agreed or call.name != request["call_id"]:
            raise NotNowError(f"no call rings under {request['call_id']!r}")
        if mode not in ("AcceptTrusted", "AcceptGeneric", "Reject"):
            raise ValueError(f"there is no mode {mode!r}")
        if mode == "Reject":
            self._reject(call.name)
            self.forget_call("rejected")
        else:
            call.start(call.answer(mode))

    async def do_hangup(self, _request: Body) -> None:
        """End the call."""
        if self.call is None:
            raise NotNowError("there is no call")
        self.hang_up("hung up")

    async def do_send(self, request: Body) -> None:
        """Send frames of audio."""
        if self.call is None:
            raise NotNowError("there is no call")
        self.call.start(self.call.send(int(request["n"]), int(request["every_ms"])))

    async def do_nat(self, request: Body) -> Body:
        """Ask several relays from one socket, each with a fresh identity, and classify."""
        relays = [plain(text) for text in request["relays"]]
        family = socket.AF_INET6 if any("[" in (text or "[") for text in relays) else socket.AF_INET
        probe = await Socket.open(family, partial(DirectLink, self), IDLE * self.pace)
        try:
            observed = await asyncio.gather(*(self._ask(probe, text) for text in relays))
        finally:
            probe.close()
        return {"verdict": verdict(observed), "observed": observed}

    async def _ask(self, probe: Socket, relay: str | None) -> str | None:
        if relay is None:
            return None
        registered = asyncio.Event()
        make = partial(SignalLink, self, Identity(os.urandom(32)))
        link = probe.dial(relay, "_signal", make, REFLECT_WAIT * self.pace)
        assert isinstance(link, SignalLink)
        link.when_registered = registered.set
        link.when_closed = lambda _code: registered.set()
        try:
            await asyncio.wait_for(registered.wait(), 2 * REFLECT_WAIT * self.pace)
        except TimeoutError:
            return None
        text = await link.reflexive() if not link.over else None
        link.shut(NORMAL)
        return plain(text) if text is not None else None

    async def do_state(self, _request: Body) -> Body:
        """Say how we stand."""
        call = self.call
        path = call.told[0] if call is not None and call.told is not None else None
        registered = self.signal is not None and self.signal.acknowledged
        return {"registered": registered, "call_id": call.name if call is not None else None, "path": path}

    async def do_reset(self, _request: Body) -> None:
        """Hang up, leave and forget."""
        if self.call is not None:
            self.hang_up("reset")
        self.wanted = False
        if self.retry is not None:
            self.retry.cancel()
        if self.signal is not None:
            self.signal.shut(NORMAL)
        if self.socket is not None:
            self.socket.close()
        self._forget()

    async def do_bye(self, request: Body) -> None:
        """Reset and end."""
        await self.do_reset(request)
        self.finished.set()


async def serve(phase: str) -> None:
    """Follow requests until `bye`, the end of the input, or a signal."""
    loop = asyncio.get_running_loop()

    def write(line: Body) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    client = Client(phase, write)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, client.finished.set)
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    following = asyncio.create_task(_follow(client, reader, write))
    await client.finished.wait()
    if following.done():
        following.result()
    following.cancel()
    await client.do_reset({})


async def _follow(client: Client, reader: asyncio.StreamReader, write: Callable[[Body], None]) -> None:
    try:
        while not client.finished.is_set() and (line := await reader.readline()):
            try:
                request = json.loads(line)
                number, wish = request["id"], request["do"]
            except (ValueError, KeyError, TypeError):
                number, wish = None, None
            if isinstance(number, int) and isinstance(wish, str):
                write({"id": number, **await client.do(wish, request)})
            else:
                sys.stderr.write(f"this is no request: {line[:80]!r}\n")
    finally:
        client.finished.set()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests.independent.client", description="A small client.")
    parser.add_argument("--phase", choices=schemas.PHASES[: schemas.PHASES.index(NEWEST) + 1], default=NEWEST)
    asyncio.run(serve(parser.parse_args().phase))
