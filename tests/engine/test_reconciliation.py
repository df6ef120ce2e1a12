"""The venue's orders and fills against ours: the missing is booked, what moves left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.domain.trades import FORGETFUL
from tests.engine.place import SETTINGS, Place, begin, carried_out
from tests.engine.test_saga_runner import order_of
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import Cause
from tradesaga.domain.orders import ENDED, OrderStatus
from tradesaga.domain.saga import SagaStatus
from tradesaga.engine import reconciliation
from tradesaga.engine.assembly import Parts
from tradesaga.engine.ladder_watch import DRIFT_CHECKS_MAX
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.engine.reconciliation import Comparison
from tradesaga.ports.services import OpenOrder
from tradesaga.testing.services import ACCEPT, FAIL_BEFORE, ScriptedVenue, as_event

Is = OrderStatus
SECOND = timedelta(seconds=1)


async def working(place: Place, parts: Parts) -> OpenTrade:
    """A trade whose order is accepted and rests; its saga polls only much later."""
    place.venue.script(ACCEPT)
    trade = await begin(place, parts)
    while trade.state.order.status is not Is.WORKING:
        trade.news.clear()
        await trade.news.wait()
    return trade


def slow() -> Place:
    return Place(policy=replace(Place().policy, poll_every=timedelta(hours=1)))


def actors(place: Place) -> set[str]:
    return {line.entry.actor for line in place.store.log_of(DEFAULT_AGENT)}


@pytest.mark.parametrize(
    ("at_the_venue", "status", "filled"),
    [
        (lambda venue, name: venue.fill(name), Is.FILLED, 2),
        (lambda venue, name: venue.fill(name, 1), Is.PARTIALLY_FILLED, 1),
        (lambda venue, name: venue.end(name, Is.CANCELED), Is.CANCELED, 0),
        (lambda venue, name: venue.end(name, Is.EXPIRED), Is.EXPIRED, 0),
    ],
    ids=["filled", "partly filled", "canceled by somebody", "expired"],
)
async def test_what_no_event_told_is_booked_once(
    at_the_venue: Callable[[ScriptedVenue, str], object], status: OrderStatus, filled: int
) -> None:
    place = slow()
    async with place.running() as parts:
        trade = await working(place, parts)
        assert (await parts.books.run_once()).booked == 0
        at_the_venue(place.venue, trade.state.order.client_order_id)
        assert (await parts.books.run_once()).booked == 1
        assert order_of(place).status is status
        assert order_of(place).filled_quantity == filled
        found = await parts.books.run_once()
        assert (found.booked, found.drifts) == (0, ())
        assert await place.position() == filled
        assert await place.broken() == []
    assert "reconciliation" in actors(place)


async def test_an_order_in_good_order_is_not_asked_about() -> None:
    place = slow()
    async with place.running() as parts:
        trade = await working(place, parts)
        place.venue.fill(trade.state.order.client_order_id, 1)
        await parts.books.run_once()
        asked = len(place.venue.lookups)
        for _ in range(3):
            found = await parts.books.run_once()
            assert (found.open_orders, found.booked) == (1, 0)
        assert len(place.venue.lookups) == asked


async def test_an_unknown_order_that_is_listed_is_adopted() -> None:
    place = slow()
    async with place.running() as parts:
        place.venue.script(replace(ACCEPT, lost=True))
        trade = await begin(place, parts)
        while trade.state.order.status is not Is.UNKNOWN:
            trade.news.clear()
            await trade.news.wait()
        assert (await parts.books.run_once()).booked == 1
        assert order_of(place).status is Is.WORKING
        assert order_of(place).venue_order_id == "ord_1"


async def test_an_unknown_order_that_is_not_listed_is_left_to_its_saga() -> None:
    place = slow()
    async with place.running() as parts:
        place.venue.script(FAIL_BEFORE)
        trade = await begin(place, parts)
        while trade.state.order.status is not Is.UNKNOWN:
            trade.news.clear()
            await trade.news.wait()
        assert (await parts.books.run_once()).booked == 0
        assert order_of(place).status is Is.UNKNOWN


async def test_what_changes_while_the_list_is_read_is_for_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = slow()
    async with place.running() as parts:
        trade = await working(place, parts)
        name, real = trade.state.order.client_order_id, place.venue.open_orders

        async def listed_late() -> Sequence[OpenOrder]:
            found = await real()
            place.venue.fill(name, 1)
            told = as_event(place.venue.reports[-1], "e-1")
            await parts.coordinator.handle(place.bus.deliver(told))
            return found

        monkeypatch.setattr(place.venue, "open_orders", listed_late)
        asked = len(place.venue.lookups)
        assert (await parts.books.run_once()).booked == 0
        assert len(place.venue.lookups) == asked
        assert order_of(place).filled_quantity == 1


async def test_an_order_that_was_proven_absent_is_adopted_from_the_list() -> None:
    place = Place(policy=FORGETFUL)
    async with place.running() as parts:
        place.venue.script(replace(ACCEPT, lost=True, hidden=timedelta(hours=1)))
        trade = await begin(place, parts)
        await trade.ended.wait()
        assert order_of(place).status is Is.NOT_PLACED
        (placed,) = place.venue.orders.values()
        placed.visible_at = place.clock.now()
        await parts.books.run_once()
        await trade.ended.wait()
        assert trade.state.saga.status is SagaStatus.COMPENSATED
        assert order_of(place).status is Is.CANCELED, "revived, and the rest cancelled"


async def test_an_order_that_ended_for_us_and_works_there_is_drift() -> None:
    place = Place()
    async with place.running() as parts:
        trade = await working(place, parts)
        place.venue.end(trade.state.order.client_order_id, Is.CANCELED)
        await parts.books.run_once()
        assert order_of(place).status in ENDED
        place.venue.orders["ord_1"].status = Is.WORKING  # the venue takes its word back
        for _ in range(DRIFT_CHECKS_MAX):
            assert Cause.DRIFT not in standing(parts)
            await parts.books.run_once()
        (reason,) = parts.ladder.ladder.reasons
        assert (reason.cause, reason.scope.subject) == (Cause.DRIFT, "ACME")
        assert "ord_1 works there" in reason.detail


@pytest.mark.parametrize("lost", ["open_orders", "positions"])
async def test_a_failed_read_is_never_no_orders(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = slow()
    async with place.running() as parts:
        await working(place, parts)
        await parts.books.run_once()
        last = parts.books.last

        async def no_answer() -> Sequence[OpenOrder]:
            raise Unavailable("no answer")

        monkeypatch.setattr(place.venue, lost, no_answer)
        place.clock.advance(7 * SECOND)
        await parts.books.try_once()
        assert parts.books.last is last
        assert parts.books.lag == 7 * SECOND
        assert order_of(place).status is Is.WORKING
        assert parts.ladder.ladder.reasons == ()
        assert ("error_occurred", "reconciliation") in place.metrics.seen


async def until(parts: Parts, comparison: Callable[[Comparison], bool]) -> Comparison:
    while (last := parts.books.last) is None or not comparison(last):  # noqa: ASYNC110 -- a turn
        await asyncio.sleep(0)
    return last


async def test_the_loop_finds_drift_and_closes_the_symbol_within_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconciliation, "REAL_SECONDS_BETWEEN", 0.0)
    place = Place(settings=replace(SETTINGS, reconcile_every=3 * SECOND))
    async with place.running() as parts, asyncio.TaskGroup() as group:
        await carried_out(place, parts)
        looping = group.create_task(parts.books.run())
        await until(parts, lambda found: not found.drifts)
        next(iter(place.venue.orders.values())).fills.clear()  # the venue forgets what it filled
        since = place.clock.now()
        found = await until(parts, lambda found: bool(found.drifts))
        assert found.at - since <= 3 * SECOND
        while not parts.ladder.ladder.reasons:  # noqa: ASYNC110 -- a turn of the loop
            await asyncio.sleep(0)
        assert standing(parts) == [Cause.DRIFT]
        assert place.clock.now() - since <= 10 * SECOND
        looping.cancel()


async def test_the_loop_compares_at_once_when_it_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "REAL_SECONDS_BETWEEN", 0.0)
    place = Place(settings=replace(SETTINGS, reconcile_every=timedelta(hours=1)))
    async with place.running() as parts, asyncio.TaskGroup() as group:
        looping = group.create_task(parts.books.run())
        parts.books.wake.set()
        began = place.clock.now()
        assert (await until(parts, lambda _: True)).at == began
        assert ("reconciled", began, 0) in place.metrics.seen
        looping.cancel()


def standing(parts: Parts) -> list[Cause]:
    return [reason.cause for reason in parts.ladder.ladder.reasons]


async def test_an_agent_at_rest_is_compared_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "REAL_SECONDS_BETWEEN", 0.0)
    each, rest = 3 * SECOND, timedelta(minutes=1)
    settings = replace(SETTINGS, reconcile_every=each, reconcile_at_rest_every=rest)
    for holds in (False, True):
        place = Place(settings=settings)
        async with place.running() as parts, asyncio.TaskGroup() as group:
            if holds:
                await carried_out(place, parts)
            await parts.books.run_once()
            began = place.clock.now()
            looping = group.create_task(parts.books.run())
            await place.clock.sleep_until(began + rest - each)
            assert parts.books.last is not None
            assert (parts.books.last.at == began) is not holds
            await place.clock.sleep_until(began + rest + 2 * each)
            assert parts.books.last.at > began
            looping.cancel()
