"""Requests at the pace of a service: who waits, who goes first, who is refused for certain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.adapters.http.conftest import ORDER, SENT, Service, StandingClock
from tradesaga.adapters.http.market_data import HttpMarketData
from tradesaga.adapters.http.pace import Pace
from tradesaga.adapters.http.trading_engine import HttpTradingEngine
from tradesaga.domain.errors import Throttled, Unavailable
from tradesaga.domain.orders import OrderStatus
from tradesaga.domain.token_bucket import Rate
from tradesaga.ports.services import Capabilities

ORDERS = "/api/v1/orders"
EXIT = replace(ORDER, opening=False)
PLACED = {"orderId": "ord_1", "status": "accepted"}


class Ticking:
    """A monotonic clock that a test moves; each look at it moves it by `step`."""

    def __init__(self, step: float = 0.0) -> None:
        self.seconds, self.step = 0.0, step

    def __call__(self) -> float:
        self.seconds += self.step
        return self.seconds


def paced(
    service: Service, rate: Rate, *, wait: float = 0.0, clock: Ticking | None = None
) -> tuple[HttpTradingEngine, list[tuple[str, str]]]:
    noted: list[tuple[str, str]] = []
    pace = Pace(
        "venue",
        rate,
        wait_max=timedelta(seconds=wait),
        monotonic=clock or Ticking(),
        noted=lambda name, outcome: noted.append((name, outcome)),
    )
    venue = HttpTradingEngine(
        url="http://venue",
        time_max=timedelta(seconds=1),
        capabilities=Capabilities(
            dedupes=True, query_by_client_id=True, visibility_lag=timedelta(seconds=30)
        ),
        clock=StandingClock(),
        pace=pace,
        transport=service.transport,
    )
    return venue, noted


async def test_an_entry_without_a_token_is_not_sent_and_says_so() -> None:
    service = Service()
    service.on(f"POST {ORDERS}", PLACED, 201)
    venue, noted = paced(service, Rate(per_minute=1, burst=2, reserve=1))
    await venue.submit(ORDER)
    with pytest.raises(Throttled, match="venue is not asked"):
        await venue.submit(ORDER)
    assert len(service.requests) == 1
    assert noted == [("venue", "refused")]


async def test_exits_and_cancels_use_what_entries_must_leave() -> None:
    service = Service()
    service.on(f"POST {ORDERS}", PLACED, 201)
    service.on(f"DELETE {ORDERS}/ord_1", {})
    service.on(f"GET {ORDERS}", {"orders": []})
    venue, _ = paced(service, Rate(per_minute=1, burst=4, reserve=3), clock=Ticking(0.2))
    await venue.submit(ORDER)
    with pytest.raises(Throttled):
        await venue.submit(ORDER)
    with pytest.raises(Unavailable, match="not asked"):
        await venue.look_up(replace(ORDER, status=OrderStatus.WORKING))
    await venue.submit(EXIT)
    await venue.cancel("ord_1")
    assert await venue.look_up(replace(ORDER, status=OrderStatus.UNKNOWN)) is None
    with pytest.raises(Unavailable, match="not asked"):
        await venue.cancel("ord_1")  # the reserve is gone too: asked again by its saga
    assert [r.method for r in service.requests] == ["POST", "POST", "DELETE", "GET"]


async def test_who_can_be_served_in_time_waits() -> None:
    service = Service()
    service.on(f"POST {ORDERS}", PLACED, 201)
    rate = Rate(per_minute=60_000, burst=1, reserve=0)  # a token a millisecond
    venue, noted = paced(service, rate, wait=1.0, clock=Ticking(0.0004))
    for _ in range(3):
        await venue.submit(ORDER)
    assert len(service.requests) == 3
    assert ("venue", "waited") in noted


async def test_a_service_that_is_asked_too_often_all_the_same_gets_only_what_is_urgent() -> None:
    service = Service()
    service.on(f"POST {ORDERS}", {"error": "RATE_LIMITED"}, 429)
    service.on(f"DELETE {ORDERS}/ord_1", {})
    venue, noted = paced(service, Rate(per_minute=1, burst=10, reserve=2))
    with pytest.raises(Unavailable, match="429"):
        await venue.submit(ORDER)  # the venue had it: nobody knows
    with pytest.raises(Throttled):
        await venue.submit(ORDER)
    await venue.cancel("ord_1")
    assert noted == [("venue", "told"), ("venue", "refused")]


async def test_health_costs_no_token() -> None:
    service = Service()
    service.on("GET /health", {"status": "healthy"})
    venue, noted = paced(service, Rate(per_minute=1, burst=1, reserve=0))
    for _ in range(3):
        await venue.health()
    assert not noted


async def test_prices_without_a_token_are_no_prices() -> None:
    service = Service()
    service.on("GET /api/v1/quotes", {"quotes": []})
    pace = Pace(
        "market-data",
        Rate(per_minute=1, burst=1, reserve=0),
        wait_max=timedelta(),
        monotonic=Ticking(),
    )
    data = HttpMarketData(
        url="http://data",
        time_max=timedelta(seconds=1),
        clock=StandingClock(),
        pace=pace,
        transport=service.transport,
    )
    await data.quotes(["SPY"])
    with pytest.raises(Unavailable, match="not asked"):
        await data.quotes(["SPY"])


async def test_an_order_that_was_sent_is_looked_up_by_a_normal_token() -> None:
    service = Service()
    service.on(f"GET {ORDERS}/ord_1", {"orderId": "ord_1"}, 404)
    venue, noted = paced(service, Rate(per_minute=1, burst=2, reserve=1))
    with pytest.raises(Unavailable):
        await venue.look_up(SENT)  # 404 without a problem
    with pytest.raises(Unavailable, match="not asked"):
        await venue.look_up(SENT)
    assert noted == [("venue", "refused")]
