"""Market data in memory: quotes and a market status that a test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from tradesaga.domain.errors import Unavailable
from tradesaga.domain.market import MarketStatus, Quote
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import Health


class ScriptedMarketData:
    """Quotes from a dictionary; implements `ports.services.MarketData`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.known: dict[str, Quote] = {}
        self.closes: dict[str, list[Decimal]] = {}
        self.status = MarketStatus(is_open=False, as_of=clock.now())
        self.asked: list[tuple[str, ...]] = []
        self.state = Health.HEALTHY
        self.down = False

    def show(
        self, symbol: str, last: Decimal | int | str, *, spread: Decimal = Decimal("0.02")
    ) -> Quote:
        """Set the quote of `symbol` as of now, `spread` wide around `last`."""
        price = Decimal(last)
        quote = Quote(
            symbol=symbol,
            bid=price - spread / 2,
            ask=price + spread / 2,
            last=price,
            at=self.clock.now(),
        )
        self.known[symbol] = quote
        return quote

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Those that are known."""
        self.asked.append(tuple(symbols))
        self._answer()
        return {symbol: self.known[symbol] for symbol in symbols if symbol in self.known}

    async def daily_closes(
        self, symbols: Sequence[str], *, number: int
    ) -> Mapping[str, Sequence[Decimal]]:
        """Those of `closes`."""
        self._answer()
        return {
            symbol: self.closes[symbol][-number:] for symbol in symbols if symbol in self.closes
        }

    async def market_status(self) -> MarketStatus:
        """`status` as of now."""
        self._answer()
        return replace(self.status, as_of=self.clock.now())

    async def health(self) -> Health:
        """`state`, or UNREACHABLE while `down`."""
        return Health.UNREACHABLE if self.down else self.state

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("market data gave no answer")
