"""The platform's trading engine: its books, in memory alone.

    pending -> filled | submitted (a limit out of reach: for ever) -> canceled
            \\-> failed

What is odd here is so on purpose: no id of the client is read or kept, a market order is filled at
once and in full, a sale opens a short beside the long, a closed position returns no cash, what is
sold counts as equity, nothing is marked to market, and a limit that is not given is no limit.
A new process knows nothing of the one before.
"""

from __future__ import annotations

import os
import string
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tradesaga.domain.market_clock import micros_of

ZERO: Final = Decimal(0)
START_EQUITY: Final = Decimal(100_000)
PERCENT: Final = Decimal(100)
CANCELABLE: Final = ("pending", "submitted", "failed")
_DIGITS: Final = string.digits + string.ascii_lowercase


class Limits(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the risk check knows; None is no limit, which a careless PUT leaves behind."""

    max_position_size_percent: Decimal | None = None
    max_total_exposure_percent: Decimal | None = None
    max_positions_count: int | None = None
    daily_loss_limit_percent: Decimal | None = None


DEFAULT_LIMITS: Final = Limits(
    max_position_size_percent=Decimal(10),
    max_total_exposure_percent=Decimal(80),
    max_positions_count=20,
    daily_loss_limit_percent=Decimal(5),
)


class Wish(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an order asks for; everything else in the body is ignored."""

    symbol: str
    side: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    time_in_force: str = "day"
    decision_id: str | None = None


class Order(Struct, frozen=True, kw_only=True, rename="camel"):
    """An order as it is listed."""

    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    stop_loss: Decimal | None
    take_profit: Decimal | None
    time_in_force: str
    status: str
    filled_quantity: Decimal
    filled_price: Decimal | None
    decision_id: str | None
    created_at: datetime
    updated_at: datetime


class Position(Struct, frozen=True, kw_only=True, rename="camel"):
    """A position as it is listed; `currentPrice` stays what the first fill paid."""

    position_id: str
    symbol: str
    side: str
    quantity: Decimal
    entry_price: Decimal
    current_price: Decimal
    unrealized_pnl: Decimal
    opened_at: datetime
    updated_at: datetime

    @property
    def value(self) -> Decimal:
        """At the price that never changes."""
        return self.quantity * self.current_price


PriceOf = Callable[[str, str], Decimal]
"""What a symbol costs on a side now."""


class Books:
    """Orders and positions of one life of the service."""

    def __init__(self, price_of: PriceOf) -> None:
        self._price_of = price_of
        self.orders: dict[str, Order] = {}
        self.positions: dict[str, Position] = {}
        self.limits = DEFAULT_LIMITS
        self._cash = START_EQUITY

    @property
    def exposure(self) -> Decimal:
        """The value of all positions, longs and shorts alike."""
        return sum((held.value for held in self.positions.values()), ZERO)

    @property
    def equity(self) -> Decimal:
        """Cash and longs; a short leaves its sale value in the cash and owes nothing."""
        longs = (held.value for held in self.positions.values() if held.side == "long")
        return self._cash + sum(longs, ZERO)

    def refusal(self, wish: Wish) -> str:
        """Why the risk check refuses it; empty when it passes."""
        limits, equity = self.limits, self.equity
        value = wish.quantity * self._price(wish)
        percent = value / equity * PERCENT if equity > ZERO else PERCENT
        exposure = (self.exposure + value) / equity * PERCENT if equity > ZERO else PERCENT
        if wish.side == "buy" and value > self._cash:
            return f"Insufficient buying power: {value:.2f} needed, {self._cash:.2f} available"
        if _exceeds(percent, limits.max_position_size_percent):
            return f"Position size {percent:.2f}% exceeds limit"
        if _exceeds(exposure, limits.max_total_exposure_percent):
            return f"Total exposure {exposure:.2f}% exceeds limit"
        is_new = self._held(wish.symbol, _direction(wish)) is None
        count = len(self.positions) + is_new
        if is_new and _exceeds(Decimal(count), limits.max_positions_count):
            return "Maximum positions count reached"
        return ""

    def add(self, wish: Wish, now: datetime) -> Order:
        """List a new order as pending."""
        order = Order(
            order_id=identifier("ord", now),
            symbol=wish.symbol.upper(),
            side=wish.side,
            quantity=wish.quantity,
            order_type=wish.order_type,
            limit_price=wish.limit_price,
            stop_loss=wish.stop_loss,
            take_profit=wish.take_profit,
            time_in_force=wish.time_in_force,
            status="pending",
            filled_quantity=ZERO,
            filled_price=None,
            decision_id=wish.decision_id,
            created_at=now,
            updated_at=now,
        )
        self.orders[order.order_id] = order
        return order

    def fail(self, order: Order, now: datetime) -> Order:
        """It stays listed as failed."""
        return self._changed(order, now, status="failed")

    def execute(self, order: Order, now: datetime) -> tuple[Order, Position | None]:
        """Fill it whole at once, or leave a limit for ever; the position if it is a new one."""
        market = self._price_of(order.symbol, order.side)
        limit = order.limit_price
        if order.order_type == "limit" and limit is not None:
            reached = market <= limit if order.side == "buy" else market >= limit
            if not reached:
                return self._changed(order, now, status="submitted"), None
        price = market if limit is None else limit
        filled = self._changed(
            order, now, status="filled", filled_quantity=order.quantity, filled_price=price
        )
        value = price * order.quantity
        self._cash += -value if order.side == "buy" else value
        return filled, self._book(filled, price, now)

    def cancel(self, order: Order, now: datetime) -> Order:
        """It will not be filled."""
        return self._changed(order, now, status="canceled")

    def close(self, position: Position, exit_price: Decimal | None) -> tuple[Decimal, Decimal]:
        """Forget it, whole; the exit price and the profit. No cash comes back."""
        price = position.current_price if exit_price is None else exit_price
        gain = (price - position.entry_price) * position.quantity
        del self.positions[position.position_id]
        return price, gain if position.side == "long" else -gain

    def _price(self, wish: Wish) -> Decimal:
        if wish.limit_price is not None:
            return wish.limit_price
        return self._price_of(wish.symbol, wish.side)

    def _held(self, symbol: str, side: str) -> Position | None:
        return next(
            (p for p in self.positions.values() if (p.symbol, p.side) == (symbol.upper(), side)),
            None,
        )

    def _book(self, order: Order, price: Decimal, now: datetime) -> Position | None:
        """Only a new (symbol, side) is news; adding to one is not."""
        side = "long" if order.side == "buy" else "short"
        held = self._held(order.symbol, side)
        if held is not None:
            quantity = held.quantity + order.quantity
            cost = held.entry_price * held.quantity + price * order.quantity
            self.positions[held.position_id] = replace(
                held, quantity=quantity, entry_price=cost / quantity, updated_at=now
            )
            return None
        opened = Position(
            position_id=identifier("pos", now),
            symbol=order.symbol,
            side=side,
            quantity=order.quantity,
            entry_price=price,
            current_price=price,
            unrealized_pnl=ZERO,
            opened_at=now,
            updated_at=now,
        )
        self.positions[opened.position_id] = opened
        return opened

    def _changed(
        self,
        order: Order,
        now: datetime,
        *,
        status: str,
        filled_quantity: Decimal = ZERO,
        filled_price: Decimal | None = None,
    ) -> Order:
        after = replace(
            order,
            status=status,
            filled_quantity=filled_quantity,
            filled_price=filled_price,
            updated_at=now,
        )
        self.orders[order.order_id] = after
        return after


def identifier(prefix: str, now: datetime) -> str:
    """An id as the platform makes them: no UUID, the millisecond and nine letters of chance."""
    chance = int.from_bytes(os.urandom(8), "big")
    letters = []
    for _ in range(9):
        chance, digit = divmod(chance, len(_DIGITS))
        letters.append(_DIGITS[digit])
    return f"{prefix}_{micros_of(now) // 1000}_{''.join(letters)}"


def _direction(wish: Wish) -> str:
    return "long" if wish.side == "buy" else "short"


def _exceeds(value: Decimal, limit: Decimal | int | None) -> bool:
    return limit is not None and value > limit
