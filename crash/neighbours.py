"""The ports of one life whose other end is outside: venue, bus, market data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import count
from typing import cast
from uuid import UUID

from crash.market import FastClock
from crash.scenarios import PRICE, Scenario
from crash.wire import Wire, read
from tradesaga.adapters.system import real_ns
from tradesaga.domain.events import Incoming
from tradesaga.domain.ids import derived
from tradesaga.domain.market import MarketStatus, Quote
from tradesaga.domain.orders import Order, VenueReport
from tradesaga.engine.send_gate import SendGate
from tradesaga.ports.bus import Delivery, Published
from tradesaga.ports.records import OutboxRow
from tradesaga.ports.services import Account, Capabilities, Health, OpenOrder, VenuePosition
from tradesaga.testing.seams import Seams

EQUITY = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class WireVenue:
    """Implements `ports.services.TradingEngine`; passes the seam "sent" of each request."""

    wire: Wire
    clock: FastClock
    scenario: Scenario
    seams: Seams
    life: int
    gate: SendGate

    @property
    def capabilities(self) -> Capabilities:
        """As the scenario promises."""
        return Capabilities(
            dedupes=self.scenario.dedupes,
            query_by_client_id=self.scenario.looks_up,
            visibility_lag=self.scenario.lag,
        )

    async def submit(self, order: Order) -> VenueReport:
        """See the port."""
        sent = lambda: self.seams.hit("venue.submit.sent")  # noqa: E731 -- three alike
        asked = order, self.life, real_ns()
        leave = partial(self.gate.refusal_at_last, order)
        return cast(VenueReport, await self.wire.call("submit", *asked, sent=sent, leave=leave))

    async def look_up(self, order: Order) -> VenueReport | None:
        """See the port."""
        sent = lambda: self.seams.hit("venue.look_up.sent")  # noqa: E731 -- three alike
        return cast(VenueReport | None, await self.wire.call("look_up", order, sent=sent))

    async def cancel(self, venue_order_id: str) -> None:
        """See the port."""
        sent = lambda: self.seams.hit("venue.cancel.sent")  # noqa: E731 -- three alike
        await self.wire.call("cancel", venue_order_id, sent=sent)

    async def account(self) -> Account:
        """Always rich."""
        return Account(
            account_id="crash", equity=EQUITY, cash=EQUITY, buying_power=EQUITY, blocked=False,
            at=self.clock.now(),
        )  # fmt: skip

    async def positions(self) -> Sequence[VenuePosition]:
        """See the port."""
        return cast(list[VenuePosition], await self.wire.call("positions"))

    async def open_orders(self) -> Sequence[OpenOrder]:
        """See the port."""
        return cast(list[OpenOrder], await self.wire.call("open_orders"))

    async def health(self) -> Health:
        """Always well."""
        return Health.HEALTHY


@dataclass(frozen=True, slots=True)
class WireDelivery:
    """Implements `ports.bus.Delivery`."""

    wire: Wire
    number: int
    incoming: Incoming
    body: bytes = b""
    problem: str = ""

    @property
    def subject(self) -> str:
        """The type."""
        return self.incoming.type

    async def acknowledge(self) -> None:
        """See the port."""
        await self.wire.call("acknowledge", self.number)

    async def retry_later(self) -> None:
        """See the port."""
        await self.wire.call("retry_later", self.number)

    async def discard(self) -> None:
        """See the port."""
        await self.wire.call("acknowledge", self.number)


@dataclass(frozen=True, slots=True)
class WireBus:
    """Implements `ports.bus.Bus`."""

    wire: Wire
    seams: Seams

    async def run(self) -> None:
        """Nothing to hold."""
        await asyncio.Event().wait()

    async def publish(self, row: OutboxRow) -> Published:
        """See the port."""
        stored = lambda: self.seams.hit("bus.publish.stored")  # noqa: E731 -- as in the venue
        return cast(Published, await self.wire.call("publish", row, sent=stored))

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """See the port."""
        reader, writer = await self.wire.stream()
        try:
            while True:
                number, incoming = await read(reader)
                yield WireDelivery(self.wire, number, incoming)
        finally:
            writer.close()

    def is_connected(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class SteadyMarket:
    """Market data and decision service that are always well; every price is the same."""

    clock: FastClock

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """As of now."""
        now = self.clock.now()
        return {s: Quote(symbol=s, bid=PRICE, ask=PRICE, last=PRICE, at=now) for s in symbols}

    async def daily_closes(
        self, symbols: Sequence[str], *, number: int
    ) -> Mapping[str, Sequence[Decimal]]:
        """A price that never moves."""
        return dict.fromkeys(symbols, [PRICE] * number)

    async def market_status(self) -> MarketStatus:
        """Always open."""
        return MarketStatus(is_open=True, as_of=self.clock.now())

    async def health(self) -> Health:
        """Always well."""
        return Health.HEALTHY


class LifeIds:
    """Ids that a replay draws again, and no other life draws."""

    def __init__(self, place: str, life: int) -> None:
        self._seed = place, life
        self._numbers = count()

    def uuid7(self, what: str = "") -> UUID:
        """A fresh one."""
        return derived(*self._seed, next(self._numbers))
