"""The suite judges an outsider's relay and client, and two of the clients call each other through it.

`python -m tests.independent.test_independent` judges both anew and writes verdicts.json, which holds what
did not pass: by role, by verdict, the ids.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
VERDICTS = HERE / "verdicts.json"
ROLES = ("relay", "client")
PHASE = "5.5"
PATIENCE = 20.0  # seconds for a call of seconds

Line = dict[str, Any]


def judged(role: str, out: Path) -> dict[str, list[str]]:
    """Run the suite as its user does, and return the ids that did not pass, by verdict."""
    target = f"exec:{sys.executable} -m tests.independent.{role} {{options}}"
    command = [sys.executable, "-m", "conformance", "run", "--role", role, "--target", target]
    subprocess.run(  # noqa: S603 - a command of our own
        [*command, "--phase", PHASE, "--out", str(out)], cwd=ROOT, check=False, capture_output=True
    )
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    if not results["requirements"]:
        raise ValueError("the suite judged nothing")
    found: dict[str, list[str]] = {}
    for requirement in results["requirements"]:
        if requirement["verdict"] != "pass":
            found.setdefault(requirement["verdict"], []).append(requirement["id"])
    return {verdict: sorted(ids) for verdict, ids in sorted(found.items())}


@pytest.mark.parametrize("role", ROLES)
def test_the_suite_says_what_is_so(role: str, tmp_path: Path) -> None:
    """The suite finds what the outsider left out, at its requirement, and asks for nothing undeclared."""
    expected = json.loads(VERDICTS.read_text(encoding="utf-8"))[role]
    assert expected == judged(role, tmp_path)


def test_the_first_page_counts_what_did_not_pass() -> None:
    """The run that the README shows has as many failures and as many unsupported ones as there are."""
    held = json.loads(VERDICTS.read_text(encoding="utf-8"))["relay"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    counts = ", ".join(f"{len(ids)} {verdict}" for verdict, ids in held.items())
    assert [counts] == re.findall(r"^\d+ requirements judged: \d+ pass, (.*)$", readme, re.MULTILINE)


@pytest.mark.parametrize("module", ["wire", "relay", "endpoint", "call", "client"])
def test_the_outsider_knows_nobody(module: str) -> None:
    """An outsider's program imports neither the reference nor the suite."""
    tree = ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8"))
    named = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    named += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = {
        name for name in named if name.partition(".")[0] in {"reference", "conformance", "tests", "schemas"}
    }
    assert set() == {name for name in ours if name != "schemas" and not name.startswith("tests.independent.")}
    assert named


class Program:
    """A client as a process, behind the control protocol."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        """Drive `process`."""
        self.process = process
        self.number = 0
        self.heard: list[Line] = []

    async def line(self) -> Line:
        """Return what it says next."""
        assert self.process.stdout is not None
        said: Line = json.loads(await self.process.stdout.readline())
        return said

    async def do(self, wish: str, **members: object) -> Line:
        """Ask for something and return the reply."""
        self.number += 1
        assert self.process.stdin is not None
        self.process.stdin.write((json.dumps({"id": self.number, "do": wish, **members}) + "\n").encode())
        while (said := await self.line()).get("id") != self.number:
            self.heard.append(said)
        return said

    async def event(self, name: str) -> Line:
        """Return the next event of this name."""
        while True:
            for event in self.heard:
                if event["event"] == name:
                    self.heard.remove(event)
                    return event
            self.heard.append(await self.line())


async def _start(module: str, *options: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", f"tests.independent.{module}", "--phase", PHASE, *options]
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=ROOT)


async def _call(mode: str) -> tuple[str, list[int], str]:
    """Place a call; return its path, the steps between what was heard, and the reason of its end."""
    processes: list[asyncio.subprocess.Process] = []
    try:
        async with asyncio.timeout(PATIENCE):
            return await _talk(mode, processes)
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _talk(mode: str, processes: list[asyncio.subprocess.Process]) -> tuple[str, list[int], str]:
    relay = await _start("relay", "--listen", "127.0.0.1:0")
    processes.append(relay)
    assert relay.stdout is not None
    ready = json.loads(await relay.stdout.readline())["ready"]
    processes += [await _start("client"), await _start("client")]
    caller, callee = (Program(process) for process in processes[1:])
    for program, digits in ((caller, "aa"), (callee, "bb")):
        wishes = {"relay": ready["addr"], "seed": digits * 32, "fingerprint": ready["tls_fingerprint"]}
        await program.do("configure", **wishes, timers=0.2, candidates=["192.0.2.1"])
        await program.do("register")
    await caller.event("registered")
    await caller.do("call", target=(await callee.event("registered"))["fingerprint"])
    await callee.do("answer", call_id=(await callee.event("incoming"))["call_id"], mode=mode)
    paths = [(await program.event("path"))["path"] for program in (caller, callee)]
    heard: list[int] = []
    while len(heard) < 5:  # what is sent before the callee is in the room is lost
        await caller.do("send", n=1, every_ms=20)
        await callee.do("state")
        heard += [each["seq"] for each in callee.heard if each["event"] == "received"]
        callee.heard = [each for each in callee.heard if each["event"] != "received"]
    await caller.do("hangup")
    reason = (await callee.event("ended"))["reason"]
    for program in (caller, callee):
        await program.do("bye")
        assert await program.process.wait() == 0
    relay.terminate()
    assert await relay.wait() == 0
    assert len(set(paths)) == 1
    return paths[0], [(b - a) & 0xFFFF for a, b in pairwise(heard)][:4], reason


@pytest.mark.parametrize(("mode", "path"), [("AcceptTrusted", "direct"), ("AcceptGeneric", "relay")])
def test_two_clients_talk(mode: str, path: str) -> None:
    """Two clients find a direct path when the callee trusts, and talk through the relay when not."""
    assert (path, [1, 1, 1, 1], "Normal") == asyncio.run(_call(mode))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = {role: judged(role, Path(folder) / role) for role in ROLES}
        VERDICTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
