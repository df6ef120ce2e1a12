"""The desk: one decision, one saga; one fact, one effect; no intent under an epoch that is over."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.domain.trades import report
from tests.engine.place import Place, another, begin, desk_of
from tradesaga.domain.errors import Conflict, Fenced, Unavailable
from tradesaga.domain.events import SAGA_COMPLETED, SAGA_STARTED
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Fill, Order, OrderStatus, Trade
from tradesaga.domain.saga import Saga, SagaStatus
from tradesaga.domain.trade_messages import CancelWanted, Reported, TimeUp
from tradesaga.engine.open_trades import OpenTrade
from tradesaga.ports.journal import InboxEntry

Is = OrderStatus
FILLED = Reported(report=report(Is.FILLED, 2))
PART = Reported(report=report(Is.PARTIALLY_FILLED, 1))
WORKING = Reported(report=report(Is.WORKING))


async def test_a_decision_has_one_saga_however_often_it_is_begun() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        desk.trades.drop(trade)
        with pytest.raises(Conflict):
            await desk.begin(place.trade(), epoch=desk.epoch)
        assert len(desk.trades) == 0, "what was not committed is not open"
    assert len(place.store.of(Saga, DEFAULT_AGENT)) == 1


async def test_an_open_trade_is_found_by_either_id_of_its_order() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        ours, theirs = trade.state.order.client_order_id, WORKING.report.venue_order_id
        assert desk.trades.find(theirs, None) is None, "the venue has said nothing yet"
        assert desk.trades.find(theirs, ours) is desk.trades.find(None, ours) is trade
        await desk.book(trade, WORKING)
        assert desk.trades.find(theirs, None) is desk.trades.find(theirs, "another") is trade
        assert desk.trades.find(None, None) is desk.trades.find("", "") is None
        await desk.book(trade, FILLED)
        assert desk.trades.find(theirs, ours) is None, "it has ended"
        desk.trades.put_back(trade)
        assert desk.trades.find(theirs, None) is trade


async def test_a_fact_told_again_changes_nothing() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        for each in (PART, PART, WORKING, PART):
            await desk.book(trade, each)
        before = len(place.store.log_of(DEFAULT_AGENT))
        version = trade.state.order.version
        await desk.book(trade, PART)
        assert (len(place.store.log_of(DEFAULT_AGENT)), trade.state.order.version) == (
            before,
            version,
        )
        assert desk.holdings.positions == {"ACME": Decimal(1)}
    assert await place.position() == Decimal(1)
    assert (
        len(place.store.of(Fill, DEFAULT_AGENT)) == len(place.store.of(Trade, DEFAULT_AGENT)) == 1
    )


async def test_a_commit_is_one_entry_that_names_every_step_and_fill() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        await desk.book(trade, FILLED)
    begun, ended = [line.entry for line in place.store.log_of(DEFAULT_AGENT)][-2:]
    assert begun.kind == ended.kind == "saga.steps"
    assert [step["input"] for step in begun.body["steps"]] == ["begin", "done"]
    assert [(step["step"], step["to"]) for step in ended.body["steps"]] == [
        ("submit_order", "running"), ("wait_for_fill", "running"), ("wait_for_fill", "running"),
        ("update_position", "running"), ("record_trade", "completed"),
    ]  # fmt: skip
    assert sum(fill["quantity"] for fill in ended.body["fills"]) == Decimal(2)
    assert [entry.event and entry.event.type for entry in (begun, ended)] == [
        SAGA_STARTED, SAGA_COMPLETED,
    ]  # fmt: skip


async def test_another_hand_was_first_and_the_fact_is_decided_anew() -> None:
    """Two handles on one saga, as two processes have them for a moment."""
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        other = OpenTrade(trade.state)
        await desk.book(other, FILLED)
        await desk.book(trade, TimeUp())
        assert trade.state == other.state, "the stored state is taken"
        assert trade.state.saga.status is SagaStatus.COMPLETED
    assert await place.broken() == []
    assert await place.position() == Decimal(2)


async def test_the_same_fill_from_two_hands_is_booked_once() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        other = OpenTrade(trade.state)
        await desk.book(other, PART)
        await desk.book(trade, FILLED)
        assert desk.holdings.positions == {"ACME": Decimal(2)}
    assert await place.position() == Decimal(2)
    assert len(place.store.of(Fill, DEFAULT_AGENT)) == 2
    assert await place.broken() == []


async def test_an_event_that_is_in_the_inbox_already_has_no_second_effect() -> None:
    place = Place()
    entry = InboxEntry(
        event_id="e-1", event_type="t", source="trading-engine", received_at=place.clock.now()
    )
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        await desk.book(trade, PART, inbox=(entry,))
        await desk.book(trade, FILLED, inbox=(entry,))  # the fact is new, the event is not
        assert trade.state.order.filled_quantity == Decimal(2)
    assert await place.records.was_received(DEFAULT_AGENT, "e-1")
    assert await place.broken() == []


async def test_no_intent_is_committed_under_an_epoch_that_is_over() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        decided = desk.epoch
        await parts.leadership.raise_epoch()
        with pytest.raises(Fenced):
            await desk.begin(place.trade(), epoch=decided)
        assert len(desk.trades) == 0
    assert place.store.of(Saga, DEFAULT_AGENT) == []


async def test_a_fact_is_true_under_any_epoch_of_ours() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        await parts.leadership.raise_epoch()
        await desk.book(trade, FILLED)
        assert trade.state.saga.status is SagaStatus.COMPLETED
    assert place.store.log_of(DEFAULT_AGENT)[-1].epoch == 2


async def test_a_lost_lease_books_nothing() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        await place.lease.take(DEFAULT_AGENT)  # another process
        with pytest.raises(Fenced):
            await desk.book(trade, FILLED)
        assert trade.state.order.status is Is.INTENT
    assert await place.position() == Decimal(0)


async def test_a_journal_that_takes_no_more_leaves_the_trade_as_it_was() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        before = trade.state
        world = place.world()
        await world.journal.open(DEFAULT_AGENT, desk.epoch)
        journal = desk._scribe._journal
        await journal.close()  # type: ignore[attr-defined]  # the memory journal can be closed
        with pytest.raises(Unavailable):
            await desk.book(trade, FILLED)
        assert trade.state is before
        assert desk.holdings.positions == {}


async def test_a_fill_after_the_end_is_booked_on_the_stored_trade() -> None:
    place = Place()
    async with place.running() as parts:
        desk = desk_of(parts)
        trade = await desk.begin(place.trade(), epoch=desk.epoch)
        for each in (WORKING, CancelWanted(reason="stop"), Reported(report=report(Is.CANCELED))):
            await desk.book(trade, each)
        assert trade.state.saga.status is SagaStatus.COMPENSATED
        stored = await place.records.trade_of(
            DEFAULT_AGENT, venue_order_id="v-1", client_order_id=None
        )
        assert stored is not None
        await desk.book(OpenTrade(stored), FILLED)
    assert await place.position() == Decimal(2)
    assert await place.broken() == []


async def test_many_trades_at_once_are_kept_apart() -> None:
    place = Place()
    async with place.running() as parts:
        trades = [await begin(place, parts, another(n)) for n in range(1, 21)]
        for trade in trades:
            await trade.ended.wait()
        assert len(desk_of(parts).trades) == 0
    orders = place.store.of(Order, DEFAULT_AGENT)
    assert len({order.client_order_id for order in orders}) == len(place.venue.orders) == 20
    assert await place.position() == Decimal(40)
    assert await place.broken() == []
