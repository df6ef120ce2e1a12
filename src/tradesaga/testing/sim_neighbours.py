"""Clock, ids, prices and decision makers of a simulated world."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import msgspec

from tradesaga.domain.decisions import Proposal
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.events import ANALYSIS_REQUESTED, DecisionGenerated, Incoming
from tradesaga.domain.market import MarketStatus, Quote
from tradesaga.ports.records import OutboxRow
from tradesaga.ports.services import Health
from tradesaga.testing.sim_bus import SimStream
from tradesaga.testing.sim_life import Life
from tradesaga.testing.sim_loop import SimLoop
from tradesaga.testing.sim_weather import VENUE, Weather

CENT = Decimal("0.01")
ODD_WORDS = ("panic", "BUY", "")
ODD_QUANTITIES = tuple(map(Decimal, ("NaN", "-3", "1E+308", "Infinity", "0", "0.5")))


class SimClock:
    """The loop's time as market time and as monotonic time; implements `ports.clock.Clock`."""

    def __init__(self, loop: SimLoop, start: datetime) -> None:
        self._loop = loop
        self._start = start

    def now(self) -> datetime:
        """As the port."""
        return self._start + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """As the port."""
        return self._loop.time()

    async def sleep_until(self, when: datetime) -> None:
        """As the port."""
        while (left := (when - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 -- time passes so
            await asyncio.sleep(left)

    async def sleep(self, seconds: float) -> None:
        """Wait for so long."""
        await asyncio.sleep(seconds)


class SimIds:
    """UUIDs of version 7 from the loop's time and its seed; implements `ports.identity`."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def uuid7(self, what: str = "") -> UUID:
        """As the port."""
        milliseconds = int(self._loop.time() * 1000)
        chance = self._loop.rng.getrandbits(74)
        high, low = chance >> 62, chance & ((1 << 62) - 1)
        return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


class SimPrices:
    """A random walk in cents for each symbol, and quotes around it."""

    def __init__(self, clock: SimClock, weather: Weather, symbols: Sequence[str]) -> None:
        self._clock = clock
        self._weather = weather
        self._last = {symbol: Decimal(100) for symbol in symbols}

    def price(self, symbol: str) -> Decimal:
        """The price now; every look moves it by a cent at most."""
        self._last[symbol] += CENT * self._weather.rng.randint(-1, 1)
        return self._last[symbol]

    def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """A quote of each symbol that there is."""
        now = self._clock.now()
        known = {symbol: self.price(symbol) for symbol in symbols if symbol in self._last}
        return {
            symbol: Quote(symbol=symbol, bid=price - CENT, ask=price + CENT, last=price, at=now)
            for symbol, price in known.items()
        }


class MarketDataLine:
    """One process's market data; implements `ports.services.MarketData`."""

    def __init__(self, prices: SimPrices, life: Life) -> None:
        self._prices = prices
        self._life = life

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """As the port."""
        trip = self._life.weather.trip(VENUE)
        return await self._life.ask("quotes", lambda: self._prices.quotes(symbols), trip)

    async def daily_closes(
        self, symbols: Sequence[str], *, number: int
    ) -> Mapping[str, Sequence[Decimal]]:
        """As the port; the simulated prices have no days."""
        raise Unavailable("the simulated market data has no daily closes")

    async def market_status(self) -> MarketStatus:
        """As the port; the simulated agents trade by their own calendar alone."""
        raise Unavailable("the simulated market data gives no status")

    async def health(self) -> Health:
        """As the port."""
        try:
            return await self._life.ask(
                "health", lambda: Health.HEALTHY, self._life.weather.trip(VENUE)
            )
        except Unavailable:
            return Health.UNREACHABLE


class SimDecisions:
    """The ai-decision service: hears questions on the stream and answers there, or does not."""

    def __init__(self, loop: SimLoop, weather: Weather, stream: SimStream, clock: SimClock) -> None:
        self._loop = loop
        self._weather = weather
        self._stream = stream
        self._clock = clock
        self._numbers = itertools.count(1)

    async def health(self) -> Health:
        """As the port."""
        return Health.HEALTHY

    def hear(self, row: OutboxRow) -> None:
        """An event of the orchestrator's."""
        if row.type != ANALYSIS_REQUESTED or self._weather.strikes(self._weather.no_decision):
            return
        asked = msgspec.json.decode(row.payload)
        after = self._weather.rng.uniform(0.05, 2.0)
        self._loop.call_later(after, self._answer, asked)

    def speak(self, symbol: str, strategy_id: str | None) -> None:
        """A decision that nobody asked for."""
        self._publish(self._proposal(symbol, strategy_id, None))

    def _answer(self, asked: Mapping[str, str]) -> None:
        proposal = self._proposal(asked["symbol"], asked["strategyId"], asked["requestId"])
        self._publish(proposal)
        if self._weather.strikes(self._weather.repeated):
            self._publish(proposal)  # the same decision in a new event

    def _publish(self, proposal: Proposal) -> None:
        incoming = Incoming(
            event_id=f"de-{next(self._numbers)}",
            type="ai.decision.generated",
            source="ai-decision",
            correlation_id=proposal.request_id,
            at=self._clock.now(),
            content=DecisionGenerated(proposal=proposal),
        )
        if self._weather.strikes(self._weather.unreadable):
            self._stream.feed(None, subject=incoming.type)
        self._stream.feed(incoming)

    def _proposal(self, symbol: str, strategy_id: str | None, request_id: str | None) -> Proposal:
        rng = self._weather.rng
        action, quantity = rng.choice(("buy", "buy", "sell", "hold")), Decimal(rng.randint(1, 9))
        if self._weather.strikes(self._weather.odd_decision):
            action, quantity = rng.choice((action, *ODD_WORDS)), rng.choice(ODD_QUANTITIES)
        whole_holding = action == "sell" and rng.random() < 0.5
        return Proposal(
            external_id=f"d-{next(self._numbers)}",
            symbol=symbol,
            action=action,
            confidence=Decimal("0.8"),
            reasoning="",
            said_at=self._clock.now(),
            request_id=request_id,
            strategy_id=strategy_id,
            suggested_quantity=None if whole_holding else quantity,
        )
