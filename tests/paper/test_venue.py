from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.paper.market import D, at, bar, quote, recorded, venue
from tradesaga.paper.orders import (
    Order,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OrderStatus,
    OrderSubmitted,
    OrderType,
    PositionClosed,
    PositionOpened,
    PositionUpdated,
    Refusal,
    Side,
    Ticket,
)
from tradesaga.paper.recordings import Recording
from tradesaga.paper.venue import Venue, VenueRules

FLAT = recorded({"SPY": [bar(minute, "100") for minute in range(391)]})
"""A session at 100.00: bid 100.00, ask 100.01, 1,000 shares a minute, so 100 for an order."""


def buy(quantity: str, **more: object) -> Ticket:
    return Ticket(symbol="SPY", side=Side.BUY, quantity=D(quantity), **more)  # type: ignore[arg-type]  # of a test


def sell(quantity: str, **more: object) -> Ticket:
    return Ticket(symbol="SPY", side=Side.SELL, quantity=D(quantity), **more)  # type: ignore[arg-type]  # of a test


def settled(market: Venue, order: Order, minutes: float) -> Order:
    market.run_due(at(minutes))
    return market.orders[order.order_id]


def test_a_market_order_fills_at_the_minute_in_which_its_latency_ends() -> None:
    market = venue(recorded({"SPY": [bar(0, "100"), bar(1, "101.239", "150")]}))
    order = market.submit(buy("10"), at(1, 10))
    assert order.status is OrderStatus.NEW
    assert order.due_at is not None
    latency = order.due_at - at(1, 10)
    assert timedelta(milliseconds=200) <= latency <= timedelta(milliseconds=800)
    market.run_due(order.due_at - timedelta(microseconds=1))
    assert market.orders[order.order_id].status is OrderStatus.NEW
    done = settled(market, order, 2)
    # The minute opens at 101.239: ask = 101.23 + 0.01; its close of 150 is not yet known to anyone.
    (fill,) = done.fills
    assert (done.status, fill.price, fill.filled_at) == (
        OrderStatus.FILLED,
        D("101.24"),
        order.due_at,
    )
    assert market.account.cash == 100_000 - 10 * D("101.24")
    # The close of minute 1 is over at minute 2 and values the position at 150.
    assert market.equity(at(2)) == market.account.cash + 1500


def test_an_order_near_the_end_of_a_minute_fills_in_the_next() -> None:
    market = venue(recorded({"SPY": [bar(0, "100"), bar(1, "101"), bar(2, "102")]}))
    order = market.submit(buy("1"), at(1, 59.9))
    assert settled(market, order, 3).fills[0].price == D("102.01")


def test_with_quotes_the_recorded_sides_are_paid() -> None:
    quotes = [quote(0, "99.9", "100.1"), quote(1, "100.2", "100.4"), quote(2, "101", "101.3")]
    market = venue(recorded({"SPY": [bar(m, "100") for m in range(3)]}, {"SPY": quotes}))
    bought = settled(market, market.submit(buy("5"), at(1)), 2)
    sold = settled(market, market.submit(sell("5"), at(2)), 3)
    assert (bought.average_price, sold.average_price) == (D("100.4"), D("101"))


def test_without_a_row_for_the_minute_the_order_waits_for_the_next() -> None:
    market = venue(recorded({"SPY": [bar(0, "100"), bar(4, "104")]}))
    order = market.submit(buy("1"), at(1))
    assert settled(market, order, 3.99).status is OrderStatus.NEW
    (fill,) = settled(market, order, 5).fills
    assert (fill.price, fill.filled_at) == (D("104.01"), at(4))


def test_a_tenth_of_the_minutes_volume_is_the_most_for_all_orders_together() -> None:
    market = venue(FLAT)
    first = market.submit(buy("70"), at(1))
    second = market.submit(buy("250"), at(1, 5))
    market.run_due(at(1, 30))
    third = market.submit(buy("5"), at(1, 30))
    market.run_due(at(1, 59))
    assert market.orders[first.order_id].filled + market.orders[second.order_id].filled == 100
    assert market.orders[third.order_id].filled == 0
    assert market.orders[second.order_id].status is OrderStatus.PARTIALLY_FILLED
    done = settled(market, second, 5)
    assert done.status is OrderStatus.FILLED
    assert [fill.cumulative for fill in done.fills][-1] == 250
    assert all(fill.quantity <= 100 for fill in done.fills)


