"""What a strategy has earned, from its own trades.

A round trip goes from flat to flat in one symbol; a trade that turns a position over closes one
and opens the next. Profit is realised first in, first out when a lot is closed; a fee counts when
it is paid. A voided trade and its correction count for nothing.

A shadow strategy is scored the same way, from the trades that its decisions would have made: filled
at once, as a whole and without a fee, at the price that the quote of then gave that side.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from tradesaga.domain.decisions import Action, Decision, Verdict
from tradesaga.domain.ids import FillId, OrderId, SagaId, TradeId
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Side, Trade
from tradesaga.domain.strategies import Performance

RATE_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """What one strategy has earned in one symbol; round trips `closed`, and those `won`."""

    realised: Decimal
    closed: int
    won: int


def performance(trades: Iterable[Trade]) -> Performance:
    """The figures of the trades of one strategy, given in the order of their execution."""
    return figures(earned(trades).values())


def earned(trades: Iterable[Trade]) -> Mapping[str, Earned]:
    """By symbol, from the trades of one strategy in the order of their execution."""
    books = defaultdict[str, _Book](_Book)
    for trade in _standing(trades):
        books[trade.symbol].take(trade)
    return {
        symbol: Earned(
            realised=book.realised,
            closed=len(book.closed),
            won=sum(1 for profit in book.closed if profit > ZERO),
        )
        for symbol, book in books.items()
    }


def figures(symbols: Iterable[Earned]) -> Performance:
    """The figures of a strategy from what it has earned in its symbols."""
    parts = list(symbols)
    closed = sum(part.closed for part in parts)
    won = sum(part.won for part in parts)
    return Performance(
        pnl=sum((part.realised for part in parts), ZERO),
        trades=closed,
        win_rate=(Decimal(won) / closed).quantize(RATE_STEP) if closed else ZERO,
    )


def imagined(decisions: Iterable[Decision]) -> Performance:
    """The figures of the decisions of one shadow strategy, in the order of their making."""
    trades = [_imagined_trade(one) for one in decisions if one.verdict is Verdict.SHADOW]
    return replace(performance(trades), hypothetical=True)


def _imagined_trade(decision: Decision) -> Trade:
    return Trade(
        id=TradeId(decision.id),
        agent_id=decision.agent_id,
        fill_id=FillId(decision.id),
        order_id=OrderId(decision.id),
        saga_id=SagaId(decision.id),
        decision_id=decision.id,
        strategy_id=decision.strategy_id,
        symbol=decision.symbol,
        side=Side.BUY if decision.action is Action.BUY else Side.SELL,
        quantity=decision.quantity,
        price=decision.reference_price,
        fee=ZERO,
        executed_at=decision.created_at,
    )


class _Book:
    """The open lots of one symbol, the oldest first; quantities are signed."""

    def __init__(self) -> None:
        self.realised = ZERO
        self.closed: list[Decimal] = []
        self._lots = deque[tuple[Decimal, Decimal]]()
        self._at_open = ZERO

    def take(self, trade: Trade) -> None:
        if not self._lots:
            self._at_open = self.realised
        self.realised -= trade.fee
        left = trade.quantity if trade.side is Side.BUY else -trade.quantity
        while left and self._lots and (self._lots[0][0] > ZERO) != (left > ZERO):
            left = self._close_oldest(left, trade.price)
        if left:
            self._lots.append((left, trade.price))

    def _close_oldest(self, left: Decimal, price: Decimal) -> Decimal:
        """Close as much of the oldest lot as `left` covers; return what remains of `left`."""
        held, paid = self._lots.popleft()
        part = held if abs(held) <= abs(left) else -left
        self.realised += part * (price - paid)
        if part != held:
            self._lots.appendleft((held - part, paid))
        elif not self._lots:
            self.closed.append(self.realised - self._at_open)
            self._at_open = self.realised
        return left + part


def _standing(trades: Iterable[Trade]) -> list[Trade]:
    """The trades without those that the venue took back, and without the corrections."""
    given = list(trades)
    voids = defaultdict[tuple[OrderId, Decimal, Decimal], int](int)
    for trade in given:
        if trade.quantity < ZERO:
            voids[trade.order_id, -trade.quantity, trade.price] += 1
    standing = []
    for trade in given:
        key = trade.order_id, trade.quantity, trade.price
        if trade.quantity > ZERO and not voids[key]:
            standing.append(trade)
        elif trade.quantity > ZERO:
            voids[key] -= 1
    return standing
