"""The ready line of a relay: what it says of itself (docs/how-to/judge-your-relay.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core.addresses import format_address

if TYPE_CHECKING:
    from reference.core.phases import Phase
    from reference.core.sessions import Setting
    from reference.endpoint import EndpointLimits


def ready(
    setting: Setting, phase: Phase, address: tuple[str, int], fingerprint: str, limits: EndpointLimits
) -> dict[str, object]:
    """Return where and who a relay is, and the limits that a suite need not guess; times in seconds."""
    own = setting.limits
    return {
        "addr": format_address(*address),
        "tls_fingerprint": fingerprint,
        "phase": str(phase),
        "registration": str(setting.policy),
        "auth": setting.authenticate,
        "advertise": setting.relay_addr,
        "peers": [peer.fingerprint for peer in setting.peers],
        "timers": {
            "register": own.register_timeout,
            "ring": own.ring_timeout,
            "media": own.media_timeout,
            "stream": limits.stream_timeout,
            "keep_alive": limits.keep_alive,
            "drain": own.drain,
            "hello": own.hello_timeout,
            "search": own.search_timeout,
        },
        "limits": {
            "connections": limits.connections,
            "calls": own.calls,
            "offers_burst": own.offers_burst,
            "offers_per_second": own.offers_per_second,
            "reflections_burst": own.reflections_burst,
            "reflections_per_second": own.reflections_per_second,
            "bad_messages": own.bad_messages,
            "unread": limits.unsent,
            "said_burst": limits.said,
            "said_per_second": limits.said_per_second,
        },
    }
