"""The event bus of a simulated world: a durable stream, and one process's line to it.

At least once both ways and no more: publishes are stored once under their event id, but their
acknowledgement may be lost; messages come late, in any order, again after a lost acknowledgement,
and again to the next process when the last one died with them in hand. While the bus is away
nothing moves.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from typing_extensions import override

from tradesaga.domain.events import Incoming
from tradesaga.ports.bus import Delivery, Published
from tradesaga.ports.records import OutboxRow
from tradesaga.testing.sim_life import Life
from tradesaga.testing.sim_loop import SimLoop
from tradesaga.testing.sim_weather import BUS, Weather

ACK_WAIT = 10.0
"""Seconds after which an unacknowledged message is delivered again."""
RETRY_WAIT = 0.5
LATE_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a neighbour published; `incoming` None cannot be read."""

    number: int
    incoming: Incoming | None
    subject: str


class SimStream:
    """The durable side. `published` is every event of ours once, in the order of its storing.

    `on_published` hears each of them; `on_settled` hears every message that was acknowledged.
    """

    def __init__(self, loop: SimLoop, weather: Weather) -> None:
        self.loop = loop
        self.weather = weather
        self.published: list[OutboxRow] = []
        self.unsettled: dict[int, Message] = {}
        self.on_published: Callable[[OutboxRow], None] = lambda _: None
        self.on_settled: Callable[[Message], None] = lambda _: None
        self._places: dict[str, int] = {}
        self._planned: dict[int, asyncio.TimerHandle] = {}
        self._numbers = itertools.count(1)
        self._line: SimBus | None = None

    # ---- what the neighbours do ---------------------------------------------------------------

    def feed(self, incoming: Incoming | None, *, subject: str = "") -> None:
        """A neighbour publishes; a drawn part of it comes late or again."""
        for _ in range(2 if self.weather.strikes(self.weather.repeated) else 1):
            message = Message(
                number=next(self._numbers),
                incoming=incoming,
                subject=subject or (incoming.type if incoming is not None else "unreadable"),
            )
            self.unsettled[message.number] = message
            late = self.weather.strikes(self.weather.late_event)
            way = self.weather.rng.uniform(0, LATE_SECONDS_MAX) if late else self.weather.travel()
            self._schedule(message.number, way)

    # ---- for the lines ------------------------------------------------------------------------

    def store(self, row: OutboxRow) -> Published:
        """Keep an event of ours, once."""
        duplicate = row.event_id in self._places
        if not duplicate:
            self.published.append(row)
            self._places[row.event_id] = len(self.published)
            self.loop.note(f"published {row.sequence} {row.type}")
            self.on_published(row)
        return Published(stream_sequence=self._places[row.event_id], duplicate=duplicate)

    def attach(self, line: SimBus) -> None:
        """A consumer has come: all that is not settled is delivered to it."""
        self._line = line
        for number in self.unsettled:
            self._schedule(number, self.weather.travel())

    def settle(self, message: Message) -> None:
        """It is acknowledged and never comes again."""
        if self.unsettled.pop(message.number, None) is not None:
            self._planned.pop(message.number).cancel()
            self.on_settled(message)

    def send_again(self, message: Message, after: float) -> None:
        """Deliver it once more."""
        if message.number in self.unsettled:
            self._schedule(message.number, after)

    def _schedule(self, number: int, after: float) -> None:
        """One delivery is planned for a message at a time."""
        if (planned := self._planned.get(number)) is not None:
            planned.cancel()
        self._planned[number] = self.loop.call_later(after, self._send, number)

    def _send(self, number: int) -> None:
        message, line = self.unsettled.get(number), self._line
        if message is None or line is None or line.is_over:
            return  # settled, or delivered when the next consumer comes
        if BUS in self.weather.down:
            self._schedule(number, RETRY_WAIT)
            return
        line.take(message)
        self._schedule(number, ACK_WAIT)


class SimDelivery:
    """One message in hand; implements `ports.bus.Delivery`."""

    def __init__(self, stream: SimStream, life: Life, message: Message) -> None:
        self.incoming = message.incoming
        self.subject = message.subject
        self.body = b"{"
        self.problem = "" if message.incoming is not None else "no JSON"
        self._stream = stream
        self._life = life
        self._message = message

    async def acknowledge(self) -> None:
        """As the port; nobody knows whether it arrives."""
        await self._life.pause(self._life.weather.travel())
        weather = self._life.weather
        if BUS not in weather.down and not weather.strikes(weather.ack_lost):
            self._stream.settle(self._message)

    async def retry_later(self) -> None:
        """As the port."""
        await self._life.pause(self._life.weather.travel())
        self._stream.send_again(self._message, RETRY_WAIT)

    async def discard(self) -> None:
        """As the port."""
        await self.acknowledge()


class _Arrivals(AsyncIterator[Delivery]):
    def __init__(self, queue: asyncio.Queue[Delivery]) -> None:
        self._queue = queue

    @override
    async def __anext__(self) -> Delivery:
        return await self._queue.get()


class SimBus:
    """One process's line; implements `ports.bus.Bus`."""

    def __init__(self, stream: SimStream, life: Life) -> None:
        self._stream = stream
        self._life = life
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue()

    @property
    def is_over(self) -> bool:
        """Whether its process is dead."""
        return self._life.over

    def take(self, message: Message) -> None:
        """A message arrives."""
        self._arrived.put_nowait(SimDelivery(self._stream, self._life, message))

    async def run(self) -> None:
        """As the port."""
        self._stream.attach(self)
        await asyncio.Event().wait()

    async def publish(self, row: OutboxRow) -> Published:
        """As the port."""
        trip = self._life.weather.trip(BUS)
        return await self._life.ask("a publish", lambda: self._stream.store(row), trip)

    def deliveries(self) -> AsyncIterator[Delivery]:
        """As the port, but in any order."""
        return _Arrivals(self._arrived)

    def is_connected(self) -> bool:
        """As the port."""
        return BUS not in self._life.weather.down
