"""The ai-decision service beside the bus: only its health is asked over HTTP."""

from __future__ import annotations

from datetime import timedelta

from tradesaga.adapters.http.client import ServiceClient
from tradesaga.adapters.http.transport import Transport
from tradesaga.ports.services import Health


class HttpDecisionService:
    """Implements `ports.services.DecisionService`."""

    def __init__(
        self, *, url: str, time_max: timedelta, transport: Transport | None = None
    ) -> None:
        self._client = ServiceClient(
            name="ai-decision", url=url, time_max=time_max, transport=transport
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def health(self) -> Health:
        """What it says of itself."""
        return await self._client.health()
