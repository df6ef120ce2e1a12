"""How the platform's services publish: their own envelope, at once, without an outbox or an id.

Subject and event type are one and the same. No header is sent: without `Nats-Msg-Id` the stream
drops no repeat, and the traceparent of the request that an event comes of stands in its envelope.
What cannot be published is lost, and the caller hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from tradesaga.domain.errors import Unavailable
from tradesaga.paper.bus import Bus
from tradesaga.paper.faults import FaultBook, FaultKind
from tradesaga.paper.platform.books import identifier
from tradesaga.paper.platform.wire import encode
from tradesaga.paper.store import Outgoing

VERSION = "1.0"
ASKED_IN: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The traceparent of the request in hand; nothing that the bus asks for has one."""


class Teller:
    """The publisher of one service."""

    def __init__(
        self, bus: Bus, service: str, faults: FaultBook, *, now: Callable[[], datetime]
    ) -> None:
        self._bus = bus
        self._service = service
        self._faults = faults
        self._now = now

    @property
    def connected(self) -> bool:
        """Whether anything can be published now."""
        return self._bus.ready

    async def tell(
        self, event_type: str, payload: Mapping[str, Any], *, correlation_id: str | None = None
    ) -> None:
        """Publish and wait for the stream's acknowledgement. Raises Unavailable."""
        now, symbol = self._now(), payload.get("symbol")
        metadata = {
            "eventId": identifier("evt", now),
            "eventType": event_type,
            "timestamp": now,
            "version": VERSION,
            "source": self._service,
            "correlationId": correlation_id,
            "traceId": ASKED_IN.get(),
        }
        event = Outgoing(
            event_id=str(metadata["eventId"]),
            event_type=event_type,
            source=self._service,
            symbol=symbol,
            body=encode({"metadata": metadata, "payload": payload}),
        )
        if self._faults.take(FaultKind.EVENT_DROPPED, symbol=symbol, event_type=event_type):
            return
        await self._bus.send(event, None)
        if self._faults.take(FaultKind.EVENT_DUPLICATED, symbol=symbol, event_type=event_type):
            await self._bus.send(event, None)

    async def try_to_tell(self, event_type: str, payload: Mapping[str, Any]) -> bool:
        """Publish what may be lost; whether it went out."""
        try:
            await self.tell(event_type, payload)
        except Unavailable:
            return False
        return True