def test_a_limit_order_fills_when_the_market_comes_to_it() -> None:
    market = venue(recorded({"SPY": [bar(0, "100"), bar(1, "100"), bar(2, "99"), bar(3, "98")]}))
    order = market.submit(buy("1", type=OrderType.LIMIT, limit_price=D("99.50")), at(1))
    assert settled(market, order, 1.99).status is OrderStatus.NEW
    # 14:32 opens at 99: the ask of 99.01 is below the limit and is what is paid.
    assert settled(market, order, 3).average_price == D("99.01")


def test_a_day_order_expires_at_the_close() -> None:
    market = venue(FLAT)
    order = market.submit(buy("1", type=OrderType.LIMIT, limit_price=D("50")), at(380))
    gone = settled(market, order, 391)
    assert (gone.status, gone.updated_at) == (OrderStatus.CANCELLED, at(390))
    assert gone.reason == "day order expired at the end of its session"
    assert market.buying_power == 100_000


@pytest.mark.parametrize(
    ("ticket", "when", "code"),
    [
        (buy("1"), -1, "MARKET_CLOSED"),
        (buy("1"), 390, "MARKET_CLOSED"),
        (buy("1", extended_hours=True), 400, "MARKET_CLOSED"),
        (buy("1"), 0.5, "SYMBOL_NOT_TRADABLE"),  # no minute is over yet
        (Ticket(symbol="XXX", side=Side.BUY, quantity=D(1)), 5, "SYMBOL_NOT_TRADABLE"),
        (buy("1000"), 5, "INSUFFICIENT_FUNDS"),  # 1,000 at 100.01 and 2 % are 102,010.2
        (sell("1"), 5, "POSITION_LIMIT"),
    ],
)
def test_what_is_refused_leaves_no_trace(ticket: Ticket, when: float, code: str) -> None:
    market = venue(FLAT)
    with pytest.raises(Refusal) as refused:
        market.submit(ticket, at(when))
    assert refused.value.code == code
    assert not market.orders
    assert not market.drain().events
    assert market.buying_power == 100_000


def test_a_limit_order_for_extended_hours_is_taken_after_the_close() -> None:
    market = venue(FLAT)
    ticket = buy("1", type=OrderType.LIMIT, limit_price=D(100), extended_hours=True)
    assert market.submit(ticket, at(395)).expires_at == at(630)  # 20:00 in New York


def test_the_position_limit_is_of_equity() -> None:
    rules = VenueRules(position_limit_percent=D(10))
    market = venue(FLAT, rules)
    market.submit(buy("100"), at(5))  # 100 at 100 are exactly a tenth
    with pytest.raises(Refusal, match="worth more"):
        venue(FLAT, rules).submit(buy("101"), at(5))


def test_open_buys_reserve_and_an_opposite_order_is_a_wash_trade() -> None:
    market = venue(FLAT)
    order = market.submit(buy("100"), at(5))
    # The shown ask of 100.01 and two per cent, for each share.
    assert market.buying_power == 100_000 - 100 * D("100.01") * D("1.02")
    with pytest.raises(Refusal) as refused:
        market.submit(sell("1"), at(5))
    assert refused.value.code == "WASH_TRADE"
    market.cancel(order.order_id, at(5), by="user", reason="test")
    assert market.buying_power == 100_000


def test_not_more_can_be_sold_than_is_held_and_not_yet_on_sale() -> None:
    market = venue(FLAT)
    market.submit(buy("50"), at(5))
    market.submit(sell("30", type=OrderType.LIMIT, limit_price=D(200)), at(7))
    with pytest.raises(Refusal, match="20 SPY can be sold"):
        market.submit(sell("21"), at(8))
    market.submit(sell("20"), at(8))


def test_a_price_that_has_run_away_ends_the_order_when_the_cash_is_gone() -> None:
    rising = recorded({"SPY": [bar(0, "100"), bar(1, "100"), bar(2, "1500", volume="5000")]})
    market = venue(rising, cash=D(1100))
    order = market.submit(buy("10"), at(1, 59.9))
    gone = settled(market, order, 3)
    # At 1500.01 each not one share can be paid from 1,100.
    assert (gone.status, gone.filled) == (OrderStatus.REJECTED, D(0))
    assert market.account.cash == 1100
    rejected = [event for event in market.drain().events if isinstance(event, OrderRejected)]
    assert [event.code for event in rejected] == ["INSUFFICIENT_FUNDS"]


