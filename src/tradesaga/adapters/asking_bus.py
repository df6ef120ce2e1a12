"""A bus whose questions about decisions go to an analyst, and not over the bus.

    orchestrator.analysis.requested ─► analyst ─► its answer, as if ai-decision had published it

The platform's decision maker knows nothing when it is asked over the bus, and holds. Asked
directly it publishes its decision first and answers then: what comes over the bus is held back
while a question about the symbol is open, and is no news once the answer was told here.

A question that gets no answer has none: whoever asked has a deadline. Nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Final

import msgspec
from structlog import get_logger
from structlog.contextvars import bound_contextvars

from tradesaga.domain.errors import Rejected, Transient, Unavailable
from tradesaga.domain.events import ANALYSIS_REQUESTED, DecisionGenerated, Incoming
from tradesaga.ports.bus import Bus, Delivery, Published, ReadMessage
from tradesaga.ports.clock import Clock
from tradesaga.ports.records import OutboxRow
from tradesaga.ports.tracing import UNTRACED, Tracer

log = get_logger(__name__)
GENERATED: Final = "ai.decision.generated"
WAITING_MAX: Final = 1000
DELIVERIES_MAX: Final = 256
ASKED_AT_ONCE: Final = 4
TOLD_MAX: Final = 10_000

Analyse = Callable[[str], Awaitable[bytes]]
"""Asks about a symbol; the text of a decision. Raises Transient."""


class _Question(msgspec.Struct, rename="camel"):
    symbol: str


class _Told(msgspec.Struct, rename="camel"):
    decision_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class DirectDelivery:
    """Implements `ports.bus.Delivery` for an answer that nobody can deliver again."""

    def __init__(self, incoming: Incoming | None, body: bytes, problem: str) -> None:
        self.incoming = incoming
        self.subject = GENERATED
        self.body = body
        self.problem = problem

    async def acknowledge(self) -> None:
        """Nobody waits for that."""

    async def retry_later(self) -> None:
        """It does not come again: its question has no answer."""
        log.warning("answer given up")

    async def discard(self) -> None:
        """Nobody waits for that."""


class AskingBus:
    """Implements `ports.bus.Bus` over another one."""

    def __init__(
        self,
        bus: Bus,
        analyse: Analyse,
        read: ReadMessage,
        clock: Clock,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self._bus = bus
        self._analyse = analyse
        self._read = read
        self._clock = clock
        self._questions: asyncio.Queue[OutboxRow] = asyncio.Queue(WAITING_MAX)
        self._deliveries: asyncio.Queue[Delivery] = asyncio.Queue(DELIVERIES_MAX)
        self._open: dict[str, int] = {}
        self._told: dict[str, None] = {}

    async def run(self) -> None:
        """See the port."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bus.run(), name="bus itself")
            group.create_task(self._hear(), name="bus deliveries")
            for number in range(ASKED_AT_ONCE):
                group.create_task(self._ask_for_ever(), name=f"analyst {number}")

    async def publish(self, row: OutboxRow) -> Published:
        """See the port; a question is taken here, under no number of the stream."""
        if row.type != ANALYSIS_REQUESTED:
            return await self._bus.publish(row)
        try:
            self._questions.put_nowait(row)
        except asyncio.QueueFull as error:
            raise Unavailable(f"{WAITING_MAX} questions wait already") from error
        return Published(stream_sequence=0, duplicate=False)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """See the port."""
        while True:
            yield await self._deliveries.get()

    def is_connected(self) -> bool:
        """See the port."""
        return self._bus.is_connected()

    async def _hear(self) -> None:
        async for delivery in self._bus.deliveries():
            match delivery.incoming:
                case Incoming(content=DecisionGenerated(proposal=said)):
                    if said.external_id in self._told:
                        await delivery.acknowledge()
                        continue
                    if said.symbol in self._open:
                        await delivery.retry_later()
                        continue
                case _:
                    pass
            await self._deliveries.put(delivery)

    async def _ask_for_ever(self) -> None:
        while True:
            row = await self._questions.get()
            symbol = msgspec.json.decode(row.payload, type=_Question).symbol
            self._open[symbol] = self._open.get(symbol, 0) + 1
            try:
                with (
                    bound_contextvars(correlation_id=row.correlation_id),
                    self._tracer.span("analyse", about=row.correlation_id),
                ):
                    decision = await self._analyse(symbol)
                delivery = self._answer(decision, row)
            except (Transient, Rejected, msgspec.DecodeError) as error:
                log.warning("not analysed", symbol=symbol, error=str(error))
                continue
            finally:
                self._open[symbol] -= 1
                if not self._open[symbol]:
                    del self._open[symbol]
            await self._deliveries.put(delivery)

    def _answer(self, decision: bytes, row: OutboxRow) -> Delivery:
        """As a message of the bus would say it, in answer to `row`. Raises Rejected."""
        decision_id = msgspec.json.decode(decision, type=_Told).decision_id
        self._told[decision_id] = None
        if len(self._told) > TOLD_MAX:
            self._told.pop(next(iter(self._told)))
        metadata = {
            "eventId": f"analysis:{decision_id}",
            "eventType": GENERATED,
            "timestamp": self._clock.now(),
            "version": "1.0",
            "source": "ai-decision",
            "correlationId": row.correlation_id or row.event_id,
        }
        body = msgspec.json.encode({"metadata": metadata, "payload": msgspec.Raw(decision)})
        return DirectDelivery(self._read(GENERATED, body), body, "")
