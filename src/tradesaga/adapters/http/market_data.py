"""Prices over HTTP: the market-data service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

import msgspec
from structlog import get_logger

from tradesaga.adapters.http.circuit import Circuit
from tradesaga.adapters.http.client import ServiceClient
from tradesaga.adapters.http.pace import UNPACED, Pace
from tradesaga.adapters.http.transport import Transport
from tradesaga.domain.market import MarketStatus, Quote
from tradesaga.domain.money import is_usable
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import Health
from tradesaga.ports.tracing import UNTRACED, Tracer

log = get_logger(__name__)

BARS_MAX = 1000
SYMBOLS_MAX = 100
"""Symbols of one request: the address stays short."""


_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Quotes(msgspec.Struct):
    quotes: list[msgspec.Raw]


class _Quote(msgspec.Struct):
    symbol: str
    timestamp: _Moment
    price: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None


class _Bar(msgspec.Struct):
    timestamp: _Moment
    close: Decimal


class _Bars(msgspec.Struct):
    bars: list[_Bar]


class _Status(msgspec.Struct, rename="camel"):
    is_open: bool
    as_of: _Moment | None = None
    next_open: _Moment | None = None
    next_close: _Moment | None = None


class HttpMarketData:
    """Implements `ports.services.MarketData`. A quote that cannot be read is no quote."""

    def __init__(
        self,
        *,
        url: str,
        time_max: timedelta,
        clock: Clock,
        pace: Pace = UNPACED,
        circuit: Circuit | None = None,
        transport: Transport | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._clock = clock
        self._client = ServiceClient(
            name="market-data",
            url=url,
            time_max=time_max,
            pace=pace,
            circuit=circuit,
            transport=transport,
            tracer=tracer,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """The last known quotes, in requests of `SYMBOLS_MAX` one after the other."""
        wanted = list(dict.fromkeys(symbols))
        found: dict[str, Quote] = {}
        for first in range(0, len(wanted), SYMBOLS_MAX):
            part = wanted[first : first + SYMBOLS_MAX]
            said = await self._client.read("/quotes", _Quotes, {"symbols": ",".join(part)})
            quotes = [quote for quote in map(_read, said.quotes) if quote is not None]
            found |= {quote.symbol: quote for quote in quotes if quote.symbol in part}
        return found

    async def daily_closes(
        self, symbols: Sequence[str], *, number: int
    ) -> Mapping[str, Sequence[Decimal]]:
        """One request a symbol; today's bar is not over, whatever the service shows of it."""
        today, found = self._clock.now().date(), {}
        for symbol in dict.fromkeys(symbols):
            wish = {"timeframe": "1d", "limit": str(min(number + 1, BARS_MAX))}
            said = await self._client.read(f"/bars/{quote(symbol, safe='')}", _Bars, wish)
            over = [bar for bar in said.bars if bar.timestamp.astimezone(UTC).date() < today]
            ordered = sorted(over, key=lambda bar: bar.timestamp)
            closes = [bar.close for bar in ordered if is_usable(bar.close)]
            if closes:
                found[symbol] = closes[-number:]
        return found

    async def market_status(self) -> MarketStatus:
        """What it says of the session; a status without its time is one of now."""
        said = await self._client.read("/market/status", _Status)
        return MarketStatus(
            is_open=said.is_open,
            as_of=self._clock.now() if said.as_of is None else said.as_of.astimezone(UTC),
            next_open=None if said.next_open is None else said.next_open.astimezone(UTC),
            next_close=None if said.next_close is None else said.next_close.astimezone(UTC),
        )

    async def health(self) -> Health:
        """What it says of itself."""
        return await self._client.health()


def _read(text: msgspec.Raw) -> Quote | None:
    """One quote; a price that is zero, negative or absurd is no price."""
    try:
        said = msgspec.json.decode(text, type=_Quote)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        log.warning("quote_unreadable", error=str(error))
        return None
    prices = [price if is_usable(price) else None for price in (said.bid, said.ask, said.price)]
    if prices == [None, None, None]:
        return None
    bid, ask, last = prices
    at = said.timestamp.astimezone(UTC)
    return Quote(symbol=said.symbol, bid=bid, ask=ask, last=last, at=at)
