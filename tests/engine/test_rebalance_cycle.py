"""The rebalance: planned at nine, held, released after the open, sells before buys, once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.engine.place import Crash, CrashingJournal, Place, desk_of
from tests.engine.rebalancing import (
    NINE,
    RELEASE,
    SECOND,
    WANTED,
    aim,
    done,
    due,
    lines,
    place_at,
    rebalanced,
    rebalances,
)
from tradesaga.domain.agent import Mode
from tradesaga.domain.cycle import CycleStatus
from tradesaga.domain.decisions import Decision, Verdict
from tradesaga.domain.ids import DEFAULT_AGENT
from tradesaga.domain.orders import Order, OrderStatus, Side
from tradesaga.domain.rebalance import Method
from tradesaga.domain.saga import Saga
from tradesaga.testing.journal import MemoryJournal
from tradesaga.testing.market_data import ScriptedMarketData
from tradesaga.testing.services import ACCEPT, fill_partly

D = Decimal
OPEN = RELEASE + 60 * SECOND


def orders(place: Place) -> list[Order]:
    return sorted(place.store.of(Order, DEFAULT_AGENT), key=lambda o: (str(o.cycle_id), o.leg))


def sides(place: Place) -> list[tuple[Side, str, Decimal]]:
    return [(order.side, order.symbol, order.quantity) for order in orders(place)]


async def test_what_is_planned_at_nine_is_sent_after_the_open_at_the_prices_of_then() -> None:
    place = place_at(NINE)
    async with place.running() as parts:
        due(place, parts)
        await place.clock.sleep_until(RELEASE - SECOND)
        (held,) = rebalances(place)
        assert (held.step, held.status) == ("execute_orders", CycleStatus.STARTED)
        assert orders(place) == []
        (plan,) = lines(place, "planned orders")
        assert plan.context["buys"] == [
            "buy 99 ACME at about 100.00",
            "buy 100 BOLT at about 50.00",
        ]
        assert plan.context["heldUntil"] == RELEASE.isoformat()
        place.venue.prices["ACME"] = D(80)
        await done(parts)
    (cycle,) = rebalances(place)
    assert (cycle.outcome, cycle.orders_submitted, cycle.orders_filled) == ("success", 2, 2)
    assert all(order.created_at >= RELEASE for order in orders(place))
    assert await place.position("ACME") == 123  # 9,900 at 80, what one order may be worth
    assert await place.position("BOLT") == 100
    assert await place.broken() == []


async def test_sells_come_first_and_pay_for_the_buys() -> None:
    place = place_at(OPEN)
    async with place.running() as parts:
        await rebalanced(place, parts)
        place.venue.start_cash -= D(84_500)  # almost nothing is left to buy with
        place.venue.prices["ACME"] = D(300)
        cycle = await rebalanced(place, parts)
    assert cycle.errors == ()
    again = sides(place)[2:]
    assert [side for side, _, _ in again] == sorted((s for s, _, _ in again), reverse=True)
    assert again[0][:2] == (Side.SELL, "ACME")
    assert await place.broken() == []


async def test_buys_spend_what_a_half_filled_sell_has_really_brought() -> None:
    place = place_at(OPEN)
    limits = replace(
        place.settings.limits[Mode.NORMAL], exposure_percent=D(100),
        # What is withdrawn below counts as lost.
        daily_loss_percent=D(100), daily_loss_halt_percent=D(100), drawdown_percent=D(100),
        drawdown_orange_percent=D(100), drawdown_red_percent=D(100),
    )  # fmt: skip
    place.settings = replace(place.settings, limits=dict.fromkeys(Mode, limits))
    async with place.running() as parts:
        await rebalanced(place, parts)
    aim(place, ACME="0", CUBE="0.19")
    async with place.running() as parts:
        place.venue.start_cash -= D(85_000)  # 100 is left
        place.venue.script(fill_partly(5))
        cycle = await rebalanced(place, parts)
    sell, buy = orders(place)[2:]
    assert (sell.side, sell.quantity, sell.filled_quantity) == (Side.SELL, D(99), D(5))
    assert sell.status is OrderStatus.CANCELED
    assert buy.created_at >= sell.created_at + place.policy.fill_time_max
    assert (buy.side, buy.symbol, buy.quantity) == (
        Side.BUY,
        "CUBE",
        D(28),
    )  # 95 % of 600, at 20.20
    assert cycle.status is CycleStatus.COMPLETED
    assert await place.broken() == []


async def test_no_order_for_a_small_difference() -> None:
    place = place_at(OPEN)
    async with place.running() as parts:
        await rebalanced(place, parts)
        place.venue.prices["ACME"] = D("105")
        cycle = await rebalanced(place, parts)
    assert (cycle.outcome, cycle.orders_submitted) == ("success", 0)
    assert len(orders(place)) == 2


async def test_a_paused_agent_sells_but_does_not_buy() -> None:
    place = place_at(OPEN)
    async with place.running() as parts:
        await rebalanced(place, parts)
    aim(place, ACME="0", BOLT="0.10")
    async with place.running() as parts:
        cycle_task = asyncio.ensure_future(rebalanced(place, parts))
        await asyncio.sleep(0)
        await parts.control.pause(duration=None, actor="operator")
        cycle = await cycle_task
    assert sides(place)[2:] == [(Side.SELL, "ACME", D(99))]
    denied = [d for d in place.store.of(Decision, DEFAULT_AGENT) if d.verdict is Verdict.DENIED]
    assert [[x.code for x in d.denials] for d in denied] == [["LADDER"]]
    assert cycle.outcome == "partial"


async def test_the_basket_falls_as_one_and_its_sells_go() -> None:
    place = place_at(OPEN)
    async with place.running() as parts:
        await rebalanced(place, parts)
    aim(place, ACME="0", BOLT="0.10", CUBE="0.05", DART="0.05", ECHO="0.05")
    async with place.running() as parts:
        place.venue.prices |= {"DART": D(10), "ECHO": D(10)}
        cycle = await rebalanced(place, parts)  # four positions, of which three are allowed
    assert sides(place)[2:] == [(Side.SELL, "ACME", D(99))]
    assert "POSITION_COUNT" in cycle.errors[-1].error


async def test_weights_by_volatility_need_closes_and_keep_them_in_the_record() -> None:
    policy = replace(WANTED, method=Method.INVERSE_VOLATILITY)
    place = place_at(OPEN, policy)
    place.market_data.closes = {"ACME": [D(100), D(104), D(100), D(104)]}
    async with place.running() as parts:
        cycle = await rebalanced(place, parts)
        assert cycle.status is CycleStatus.FAILED
        assert orders(place) == []
        place.market_data.closes["BOLT"] = [D(50), D(51), D(50), D(51)]
        cycle = await rebalanced(place, parts)
    assert cycle.outcome == "success"
    (said,) = lines(place, "target weights")
    found = {s: D(w) for s, w in said.context["volatility"].items()}
    assert found["ACME"] > found["BOLT"] > 0


async def test_a_symbol_without_a_price_is_left_as_it_is() -> None:
    place = place_at(OPEN)
    del place.venue.prices["BOLT"]
    async with place.running() as parts:
        cycle = await rebalanced(place, parts)
    assert cycle.outcome == "partial"
    assert [symbol for _, symbol, _ in sides(place)] == ["ACME"]


async def test_yesterday_s_prices_make_no_order_not_even_a_sell() -> None:
    place = place_at(NINE)
    prices = place.market_data = ScriptedMarketData(place.clock)
    for symbol, price in (("ACME", 400), ("BOLT", 50)):  # shown before the open
        prices.show(symbol, price)
    async with place.running() as parts:
        due(place, parts)
        await place.clock.sleep_until(RELEASE + 90 * SECOND)
        assert place.venue.submits == []
        prices.show("BOLT", 40)  # the first bar is over
        await done(parts)
    (order,) = orders(place)
    assert (order.symbol, order.quantity, order.reference_price) == ("BOLT", D(125), D(40))
    assert order.created_at >= RELEASE + 120 * SECOND
    (cycle,) = rebalances(place)
    assert [e.error for e in cycle.errors] == [
        "no price of ACME since the open: it is left as it is"
    ]


async def test_a_stop_ends_the_hold_and_nothing_is_sent() -> None:
    place = place_at(NINE)
    async with place.running() as parts:
        due(place, parts)
        await place.clock.sleep_until(NINE + 60 * SECOND)
        await parts.control.stop(reason="enough", cancel_open_orders=False, actor="operator")
        await place.clock.sleep_until(RELEASE + 60 * SECOND)
    (cycle,) = rebalances(place)
    assert cycle.status is CycleStatus.CANCELLED
    assert place.venue.submits == []


async def test_an_order_that_still_works_is_not_made_again() -> None:
    place = place_at(OPEN)
    place.venue.script(ACCEPT, ACCEPT)
    async with place.running() as parts:
        due(place, parts)
        while len(place.venue.submits) < 2:  # noqa: ASYNC110 -- a turn of the loop, not a time
            await asyncio.sleep(0)
        await parts.scheduler.cancel_all()
        await rebalanced(place, parts)
        for trade in desk_of(parts).trades:
            await trade.ended.wait()
    assert len(orders(place)) == 2
    assert len(place.store.of(Decision, DEFAULT_AGENT)) == 2, "not even asked for"


async def lived(place: Place, journal: MemoryJournal) -> None:
    async with place.running(journal) as parts:
        due(place, parts, NINE)
        await done(parts)


async def next_life(place: Place) -> None:
    """The next process: what was open is settled, then the fire is caught up."""
    async with place.running() as parts:
        for trade in desk_of(parts).trades:
            await trade.ended.wait()
        await parts.scheduler._arrive()
        await done(parts)


@pytest.mark.parametrize("durable", [False, True])
async def test_no_leg_is_sent_twice_whichever_commit_the_process_dies_at(durable: bool) -> None:
    place = place_at(NINE)
    counting = MemoryJournal(place.store)
    await lived(place, counting)
    for at in range(3, len(counting.changes) + 1):
        place = place_at(NINE)
        journal = CrashingJournal(place.store, at=at, durable=durable)
        with pytest.raises(BaseExceptionGroup) as caught:
            await lived(place, journal)
        assert caught.group_contains(Crash)
        await next_life(place)
        filled = [o for o in orders(place) if o.status is OrderStatus.FILLED]
        assert {o.symbol: o.quantity for o in filled} == {"ACME": D(99), "BOLT": D(100)}, at
        assert len(filled) == 2, at
        assert (await place.position("ACME"), await place.position("BOLT")) == (D(99), D(100))
        assert len(place.store.of(Saga, DEFAULT_AGENT)) == len(orders(place))
        assert await place.broken() == []
