"""The platform's decision maker, asked over HTTP with all that it will know of the market.

It has no data of its own: prices, the day's change and the averages of 50 and 200 days are
computed here from market-data. Daily closes are asked once a day and symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from tradesaga.adapters.http.circuit import Circuit
from tradesaga.adapters.http.client import ServiceClient
from tradesaga.adapters.http.transport import Transport
from tradesaga.domain.errors import Unavailable
from tradesaga.ports.clock import Clock
from tradesaga.ports.services import MarketData
from tradesaga.ports.tracing import UNTRACED, Tracer

FAST, SLOW = 50, 200
SYMBOLS_MAX: Final = 1000
_encode = msgspec.json.Encoder(decimal_format="number").encode


NOT_HEEDED: Final = ("suggestedQuantity",)
"""A hundred shares by its own factors, whatever they cost: the engine would refuse them."""


class _Analysed(msgspec.Struct):
    decision: dict[str, msgspec.Raw]


class HttpAnalyst:
    """Asks `POST /analyze`; what it answers is the text of a decision."""

    def __init__(
        self,
        *,
        url: str,
        time_max: timedelta,
        market_data: MarketData,
        clock: Clock,
        circuit: Circuit | None = None,
        transport: Transport | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._market_data = market_data
        self._clock = clock
        self._closes: dict[str, tuple[date, Sequence[Decimal]]] = {}
        self._client = ServiceClient(
            name="ai-decision",
            url=url,
            time_max=time_max,
            circuit=circuit,
            transport=transport,
            tracer=tracer,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def analyse(self, symbol: str) -> bytes:
        """The decision as it was told, a JSON object.

        Raises:
            Transient: no usable answer; a decision may have been published all the same.
        """
        body = _encode({"symbol": symbol, "marketData": await self._market(symbol)})
        reply = await self._client.look("POST", "/analyze", body=body)
        if not reply.is_success:
            raise Unavailable(f"ai-decision answers {reply.status} to POST /analyze")
        said = self._client.decode(reply, _Analysed).decision
        return _encode({name: value for name, value in said.items() if name not in NOT_HEEDED})

    async def _market(self, symbol: str) -> dict[str, Any]:
        quote = (await self._market_data.quotes([symbol])).get(symbol)
        if quote is None or (price := quote.middle) is None:
            return {}  # it holds, as it should
        closes = await self._daily(symbol)
        market: dict[str, Any] = {"currentPrice": price}
        if closes:
            before = closes[-1]
            market |= {
                "previousClose": before,
                "change": price - before,
                "changePercent": (price - before) / before * 100,
            }
        for name, days in (("fiftyDayMA", FAST), ("twoHundredDayMA", SLOW)):
            if len(closes) >= days:
                market[name] = sum(closes[-days:], Decimal(0)) / days
        return market

    async def _daily(self, symbol: str) -> Sequence[Decimal]:
        today = self._clock.now().date()
        known = self._closes.get(symbol)
        if known is not None and known[0] == today:
            return known[1]
        found = await self._market_data.daily_closes([symbol], number=SLOW)
        if len(self._closes) >= SYMBOLS_MAX:
            self._closes.pop(next(iter(self._closes)))
        self._closes[symbol] = (today, found.get(symbol, ()))
        return self._closes[symbol][1]
