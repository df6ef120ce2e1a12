"""HTTP of the platform's market-data: one symbol a request, no bid, no calendar, no session.

What is not in its cache takes a second and a tenth of market time, one request after the other.
A quote is cached until the next minute of the recording: the recording has nothing newer before.
Days before the recording are a line that rises to its first price, so that there are averages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath

from tradesaga.domain.market_clock import datetime_of
from tradesaga.paper.faults import FaultBook
from tradesaga.paper.minutes import minute_of, start_of
from tradesaga.paper.platform.telling import Teller
from tradesaga.paper.platform.wire import AnyRequest, answer
from tradesaga.paper.prices import TIMEFRAMES, Prices
from tradesaga.paper.sessions import day_of
from tradesaga.paper.spec.http_faults import through_faults

SERVICE: Final = "market-data"
SOURCE: Final = "recording"
ASKED_SECONDS: Final = 1.1
SYMBOL_LETTERS_MAX: Final = 10
BARS_MAX: Final = 5000
DAYS_DEFAULT: Final = 30
RISE_A_DAY: Final = Decimal("0.0005")
RESOLUTIONS: Final = {"1": "1m", "5": "5m", "15": "15m", "60": "1h"}


class Quotes:
    """What the handlers need."""

    def __init__(
        self,
        prices: Prices,
        teller: Teller,
        faults: FaultBook,
        *,
        now: Callable[[], datetime],
        speed: float,
    ) -> None:
        self.prices = prices
        self.teller = teller
        self.faults = faults
        self.now = now
        self._seconds = ASKED_SECONDS / speed
        self._cached: dict[str, int] = {}
        self._turn = asyncio.Lock()

    async def quote(self, symbol: str) -> dict[str, Any]:
        """The quote; a price of 0 where there is none."""
        minute = minute_of(self.now())
        if self._cached.get(symbol) != minute:
            async with self._turn:
                await asyncio.sleep(self._seconds)
            self._cached[symbol] = minute
        now = self.now()
        shown = self.prices.quote(symbol, now)
        price = Decimal(0) if shown is None else shown.price
        before = self._close_before(symbol, now)
        change = price - before if shown is not None and before else Decimal(0)
        quote = {
            "symbol": symbol,
            "currentPrice": price,
            "change": change,
            "changePercent": change / before * 100 if before else Decimal(0),
            "high": price,
            "low": price,
            "open": before or price,
            "previousClose": before,
            "timestamp": now if shown is None else shown.at,
            "source": SOURCE,
        }
        told = {
            "symbol": symbol,
            "bidPrice": price,
            "askPrice": price,
            "bidSize": 0,
            "askSize": 0,
            "timestamp": now,
        }
        await self.teller.try_to_tell("market.quote.received", told)
        return quote

    def days(self, symbol: str, first: datetime, last: datetime) -> list[dict[str, Any]]:
        """Daily bars from `first` to `last`: recorded days that are over, a line before them."""
        recorded: dict[datetime, list[Decimal]] = {}
        for bar in self.prices.closes(symbol, 0, self.now()):
            day = datetime.combine(day_of(start_of(bar.minute)), datetime.min.time(), UTC)
            recorded.setdefault(day, []).append(bar.close)
        if not recorded:
            return []
        begin = min(recorded)
        start = recorded[begin][0]
        found, day = (
            list[dict[str, Any]](),
            datetime(first.year, first.month, first.day, tzinfo=UTC),
        )
        for _ in range(BARS_MAX):
            if day > last:
                break
            if day in recorded:
                found.append(_bar(symbol, day, recorded[day], "1d"))
            elif day < begin and day.weekday() < 5:
                ahead = (begin - day).days
                close = start * (1 - RISE_A_DAY * ahead)
                if close > 0:
                    found.append(_bar(symbol, day, [close.quantize(Decimal("0.01"))], "1d"))
            day += timedelta(days=1)
        return found

    def _close_before(self, symbol: str, now: datetime) -> Decimal | None:
        today = datetime(now.year, now.month, now.day, tzinfo=UTC)
        days = self.days(symbol, today - timedelta(days=10), today - timedelta(days=1))
        return days[-1]["close"] if days else None


@get("/quotes/{symbol:str}")
async def quote(request: AnyRequest, symbol: FromPath[str]) -> Response[bytes]:
    """One quote."""
    desk = _desk(request)
    if len(symbol) > SYMBOL_LETTERS_MAX:
        return answer({"success": False, "error": "Invalid symbol"}, 400)

    async def act() -> Response[bytes]:
        data = await desk.quote(symbol.upper())
        return answer({"success": True, "data": data, "timestamp": desk.now()})

    return await through_faults(request, desk.faults, "quotes", act, symbol=symbol)


@get("/bars/{symbol:str}")
async def bars(request: AnyRequest, symbol: FromPath[str]) -> Response[bytes]:
    """Bars: `?resolution=1|5|15|60|D&from&to` in Unix seconds; thirty days without them."""
    desk = _desk(request)
    if len(symbol) > SYMBOL_LETTERS_MAX:
        return answer({"success": False, "error": "Invalid symbol"}, 400)

    async def act() -> Response[bytes]:
        now = desk.now()
        last = _moment(request, "to") or now
        first = _moment(request, "from") or last - timedelta(days=DAYS_DEFAULT)
        resolution = request.query_params.get("resolution", "D")
        if resolution == "D":
            data = desk.days(symbol.upper(), first, last)
        else:
            data = _minutes(desk, symbol.upper(), RESOLUTIONS.get(resolution, "1m"), first, last)
        body = {"success": True, "data": data, "count": len(data), "timestamp": now}
        return answer(body)

    return await through_faults(request, desk.faults, "bars", act, symbol=symbol)


def _minutes(
    desk: Quotes, symbol: str, frame: str, first: datetime, last: datetime
) -> list[dict[str, Any]]:
    assert frame in TIMEFRAMES, frame
    found = desk.prices.bars(symbol, frame, start=first, end=last, limit=BARS_MAX, now=desk.now())
    return [
        {
            "symbol": symbol,
            "open": bar.open,
            "high": bar.high,
            "low": bar.low,
            "close": bar.close,
            "volume": bar.volume,
            "timestamp": start_of(bar.minute),
            "timeframe": frame,
            "source": SOURCE,
        }
        for bar in found
    ]


def _bar(symbol: str, day: datetime, closes: list[Decimal], frame: str) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "open": closes[0],
        "high": max(closes),
        "low": min(closes),
        "close": closes[-1],
        "volume": Decimal(0),
        "timestamp": day,
        "timeframe": frame,
        "source": SOURCE,
    }


def _moment(request: AnyRequest, name: str) -> datetime | None:
    text = request.query_params.get(name, "")
    return datetime_of(int(text) * 1_000_000) if text.isdecimal() else None


def _desk(request: AnyRequest) -> Quotes:
    desk: Quotes = request.app.state.desk
    return desk


HANDLERS = [quote, bars]
