"""One trade from its intent to its end, against a venue that does what venues do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.domain.trades import DECISION, FORGETFUL, POLICY
from tests.engine.place import Place, begin, carried_out
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.decisions import Action
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Fill, Order, OrderStatus, Reservation, ReservationState, Trade
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import Policy
from tradesaga.ports.journal import Change
from tradesaga.testing.journal import MemoryJournal
from tradesaga.testing.venue_script import (
    ACCEPT,
    CANCEL_LATER,
    CANCEL_UNANSWERED,
    FAIL_BEFORE,
    LOSE_ANSWER,
    OnCancel,
    OnSubmit,
    fill_partly,
    refuse,
)

S, Is = SagaStatus, OrderStatus
D = Decimal


def order_of(place: Place) -> Order:
    (order,) = place.store.of(Order, DEFAULT_AGENT)
    assert isinstance(order, Order)
    return order


async def checked(place: Place, *, sent: int, filled: int) -> None:
    """What must hold at every end: one venue order at most, books that agree, nothing held."""
    order = order_of(place)
    assert place.venue.submits == [order.client_order_id] * sent
    assert len(place.venue.orders) <= 1
    assert await place.broken() == []
    assert await place.position() == D(filled)
    assert sum((o.filled for o in place.venue.orders.values()), D(0)) == D(filled)
    (held,) = place.store.of(Reservation, DEFAULT_AGENT)
    assert held.state is ReservationState.CLOSED
    assert held.consumed == order.filled_value
    assert len(place.store.of(Fill, DEFAULT_AGENT)) == len(place.store.of(Trade, DEFAULT_AGENT))


async def test_filled_at_once() -> None:
    place = Place()
    async with place.running() as parts:
        saga = await carried_out(place, parts)
    assert saga.status is S.COMPLETED
    await checked(place, sent=1, filled=2)
    assert await place.records.counts(DEFAULT_AGENT) == AgentCounts(orders_executed=1)
    events = [e.entry.event.type for e in place.store.log_of(DEFAULT_AGENT) if e.entry.event]
    assert events[-2:] == ["orchestrator.saga.started", "orchestrator.saga.completed"]
    assert ("order_ended", "filled") in place.metrics.seen


async def test_filled_later_is_found_by_polling() -> None:
    place = Place()
    place.venue.script(ACCEPT)
    async with place.running() as parts:
        trade = await begin(place, parts)
        await trade.news.wait()
        place.venue.fill(trade.state.order.client_order_id)
        await trade.ended.wait()
        assert trade.state.saga.status is S.COMPLETED
    await checked(place, sent=1, filled=2)


@pytest.mark.parametrize("policy", [POLICY, FORGETFUL], ids=["dedupes", "forgetful"])
async def test_an_answer_lost_is_looked_up_and_nothing_is_sent_twice(policy: Policy) -> None:
    place = Place(policy=policy)
    place.venue.script(LOSE_ANSWER)
    place.venue.lose_lookups(3)
    async with place.running() as parts:
        assert (await carried_out(place, parts)).status is S.COMPLETED
    await checked(place, sent=1, filled=2)


async def test_an_order_that_the_venue_hides_for_a_while_is_found() -> None:
    place = Place(policy=replace(FORGETFUL, visibility_lag=timedelta(seconds=20)))
    place.venue.script(OnSubmit(lost=True, hidden=timedelta(seconds=19)))
    async with place.running() as parts:
        assert (await carried_out(place, parts)).status is S.COMPLETED
    await checked(place, sent=1, filled=2)


async def test_an_order_lost_on_the_way_is_sent_again_under_its_id() -> None:
    place = Place()
    place.venue.script(FAIL_BEFORE, FAIL_BEFORE)
    async with place.running() as parts:
        assert (await carried_out(place, parts)).status is S.COMPLETED
    await checked(place, sent=3, filled=2)


async def test_a_venue_that_does_not_dedupe_gets_it_once() -> None:
    place = Place(policy=FORGETFUL)
    place.venue.script(FAIL_BEFORE)
    async with place.running() as parts:
        assert (await carried_out(place, parts)).status is S.COMPENSATED
    await checked(place, sent=1, filled=0)
    assert order_of(place).status is Is.NOT_PLACED


async def test_a_refusal_goes_back() -> None:
    place = Place()
    place.venue.script(refuse("INSUFFICIENT_FUNDS"))
    async with place.running() as parts:
        saga = await carried_out(place, parts)
    assert saga.status is S.COMPENSATED
    await checked(place, sent=1, filled=0)
    evidence = order_of(place).evidence
    assert evidence is not None
    assert evidence.startswith("INSUFFICIENT_FUNDS")


async def test_the_rest_is_cancelled_when_the_fill_wait_is_over() -> None:
    place = Place()
    place.venue.script(fill_partly(1))
    async with place.running() as parts:
        saga = await carried_out(place, parts)
    assert saga.status is S.COMPLETED_PARTIAL
    assert len(place.venue.cancels) == 1
    await checked(place, sent=1, filled=1)
    assert saga.updated_at - saga.created_at >= POLICY.fill_time_max


@pytest.mark.parametrize(
    ("on_cancel", "end", "filled"),
    [
        (OnCancel(), S.COMPENSATED, 0),
        (OnCancel(fill_first=D(2)), S.COMPLETED, 2),  # the fill beats the cancel
        (OnCancel(fill_first=D(1)), S.COMPLETED_PARTIAL, 1),
        (CANCEL_UNANSWERED, S.COMPENSATED, 0),
        (OnCancel(ignored=True), S.COMPENSATED, 0),  # asked again
    ],
)
async def test_nothing_filled_in_time_is_cancelled(
    on_cancel: OnCancel, end: SagaStatus, filled: int
) -> None:
    place = Place()
    place.venue.script(ACCEPT, on_cancel)
    async with place.running() as parts:
        assert (await carried_out(place, parts)).status is end
    await checked(place, sent=1, filled=filled)


async def test_a_cancel_is_waited_for_and_a_fill_may_still_win() -> None:
    place = Place()
    place.venue.script(ACCEPT, CANCEL_LATER)
    async with place.running() as parts:
        trade = await begin(place, parts)
        while not place.venue.cancels:
            trade.news.clear()
            await trade.news.wait()
        assert place.store.of(Reservation, DEFAULT_AGENT)[0].state is ReservationState.OPEN
        place.venue.fill(trade.state.order.client_order_id)
        await trade.ended.wait()
        assert trade.state.saga.status is S.COMPLETED
    await checked(place, sent=1, filled=2)


async def test_a_venue_that_ignores_every_cancel_needs_a_person() -> None:
    place = Place()
    place.venue.default_cancel = OnCancel(ignored=True)
    place.venue.script(ACCEPT)
    async with place.running() as parts:
        saga = await carried_out(place, parts)
        assert saga.status is S.MANUAL_REQUIRED
        assert {lock.symbol for lock in parts.recovery.desk.locks()} == {"ACME"}
    assert len(place.venue.cancels) == 4
    assert "alert" in place.kinds()
    assert await place.broken() == []


async def test_an_exit_reserves_nothing_and_lowers_the_position() -> None:
    place = Place()
    leave = replace(DECISION, action=Action.SELL, opening=False)
    async with place.running() as parts:
        assert (await carried_out(place, parts, leave)).status is S.COMPLETED
    assert await place.position() == D(-2)


async def test_a_venue_that_is_down_for_long_is_waited_for() -> None:
    place = Place()
    place.venue.script(LOSE_ANSWER)
    place.venue.lose_lookups(50)  # 4 minutes and more
    async with place.running() as parts:
        assert (await carried_out(place, parts)).status is S.COMPLETED
    await checked(place, sent=1, filled=2)


@pytest.mark.parametrize("policy", [POLICY, FORGETFUL], ids=["dedupes", "does not"])
async def test_an_answer_that_the_journal_does_not_take_is_offered_again(policy: Policy) -> None:
    place, refused = Place(policy=policy), 0

    def refuse_the_answer(_: Change) -> Exception | None:
        nonlocal refused
        refused += bool(place.venue.submits)
        return Unavailable("too many changes wait") if 1 <= refused <= 3 else None

    journal = MemoryJournal(place.store)
    journal.refuse_next = refuse_the_answer
    async with place.running(journal) as parts:
        saga = await carried_out(place, parts)
    assert refused > 3
    assert saga.status is S.COMPLETED
    await checked(place, sent=1, filled=2)
