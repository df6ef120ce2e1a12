"""What the simulated trading engine keeps: orders, fills, positions, the account.

Values only; `paper/venue.py` alone makes new ones. All sums are exact decimals: cash and the market
value of the positions are equity by construction, a position is the sum of its fills.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

ZERO = Decimal(0)


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How an order is priced."""

    MARKET = "market"
    LIMIT = "limit"


class OrderStatus(StrEnum):
    """Where an order stands; the last three are final."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


OPEN_STATUSES = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})


class Ticket(Struct, frozen=True, kw_only=True):
    """An order as asked for, already checked for form.

    `correlation_id` and `trace` (a traceparent) are what the request named; the order's events bear
    them.
    """

    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    extended_hours: bool = False
    client_order_id: str | None = None
    strategy_id: str | None = None
    correlation_id: str | None = None
    trace: str | None = None


class Fill(Struct, frozen=True, kw_only=True):
    """One execution; `cumulative` is what was filled up to and with it.

    `busted` is why it was taken back, None when it stands. It keeps its place for ever.
    """

    execution_id: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    cumulative: Decimal
    filled_at: datetime
    busted: str | None = None


class Order(Struct, frozen=True, kw_only=True):
    """An accepted order with all its fills.

    `reserve_unit` is the cash set aside for each share still to be bought; `due_at` is when the
    next execution is tried, None when none will be. `stalls`: a fault asked for one partial fill
    and nothing after it.
    """

    order_id: str
    number: int
    ticket: Ticket
    status: OrderStatus
    filled: Decimal
    fills: tuple[Fill, ...]
    reserve_unit: Decimal
    due_at: datetime | None
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
    reason: str | None = None
    stalls: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it can still be filled."""
        return self.status in OPEN_STATUSES

    @property
    def remaining(self) -> Decimal:
        """What is not filled."""
        return self.ticket.quantity - self.filled

    @property
    def reserved(self) -> Decimal:
        """The cash that it keeps from other orders."""
        return self.reserve_unit * self.remaining if self.is_open else ZERO

    @property
    def busted(self) -> Decimal:
        """How much of what was filled has been taken back; it is not filled anew."""
        return sum((fill.quantity for fill in self.fills if fill.busted is not None), ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """The mean price of the fills that stand, to eight decimals; None without any."""
        standing = [fill for fill in self.fills if fill.busted is None]
        if not standing:
            return None
        value = sum((fill.price * fill.quantity for fill in standing), ZERO)
        return mean(value, self.filled - self.busted)


class Position(Struct, frozen=True, kw_only=True):
    """What is held of one symbol; `cost` is what the held shares were bought for."""

    symbol: str
    quantity: Decimal
    cost: Decimal
    bought: Decimal
    bought_for: Decimal
    sold: Decimal
    sold_for: Decimal
    opened_at: datetime

    @property
    def average_entry_price(self) -> Decimal:
        """Cost of a held share, to eight decimals."""
        return mean(self.cost, self.quantity)


class Account(Struct, frozen=True, kw_only=True):
    """Cash and positions; `realized` is the profit of all sales, `realized_today` of `day`'s."""

    cash: Decimal
    positions: dict[str, Position]
    orders_made: int = 0
    realized: Decimal = ZERO
    realized_today: Decimal = ZERO
    day: date | None = None


class Refusal(Exception):
    """The venue says no, in words and with a code; nothing has been accepted."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# ---- what happened, in the venue's own words; a dialect turns them into events ------------------


class OrderSubmitted(Struct, frozen=True):
    """The order was accepted."""

    order: Order
    at: datetime


class OrderFilled(Struct, frozen=True):
    """One more execution of the order."""

    order: Order
    fill: Fill
    at: datetime


class OrderRejected(Struct, frozen=True):
    """The order was accepted, then refused without any fill."""

    order: Order
    code: str
    at: datetime


class OrderCancelled(Struct, frozen=True):
    """What was not filled will not be; `by` is user, system or broker."""

    order: Order
    by: str
    at: datetime


class FillBusted(Struct, frozen=True):
    """An execution was taken back; `order` and `fill` are as they are after it."""

    order: Order
    fill: Fill
    at: datetime


class PositionOpened(Struct, frozen=True):
    """A symbol is held that was not."""

    position: Position
    order: Order
    at: datetime


class PositionUpdated(Struct, frozen=True):
    """More or less of a symbol is held."""

    before: Decimal
    position: Position
    price: Decimal
    realized_today: Decimal
    order: Order
    at: datetime


class PositionClosed(Struct, frozen=True):
    """Nothing is held of the symbol any more; `position` is what it was in all."""

    position: Position
    order: Order
    at: datetime


VenueEvent = (
    OrderSubmitted
    | OrderFilled
    | OrderRejected
    | OrderCancelled
    | FillBusted
    | PositionOpened
    | PositionUpdated
    | PositionClosed
)


def mean(total: Decimal, count: Decimal) -> Decimal:
    """`total` / `count`, exact where eight decimals are enough."""
    return (total / count).quantize(Decimal("1e-8")).normalize() + ZERO if count else ZERO
