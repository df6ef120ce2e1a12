"""Whether an address is this machine's own: asked before listening, and of every request's host."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine's own and reaches no further."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_address(host: str) -> bool:
    """Whether `host` is an address and no name: what a name means can be changed by others."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
