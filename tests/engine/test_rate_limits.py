"""Rate limits in the engine: what becomes of an order and of a question that find no token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from typing_extensions import override

from tests.domain.trades import DECISION, START
from tests.engine.place import SETTINGS, Place, begin
from tests.engine.test_analysis_cycle import OTHER, analysed, new_place, trading
from tests.engine.test_saga_runner import order_of
from tradesaga.domain.decisions import Action
from tradesaga.domain.errors import Throttled
from tradesaga.domain.orders import Order, OrderStatus, Side, VenueReport
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.token_bucket import Rate
from tradesaga.engine.decision_requests import DecisionRequests, Question
from tradesaga.testing.services import ScriptedVenue

MINUTE = timedelta(minutes=1)


class ThrottledVenue(ScriptedVenue):
    """Refuses its first `times` submits for want of a token."""

    times = 1

    @override
    async def submit(self, order: Order) -> VenueReport:
        if self.times:
            self.times -= 1
            raise Throttled("the venue is not asked: its rate limit leaves no token")
        return await super().submit(order)


async def test_an_entry_that_finds_no_token_is_given_up_unsent() -> None:
    place = Place()
    place.venue = ThrottledVenue(place.clock)
    async with place.running() as parts:
        trade = await begin(place, parts)
        await trade.ended.wait()
    order = order_of(place)
    assert trade.state.saga.status is SagaStatus.COMPENSATED
    assert order.status is OrderStatus.NOT_PLACED
    assert (order.unknown_since, place.venue.submits) == (None, [])
    assert await place.broken() == []


async def test_an_exit_that_finds_no_token_asks_again() -> None:
    place = Place()
    place.venue = ThrottledVenue(place.clock)
    async with place.running() as parts:
        sale = replace(DECISION, action=Action.SELL, opening=False)
        trade = await begin(place, parts, sale)
        await trade.ended.wait()
    order = order_of(place)
    assert (order.side, order.status) == (Side.SELL, OrderStatus.FILLED)
    assert place.venue.submits == [order.client_order_id]


def questions(*symbols: str) -> Sequence[Question]:
    return [
        Question(request_id=symbol, strategy=None, symbol=symbol, asked_at=START)
        for symbol in symbols
    ]


def test_questions_about_what_is_held_go_first_and_use_the_reserve() -> None:
    requests = DecisionRequests(Rate(per_minute=1, burst=3, reserve=2))
    asked = questions("A", "B", "C", "D")
    first = requests.affordable(asked, {"C", "D"}, START)
    assert [q.symbol for q in first] == ["C", "D"], "one token is left, of the reserve"
    assert [q.symbol for q in requests.affordable(asked, {"D"}, START)] == ["D"]
    later = requests.affordable(asked, (), START + 3 * MINUTE)
    assert [q.symbol for q in later] == ["A"]


@pytest.mark.parametrize("limit", [None, Rate(per_minute=1, burst=1, reserve=0)])
async def test_a_question_without_a_token_fails_its_strategy_for_this_cycle(
    limit: Rate | None,
) -> None:
    place, _ = new_place()
    place.settings = replace(SETTINGS, decision_rate=limit)
    async with trading(place, OTHER) as parts:
        cycle = await analysed(place, parts)
    failed = [error.error for error in cycle.errors]
    asked = 1 if limit else 2
    assert place.kinds().count("analysis.requested") == asked + 1, "each question and their commit"
    assert failed == (["not asked about ACME: rate limit"] if limit else [])
