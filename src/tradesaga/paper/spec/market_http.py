"""HTTP of market-data: quotes, bars, session, calendar; never a bar before its minute is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath
from msgspec import Struct

from tradesaga.domain.market import Session, SessionKind
from tradesaga.paper.csv_rows import Bar
from tradesaga.paper.faults import FaultBook
from tradesaga.paper.minutes import start_of
from tradesaga.paper.orders import Refusal
from tradesaga.paper.prices import TIMEFRAMES, Prices, ShownQuote
from tradesaga.paper.recordings import NEW_YORK
from tradesaga.paper.sessions import day_of, holidays_between, kind_at, session_at, sessions_from
from tradesaga.paper.spec.http_faults import through_faults
from tradesaga.paper.spec.http_messages import answer, body_of, integer, moment
from tradesaga.paper.spec.wire import Wire, invalid

BARS_DEFAULT, BARS_MAX = 100, 1000
SYMBOLS_MAX = 100
DAYS_DEFAULT, DAYS_MAX = 5, 366
HOLIDAY_HORIZON = timedelta(days=366)
SOURCE = "recording"
_AnyRequest = Request[Any, Any, Any]


class MarketDesk(Struct, frozen=True, kw_only=True):
    """What the handlers need: prices, the market clock, the ordered faults."""

    prices: Prices
    now: Callable[[], datetime]
    faults: FaultBook


class ShownPrice(Wire, frozen=True, kw_only=True):
    """A quote; `timestamp` is when it became known, a side that nobody offers is absent."""

    symbol: str
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: Decimal
    ask_size: Decimal
    volume: Decimal
    timestamp: datetime
    source: str


class ShownBar(Wire, frozen=True, kw_only=True):
    """A bar; `timestamp` is its START."""

    timestamp: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class ManyBars(Wire, frozen=True, kw_only=True):
    """The body of `POST /bars/multi`."""

    symbols: list[str] = []  # noqa: RUF012 - msgspec copies it for each body
    timeframe: str = "1m"
    start: datetime | None = None
    end: datetime | None = None
    limit: int = BARS_MAX


@get("/quotes/{symbol:str}")
async def quote(request: _AnyRequest, symbol: FromPath[str]) -> Response[bytes]:
    """The newest quote that is over; 404 when the symbol is unknown or has none yet."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        found = desk.prices.quote(symbol, desk.now())
        if found is None:
            raise _no_price(desk, symbol)
        return answer(_shown(found))

    return await through_faults(request, desk.faults, "quotes", act, symbol=symbol)


@get("/quotes")
async def quotes(request: _AnyRequest) -> Response[bytes]:
    """The newest quotes of `?symbols=A,B`; symbols without one are left out."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        now = desk.now()
        names = _symbols(request.query_params.get("symbols", "").split(","))
        found = (desk.prices.quote(symbol, now) for symbol in names)
        return answer({"quotes": [_shown(quote) for quote in found if quote is not None]})

    return await through_faults(request, desk.faults, "quotes", act)


@get("/bars/{symbol:str}")
async def bars(request: _AnyRequest, symbol: FromPath[str]) -> Response[bytes]:
    """Bars from `start` to before `end`: with `start` the first `limit`, else the last."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        timeframe = _timeframe(request.query_params.get("timeframe", "1m"))
        if symbol not in desk.prices.symbols:
            raise _no_price(desk, symbol)
        found = desk.prices.bars(
            symbol,
            timeframe,
            start=moment(request, "start"),
            end=moment(request, "end"),
            limit=integer(request, "limit", default=BARS_DEFAULT, most=BARS_MAX),
            now=desk.now(),
        )
        body = {"symbol": symbol, "timeframe": timeframe, "bars": [_bar(bar) for bar in found]}
        return answer(body)

    return await through_faults(request, desk.faults, "bars", act, symbol=symbol)


