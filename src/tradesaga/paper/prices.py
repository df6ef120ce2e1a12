"""What the market shows at a moment, and what an order executes at: two different things.

Shown is only what is over: a row stamped 13:30 is visible from 13:31 on, never earlier. An order
executes in the running minute, at that minute's recorded quote, which nobody could see when the
decision was made: so no decision profits from the bar that triggered it. Where only bars are
recorded, the minute's open stands in: bid = open floored to the tick, ask = bid + one tick.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from tradesaga.paper.csv_rows import Bar
from tradesaga.paper.minutes import minute_of, start_of
from tradesaga.paper.recordings import Recording

ONE_DOLLAR = Decimal(1)
CENT = Decimal("0.01")
SUB_CENT = Decimal("0.0001")
SIZE_WITHOUT_QUOTES = Decimal(100)
"""Shown as bid and ask size where only bars are recorded: one round lot."""
TIMEFRAMES = {"1m": 1, "5m": 5, "15m": 15, "1h": 60}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownQuote:
    """The newest quote that is over; `at` is when it became known."""

    symbol: str
    price: Decimal
    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal
    ask_size: Decimal
    volume: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What one minute offers to orders; a side is None when nobody was there.

    `volume` limits what can be executed; it is None where no trades are recorded at all, then the
    sizes of the quote do.
    """

    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal
    ask_size: Decimal
    volume: Decimal | None


class Prices:
    """Read access to a recording by market time."""

    def __init__(self, recording: Recording) -> None:
        self._bars = recording.bars
        self._quotes = recording.quotes
        self.symbols = frozenset(recording.symbols)

    def quote(self, symbol: str, now: datetime) -> ShownQuote | None:
        """The quote that is known at `now`; None before the first one, or for unknown symbols."""
        over = minute_of(now) - 1
        bars, quotes = self._bars.get(symbol), self._quotes.get(symbol)
        bar = None if bars is None else bars.up_to(over)
        row = None if quotes is None else quotes.up_to(over)
        volume = Decimal(0) if bar is None else bar.volume
        if row is None:
            if bar is None or quotes is not None:
                return None
            bid, ask = around(bar.close)
            return ShownQuote(
                symbol=symbol,
                price=bar.close,
                bid=bid,
                ask=ask,
                bid_size=SIZE_WITHOUT_QUOTES,
                ask_size=SIZE_WITHOUT_QUOTES,
                volume=volume,
                at=start_of(bar.minute + 1),
            )
        price = _middle(row.bid, row.ask) if bar is None else bar.close
        if price is None:
            return None
        return ShownQuote(
            symbol=symbol,
            price=price,
            bid=row.bid,
            ask=row.ask,
            bid_size=row.bid_size,
            ask_size=row.ask_size,
            volume=volume,
            at=start_of(row.minute + 1),
        )

    def last(self, symbol: str, now: datetime) -> Decimal | None:
        """The price that a position is valued at: the last close that is over, else the middle."""
        quote = self.quote(symbol, now)
        if quote is not None:
            return quote.price
        bars = self._bars.get(symbol)
        bar = None if bars is None else bars.up_to(minute_of(now) - 1)
        return None if bar is None else bar.close

    def execution(self, symbol: str, minute: int) -> Execution | None:
        """What orders meet in that minute; None when nothing is recorded for it."""
        bars, quotes = self._bars.get(symbol), self._quotes.get(symbol)
        bar = None if bars is None else bars.in_minute(minute)
        if quotes is None:
            if bar is None:
                return None
            bid, ask = around(bar.open)
            return Execution(
                bid=bid, ask=ask, bid_size=bar.volume, ask_size=bar.volume, volume=bar.volume
            )
        row = quotes.in_minute(minute)
        if row is None:
            return None
        volume = None if bars is None else Decimal(0) if bar is None else bar.volume
        return Execution(
            bid=row.bid, ask=row.ask, bid_size=row.bid_size, ask_size=row.ask_size, volume=volume
        )

    def closes(self, symbol: str, after: int, now: datetime) -> Sequence[Bar]:
        """The bars of minutes later than `after` that are over at `now`, ascending."""
        series = self._bars.get(symbol)
        if series is None:
            return ()
        first = bisect_right(series.minutes, after)
        return series.rows[first : bisect_left(series.minutes, minute_of(now))]

    def bars(
        self,
        symbol: str,
        timeframe: str,
        *,
        start: datetime | None,
        end: datetime | None,
        limit: int,
        now: datetime,
    ) -> list[Bar]:
        """Bars that are over at `now`, stamped from `start` up to before `end`, ascending.

        With `start` the first `limit` of them, else the last `limit`. A longer bar is made of the
        minutes that have one, and is over when its whole time is.
        """
        width = TIMEFRAMES[timeframe]
        series = self._bars.get(symbol)
        if series is None:
            return []
        over = minute_of(now) // width * width
        if end is not None:
            over = min(over, -(-_minute_not_before(end) // width) * width)
        first = 0 if start is None else -(-_minute_not_before(start) // width) * width
        low = bisect_left(series.minutes, first)
        high = bisect_left(series.minutes, over)
        if start is None:
            low = max(low, high - limit * width)
        else:
            high = min(high, low + limit * width)
        rows = series.rows[low:high]
        found = list(rows) if width == 1 else _wider(rows, width)
        return found[:limit] if start is not None else found[-limit:]


def tick_of(price: Decimal) -> Decimal:
    """The smallest step of a price: a cent from one dollar on, a hundredth of it below."""
    return CENT if price >= ONE_DOLLAR else SUB_CENT


def around(price: Decimal) -> tuple[Decimal, Decimal]:
    """Bid and ask made of one trade price: the tick at or below it, and one tick more."""
    tick = tick_of(price)
    bid = max(price.quantize(tick, ROUND_DOWN), tick)
    return bid, bid + tick


def _middle(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    if bid is not None and ask is not None:
        return (bid + ask) / 2
    return ask if bid is None else bid


def _minute_not_before(when: datetime) -> int:
    minute = minute_of(when)
    return minute if start_of(minute) == when else minute + 1


def _wider(rows: Sequence[Bar], width: int) -> list[Bar]:
    found: list[Bar] = []
    for row in rows:
        start = row.minute // width * width
        if found and found[-1].minute == start:
            wide = found[-1]
            found[-1] = Bar(
                start,
                wide.open,
                max(wide.high, row.high),
                min(wide.low, row.low),
                row.close,
                wide.volume + row.volume,
            )
        else:
            found.append(Bar(start, *row[1:]))
    return found
