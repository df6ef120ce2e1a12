"""What one fill does to the account: pure arithmetic of cash, cost and realised profit."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from tradesaga.paper.orders import (
    ZERO,
    Account,
    Fill,
    Order,
    Position,
    PositionClosed,
    PositionOpened,
    PositionUpdated,
    Refusal,
    Side,
)
from tradesaga.paper.sessions import day_of


def booked(
    account: Account, order: Order, fill: Fill
) -> tuple[Account, PositionOpened | PositionUpdated | PositionClosed]:
    """The account after `fill`, and what it meant for the position. Never shorts: asserts it."""
    symbol = order.ticket.symbol
    before = account.positions.get(symbol)
    value = fill.price * fill.quantity
    if order.ticket.side is Side.BUY:
        after = _bought(before, symbol, fill, value)
        cash, gained = -value - fill.commission, -fill.commission
    else:
        assert before is not None, f"{symbol} sold but not held"
        after, cost = _sold(before, fill, value)
        cash, gained = value - fill.commission, value - cost - fill.commission
    positions = {**account.positions, symbol: after}
    if not after.quantity:
        del positions[symbol]
    day = day_of(fill.filled_at)
    today = account.realized_today if day == account.day else ZERO
    booked_account = replace(
        account,
        cash=account.cash + cash,
        positions=positions,
        realized=account.realized + gained,
        realized_today=today + gained,
        day=day,
    )
    assert booked_account.cash >= ZERO, f"cash {booked_account.cash} after {order.order_id}"
    return booked_account, _meaning(before, after, booked_account, order, fill)


def taken_back(account: Account, order: Order, fill: Fill) -> Account:
    """The account without `fill`.

    Raises:
        Refusal: what it bought has been sold, or what it sold for has been spent.
    """
    symbol, value = order.ticket.symbol, fill.price * fill.quantity
    sign = 1 if order.ticket.side is Side.BUY else -1
    held = account.positions.get(symbol) or _empty(symbol, fill.filled_at)
    cash = account.cash + sign * value + fill.commission
    quantity = held.quantity - sign * fill.quantity
    if quantity < ZERO or cash < ZERO:
        raise Refusal("NOT_BUSTABLE", f"{fill.execution_id} has been traded on")
    after = replace(held, quantity=quantity, cost=held.cost - sign * value if quantity else ZERO)
    if sign > 0:
        after = replace(
            after, bought=held.bought - fill.quantity, bought_for=held.bought_for - value
        )
    else:
        after = replace(after, sold=held.sold - fill.quantity, sold_for=held.sold_for - value)
    positions = {**account.positions, symbol: after}
    if not quantity:
        del positions[symbol]
    return replace(account, cash=cash, positions=positions)


def _meaning(
    before: Position | None, after: Position, account: Account, order: Order, fill: Fill
) -> PositionOpened | PositionUpdated | PositionClosed:
    if before is None:
        return PositionOpened(after, order, fill.filled_at)
    if not after.quantity:
        return PositionClosed(after, order, fill.filled_at)
    return PositionUpdated(
        before.quantity, after, fill.price, account.realized_today, order, fill.filled_at
    )


def _bought(before: Position | None, symbol: str, fill: Fill, value: Decimal) -> Position:
    held = before or _empty(symbol, fill.filled_at)
    return replace(
        held,
        quantity=held.quantity + fill.quantity,
        cost=held.cost + value,
        bought=held.bought + fill.quantity,
        bought_for=held.bought_for + value,
    )


def _sold(before: Position, fill: Fill, value: Decimal) -> tuple[Position, Decimal]:
    """The position left, and what the sold shares had cost on average."""
    quantity = before.quantity - fill.quantity
    assert quantity >= ZERO, f"{before.symbol}: {fill.quantity} sold of {before.quantity}"
    cost = before.cost * fill.quantity / before.quantity if quantity else before.cost
    after = replace(
        before,
        quantity=quantity,
        cost=before.cost - cost,
        sold=before.sold + fill.quantity,
        sold_for=before.sold_for + value,
    )
    return after, cost


def _empty(symbol: str, at: datetime) -> Position:
    return Position(
        symbol=symbol,
        quantity=ZERO,
        cost=ZERO,
        bought=ZERO,
        bought_for=ZERO,
        sold=ZERO,
        sold_for=ZERO,
        opened_at=at,
    )