@post("/bars/multi", status_code=200)
async def bars_multi(request: _AnyRequest) -> Response[bytes]:
    """The same for several symbols; those without bars have an empty list."""
    desk = _desk(request)
    wish = await body_of(request, ManyBars)

    async def act() -> Response[bytes]:
        timeframe = _timeframe(wish.timeframe)
        if not 1 <= wish.limit <= BARS_MAX:
            raise invalid(f"limit: must be from 1 to {BARS_MAX}")
        if any(when is not None and when.tzinfo is None for when in (wish.start, wish.end)):
            raise invalid("start, end: must have a zone, such as 2020-12-15T14:30:00Z")
        now = desk.now()
        data = {
            symbol: [
                _bar(bar)
                for bar in desk.prices.bars(
                    symbol, timeframe, start=wish.start, end=wish.end, limit=wish.limit, now=now
                )
            ]
            for symbol in _symbols(wish.symbols)
        }
        return answer({"data": data})

    return await through_faults(request, desk.faults, "bars", act)


@get("/market/status")
async def status(request: _AnyRequest) -> Response[bytes]:
    """Whether the market is open, its session, and when it opens and closes next."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        return answer(_status(desk.now()))

    return await through_faults(request, desk.faults, "status", act)


@get("/market/calendar")
async def calendar(request: _AnyRequest) -> Response[bytes]:
    """The next `?days` sessions from today on; open and close in New York time."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        count = integer(request, "days", default=DAYS_DEFAULT, most=DAYS_MAX)
        days = islice(sessions_from(day_of(desk.now())), count)
        return answer({"days": [_day(session) for session in days]})

    return await through_faults(request, desk.faults, "calendar", act)


def _desk(request: _AnyRequest) -> MarketDesk:
    desk: MarketDesk = request.app.state.desk
    return desk


def _no_price(desk: MarketDesk, symbol: str) -> Refusal:
    if symbol in desk.prices.symbols:
        return Refusal("NO_DATA", f"{symbol} has no recorded price yet at this market time")
    return Refusal("SYMBOL_NOT_FOUND", f"{symbol} is not in the recorded data")


def _symbols(names: list[str]) -> list[str]:
    found = [name for name in dict.fromkeys(names) if name]
    if not 1 <= len(found) <= SYMBOLS_MAX:
        raise invalid(f"symbols: give 1 to {SYMBOLS_MAX} of them")
    return found


def _timeframe(name: str) -> str:
    if name not in TIMEFRAMES:
        raise invalid(f"timeframe: must be one of {', '.join(TIMEFRAMES)}")
    return name


def _shown(quote: ShownQuote) -> ShownPrice:
    return ShownPrice(
        symbol=quote.symbol,
        price=quote.price,
        bid=quote.bid,
        ask=quote.ask,
        bid_size=quote.bid_size,
        ask_size=quote.ask_size,
        volume=quote.volume,
        timestamp=quote.at,
        source=SOURCE,
    )


def _bar(bar: Bar) -> ShownBar:
    return ShownBar(
        timestamp=start_of(bar.minute),
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
    )


def _status(now: datetime) -> dict[str, Any]:
    kind = kind_at(now)
    today = session_at(now)
    sessions = list(islice(sessions_from(day_of(now)), 2))
    is_open = today is not None and kind is SessionKind.REGULAR
    opening = next(session for session in sessions if session.open > now)
    closing = next(session for session in sessions if session.close > now)
    first = day_of(now)
    return {
        "isOpen": is_open,
        "session": kind,
        "nextOpen": opening.open,
        "nextClose": closing.close,
        "holidays": [
            {"date": day.isoformat(), "name": name}
            for day, name in _holidays(first, first + HOLIDAY_HORIZON)
        ],
        "asOf": now,
    }


_known_holidays: dict[date, list[tuple[date, str]]] = {}


def _holidays(first: date, last: date) -> list[tuple[date, str]]:
    found = _known_holidays.get(first)
    if found is None:
        _known_holidays.clear()
        found = _known_holidays[first] = holidays_between(first, last)
    return found


def _day(session: Session) -> dict[str, Any]:
    def local(when: datetime) -> str:
        return when.astimezone(NEW_YORK).strftime("%H:%M")

    return {
        "date": session.day.isoformat(),
        "open": local(session.open),
        "close": local(session.close),
        "session": "early_close" if session.half_day else "regular",
        "preOpenAt": session.pre_open,
        "openAt": session.open,
        "closeAt": session.close,
        "postCloseAt": session.post_close,
    }


HANDLERS = [quote, quotes, bars, bars_multi, status, calendar]
