"""Processes under measurement: started on loopback, read from outside, stopped by their own id.

Rules of this file: the measured process does not help; its processor time and its memory are what the
system says of it, its tables are what it serves as metrics. Every wait has an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from reference.core.addresses import parse_address

ROOT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
PROC = Path("/proc")
_KIBIBYTE = 1024
_READY_WITHIN = 20.0
_STOPPED_WITHIN = 5.0
_METRICS_WITHIN = 5.0


class BenchError(Exception):
    """A benchmark cannot be made or did not do what it measures; the text says what and where."""


def require_proc() -> None:
    """Raise BenchError where the system does not tell the processor time of another process."""
    if not (PROC / "self" / "schedstat").exists():
        raise BenchError(
            f"the benchmark reads processor time from {PROC}/PID/schedstat of Linux, and there is none here"
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """One running process: where it listens, and what it costs."""

    name: str
    pid: int
    address: tuple[str, int]
    metrics: str = ""

    def cpu(self) -> float:
        """Return the seconds that its main thread, which does all the work, has spent on a processor."""
        spent = (PROC / str(self.pid) / "schedstat").read_text(encoding="ascii").split()[0]
        return int(spent) / 1e9

    def memory(self) -> int:
        """Return its resident memory in bytes."""
        for line in (PROC / str(self.pid) / "status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * _KIBIBYTE
        raise BenchError(f"the process {self.name} ({self.pid}) has no memory any more")

    async def tables(self) -> dict[str, int]:
        """Return how much its tables hold, by name, from its metrics."""
        text = await asyncio.to_thread(self._fetch)
        return {
            family.name.removeprefix("directcall_"): int(sum(sample.value for sample in family.samples))
            for family in text_string_to_metric_families(text)
            if family.type == "gauge" and family.name.startswith("directcall_")
            if not family.name.endswith(("_created", "_info"))
        }

    def _fetch(self) -> str:
        connection = http.client.HTTPConnection(self.metrics, timeout=_METRICS_WITHIN)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    async def page(self) -> str:
        """Return all that it serves as metrics."""
        return await asyncio.to_thread(self._fetch)


@contextlib.asynccontextmanager
async def relay(name: str, out: Path, *options: str) -> AsyncIterator[Measured]:
    """Run `python -m reference.relay` on a free port of loopback, with metrics and `options`."""
    served = f"{LOOPBACK}:{_free_port()}"
    arguments = ("reference.relay", "--listen", f"{LOOPBACK}:0", "--metrics", served, *options)
    seed = out / f"{name}.identity"
    async with _running(name, out, (*arguments, "--identity", str(seed)), served) as measured:
        yield measured


@contextlib.asynccontextmanager
async def floor(out: Path) -> AsyncIterator[Measured]:
    """Run the peer of the benchmark: a forwarding server of the plain QUIC stack, without checks."""
    async with _running("floor", out, ("bench.floor",), "") as measured:
        yield measured


@contextlib.asynccontextmanager
async def _running(name: str, out: Path, arguments: Sequence[str], metrics: str) -> AsyncIterator[Measured]:
    with (out / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=log
        )
        try:
            yield Measured(name, process.pid, await _ready(name, process), metrics)
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _STOPPED_WITHIN)
            except TimeoutError:
                process.kill()
                await process.wait()
    if process.returncode != 0:
        raise BenchError(f"the process {name} ended with status {process.returncode}: see {name}.log")


async def _ready(name: str, process: asyncio.subprocess.Process) -> tuple[str, int]:
    if process.stdout is None:
        raise BenchError(f"the process {name} has no standard output")
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _READY_WITHIN)
        return parse_address(json.loads(line)["ready"]["addr"])
    except (TimeoutError, ValueError, KeyError) as error:
        raise BenchError(f"the process {name} did not say that it is ready: see {name}.log") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
