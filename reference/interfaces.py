"""Interfaces (spec/candidates.md, Advertising): the addresses of this machine that a peer may know.

Rules of this file: listing the interfaces never holds a call up (CAND-11). Some systems take seconds for
it, so it happens in a thread that nobody waits for longer than that, not even the end of the program.
Which of the addresses are advertised is decided in core/candidates.py.
"""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Collection, Iterable
from contextlib import suppress
from fnmatch import fnmatchcase

import ifaddr

PATIENCE = 0.1
"""Seconds after which a call goes on without the addresses of its interfaces (CAND-11)."""

INNER = (
    *("docker*", "br-*", "veth*", "virbr*", "vnet*", "cni*", "flannel*", "cali*", "cilium*", "weave*"),
    *("kube-*", "podman*", "nerdctl*", "lxc*", "lxdbr*", "incusbr*", "vmnet*", "vboxnet*", "vethernet*"),
)
"""Names of interfaces that lead to containers and virtual machines only, in lower case."""

_AT_ONCE = threading.BoundedSemaphore(4)  # listings that have not come back yet


def check(names: Collection[str]) -> None:
    """Raise ValueError, naming it and those that there are, for a name that is no interface's.

    This takes as long as the system takes; it is for the start of a program.
    """
    if not names:
        return
    there = list(ifaddr.get_adapters())
    known = set().union(*map(_names, there))
    for name in names:
        if name not in known:
            there_are = ", ".join(sorted({each.name for each in there})) or "none"
            raise ValueError(f"no interface is called {name!r}: there are {there_are}")


async def addresses(use: Collection[str] = (), avoid: Collection[str] = ()) -> list[str]:
    """Return the IP literals of our interfaces, in the order in which the system lists them.

    With `use` only those of these interfaces, else of all but loopback ones and those of containers and
    virtual machines; never those of the interfaces in `avoid`. Empty when the system lists none within
    PATIENCE; what it lists later is dropped.
    """
    loop = asyncio.get_running_loop()
    listed: asyncio.Future[list[ifaddr.Adapter]] = loop.create_future()
    if not _AT_ONCE.acquire(blocking=False):
        return []
    try:
        threading.Thread(target=_list, args=(loop, listed), daemon=True).start()
    except RuntimeError:  # no more threads to be had
        _AT_ONCE.release()
        return []
    try:
        found = await asyncio.wait_for(listed, PATIENCE)
    except TimeoutError:
        return []
    return [text for each in found if _wanted(each, use, avoid) for text in _literals(each)]


def _list(loop: asyncio.AbstractEventLoop, listed: asyncio.Future[list[ifaddr.Adapter]]) -> None:
    found: list[ifaddr.Adapter] = []
    try:
        found = list(ifaddr.get_adapters())
    except OSError:
        pass  # a system that does not tell is one without host candidates
    finally:
        _AT_ONCE.release()
        with suppress(RuntimeError):  # the loop may be over
            loop.call_soon_threadsafe(_tell, listed, found)


def _tell(listed: asyncio.Future[list[ifaddr.Adapter]], found: list[ifaddr.Adapter]) -> None:
    if not listed.done():
        listed.set_result(found)


def _wanted(adapter: ifaddr.Adapter, use: Collection[str], avoid: Collection[str]) -> bool:
    names = _names(adapter)
    if not names.isdisjoint(avoid):
        return False
    if use:
        return not names.isdisjoint(use)
    inner = any(fnmatchcase(name.lower(), pattern) for name in names for pattern in INNER)
    return not inner and not any(ipaddress.ip_address(text).is_loopback for text in _literals(adapter))


def _names(adapter: ifaddr.Adapter) -> set[str]:
    """Return what an interface is called; on Windows its name is a number, and people know other ones."""
    return {adapter.name, adapter.nice_name, *(address.nice_name for address in adapter.ips)}


def _literals(adapter: ifaddr.Adapter) -> Iterable[str]:
    for address in adapter.ips:
        text = address.ip if isinstance(address.ip, str) else address.ip[0]
        yield text.partition("%")[0]
