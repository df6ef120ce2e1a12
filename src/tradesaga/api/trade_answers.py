"""The answers of the API about orders, fills, reservations and positions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec import Struct

from tradesaga.api.answers import Timestamp, stamp, stamp_or_none
from tradesaga.api.cycle_answers import OrderAnswer, order_answer
from tradesaga.domain.external import ExternalOrder
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Fill, Order, Reservation
from tradesaga.ports.records import PositionSums


class OrdersAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of orders, the latest first."""

    orders: list[OrderAnswer]
    next_cursor: str | None


class ExternalOrderAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """An order that is not ours as it was last seen; null is what nobody told.

    `kind` is `stray` when it bears an id of our shape, `forgotten` when that is from before the
    books were set back, `warnedAt` when the ladder was told of it.
    """

    venue_order_id: str
    client_order_id: str | None
    kind: str
    state: str
    symbol: str
    side: str | None
    quantity: Decimal | None
    filled_quantity: Decimal
    type: str | None
    limit_price: Decimal | None
    decision_id: str | None
    placed_at: Timestamp | None
    seen_at: Timestamp
    ended_at: Timestamp | None
    warned_at: Timestamp | None


class ExternalOrdersAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of orders that are not ours, the latest seen first."""

    orders: list[ExternalOrderAnswer]
    next_cursor: str | None


class FillAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A booked execution; a negative `quantity` takes one back."""

    id: str
    venue_fill_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    filled_at: Timestamp
    recorded_at: Timestamp


class ReservationAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """Buying power set aside; `outstanding` is what still reduces that of others."""

    id: str
    saga_id: str
    symbol: str
    state: str
    amount: Decimal
    consumed: Decimal
    released: Decimal
    outstanding: Decimal
    created_at: Timestamp
    closed_at: Timestamp | None


class ReservationsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of reservations, the latest first."""

    reservations: list[ReservationAnswer]
    next_cursor: str | None


class PositionAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A symbol's sums over all fills; `quantity` is negative when short, `average*` null at 0."""

    symbol: str
    status: str
    quantity: Decimal
    bought_quantity: Decimal
    average_bought: Decimal | None
    sold_quantity: Decimal
    average_sold: Decimal | None
    fees: Decimal


class PositionsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of positions, by symbol."""

    positions: list[PositionAnswer]
    next_cursor: str | None


def orders_answer(orders: Iterable[Order], next_cursor: str | None) -> OrdersAnswer:
    """The list."""
    return OrdersAnswer(orders=[order_answer(order) for order in orders], next_cursor=next_cursor)


def external_answer(
    orders: Iterable[ExternalOrder], next_cursor: str | None
) -> ExternalOrdersAnswer:
    """The list of orders that are not ours."""
    return ExternalOrdersAnswer(
        next_cursor=next_cursor,
        orders=[
            ExternalOrderAnswer(
                venue_order_id=order.venue_order_id,
                client_order_id=order.client_order_id,
                kind=order.kind,
                state=order.state,
                symbol=order.symbol,
                side=order.side,
                quantity=order.quantity,
                filled_quantity=order.filled_quantity,
                type=order.type,
                limit_price=order.limit_price,
                decision_id=order.decision_id,
                placed_at=stamp_or_none(order.placed_at),
                seen_at=stamp(order.seen_at),
                ended_at=stamp_or_none(order.ended_at),
                warned_at=stamp_or_none(order.warned_at),
            )
            for order in orders
        ],
    )


def reservations_answer(held: Iterable[Reservation], next_cursor: str | None) -> ReservationsAnswer:
    """The list."""
    return ReservationsAnswer(
        reservations=[reservation_answer(one) for one in held], next_cursor=next_cursor
    )


def positions_answer(positions: Sequence[PositionSums], next_cursor: str | None) -> PositionsAnswer:
    """The list."""
    return PositionsAnswer(
        positions=[position_answer(one) for one in positions], next_cursor=next_cursor
    )


def status_of(position: PositionSums) -> str:
    """`open`, or `flat` when nothing is held."""
    return "open" if position.quantity != ZERO else "flat"


def fill_answer(fill: Fill) -> FillAnswer:
    """One fill."""
    return FillAnswer(
        id=str(fill.id),
        venue_fill_id=fill.venue_fill_id,
        symbol=fill.symbol,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        filled_at=stamp(fill.filled_at),
        recorded_at=stamp(fill.recorded_at),
    )


def reservation_answer(held: Reservation) -> ReservationAnswer:
    """One reservation."""
    return ReservationAnswer(
        id=str(held.id),
        saga_id=str(held.saga_id),
        symbol=held.symbol,
        state=held.state,
        amount=held.amount,
        consumed=held.consumed,
        released=held.released,
        outstanding=held.outstanding,
        created_at=stamp(held.created_at),
        closed_at=stamp_or_none(held.closed_at),
    )


def position_answer(sums: PositionSums) -> PositionAnswer:
    """One symbol."""
    return PositionAnswer(
        symbol=sums.symbol,
        status=status_of(sums),
        quantity=sums.quantity,
        bought_quantity=sums.bought_quantity,
        average_bought=_mean(sums.bought_value, sums.bought_quantity),
        sold_quantity=sums.sold_quantity,
        average_sold=_mean(sums.sold_value, sums.sold_quantity),
        fees=sums.fees,
    )


def _mean(value: Decimal, quantity: Decimal) -> Decimal | None:
    return value / quantity if quantity else None
