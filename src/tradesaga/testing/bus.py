"""The event bus in memory: what was published is a list, what arrives is handed in by the test.

It keeps the promises of `ports.bus` and no more: at least once both ways. `retry_later` delivers
again at once, behind what already waits. A delivery may be answered once; twice is a defect of
the caller and asserts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from enum import StrEnum

from tradesaga.domain.errors import Unavailable
from tradesaga.domain.events import Incoming
from tradesaga.ports.bus import Delivery, Published
from tradesaga.ports.records import OutboxRow


class Answer(StrEnum):
    """How a delivery was answered."""

    ACKNOWLEDGED = "acknowledged"
    RETRIED = "retried"
    DISCARDED = "discarded"


class MemoryDelivery:
    """One message in hand; implements `ports.bus.Delivery`."""

    def __init__(
        self, bus: MemoryBus, incoming: Incoming | None, subject: str, body: bytes, problem: str
    ) -> None:
        self.incoming = incoming
        self.subject = subject
        self.body = body
        self.problem = problem
        self.answer: Answer | None = None
        self._bus = bus

    async def acknowledge(self) -> None:
        """Its effect is durable."""
        self._answered(Answer.ACKNOWLEDGED)

    async def retry_later(self) -> None:
        """Queue it again."""
        self._answered(Answer.RETRIED)
        self._bus.requeue(self)

    async def discard(self) -> None:
        """Never again."""
        self._answered(Answer.DISCARDED)

    def _answered(self, answer: Answer) -> None:
        assert self.answer is None, f"{self.subject} is already {self.answer}"
        self.answer = answer
        self._bus.note(self)


class MemoryBus:
    """Implements `ports.bus.Bus`.

    `published` holds every event once, in order, under its stream sequence - 1; `attempts` counts
    all publishes. While `connected` is False nothing is stored. `lose_acks` stores, but raises.
    """

    def __init__(self) -> None:
        self.connected = True
        self.lose_acks = 0
        self.published: list[OutboxRow] = []
        self.attempts = 0
        self.answered: list[MemoryDelivery] = []
        self._sequences: dict[str, int] = {}
        self._waiting: asyncio.Queue[MemoryDelivery] = asyncio.Queue()
        self._changes = asyncio.Event()
        self._unanswered = 0

    async def run(self) -> None:
        """Nothing to hold; ends by cancellation alone, as the real one."""
        await asyncio.Event().wait()

    # ---- what the test says -------------------------------------------------------------------

    def deliver(self, incoming: Incoming) -> MemoryDelivery:
        """Hand in an event, as often as you like."""
        return self._enter(MemoryDelivery(self, incoming, incoming.type, b"{}", ""))

    def deliver_poison(self, body: bytes, problem: str = "no JSON") -> MemoryDelivery:
        """Hand in a message that nobody can read."""
        return self._enter(MemoryDelivery(self, None, "trade.order.filled", body, problem))

    async def until_published(self, number: int) -> list[OutboxRow]:
        """Wait until so many different events are out; bound it with `asyncio.timeout`."""
        while len(self.published) < number:
            await self._next_change()
        return self.published

    async def until_idle(self) -> None:
        """Wait until every message handed in is acknowledged or discarded; bound it likewise."""
        while self._unanswered:
            await self._next_change()

    async def until_answered(self, delivery: MemoryDelivery) -> None:
        """Wait until this delivery is answered, in whatever way; bound it likewise."""
        while delivery.answer is None:
            await self._next_change()

    # ---- the port -----------------------------------------------------------------------------

    async def publish(self, row: OutboxRow) -> Published:
        """Store it once under its event id."""
        self.attempts += 1
        if not self.connected:
            raise Unavailable("the bus is not connected")
        duplicate = row.event_id in self._sequences
        if not duplicate:
            self.published.append(row)
            self._sequences[row.event_id] = len(self.published)
            self._changes.set()
        if self.lose_acks:
            self.lose_acks -= 1
            raise Unavailable("the acknowledgement was lost")
        return Published(stream_sequence=self._sequences[row.event_id], duplicate=duplicate)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """What was handed in, in order, for ever."""
        while True:
            yield await self._waiting.get()

    def is_connected(self) -> bool:
        """As set."""
        return self.connected

    # ---- for MemoryDelivery -------------------------------------------------------------------

    def requeue(self, delivery: MemoryDelivery) -> None:
        """Deliver the same message again, as a new delivery."""
        again = MemoryDelivery(
            self, delivery.incoming, delivery.subject, delivery.body, delivery.problem
        )
        self._enter(again)

    def note(self, delivery: MemoryDelivery) -> None:
        """Keep an answered delivery and wake those who wait."""
        self.answered.append(delivery)
        self._unanswered -= 1
        self._changes.set()

    def _enter(self, delivery: MemoryDelivery) -> MemoryDelivery:
        self._unanswered += 1
        self._waiting.put_nowait(delivery)
        return delivery

    async def _next_change(self) -> None:
        self._changes.clear()
        await self._changes.wait()
