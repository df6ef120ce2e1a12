"""Orders of others on our account: stored once, told once, never touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.domain.trades import FORGETFUL
from tests.engine.place import Place, begin, carried_out, desk_of
from tests.engine.test_kill_switch import armed
from tests.engine.test_reconciliation import slow, working
from tests.engine.test_symbol_locks import denied, reasons
from tradesaga.domain.external import ExternalKind, ExternalOrder, ExternalState
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.ladder import EVERYWHERE, Cause, Rung, Scope, ScopeKind
from tradesaga.domain.orders import OrderStatus
from tradesaga.engine.assembly import Parts
from tradesaga.testing.services import ACCEPT, OnSubmit, as_event

ACME, BOLT = Scope(ScopeKind.SYMBOL, "ACME"), Scope(ScopeKind.SYMBOL, "BOLT")
OPEN, GONE = ExternalState.OPEN, ExternalState.GONE
THEIRS, OURS_BY_SHAPE = "by-hand-1", "ts-" + "0a" * 13


async def places(
    place: Place, name: str = THEIRS, symbol: str = "ACME", plan: OnSubmit = ACCEPT
) -> str:
    """Somebody else sends an order on our account; its venue order id."""
    place.venue.script(plan)
    theirs = replace(place.trade().order, client_order_id=name, symbol=symbol)
    return (await place.venue.submit(theirs)).venue_order_id


async def stored(place: Place) -> list[ExternalOrder]:
    return list(await place.records.external_orders(DEFAULT_AGENT, limit=9))


def standing(parts: Parts) -> list[tuple[Cause, Scope]]:
    return [(reason.cause, reason.scope) for reason in parts.ladder.ladder.reasons]


async def test_it_is_stored_told_once_and_followed_to_its_end() -> None:
    place = Place()
    async with place.running() as parts:
        venue_order_id = await places(place)
        for _ in range(3):
            await parts.books.run_once()
        (order,) = await stored(place)
        assert (order.venue_order_id, order.state, order.kind) == (
            venue_order_id, OPEN, ExternalKind.EXTERNAL,
        )  # fmt: skip
        assert standing(parts) == [(Cause.FOREIGN_ORDER, ACME)]
        assert parts.ladder.rung(None, "ACME") is Rung.NO_ENTRIES
        assert parts.ladder.rung(None, "BOLT") is Rung.NORMAL
        await parts.ladder.acknowledge(Cause.FOREIGN_ORDER, ACME, "ann")
        place.venue.fill(THEIRS, 1)
        await parts.books.run_once()
        assert standing(parts) == [], "a person knows of it"
        (order,) = await stored(place)
        assert (order.filled_quantity, order.state) == (Decimal(1), OPEN)
        place.venue.end(THEIRS, OrderStatus.CANCELED)
        await parts.books.run_once()
        (order,) = await stored(place)
        assert order.state is GONE
        assert order.ended_at is not None
        assert place.venue.cancels == []
        assert await place.position() == 0, "never in our books"


async def test_a_next_process_knows_it_and_does_not_tell_it_again() -> None:
    place = Place()
    async with place.running() as parts:
        await places(place)
        await parts.books.run_once()
        await parts.ladder.acknowledge(Cause.FOREIGN_ORDER, ACME, "ann")
    async with place.running() as parts:
        await parts.books.run_once()
        assert standing(parts) == []
        (order,) = await stored(place)
        assert order.version == 2, "seen, then told"


async def test_who_dies_before_the_row_says_so_tells_it_again() -> None:
    place = Place()
    async with place.running() as parts:
        await places(place)
        await parts.books.run_once()
        (order,) = await stored(place)
        key = (ExternalOrder, order.id)
        place.store.rows[key] = replace(order, warned_at=None, version=1)
        await parts.ladder.acknowledge(Cause.FOREIGN_ORDER, ACME, "ann")
    async with place.running() as parts:
        await parts.books.run_once()
        assert standing(parts) == [(Cause.FOREIGN_ORDER, ACME)]


async def test_in_a_symbol_that_we_do_not_trade_it_is_stored_until_we_do() -> None:
    place = Place()
    async with place.running() as parts:
        await places(place, symbol="BOLT")
        await parts.books.run_once()
        assert standing(parts) == []
        assert [order.symbol for order in await stored(place)] == ["BOLT"]
        desk_of(parts).holdings.positions["BOLT"] = Decimal(1)
        await parts.books.run_once()
        assert (Cause.FOREIGN_ORDER, BOLT) in standing(parts)


async def test_one_with_an_id_of_our_shape_is_an_alert_and_locks_its_symbol() -> None:
    place = Place()
    async with place.running() as parts:
        await places(place, OURS_BY_SHAPE, symbol="BOLT")
        await places(place, OURS_BY_SHAPE.replace("a", "b"))
        await parts.books.run_once()
        assert [order.kind for order in await stored(place)] == [ExternalKind.STRAY] * 2
        assert set(standing(parts)) == {(Cause.STRAY_ORDER, ACME), (Cause.STRAY_ORDER, BOLT)}
        assert await reasons(parts) == ["stray_order", "stray_order"]
        assert await denied(place, parts, 1)
        assert place.kinds().count("alert") == 2
        await parts.ladder.acknowledge(Cause.STRAY_ORDER, ACME, "ann")
        assert not await denied(place, parts, 2)
        assert place.venue.cancels == []


async def test_one_that_fills_at_once_is_heard_of_and_its_position_is_drift() -> None:
    place = Place()
    async with place.running() as parts:
        await carried_out(place, parts)
        venue_order_id = await places(place, plan=OnSubmit())  # filled before any list shows it
        told = place.bus.deliver(as_event(place.venue.reports[-1], "e-9"))
        await parts.coordinator.handle(told)
        again = place.bus.deliver(as_event(place.venue.reports[-1], "e-9"))
        await parts.coordinator.handle(again)
        (order,) = await stored(place)
        assert (order.venue_order_id, order.state) == (venue_order_id, GONE)
        assert order.filled_quantity == 2
        assert order.side is None, "no event tells"
        assert parts.books.wake.is_set()
        assert standing(parts) == [(Cause.FOREIGN_ORDER, ACME)]
        found = await parts.books.run_once()
        assert [(drift.symbol, drift.ours, drift.venue) for drift in found.drifts] == [
            ("ACME", Decimal(2), Decimal(4))
        ]


async def test_its_decision_is_known_in_whichever_order_its_news_come() -> None:
    place = Place()
    async with place.running() as parts:
        await places(place, plan=OnSubmit())
        filled = place.venue.reports[-1]
        placed = replace(filled, status=OrderStatus.WORKING, filled_quantity=Decimal(0))
        for number, report in enumerate((filled, replace(placed, decision_id="dec_1"))):
            told = place.bus.deliver(as_event(report, f"e-{number}"))
            await parts.coordinator.handle(told)
        (order,) = await stored(place)
        assert (order.decision_id, order.state) == ("dec_1", GONE)
        assert order.filled_quantity == 2


async def test_a_stop_and_the_kill_switch_leave_it_alone() -> None:
    place = slow()
    async with armed(place) as parts:
        trade = await working(place, parts)
        venue_order_id = await places(place)
        await parts.books.run_once()
        killed = await parts.kill.kill(EVERYWHERE, reason="test", who="ann", rung=Rung.HALTED)
        assert killed.orders == 1, "our own"
        await parts.control.stop(reason="test", cancel_open_orders=True, actor="ann")
        assert venue_order_id not in place.venue.cancels
        assert place.venue.orders[venue_order_id].status is OrderStatus.WORKING
        assert trade.state.order.venue_order_id in place.venue.cancels


async def test_while_an_order_of_ours_waits_for_its_id_one_without_is_left_for_later() -> None:
    place = Place(policy=FORGETFUL)
    place.venue.caps = replace(place.venue.caps, query_by_client_id=False)
    async with place.running() as parts:
        place.venue.script(replace(ACCEPT, lost=True, hidden=timedelta(hours=1)))
        trade = await begin(place, parts)
        await trade.ended.wait()
        assert trade.state.order.status is OrderStatus.NOT_PLACED
        (placed,) = place.venue.orders.values()
        placed.visible_at = place.clock.now()
        await parts.books.run_once()
        assert await stored(place) == [], "it may be ours"
        await parts.absent.check()
        await trade.ended.wait()
        assert place.venue.cancels == [placed.id], "it was"
        await parts.books.run_once()
        assert await stored(place) == []


@pytest.mark.parametrize("adopted", [False, True])
async def test_one_that_a_saga_adopts_is_ours(adopted: bool) -> None:
    place = slow()
    async with place.running() as parts:
        trade = await working(place, parts)
        venue_order_id = await places(place)
        await parts.books.run_once()
        if adopted:
            order = replace(trade.state.order, venue_order_id=venue_order_id)
            desk_of(parts).trades.became(trade, replace(trade.state, order=order))
        await parts.books.run_once()
        states = {each.venue_order_id: each.state for each in await stored(place)}
        assert states[venue_order_id] is (ExternalState.OURS if adopted else OPEN)
