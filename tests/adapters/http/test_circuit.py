"""A service that fails is left alone; what must never wait for that passes by."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from tests.adapters.http.conftest import ORDER, Service, StandingClock
from tests.adapters.http.test_pace import EXIT, ORDERS, PLACED, Ticking
from tradesaga.adapters.http.circuit import Circuit
from tradesaga.adapters.http.trading_engine import HttpTradingEngine
from tradesaga.domain.circuit import FAILURES_MAX, OPEN_SECONDS, CircuitState
from tradesaga.domain.errors import Refused, Throttled, Unavailable
from tradesaga.domain.orders import OrderStatus
from tradesaga.ports.services import Capabilities, Health

WORKING = replace(ORDER, status=OrderStatus.WORKING, venue_order_id="ord_1")


class Venue:
    """The client with a breaker over a scripted service."""

    def __init__(self) -> None:
        self.service, self.clock = Service(), Ticking()
        self.told: list[CircuitState] = []
        circuit = Circuit(
            "venue", monotonic=self.clock, told=lambda _, state: self.told.append(state)
        )
        self.client = HttpTradingEngine(
            url="http://venue",
            time_max=timedelta(seconds=1),
            capabilities=Capabilities(
                dedupes=True, query_by_client_id=True, visibility_lag=timedelta(seconds=30)
            ),
            clock=StandingClock(),
            circuit=circuit,
            transport=self.service.transport,
        )

    async def fail(self, times: int = FAILURES_MAX) -> None:
        self.service.on(f"POST {ORDERS}", httpx2.ConnectError("gone"))
        for _ in range(times):
            with pytest.raises(Unavailable):
                await self.client.submit(ORDER)


async def test_an_open_breaker_refuses_for_certain_and_sends_nothing() -> None:
    venue = Venue()
    await venue.fail()
    sent = len(venue.service.requests)
    with pytest.raises(Throttled, match="its breaker is open"):
        await venue.client.submit(ORDER)
    with pytest.raises(Unavailable, match="its breaker is open"):
        await venue.client.positions()
    assert len(venue.service.requests) == sent
    assert venue.told == [CircuitState.CLOSED, CircuitState.OPEN]


async def test_cancels_exits_and_look_ups_are_sent_and_their_success_closes_it() -> None:
    for name in ("cancel", "exit", "by venue id", "by client id"):
        venue = Venue()
        await venue.fail()
        venue.service.on(f"DELETE {ORDERS}/ord_1", {})
        venue.service.on(f"POST {ORDERS}", PLACED, 201)
        venue.service.on(f"GET {ORDERS}/ord_1", {"orderId": "ord_1", "status": "new"})
        venue.service.on(f"GET {ORDERS}", {"orders": []})
        match name:
            case "cancel":
                await venue.client.cancel("ord_1")
                # cancels have connections of their own, and the same breaker
            case "exit":
                await venue.client.submit(EXIT)
            case "by venue id":
                await venue.client.look_up(WORKING)
            case _:
                await venue.client.look_up(replace(ORDER, status=OrderStatus.WORKING))
        assert venue.told[-1] is CircuitState.CLOSED, name


async def test_after_its_time_one_request_finds_out() -> None:
    venue = Venue()
    await venue.fail()
    venue.clock.seconds += OPEN_SECONDS
    with pytest.raises(Unavailable, match="gone"):
        await venue.client.submit(ORDER)
    with pytest.raises(Throttled):
        await venue.client.submit(ORDER)
    venue.clock.seconds += OPEN_SECONDS
    venue.service.on(f"POST {ORDERS}", PLACED, 201)
    await venue.client.submit(ORDER)
    await venue.client.submit(ORDER)
    assert venue.told[-1] is CircuitState.CLOSED


async def test_health_is_degraded_behind_an_open_breaker_and_lets_the_next_find_out() -> None:
    venue = Venue()
    venue.service.on("GET /health", {"status": "healthy"})
    assert await venue.client.health() is Health.HEALTHY
    await venue.fail()
    assert await venue.client.health() is Health.DEGRADED
    venue.service.on(f"POST {ORDERS}", PLACED, 201)
    await venue.client.submit(ORDER)
    assert await venue.client.health() is Health.HEALTHY


async def test_a_refusal_and_a_429_are_answers_and_a_5xx_is_none() -> None:
    venue = Venue()
    venue.service.on(f"POST {ORDERS}", {"error": "no"}, 400)
    for _ in range(2 * FAILURES_MAX):
        with pytest.raises(Refused):
            await venue.client.submit(ORDER)
    venue.service.on(f"POST {ORDERS}", {"error": "slow down"}, 429)
    for _ in range(2 * FAILURES_MAX):
        with pytest.raises(Unavailable):
            await venue.client.submit(ORDER)
    venue.service.on(f"POST {ORDERS}", {"error": "oh"}, 503)
    for _ in range(FAILURES_MAX):
        with pytest.raises(Unavailable, match="503"):
            await venue.client.submit(ORDER)
    with pytest.raises(Throttled):
        await venue.client.submit(ORDER)
