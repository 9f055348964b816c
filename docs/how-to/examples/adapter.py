"""The smallest adapter: the buttons of one client, pressed from standard input, its events told on output."""

import asyncio
import json
import sys

from reference.commandline import relay_of
from reference.core.line import Account, Answer
from reference.core.registration import Identity
from reference.endpoint import EndpointLimits
from reference.handset import Handset  # the client that is adapted; yours comes here
from reference.talk import AudioPlan, Talk

HELLO = {"control": 1, "name": "smallest", "version": "1", "roles": ["client"], "phase": "7", "features": []}
MODES = {"AcceptTrusted": Answer.TRUSTED, "AcceptGeneric": Answer.GENERIC, "Reject": Answer.REJECT}
client = account = call_id = None


def tell(event, members):
    global call_id
    call_id = members.get("call_id", call_id)
    if event in {"registered", "ringing", "incoming", "path", "ended"}:
        say({"event": event, "call_id": call_id, "caller": members.get("peer"), **members})


async def press(do, asked):
    global client, account
    match do:
        case "hello":
            return HELLO
        case "configure":
            account = Account(Identity.from_seed(bytes.fromhex(asked["seed"])), relay_of(asked["relay"]))
        case "register":
            client = Handset(account, lambda *how: Talk(AudioPlan(), *how), tell)
            await client.open(EndpointLimits())
        case "call":
            client.perform(client.core.place(asked["target"], client.clock.now()))
        case "answer":
            client.perform(client.core.answer(MODES[asked["mode"]], client.clock.now()))
        case "hangup":
            client.perform(client.core.hangup())
        case "state":
            there, call = (client.core.online, client.core.telephone.call) if client else (False, None)
            return {"registered": there, "call_id": call and call.call_id, "path": None}
        case "reset" | "bye":
            await (client.close() if client else asyncio.sleep(0))
            client = account = None
        case _:
            return None
    return {}


def say(value):
    print(json.dumps(value), flush=True)


async def main():
    do = None
    while do != "bye" and (line := await asyncio.to_thread(sys.stdin.buffer.readline)):
        try:
            asked = json.loads(line)
            number, do = asked["id"], asked["do"]
        except (ValueError, TypeError, KeyError):
            continue
        try:
            ok = await press(do, asked)
            say({"id": number} | ({"unsupported": do} if ok is None else {"ok": ok}))
        except Exception as error:
            say({"id": number, "error": str(error)})


asyncio.run(main())
