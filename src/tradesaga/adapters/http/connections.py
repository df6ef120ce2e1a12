"""The connections of clients: kept for the next request, bounded, each request sent once."""

from __future__ import annotations

import asyncio
import ssl
from functools import cache
from typing import Final

from typing_extensions import override

from tradesaga.adapters.http.connection import Connection
from tradesaga.adapters.http.transport import Answer, Origin, Request
from tradesaga.domain.errors import NotSent

CONNECTIONS_MAX: Final = 64
"""In use at a time, of one pool; who wants one more waits until its own time is over."""
IDLE_MAX: Final = 8
"""Kept for the next request."""
IDLE_SECONDS_MAX: Final = 2.0
"""Less than servers keep a connection: one that they close just then would lose a request."""


class Connections:
    """Implements `adapters.http.transport.Transport`; proxies and redirects are not followed."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)
        self._idle: list[tuple[Origin, Connection, float]] = []
        self._is_closed = False

    async def send(self, request: Request) -> Answer:
        """See the port."""
        async with self._room:
            connection = self._kept(request.origin) or await _connected(request.origin)
            try:
                if request.leave is not None and (reason := request.leave()):
                    raise NotSent(reason)
                return await connection.ask(request)
            finally:
                self._put_back(request.origin, connection)

    async def close(self) -> None:
        """Close what is idle now, and the rest when its answer has come."""
        self._is_closed = True
        for _, connection, _ in self._idle:
            connection.close()
        self._idle.clear()

    def _kept(self, origin: Origin) -> Connection | None:
        """The one that was used last, as the likeliest to live."""
        now = asyncio.get_running_loop().time()
        kept, found = list[tuple[Origin, Connection, float]](), None
        for place in reversed(self._idle):
            theirs, connection, until = place
            if until <= now or not connection.is_free:
                connection.close()
            elif found is None and theirs == origin:
                found = connection
            else:
                kept.append(place)
        self._idle = kept[::-1]
        return found

    def _put_back(self, origin: Origin, connection: Connection) -> None:
        if self._is_closed or not connection.is_free:
            connection.close()
            return
        until = asyncio.get_running_loop().time() + IDLE_SECONDS_MAX
        self._idle.append((origin, connection, until))
        if len(self._idle) > IDLE_MAX:
            self._idle.pop(0)[1].close()


class _Lasting(Connections):
    @override
    async def close(self) -> None:
        """One client of many has gone."""

    async def end(self) -> None:
        """Close them."""
        await super().close()


class SharedConnections:
    """Two pools for many clients: one agent more costs no pool and no TLS context more.

    A cancel never waits for a connection that a submit has.
    """

    def __init__(self) -> None:
        self.usual, self.cancels = _Lasting(), _Lasting()

    async def close(self) -> None:
        """Close all connections, once none of the clients is used any more."""
        await self.usual.end()
        await self.cancels.end()


async def _connected(origin: Origin) -> Connection:
    secured = _trusting() if origin.is_secure else None
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, origin.host, origin.port, ssl=secured)
    return connection


@cache
def _trusting() -> ssl.SSLContext:
    """The certificates that this machine trusts; names are compared."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
