"""The scripted venue does what its script says, and its books add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.adapters.http.conftest import NOW, ORDER
from tradesaga.domain.errors import Refused, Unavailable
from tradesaga.domain.orders import OrderStatus, Side
from tradesaga.ports.services import AmbiguousMatch, Health
from tradesaga.testing.clock import VirtualClock
from tradesaga.testing.services import (
    ACCEPT,
    CANCEL_LATER,
    CANCEL_UNANSWERED,
    FAIL_BEFORE,
    LOSE_ANSWER,
    OnCancel,
    OnSubmit,
    ScriptedVenue,
    as_event,
    fill_partly,
    refuse,
)

ID = ORDER.client_order_id


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def venue(clock: VirtualClock) -> ScriptedVenue:
    return ScriptedVenue(clock)


async def test_by_default_an_order_is_filled_in_the_reply(venue: ScriptedVenue) -> None:
    report = await venue.submit(ORDER)
    assert (report.status, report.filled_quantity) == (OrderStatus.FILLED, ORDER.quantity)
    assert report.average_price == Decimal(100)
    statuses = [said.status for said in venue.reports]
    assert statuses == [OrderStatus.WORKING, OrderStatus.FILLED]


async def test_the_reply_can_be_behind_the_event(venue: ScriptedVenue) -> None:
    venue.script(OnSubmit(in_reply=False))
    report = await venue.submit(ORDER)
    assert report.status is OrderStatus.WORKING
    assert venue.reports[-1].status is OrderStatus.FILLED


async def test_an_answer_is_lost_on_either_side_of_the_act(venue: ScriptedVenue) -> None:
    venue.script(FAIL_BEFORE, LOSE_ANSWER)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await venue.submit(ORDER)
    assert len(venue.placed(ID)) == 1
    assert venue.submits == [ID, ID]

    with pytest.raises(Unavailable, match="duplicate"):
        await venue.submit(ORDER)
    found = await venue.look_up(ORDER)
    assert found is not None
    assert found.status is OrderStatus.FILLED


async def test_a_venue_that_does_not_dedupe_places_twice(clock: VirtualClock) -> None:
    venue = ScriptedVenue(clock, dedupes=False)
    await venue.submit(ORDER)
    await venue.submit(ORDER)
    assert len(venue.placed(ID)) == 2


async def test_a_refusal(venue: ScriptedVenue) -> None:
    venue.script(refuse("MARKET_CLOSED"))
    with pytest.raises(Refused) as raised:
        await venue.submit(ORDER)
    assert raised.value.code == "MARKET_CLOSED"
    assert await venue.look_up(ORDER) is None


async def test_an_order_can_be_hidden_for_a_while(
    venue: ScriptedVenue, clock: VirtualClock
) -> None:
    venue.script(OnSubmit(lost=True, hidden=timedelta(seconds=10)))
    with pytest.raises(Unavailable):
        await venue.submit(ORDER)
    assert await venue.look_up(ORDER) is None
    clock.advance(timedelta(seconds=10))
    assert await venue.look_up(ORDER) is not None


async def test_fills_one_after_the_other(venue: ScriptedVenue) -> None:
    venue.script(fill_partly(1))
    await venue.submit(ORDER)
    last = venue.fill(ID, price=Decimal(103))
    assert (last.status, last.filled_quantity) == (OrderStatus.FILLED, ORDER.quantity)
    assert last.average_price == (Decimal(100) + 2 * Decimal(103)) / 3
    assert [fill.cumulative for fill in last.fills] == [Decimal(1), Decimal(3)]
    assert as_event(last, "e-1").event_id == "e-1"


async def test_cancels(venue: ScriptedVenue) -> None:
    venue.default_submit = ACCEPT
    venue.script(CANCEL_LATER, OnCancel(fill_first=Decimal(3)), CANCEL_UNANSWERED)
    later, beaten, unanswered = (
        replace(ORDER, client_order_id=name) for name in ("later", "beaten", "unanswered")
    )
    ids = [(await venue.submit(order)).venue_order_id for order in (later, beaten, unanswered)]
    await venue.cancel(ids[0])
    await venue.cancel(ids[1])
    with pytest.raises(Unavailable):
        await venue.cancel(ids[2])
    await venue.cancel("unknown")  # nothing is left to cancel

    assert venue.placed("later")[0].status is OrderStatus.WORKING
    assert venue.settle_cancel("later").status is OrderStatus.CANCELED
    assert venue.placed("beaten")[0].status is OrderStatus.FILLED
    assert venue.placed("unanswered")[0].status is OrderStatus.CANCELED


async def test_without_client_ids_it_goes_by_traits(clock: VirtualClock) -> None:
    venue = ScriptedVenue(clock, dedupes=False, query_by_client_id=False)
    venue.script(LOSE_ANSWER, LOSE_ANSWER)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await venue.submit(ORDER)
    with pytest.raises(AmbiguousMatch, match="ord_1, ord_2"):
        await venue.look_up(ORDER)


async def test_the_books_add_up(venue: ScriptedVenue) -> None:
    sell = replace(ORDER, client_order_id="sell", side=Side.SELL, quantity=Decimal(1))
    rest = replace(ORDER, client_order_id="rest", quantity=Decimal(2))
    await venue.submit(ORDER)  # 3 at 100
    venue.prices["SPY"] = Decimal(110)
    await venue.submit(sell)  # 1 at 110
    venue.script(ACCEPT)
    await venue.submit(rest)  # 2 more are promised

    account = await venue.account()
    [position] = await venue.positions()
    assert account.cash == 100_000 - 300 + 110
    assert account.equity == account.cash + 2 * 110
    assert account.buying_power == account.cash - 2 * 110
    assert (position.quantity, position.average_entry_price) == (Decimal(2), Decimal(100))


async def test_it_can_be_away(venue: ScriptedVenue) -> None:
    venue.down = True
    with pytest.raises(Unavailable):
        await venue.submit(ORDER)
    assert venue.placed(ID) == []
    assert await venue.health() is Health.UNREACHABLE
    venue.down = False
    venue.lose_lookups(1)
    with pytest.raises(Unavailable):
        await venue.look_up(ORDER)
    assert await venue.look_up(ORDER) is None
