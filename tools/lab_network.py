"""The laboratory's network: a home behind one router and a relay outside, in namespaces of their own.

The rules of this file: everything is built in mount and network namespaces that nobody else sees, so that
no name can collide, no address or rule of this machine is touched, and the kernel takes all of it down with
the last process in it, however that ended.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGES = {
    "ip": "iproute2",
    "mount": "mount",
    "nft": "nftables",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""The commands that are needed, and the Debian packages that they are in."""

WAYS = ((), ("--user", "--map-root-user"))
"""How to be allowed to build: as who we are, or as the root of a user namespace of our own."""

OUTSIDE, OUTSIDE_TOO, WAN = "203.0.113.1", "203.0.113.2", "203.0.113.10"
"""The relay's two addresses and the router's outer one, from a block for examples (RFC 5737)."""

ROUTER_INSIDE = "192.168.7.1"
FOUR = {"caller": "192.168.7.2", "callee": "192.168.7.3"}
SIX = {"caller": "fd42:7::2", "callee": "fd42:7::3"}
HOSTS = tuple(FOUR)
SECONDS = 20.0
"""After which a command has failed."""

REHEARSAL = """
mount -t tmpfs lab /run
ip netns add one
ip netns add two
ip -n one link add name wan type veth peer name wan netns two
ip -n one link add name lan type bridge
echo 1 | ip netns exec one tee /proc/sys/net/ipv4/ip_forward
ip netns exec one nft -f - <<END
table ip nat {
  chain out {
    type nat hook postrouting priority srcnat
    oifname "wan" masquerade
  }
}
table inet filter {
  counter seen {
  }
  chain in {
    type filter hook input priority 0
    ct state new meta l4proto udp counter name seen
  }
}
END
"""
"""One of each thing that the laboratory asks of the kernel."""

BUILD = f"""
mount -t tmpfs lab /run
for place in relay router caller callee; do
  ip netns add $place
  ip -n $place link set dev lo up
done
ip -n relay link add name wan type veth peer name wan netns router
ip -n relay addr add {OUTSIDE}/24 dev wan
ip -n relay addr add {OUTSIDE_TOO}/24 dev wan
ip -n relay link set dev wan up
ip -n router addr add {WAN}/24 dev wan
ip -n router link set dev wan up
ip -n router link add name lan type bridge
ip -n router addr add {ROUTER_INSIDE}/24 dev lan
ip -n router link set dev lan up
plug() {{
  ip -n $1 link add name home type veth peer name $1 netns router
  ip -n router link set dev $1 master lan up
  ip -n $1 addr add $2/24 dev home
  test ! -e /proc/sys/net/ipv6 || ip -n $1 addr add $3/64 dev home nodad
  ip -n $1 link set dev home up
  ip -n $1 route add default via {ROUTER_INSIDE}
}}
plug caller {FOUR["caller"]} {SIX["caller"]}
plug callee {FOUR["callee"]} {SIX["callee"]}
echo 1 | ip netns exec router tee /proc/sys/net/ipv4/ip_forward
"""

ROUTER = f"""
table ip nat {{
  chain out {{
    type nat hook postrouting priority srcnat
    oifname "wan" masquerade
  }}
}}
table ip filter {{
  counter hairpin {{
  }}
  chain in {{
    type filter hook input priority 0
    iifname "wan" ct state new drop
    iifname "lan" ip daddr {WAN} meta l4proto udp counter name hairpin drop
  }}
  chain through {{
    type filter hook forward priority 0
    iifname "wan" ct state new drop
  }}
}}
"""
"""A home router: it masquerades, is closed to the outside, and turns nothing back that comes from inside."""

SCATTER = """
flush chain ip nat out
add rule ip nat out oifname "wan" masquerade fully-random
"""
"""From now on the router takes another port for each destination."""


class NetworkError(Exception):
    """The network cannot be built or asked; the text quotes what failed."""


def run(command: Sequence[str], script: str = "") -> str:
    """Run a command with `script` on its standard input; return what it prints, or raise NetworkError."""
    try:
        done = subprocess.run(
            command, input=script, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetworkError(f"{command[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NetworkError(f"{said[-1] if said else f'status {done.returncode}'} (in {command[0]})")
    return done.stdout


def way_in() -> list[str]:
    """Return the command that runs a command where the network can be built; raises NetworkError."""
    if sys.platform != "linux":
        raise NetworkError(f"network namespaces are a thing of Linux, and this is {sys.platform}")
    missing = [name for name in PACKAGES if shutil.which(name) is None]
    if missing:
        packages = " ".join(sorted({PACKAGES[name] for name in missing}))
        raise NetworkError(f"no command {', '.join(missing)}: install the Debian packages {packages}")
    refusals = []
    for way in WAYS:
        command = ["unshare", *way, "--mount", "--net"]
        try:
            run([*command, "sh", "-es"], REHEARSAL)
        except NetworkError as error:
            refusals.append(str(error))
        else:
            return command
    raise NetworkError(f"no namespaces with address translation for us here: {'; '.join(refusals)}")


def home() -> str:
    """Return the name of the mount namespace that we are in."""
    return str(Path("/proc/self/ns/mnt").readlink())


def inside(place: str) -> list[str]:
    """Return what stands before a command that is to run at a place of the network, and to end with us."""
    return ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", place]


def rules(place: str, text: str) -> None:
    """Load nftables rules at a place."""
    run([*inside(place), "nft", "-f", "-"], text)


def watch(other: str) -> str:
    """Return rules that count the UDP packets that leave for the other host's own addresses."""
    return f"""
table inet watch {{
  counter neighbour {{
  }}
  chain out {{
    type filter hook output priority 0
    meta l4proto udp ip daddr {FOUR[other]} counter name neighbour
    meta l4proto udp ip6 daddr {SIX[other]} counter name neighbour
  }}
}}
"""


def wall(other: str) -> str:
    """Return rules that let no IPv4 in from the other host."""
    return f"""
table inet wall {{
  chain in {{
    type filter hook input priority 0
    meta l4proto udp ip saddr {FOUR[other]} drop
  }}
}}
"""


def build(left: str) -> None:
    """Build relay, router and two hosts; raises NetworkError, also in the mount namespace named `left`."""
    if home() == left:
        raise NetworkError("the laboratory is to be built in namespaces of its own")
    run(["sh", "-es"], BUILD)
    rules("router", ROUTER)
    for place, other in zip(HOSTS, reversed(HOSTS), strict=True):
        rules(place, watch(other))


def has_six() -> bool:
    """Tell whether the hosts have IPv6 addresses."""
    return bool(run([*inside("caller"), "ip", "-6", "-brief", "addr", "show", "dev", "home"]).strip())


def counted() -> dict[str, int]:
    """Return the packets counted at each place since the last time that this was asked."""
    counts = {}
    for place in (*HOSTS, "router"):
        said = json.loads(run([*inside(place), "nft", "-j", "reset", "counters"]))
        counts[place] = sum(one["counter"]["packets"] for one in said["nftables"] if "counter" in one)
    return counts
