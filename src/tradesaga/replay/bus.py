"""The event bus of a replay: messages as on the wire, carried within the process, none ever lost.

What the neighbours send is decoded by the code that reads NATS, and what the engine publishes is
encoded by the code that writes it; only the carrier differs. A message is delivered in the turn in
which it was sent; one that is put off comes again after `RETRY_AFTER` of market time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

from typing_extensions import override

from tradesaga.adapters.nats.envelope import Unreadable, encode
from tradesaga.adapters.nats.payloads import Check, decode_event
from tradesaga.domain.events import Incoming
from tradesaga.paper.store import Outgoing
from tradesaga.ports.bus import Delivery, Published
from tradesaga.ports.records import OutboxRow
from tradesaga.replay.clock import PlayedClock

RETRY_AFTER = timedelta(seconds=1)
SECONDS_AT_END = 0.01
"""Of virtual time, when there is no market time left to wait for."""


class ReplayDelivery:
    """One message in hand; implements `ports.bus.Delivery`."""

    def __init__(
        self, bus: CarryingBus, subject: str, body: bytes, incoming: Incoming | None, problem: str
    ) -> None:
        self.subject = subject
        self.body = body
        self.incoming = incoming
        self.problem = problem
        self._bus = bus

    async def acknowledge(self) -> None:
        """It is done with."""
        self._bus.settled(self)

    async def retry_later(self) -> None:
        """Have it again."""
        self._bus.put_off(self)

    async def discard(self) -> None:
        """It is done with."""
        self._bus.settled(self)


class CarryingBus:
    """Carries messages within the process; `hear` is told of every event of the engine's.

    It is told the type, and the message as it would be on the wire. When a message comes, and when
    one comes again that was put off, is for those who make one of these to say.
    """

    def __init__(self, hear: Callable[[str, bytes], object]) -> None:
        self._hear = hear
        self._published = 0
        self._unsettled: set[ReplayDelivery] = set()
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue()

    @property
    def unsettled(self) -> int:
        """How many messages of the neighbours are not answered yet."""
        return len(self._unsettled)

    def come(self, subject: str, body: bytes, at: datetime, check: Check | None = None) -> None:
        """A message has come; `check` judges its signature."""
        incoming, problem = None, ""
        try:
            incoming = decode_event(body, at, check)
        except Unreadable as error:
            problem = str(error)
        delivery = ReplayDelivery(self, subject, body, incoming, problem)
        self._unsettled.add(delivery)
        self._arrived.put_nowait(delivery)

    # ---- the port -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Nothing to hold."""
        await asyncio.Event().wait()

    async def publish(self, row: OutboxRow) -> Published:
        """As the port; the neighbours have heard it when this returns."""
        self._published += 1
        self._hear(row.type, encode(row))
        return Published(stream_sequence=self._published, duplicate=False)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """As the port."""
        while True:
            yield await self._arrived.get()

    def is_connected(self) -> bool:
        """Always."""
        return True

    # ---- for the deliveries -------------------------------------------------------------------

    def settled(self, delivery: ReplayDelivery) -> None:
        """It never comes again."""
        self._unsettled.discard(delivery)

    def put_off(self, delivery: ReplayDelivery) -> None:
        """It comes again, if it does."""
        raise NotImplementedError


class ReplayBus(CarryingBus):
    """Implements `ports.bus.Bus` for neighbours that are simulated in this process.

    `listens` says of a neighbour's event type whether the configuration subscribes to it.
    """

    def __init__(
        self,
        clock: PlayedClock,
        *,
        listens: Callable[[str], bool],
        hear: Callable[[str, bytes], object],
    ) -> None:
        super().__init__(hear)
        self._clock = clock
        self._listens = listens

    async def send(self, event: Outgoing, _message_id: str | None) -> None:
        """A neighbour sends; as `paper.outbox.Send`."""
        if self._listens(event.event_type):
            self.take(event.event_type, event.body)

    def take(self, subject: str, body: bytes) -> None:
        """A message has come."""
        self.come(subject, body, self._clock.now())

    @override
    def put_off(self, delivery: ReplayDelivery) -> None:
        """It comes again."""
        again = self._clock.now() + RETRY_AFTER
        if self._clock.call_at(again, self._arrived.put_nowait, delivery) is None:
            # The recording is over. Virtual time must pass all the same, or nothing else would.
            self._clock.call_later(SECONDS_AT_END, self._arrived.put_nowait, delivery)
