"""Figures of a strategy, computed by hand beside each case."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesaga.domain.ids import AgentId, DecisionId, FillId, OrderId, SagaId, TradeId, derived
from tradesaga.domain.orders import Side, Trade
from tradesaga.domain.performance import performance
from tradesaga.domain.strategies import Performance

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def trade(words: str, number: int = 0) -> Trade:
    """`buy 10 @ 5 fee 1 of AAA in order-1`; a negative quantity voids."""
    side, quantity, _, price, _, fee, _, symbol, _, order = words.split()
    return Trade(
        id=TradeId(derived(words, number)),
        agent_id=AgentId(derived("agent")),
        fill_id=FillId(derived(words, number, "fill")),
        order_id=OrderId(derived(order)),
        saga_id=SagaId(derived(order, "saga")),
        decision_id=DecisionId(derived(order, "decision")),
        strategy_id=None,
        symbol=symbol,
        side=Side(side),
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        executed_at=NOW,
    )


@pytest.mark.parametrize(
    ("trades", "pnl", "closed", "win_rate"),
    [
        ([], "0", 0, "0"),
        # a fee counts when it is paid
        (["buy 10 @ 5 fee 1 of A in o1"], "-1", 0, "0"),
        # 10 * (7 - 5) - 2
        (["buy 10 @ 5 fee 1 of A in o1", "sell 10 @ 7 fee 1 of A in o2"], "18", 1, "1"),
        # half is sold: 5 * (7 - 5), nothing closed
        (["buy 10 @ 5 fee 0 of A in o1", "sell 5 @ 7 fee 0 of A in o2"], "10", 0, "0"),
        # first in first out: 10 * (8 - 5) + 5 * (8 - 6); then 5 * (4 - 6): one trip, 30
        (
            [
                "buy 10 @ 5 fee 0 of A in o1",
                "buy 10 @ 6 fee 0 of A in o2",
                "sell 15 @ 8 fee 0 of A in o3",
                "sell 5 @ 4 fee 0 of A in o4",
            ],
            "30",
            1,
            "1",
        ),
        # short: 10 * (9 - 7)
        (["sell 10 @ 9 fee 0 of A in o1", "buy 10 @ 7 fee 0 of A in o2"], "20", 1, "1"),
        # turned over: the long loses 10 * (4 - 5) - 1, the short of 5 wins 5 * (4 - 2)
        (
            [
                "buy 10 @ 5 fee 0 of A in o1",
                "sell 15 @ 4 fee 1 of A in o2",
                "buy 5 @ 2 fee 0 of A in o3",
            ],
            "-1",
            2,
            "0.5",
        ),
        # symbols are apart; what only breaks even is no winner; 1 of 3
        (
            [
                "buy 1 @ 5 fee 0 of A in o1",
                "buy 1 @ 5 fee 0 of B in o2",
                "buy 1 @ 5 fee 0 of C in o3",
                "sell 1 @ 6 fee 0 of A in o4",
                "sell 1 @ 5 fee 0 of B in o5",
                "sell 1 @ 3 fee 0 of C in o6",
            ],
            "-1",
            3,
            "0.3333",
        ),
        # the venue took the first buy back
        (
            [
                "buy 10 @ 5 fee 1 of A in o1",
                "buy 10 @ 6 fee 1 of A in o2",
                "buy -10 @ 5 fee -1 of A in o1",
                "sell 10 @ 7 fee 1 of A in o3",
            ],
            "8",
            1,
            "1",
        ),
    ],
)
def test_figures(trades: list[str], pnl: str, closed: int, win_rate: str) -> None:
    found = performance([trade(words, number) for number, words in enumerate(trades)])
    assert found == Performance(pnl=Decimal(pnl), trades=closed, win_rate=Decimal(win_rate))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["buy", "sell"]),
            st.integers(1, 50),
            st.decimals("0.01", "500", places=2),
            st.decimals("0", "2", places=2),
        ),
        max_size=30,
    )
)
def test_realised_profit_is_cash_plus_what_the_open_lots_cost(
    moves: list[tuple[str, int, Decimal, Decimal]],
) -> None:
    """Closing everything at a price makes profit equal to the cash that has come in."""
    trades = [
        trade(f"{side} {quantity} @ {price} fee {fee} of A in o{number}", number)
        for number, (side, quantity, price, fee) in enumerate(moves)
    ]
    held = sum(t.quantity if t.side is Side.BUY else -t.quantity for t in trades)
    if held:
        side = "sell" if held > 0 else "buy"
        trades.append(trade(f"{side} {abs(held)} @ 100 fee 0 of A in last", len(trades)))
    cash = sum(
        (t.quantity * t.price * (-1 if t.side is Side.BUY else 1) - t.fee for t in trades),
        Decimal(0),
    )
    found = performance(trades)
    assert found.pnl == cash
    assert (found.trades > 0) == bool(trades)
    assert 0 <= found.win_rate <= 1
