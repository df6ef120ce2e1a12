"""The neighbours as the platform's real services behave: no memory, no outbox, no heartbeat."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Final

from litestar.types import ASGIApp

from tradesaga.paper.personality import AI_DECISION, MARKET_DATA, TRADING_ENGINE, Surroundings
from tradesaga.paper.platform import engine_http, heuristics_http, quotes_http
from tradesaga.paper.platform.application import Service, application
from tradesaga.paper.platform.books import Books
from tradesaga.paper.platform.engine import Engine
from tradesaga.paper.platform.heuristics import Heuristics
from tradesaga.paper.platform.quotes_http import Quotes
from tradesaga.paper.platform.telling import Teller

UNKNOWN_PRICE: Final = Decimal(100)
"""What the platform's engine takes for the price of a symbol that it does not know."""


class PlatformNeighbours:
    """Implements `personality.Personality`."""

    def __init__(self, around: Surroundings) -> None:
        books, now = around.books, around.clock.now
        self._around = around

        def teller(name: str) -> Teller:
            return Teller(around.bus, name, books[name], now=now)

        self.engine = Engine(
            Books(self._price_of), teller(TRADING_ENGINE), books[TRADING_ENGINE], now=now
        )
        self.deciding = Heuristics(teller(AI_DECISION), books[AI_DECISION], now=now)
        self.quotes = Quotes(
            around.prices,
            teller(MARKET_DATA),
            books[MARKET_DATA],
            now=now,
            speed=around.settings.speed,
        )
        self.services = {
            name: Service(name, book, bus_ready=lambda: around.bus.ready)
            for name, book in books.items()
        }

    def application(self, name: str) -> ASGIApp:
        """See the protocol."""
        desk, handlers = {
            TRADING_ENGINE: (self.engine, engine_http.HANDLERS),
            AI_DECISION: (self.deciding, heuristics_http.HANDLERS),
            MARKET_DATA: (self.quotes, quotes_http.HANDLERS),
        }[name]
        return application(
            self.services[name],
            desk,
            handlers,
            now=self._around.clock.now,
            agent_seen=self._around.agent_seen,
        )

    def next_due(self) -> None:
        """Nothing waits: an order is filled at once or never."""

    def tick(self, now: datetime) -> None:
        """See the protocol."""

    def end_of_recording(self) -> None:
        """See the protocol."""

    def work(self, group: asyncio.TaskGroup) -> None:
        """See the protocol."""
        bus = self._around.bus
        group.create_task(self.engine.trade_by_itself(bus), name="own trades")
        group.create_task(self.deciding.answer_requests(bus), name="requests")

    def _price_of(self, symbol: str, side: str) -> Decimal:
        """The recording's quote, the side that the order meets; the platform's guess without."""
        shown = self._around.prices.quote(symbol.upper(), self._around.clock.now())
        if shown is None:
            return UNKNOWN_PRICE
        met = shown.ask if side == "buy" else shown.bid
        return shown.price if met is None else met
