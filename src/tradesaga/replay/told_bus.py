"""The event bus of a recorded life: its messages come in their turns, none is lost or repeated.

What came twice then comes twice now, since both stand on the tape: a message that is put off does
not come again by itself. What is published is acknowledged, or not, as it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from typing_extensions import override

from tradesaga.adapters.nats.envelope import encode
from tradesaga.ports.bus import Delivery, Published
from tradesaga.ports.records import OutboxRow
from tradesaga.replay.answers import error_of
from tradesaga.replay.bus import CarryingBus, ReplayDelivery
from tradesaga.replay.tape import about
from tradesaga.replay.telling import Telling
from tradesaga.replay.told_store import told_calls


class ToldBus(CarryingBus):
    """Implements `ports.bus.Bus`."""

    def __init__(self, telling: Telling, hear: Callable[[str, bytes], object]) -> None:
        super().__init__(hear)
        self._telling = telling

    @override
    async def run(self) -> None:
        """As the port."""
        await self._telling.line_of("bus", "")
        await super().run()

    @override
    async def publish(self, row: OutboxRow) -> Published:
        """As the port; what is asked of the decision makers has been asked when it leaves."""
        self._hear(row.type, encode(row))
        line = await self._telling.line_of("publish", about(row))
        if line is not None and line.error:
            raise error_of(line)
        self._published += 1
        return Published(stream_sequence=self._published, duplicate=False)

    @override
    async def deliveries(self) -> AsyncIterator[Delivery]:
        """As the port."""
        async for delivery in super().deliveries():
            settled: Any = told_calls("delivery", delivery, self._telling)
            yield settled

    @override
    def put_off(self, delivery: ReplayDelivery) -> None:
        """It comes again where it came again."""
        self.settled(delivery)