def test_cancel_knows_unknown_done_and_partly_filled_orders() -> None:
    market = venue(FLAT)
    with pytest.raises(Refusal, match="not known"):
        market.cancel("ord_x", at(5), by="user", reason="test")
    order = market.submit(buy("150"), at(5))
    market.run_due(at(5, 30))
    gone = market.cancel(order.order_id, at(5, 40), by="user", reason="test")
    assert (gone.status, gone.filled, gone.remaining) == (OrderStatus.CANCELLED, D(100), D(50))
    with pytest.raises(Refusal, match="is cancelled, it cannot"):
        market.cancel(order.order_id, at(5, 50), by="user", reason="test")


def test_a_client_order_id_is_unique_for_ever_where_it_is_honoured() -> None:
    market = venue(FLAT)
    order = market.submit(buy("1", client_order_id="ts-1"), at(5))
    market.cancel(order.order_id, at(5), by="user", reason="test")
    with pytest.raises(Refusal) as refused:
        market.submit(buy("1", client_order_id="ts-1"), at(5))
    assert refused.value.message == "client_order_id must be unique"
    found = market.by_client_id("ts-1")
    assert found is not None
    assert found.order_id == order.order_id


def test_a_venue_that_ignores_client_order_ids_makes_two_orders() -> None:
    market = venue(FLAT, VenueRules(honours_client_order_id=False))
    orders = [market.submit(buy("1", client_order_id="ts-1"), at(5)) for _ in range(2)]
    assert len({order.order_id for order in orders}) == 2
    assert all(order.ticket.client_order_id is None for order in orders)
    assert market.by_client_id("ts-1") is None


def test_a_round_trip_tells_its_story_in_order() -> None:
    market = venue(recorded({"SPY": [bar(m, "100" if m < 4 else "110") for m in range(9)]}))
    market.submit(buy("10"), at(1))
    market.submit(buy("10"), at(2))
    market.submit(sell("20"), at(5))
    market.run_due(at(6))
    events = market.drain().events
    assert [type(event) for event in events] == [
        OrderSubmitted, OrderFilled, PositionOpened,
        OrderSubmitted, OrderFilled, PositionUpdated,
        OrderSubmitted, OrderFilled, PositionClosed,
    ]  # fmt: skip
    # Bought 20 at 100.01, sold at 110.00: 20 x 9.99.
    assert market.account.realized == D("199.80")
    assert market.account.cash == 100_000 + D("199.80")
    assert not market.account.positions
    assert not market.drain().events


def test_the_same_seed_draws_the_same_latencies_after_a_restart() -> None:
    def moments(rules: VenueRules) -> list[object]:
        market = venue(FLAT, rules)
        first = market.submit(buy("1"), at(5))
        again = Venue(market._prices, rules, market.account, list(market.orders.values()))
        return [first.due_at, again.submit(buy("1"), at(6)).due_at]

    assert moments(VenueRules(seed=3)) == moments(VenueRules(seed=3))
    assert moments(VenueRules(seed=3)) != moments(VenueRules(seed=4))


def test_random_partial_fills_come_to_the_whole() -> None:
    market = venue(FLAT, VenueRules(partial_probability=0.9))
    done = settled(market, market.submit(buy("90"), at(5)), 60)
    assert done.status is OrderStatus.FILLED
    assert len(done.fills) > 1
    assert sum(fill.quantity for fill in done.fills) == 90


def test_a_stalled_order_is_filled_in_part_and_never_again() -> None:
    market = venue(FLAT)
    order = market.submit(buy("90"), at(5))
    market.stall_after_part(order.order_id)
    part = settled(market, order, 60)
    assert part.status is OrderStatus.PARTIALLY_FILLED
    assert len(part.fills) == 1
    market.cancel(order.order_id, at(61), by="user", reason="test")
    events = market.drain().events
    assert isinstance(events[-1], OrderCancelled)
    assert events[-1].order.remaining == 90 - part.filled


def test_fractions_of_a_share_are_traded_where_asked_for() -> None:
    thin: Recording = recorded({"SPY": [bar(m, "100", volume="4.2") for m in range(9)]})
    market = venue(thin)
    done = settled(market, market.submit(buy("0.5"), at(1)), 4)
    # 0.42 of 4.2 in the first minute, the rest in the next; a whole share would never come.
    assert [fill.quantity for fill in done.fills] == [Decimal("0.42"), Decimal("0.08")]
    stuck = settled(market, market.submit(buy("1"), at(4)), 9)
    assert stuck.filled == 0
