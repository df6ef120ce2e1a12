"""Passing a request on to the node that leads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import httpx2

from tradesaga.adapters.http.client import ANSWER_BYTES_MAX
from tradesaga.adapters.http.connections import CONNECTIONS_MAX, IDLE_SECONDS_MAX
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.ports.nodes import Passed, PeerAnswer

CONNECT_SECONDS_MAX: Final = 1.0
_CODINGS: Final = ("content-encoding",)


class HttpPeers:
    """Implements `ports.nodes.Peers`; `elsewhere` says where the leader is.

    `time_max` bounds a call. A request is sent once: what became of one that got no answer is not
    known.
    """

    def __init__(self, elsewhere: Callable[[AgentId | None], str], *, time_max: timedelta) -> None:
        self._elsewhere = elsewhere
        self._seconds_max = time_max.total_seconds()
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(self._seconds_max, connect=CONNECT_SECONDS_MAX),
            trust_env=False,
            limits=httpx2.Limits(
                max_connections=CONNECTIONS_MAX, keepalive_expiry=IDLE_SECONDS_MAX
            ),
        )

    def elsewhere(self, agent_id: AgentId | None) -> str:
        """See the port."""
        return self._elsewhere(agent_id)

    async def ask(self, url: str, request: Passed) -> PeerAnswer:
        """See the port."""
        try:
            async with asyncio.timeout(self._seconds_max):
                return await self._ask(url, request)
        except (TimeoutError, OSError, httpx2.HTTPError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"the node at {url} gives no answer: {reason}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _ask(self, url: str, request: Passed) -> PeerAnswer:
        body = bytearray()
        async with self._http.stream(
            request.method,
            url + request.target,
            headers=dict(request.headers),
            content=request.body,
        ) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise Unavailable(f"the node at {url} answers with too much")
            headers = {n: v for n, v in response.headers.items() if n.lower() not in _CODINGS}
            return PeerAnswer(status=response.status_code, headers=headers, body=bytes(body))
