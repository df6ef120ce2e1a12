"""Quotes over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from tests.adapters.http.conftest import Service
from tradesaga.adapters.http.market_data import HttpMarketData
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.market import MarketStatus, Quote
from tradesaga.testing.clock import VirtualClock

NOW = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)
STATUS = "GET /api/v1/market/status"
QUOTES = "GET /api/v1/quotes"
SPY = {
    "symbol": "SPY",
    "price": 370.1,
    "bid": 370.09,
    "ask": 370.11,
    "bidSize": 100,
    "askSize": 200,
    "volume": 5,
    "timestamp": "2025-03-03T10:00:00-05:00",
    "source": "recording",
}


def market_data(service: Service) -> HttpMarketData:
    return HttpMarketData(
        url="http://x",
        time_max=timedelta(seconds=1),
        clock=VirtualClock(NOW),
        transport=service.transport,
    )


async def test_a_quote_in_its_own_digits_and_utc() -> None:
    service = Service()
    service.on(QUOTES, {"quotes": [SPY]})
    assert await market_data(service).quotes(["SPY", "IBM", "SPY"]) == {
        "SPY": Quote(
            symbol="SPY",
            bid=Decimal("370.09"),
            ask=Decimal("370.11"),
            last=Decimal("370.1"),
            at=datetime(2025, 3, 3, 15, 0, tzinfo=UTC),
        )
    }
    assert service.requests[0].url.params["symbols"] == "SPY,IBM"


@pytest.mark.parametrize(
    ("change", "bid", "ask", "last"),
    [
        ({"bid": 0}, None, "370.11", "370.1"),
        ({"ask": None}, "370.09", None, "370.1"),
        ({"price": -1}, "370.09", "370.11", None),
        ({"ask": "1e12"}, "370.09", None, "370.1"),
    ],
)
async def test_a_side_without_price(
    change: dict[str, Any], bid: str | None, ask: str | None, last: str | None
) -> None:
    service = Service()
    service.on(QUOTES, {"quotes": [SPY | change]})
    quote = (await market_data(service).quotes(["SPY"]))["SPY"]
    sides = [None if side is None else str(side) for side in (quote.bid, quote.ask, quote.last)]
    assert sides == [bid, ask, last]


@pytest.mark.parametrize(
    "bad",
    [
        {"symbol": "IBM"},  # no timestamp
        {"symbol": "IBM", "timestamp": "2025-03-03T10:00:00Z", "price": 0, "bid": 0, "ask": 0},
        {"symbol": "IBM", "timestamp": "2025-03-03T10:00:00", "price": 1},  # of which zone?
        {"symbol": "IBM", "timestamp": "2025-03-03T10:00:00Z", "price": "NaN"},
        {"symbol": "AAPL", "timestamp": "2025-03-03T10:00:00Z", "price": 1},  # nobody asked
        7,
    ],
)
async def test_a_bad_quote_does_not_spoil_the_others(bad: Any) -> None:
    service = Service()
    service.on(QUOTES, {"quotes": [bad, SPY]})
    assert list(await market_data(service).quotes(["SPY", "IBM"])) == ["SPY"]


async def test_many_symbols_go_in_several_requests() -> None:
    def answer(request: httpx2.Request) -> Any:
        return {"quotes": [SPY | {"symbol": s} for s in request.url.params["symbols"].split(",")]}

    service = Service()
    service.on(QUOTES, answer)
    symbols = [f"S{n}" for n in range(250)]
    assert list(await market_data(service).quotes(symbols)) == symbols
    assert len(service.requests) == 3


async def test_none_asked_for() -> None:
    service = Service()
    assert await market_data(service).quotes([]) == {}
    assert service.requests == []


@pytest.mark.parametrize(("status", "body"), [(500, b""), (400, {"error": "x"}), (200, {})])
async def test_no_answer(status: int, body: Any) -> None:
    service = Service()
    service.on(QUOTES, body, status)
    with pytest.raises(Unavailable):
        await market_data(service).quotes(["SPY"])


async def test_the_market_status_in_utc() -> None:
    service = Service()
    service.on(
        STATUS,
        {
            "isOpen": True,
            "session": "regular",
            "nextOpen": "2025-03-04T09:30:00-05:00",
            "nextClose": "2025-03-03T21:00:00Z",
            "holidays": [],
            "asOf": "2025-03-03T14:59:58Z",
        },
    )
    assert await market_data(service).market_status() == MarketStatus(
        is_open=True,
        as_of=NOW - timedelta(seconds=2),
        next_open=datetime(2025, 3, 4, 14, 30, tzinfo=UTC),
        next_close=datetime(2025, 3, 3, 21, 0, tzinfo=UTC),
    )


async def test_a_status_without_its_time_is_one_of_now() -> None:
    service = Service()
    service.on(STATUS, {"isOpen": False})
    assert await market_data(service).market_status() == MarketStatus(is_open=False, as_of=NOW)


@pytest.mark.parametrize("said", [{}, {"isOpen": "yes"}, {"isOpen": True, "nextOpen": "monday"}])
async def test_a_status_that_cannot_be_read_is_none(said: dict[str, Any]) -> None:
    service = Service()
    service.on(STATUS, said)
    with pytest.raises(Unavailable):
        await market_data(service).market_status()


async def test_daily_closes_are_of_days_that_are_over_the_first_one_first() -> None:
    service = Service()
    bars = [
        {"timestamp": f"2025-03-0{day}T05:00:00Z", "close": close}
        for day, close in ((3, 999), (2, 102.5), (1, 101), (2, 0))
    ]
    service.on("GET /api/v1/bars/SPY", {"symbol": "SPY", "bars": bars})
    found = await market_data(service).daily_closes(["SPY"], number=60)
    assert found == {"SPY": [Decimal(101), Decimal("102.5")]}
    assert dict(service.requests[0].url.params) == {"timeframe": "1d", "limit": "61"}
