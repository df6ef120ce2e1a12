"""Prices over HTTP, in the dialect of the platform's real service: one symbol a request.

An uncached request takes it a second, and several at once do not go faster: they are asked one
after the other, those first whose price is oldest. It knows neither bid nor ask, nor sessions.
"""

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
from tradesaga.domain.errors import Transient, Unavailable
from tradesaga.domain.market import MarketStatus, Quote
from tradesaga.domain.money import is_usable
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import Health
from tradesaga.ports.tracing import UNTRACED, Tracer

log = get_logger(__name__)
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_DAYS_FOR_A_SESSION = 2
"""Calendar days asked for each session wanted: weekends and holidays are fewer than the rest."""
_DAYS_MIN = 10


class _Quote(msgspec.Struct, rename="camel"):
    symbol: str
    timestamp: _Moment
    current_price: Decimal


class _Quoted(msgspec.Struct):
    data: _Quote


class _Bar(msgspec.Struct):
    timestamp: _Moment
    close: Decimal


class _Bars(msgspec.Struct):
    data: list[_Bar]


class PlatformMarketData:
    """Implements `ports.services.MarketData`."""

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
        self._asked_at: dict[str, datetime] = {}

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """One after the other; a symbol that fails has no quote, all that fail raise."""
        never = datetime.min.replace(tzinfo=UTC)
        wanted = sorted(dict.fromkeys(symbols), key=lambda s: self._asked_at.get(s, never))
        found: dict[str, Quote] = {}
        failed: Transient | None = None
        for symbol in wanted:
            try:
                read = await self._quote(symbol)
            except Transient as error:
                log.warning("no quote", symbol=symbol, error=str(error))
                failed = error
                continue
            if read is not None:
                found[symbol] = read
        if failed is not None and not found:
            raise failed
        self._asked_at = {s: at for s, at in self._asked_at.items() if s in wanted}
        return found

    async def daily_closes(
        self, symbols: Sequence[str], *, number: int
    ) -> Mapping[str, Sequence[Decimal]]:
        """One request a symbol; today's bar is not over, whatever the service shows of it."""
        now, found = self._clock.now(), {}
        days = max(number * _DAYS_FOR_A_SESSION, _DAYS_MIN)
        first = int((now - timedelta(days=days)).timestamp())
        for symbol in dict.fromkeys(symbols):
            wish = {"resolution": "D", "from": str(first), "to": str(int(now.timestamp()))}
            said = await self._client.read(f"/bars/{quote(symbol, safe='')}", _Bars, wish)
            over = [b for b in said.data if b.timestamp.astimezone(UTC).date() < now.date()]
            ordered = sorted(over, key=lambda bar: bar.timestamp)
            closes = [bar.close for bar in ordered if is_usable(bar.close)]
            if closes:
                found[symbol] = closes[-number:]
        return found

    async def market_status(self) -> MarketStatus:
        """It knows of no session: no second source. Raises Unavailable, always."""
        raise Unavailable("the platform's market-data knows no sessions")

    async def health(self) -> Health:
        """What it says of itself."""
        return await self._client.health()

    async def _quote(self, symbol: str) -> Quote | None:
        """A price that is zero, negative or absurd is no price."""
        said = (await self._client.read(f"/quotes/{quote(symbol, safe='')}", _Quoted)).data
        self._asked_at[symbol] = self._clock.now()
        if said.symbol != symbol or not is_usable(said.current_price):
            return None
        at = said.timestamp.astimezone(UTC)
        return Quote(symbol=symbol, bid=None, ask=None, last=said.current_price, at=at)
