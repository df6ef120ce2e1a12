"""Whatever orders come, the books add up: after every single event, and after a restart."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paper.market import OPEN, D, bar, recorded, venue
from tradesaga.paper.orders import OrderType, Refusal, Side, Ticket
from tradesaga.paper.venue import Venue, VenueRules

CASH = D(30_000)
"""Little, so that orders compete for it."""
PRICES = ["100", "101.5", "99.333", "140", "80.017", "100.5", "103", "97", "2.5", "200"]
MARKET = recorded(
    {
        "SPY": [bar(m, PRICES[m % 10], PRICES[(m + 3) % 10], str(400 + m)) for m in range(391)],
        "BAC": [bar(m, PRICES[(m * 7) % 10], volume="90") for m in range(0, 391, 3)],
    }
)

tickets = st.builds(
    Ticket,
    symbol=st.sampled_from(["SPY", "BAC"]),
    side=st.sampled_from(Side),
    quantity=st.one_of(
        st.integers(1, 900).map(Decimal), st.decimals("0.01", "50", places=4, allow_nan=False)
    ),
    type=st.just(OrderType.LIMIT),
    limit_price=st.sampled_from([D("1"), D("90"), D("100.25"), D("150"), D("1000")]),
) | st.builds(
    Ticket,
    symbol=st.sampled_from(["SPY", "BAC"]),
    side=st.sampled_from(Side),
    quantity=st.integers(1, 900).map(Decimal),
)
steps = st.lists(
    st.tuples(st.integers(1, 900), tickets | st.just("cancel") | st.just("restart")),
    min_size=1,
    max_size=25,
)
rules = st.builds(
    VenueRules,
    seed=st.integers(0, 9),
    partial_probability=st.sampled_from([0.0, 0.5]),
    commission_per_share=st.sampled_from([D(0), D("0.005")]),
)


def check(market: Venue, now: datetime) -> None:
    orders = market.orders.values()
    fills = [(order, fill) for order in orders for fill in order.fills]
    for order in orders:
        assert order.filled == sum(fill.quantity for fill in order.fills) <= order.ticket.quantity
        assert [fill.cumulative for fill in order.fills] == sorted(
            fill.cumulative for fill in order.fills
        )
    cash = CASH
    held: dict[str, Decimal] = {}
    for order, fill in fills:
        sign = 1 if order.ticket.side is Side.BUY else -1
        cash -= sign * fill.price * fill.quantity + fill.commission
        held[order.ticket.symbol] = held.get(order.ticket.symbol, D(0)) + sign * fill.quantity
        limit = order.ticket.limit_price
        assert limit is None or (limit - fill.price) * sign >= 0
    assert market.account.cash == cash >= 0
    assert market.buying_power >= 0
    positions = {name: held.quantity for name, held in market.account.positions.items()}
    assert positions == {name: quantity for name, quantity in held.items() if quantity}
    assert all(quantity > 0 for quantity in positions.values())
    value = sum((q * market.value_of(name, now) for name, q in positions.items()), D(0))
    assert market.equity(now) == cash + value


@settings(max_examples=60, deadline=None)
@given(steps, rules)
def test_cash_positions_and_fills_always_add_up(
    script: list[tuple[int, Ticket | str]], how: VenueRules
) -> None:
    market = venue(MARKET, how, CASH)
    now = OPEN + timedelta(minutes=1)
    for seconds, action in script:
        now += timedelta(seconds=seconds)
        if action == "restart":
            market.run_due(now)
            market = Venue(market._prices, how, market.account, list(market.orders.values()))
        elif action == "cancel":
            market.run_due(now)
            for order in market.open_orders[:1]:
                market.cancel(order.order_id, now, by="user", reason="test")
        elif isinstance(action, Ticket):
            try:
                market.submit(action, now)
            except Refusal:
                pass
        check(market, now)
    end = now + timedelta(hours=7)
    market.run_due(end)
    check(market, end)
    assert not market.open_orders
    assert market.reserved == 0
