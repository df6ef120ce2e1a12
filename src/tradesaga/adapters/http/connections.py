"""Connections that many clients share: one agent more costs no pool and no TLS context more."""

from __future__ import annotations

from typing import Final

import httpx2
from typing_extensions import override

CONNECTIONS_MAX: Final = 64
"""Of each kind, to all services together."""
IDLE_MAX: Final = 8
"""Kept for the next request: each request looks at all of them, whether they still live."""
IDLE_SECONDS_MAX: Final = 2.0


class _Lasting(httpx2.AsyncHTTPTransport):
    @override
    async def aclose(self) -> None:
        """One client of many has gone."""

    async def end(self) -> None:
        """Close them."""
        await super().aclose()


class SharedConnections:
    """Two pools: a cancel never waits for a connection that a submit has."""

    def __init__(self) -> None:
        limits = httpx2.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=IDLE_MAX,
            keepalive_expiry=IDLE_SECONDS_MAX,
        )
        self.usual, self.cancels = _Lasting(limits=limits), _Lasting(limits=limits)

    async def close(self) -> None:
        """Close all connections, once none of the clients is used any more."""
        await self.usual.end()
        await self.cancels.end()
