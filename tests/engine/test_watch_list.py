"""An order that was taken for not placed, and is at the venue: adopted, whoever hears of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.domain.trades import FORGETFUL
from tests.engine.place import CrashingJournal, Place, another, begin, desk_of
from tests.engine.test_saga_runner import order_of
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Fill, Order, OrderStatus, Reservation, ReservationState
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import NoAnswer, NotFound, Reported
from tradesaga.engine.assembly import Parts
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.testing.services import ACCEPT, FAIL_BEFORE, FILL, OnSubmit, as_event, fill_partly

HOUR = timedelta(hours=1)
Is, S = OrderStatus, SagaStatus


async def absent(place: Place, parts: Parts, plan: OnSubmit) -> OpenTrade:
    """A trade whose order the venue has taken and hides longer than it was given time for."""
    place.venue.script(replace(plan, lost=True, hidden=HOUR))
    trade = await begin(place, parts)
    await trade.ended.wait()
    assert trade.state.saga.status is S.COMPENSATED
    assert trade.state.order.status is Is.NOT_PLACED
    return trade


def appears(place: Place) -> None:
    (placed,) = place.venue.orders.values()
    placed.visible_at = place.clock.now()


def forgetful() -> Place:
    return Place(policy=FORGETFUL)


@pytest.mark.parametrize(
    ("plan", "saga", "order", "filled"),
    [
        (ACCEPT, S.COMPENSATED, Is.CANCELED, 0),
        (fill_partly(1), S.COMPLETED_PARTIAL, Is.CANCELED, 1),
        (FILL, S.COMPLETED, Is.FILLED, 2),
    ],
    ids=["working", "partly filled", "filled"],
)
@pytest.mark.parametrize("heard", ["by a check", "by an event", "at the next start"])
async def test_it_is_adopted_its_fills_booked_and_the_rest_cancelled(
    plan: OnSubmit, saga: SagaStatus, order: OrderStatus, filled: int, heard: str
) -> None:
    place = forgetful()
    async with place.running() as parts:
        trade = await absent(place, parts, plan)
        await parts.absent.check()
        assert order_of(place).status is Is.NOT_PLACED, "it is hidden still"
        appears(place)
        if heard == "by a check":
            await parts.absent.check()
            await trade.ended.wait()
        elif heard == "by an event":
            told = place.bus.deliver(as_event(place.venue.reports[-1], "e-1"))
            await parts.coordinator.handle(told)
            for each in desk_of(parts).trades:
                await each.ended.wait()
        assert heard == "at the next start" or not desk_of(parts).absent
    if heard == "at the next start":
        async with place.node() as parts:
            for each in desk_of(parts).trades:
                await each.ended.wait()
    stored = order_of(place)
    record = await place.records.trade(DEFAULT_AGENT, stored.saga_id)
    assert record is not None
    assert (record.state.saga.status, stored.status) == (saga, order)
    assert await place.position() == Decimal(filled)
    assert not any(placed.remaining for placed in place.venue.orders.values())
    (held,) = place.store.of(Reservation, DEFAULT_AGENT)
    assert held.state is ReservationState.CLOSED
    assert place.kinds().count("alert") == 1
    assert await place.broken() == []


@pytest.mark.parametrize("durable", [False, True])
async def test_the_adoption_survives_a_crash(durable: bool) -> None:
    place = forgetful()
    async with place.running() as parts:
        await absent(place, parts, fill_partly(1))
    appears(place)
    with pytest.raises(BaseExceptionGroup):
        async with place.node(CrashingJournal(place.store, at=1, durable=durable)):
            pass
    async with place.node() as parts:
        for each in desk_of(parts).trades:
            await each.ended.wait()
    assert len(place.store.of(Fill, DEFAULT_AGENT)) == 1
    assert await place.position() == 1
    assert await place.broken() == []


async def test_the_watch_ends_with_the_session_and_an_answer() -> None:
    place = forgetful()
    async with place.running() as parts:
        place.venue.script(FAIL_BEFORE)
        trade = await begin(place, parts)
        await trade.ended.wait()
        watched = desk_of(parts).absent
        await parts.absent.check()
        assert list(watched) == [trade.state.saga.id]
        place.clock.advance(timedelta(hours=12))
        place.venue.down = True
        await parts.absent.check()
        assert list(watched) == [trade.state.saga.id], "no answer is none"
        place.venue.down = False
        await parts.absent.check()
        assert not watched
    async with place.node() as parts:
        assert not desk_of(parts).absent, "looked for once more at the start, then over"


async def test_an_order_that_never_left_us_is_not_watched() -> None:
    place = Place()
    async with place.running() as parts:
        place.lease.left = 0.0  # no leave to send
        await parts.leadership.take()
        trade = await begin(place, parts)
        await trade.ended.wait()
        assert trade.state.order.status is Is.NOT_PLACED
        assert not desk_of(parts).absent


async def test_an_order_of_another_saga_is_not_adopted() -> None:
    place = forgetful()
    place.venue.caps = replace(place.venue.caps, query_by_client_id=False)
    async with place.running() as parts:
        place.venue.script(FAIL_BEFORE)
        lost = await begin(place, parts)
        await lost.ended.wait()
        place.venue.script(ACCEPT)
        other = await begin(place, parts, another(2))
        while other.state.order.status is not Is.WORKING:
            other.news.clear()
            await other.news.wait()
        (placed,) = place.venue.orders.values()
        placed.known_to_caller = False  # a venue that does not tell whose it is
        await parts.absent.check()
    assert {o.venue_order_id for o in place.store.of(Order, DEFAULT_AGENT)} == {None, placed.id}


async def test_polls_without_answer_never_count_as_not_found() -> None:
    """Both are kept apart and durable: only reads that found nothing park a saga."""
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        place.venue.script(ACCEPT)
        await desk.book(trade, Reported(report=await place.venue.submit(trade.state.order)))
        for _ in range(10):
            await desk.book(trade, NoAnswer(reason="timeout"))
        await desk.book(trade, NotFound())
        (stored,) = await place.records.open_trades(DEFAULT_AGENT)
        assert (stored.saga.attempt, stored.order.lookups) == (10, 1)
        assert stored.saga.status is S.RUNNING
        report = await place.venue.look_up(trade.state.order)
        assert report is not None
        await desk.book(trade, Reported(report=report))
        assert (trade.state.saga.attempt, trade.state.order.lookups) == (0, 0)
        for _ in range(4):
            await desk.book(trade, NotFound())
        standing = trade.state.saga.status
    assert standing is S.MANUAL_REQUIRED
