"""The venue of a replay and the simulated one over HTTP are asked the same and answer the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from tests.adapters.http.conftest import ORDER
from tests.adapters.http.played import Played
from tests.replay.scripts import SHORT, script
from tradesaga.adapters.http.trading_engine import HttpTradingEngine
from tradesaga.adapters.virtual_time import VirtualLoop
from tradesaga.domain.errors import Refused, Unavailable
from tradesaga.domain.orders import Order, OrderStatus, OrderType, Side
from tradesaga.paper.desk import TradingDesk
from tradesaga.paper.faults import FaultBook
from tradesaga.paper.spec import orders_http, positions_http
from tradesaga.paper.spec.application import application
from tradesaga.paper.spec.service import Service
from tradesaga.ports.services import TradingEngine
from tradesaga.replay.clock import PlayedClock
from tradesaga.replay.neighbours import Neighbours
from tradesaga.replay.timeline import Timeline

Ask = Callable[[TradingEngine], Awaitable[object]]
SCRIPT = script()
BUY = replace(ORDER, symbol="SPY", side=Side.BUY, quantity=Decimal(10), client_order_id="ts-buy")
SELL = replace(BUY, side=Side.SELL, client_order_id="ts-sell")
LIMIT = replace(
    BUY, client_order_id="ts-limit", type=OrderType.LIMIT, limit_price=Decimal("100.00")
)
ODD = replace(BUY, client_order_id="ts-odd", quantity=Decimal("1.00001"))
HUGE = replace(BUY, client_order_id="ts-huge", quantity=Decimal(10_000))


def over_http(desk: TradingDesk, clock: PlayedClock) -> HttpTradingEngine:
    """The adapter of `serve`, before the simulated service itself."""
    handlers = [*orders_http.HANDLERS, *positions_http.HANDLERS]
    service = Service("trading-engine", FaultBook("trading-engine", 1), {})
    app = application(service, desk, handlers, now=clock.now, agent_seen=lambda: None)
    return HttpTradingEngine(
        url="http://venue.invalid",
        time_max=timedelta(seconds=10),
        capabilities=SCRIPT.capabilities,
        clock=clock,
        transport=Played(httpx2.ASGITransport(app=app)),  # type: ignore[arg-type]  # scopes are theirs
    )


class Both:
    """Two venues with the same past, one of them over HTTP."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.clock = PlayedClock(self.loop, Timeline.of_spans(SCRIPT.spans, pace=600))
        self._neighbours = [
            Neighbours(SCRIPT.market, SCRIPT.capabilities, self.clock) for _ in range(2)
        ]
        self.direct: TradingEngine = self._neighbours[0].venue
        self.remote = over_http(self._neighbours[1].venue.desk, self.clock)

    def close(self) -> None:
        """Let go of everything."""
        self.loop.run_until_complete(self.remote.close())
        for neighbours in self._neighbours:
            neighbours.close()
        self.loop.close()

    def at(self, minutes: float) -> None:
        """Let market time run to so many minutes after the first."""
        when = SHORT[0] + timedelta(minutes=minutes)
        self.loop.run_until_complete(self.clock.sleep_until(when))

    def ask(self, ask: Ask) -> Any:
        """Ask both; their one answer, or error as type and text."""
        answers = []
        for venue in (self.direct, self.remote):
            try:
                answers.append(self.loop.run_until_complete(_awaited(ask(venue))))
            except (Refused, Unavailable) as error:
                answers.append((type(error), str(error)))
        assert answers[0] == answers[1]
        return answers[0]


async def _awaited(asked: Awaitable[object]) -> object:
    return await asked


@pytest.fixture
def both() -> Iterator[Both]:
    both = Both()
    yield both
    both.close()


def submits(order: Order) -> Ask:
    return lambda venue: venue.submit(order)


def cancels(order_id: str) -> Ask:
    return lambda venue: venue.cancel(order_id)


def looks_up(order: Order) -> Ask:
    return lambda venue: venue.look_up(order)


def test_an_order_from_submit_to_fill(both: Both) -> None:
    both.at(0)
    assert both.ask(looks_up(BUY)) is None
    assert both.ask(submits(BUY)).status is OrderStatus.WORKING
    both.ask(lambda venue: venue.account())
    assert both.ask(looks_up(BUY)).status is OrderStatus.WORKING
    both.at(0.9)
    assert both.ask(looks_up(BUY)).status is OrderStatus.FILLED
    by_venue_id = replace(BUY, venue_order_id=both.ask(looks_up(BUY)).venue_order_id)
    assert both.ask(looks_up(by_venue_id)).status is OrderStatus.FILLED
    both.ask(lambda venue: venue.account())
    assert both.ask(lambda venue: venue.positions())


def test_open_orders_are_the_same(both: Both) -> None:
    both.at(0)
    assert both.ask(lambda venue: venue.open_orders()) == []
    both.ask(submits(LIMIT))
    (listed,) = both.ask(lambda venue: venue.open_orders())
    assert (listed.client_order_id, listed.quantity) == (LIMIT.client_order_id, LIMIT.quantity)
    assert (listed.limit_price, listed.filled_quantity) == (LIMIT.limit_price, 0)
    both.ask(cancels(listed.venue_order_id))
    assert both.ask(lambda venue: venue.open_orders()) == []


@pytest.mark.parametrize("order", [SELL, ODD, HUGE], ids=lambda order: order.client_order_id)
def test_a_refusal_says_the_same(both: Both, order: Order) -> None:
    both.at(0)
    kind, text = both.ask(submits(order))
    assert kind is Refused, text


def test_a_client_order_id_that_is_taken_leaves_the_outcome_unknown(both: Both) -> None:
    both.at(0)
    both.ask(submits(BUY))
    kind, text = both.ask(submits(BUY))
    assert kind is Unavailable
    assert "duplicate" in text


def test_a_cancel_of_what_lives_of_what_is_over_and_of_what_never_was(both: Both) -> None:
    both.at(0)
    placed = both.ask(submits(LIMIT)).venue_order_id
    both.at(2)
    assert both.ask(looks_up(LIMIT)).status is OrderStatus.WORKING
    for order_id in (placed, placed, "ord_1_999999"):
        assert both.ask(cancels(order_id)) is None
    assert both.ask(looks_up(LIMIT)).status is OrderStatus.CANCELED
