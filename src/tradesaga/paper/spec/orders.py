"""Orders in the words of the spec dialect: what is asked for, and how they are shown."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from tradesaga.paper.orders import Order, OrderStatus, OrderType, Side, Ticket
from tradesaga.paper.prices import tick_of
from tradesaga.paper.spec.events import broker_order_id
from tradesaga.paper.spec.wire import Wire, invalid, usable

CLIENT_ORDER_ID_LETTERS_MAX = 64
SYMBOL_LETTERS_MAX = 10


class NewOrder(Wire, frozen=True, kw_only=True):
    """The body of `POST /orders`; `orderType` is read where `type` is missing."""

    symbol: str
    side: str
    quantity: Decimal | None = None
    type: str | None = None
    order_type: str | None = None
    time_in_force: str = "day"
    limit_price: Decimal | None = None
    extended_hours: bool = False
    client_order_id: str | None = None
    strategy_id: str | None = None


class Accepted(Wire, frozen=True, kw_only=True):
    """What an accepted order is answered with."""

    order_id: str
    status: str
    created_at: datetime
    client_order_id: str | None = None


class ShownFill(Wire, frozen=True, kw_only=True):
    """One execution of an order."""

    execution_id: str
    quantity: Decimal
    price: Decimal
    commission: Decimal
    cumulative_quantity: Decimal
    filled_at: datetime
    busted: bool = False
    bust_reason: str | None = None


class ShownOrder(Wire, frozen=True, kw_only=True):
    """An order as look-ups show it."""

    order_id: str
    broker_order_id: str
    client_order_id: str | None = None
    strategy_id: str | None = None
    symbol: str
    side: Side
    type: OrderType
    time_in_force: str
    quantity: Decimal
    filled_quantity: Decimal
    remaining_quantity: Decimal
    status: OrderStatus
    average_price: Decimal | None = None
    limit_price: Decimal | None = None
    extended_hours: bool
    reason: str | None = None
    fills: tuple[ShownFill, ...]
    created_at: datetime
    updated_at: datetime


def shown(order: Order) -> ShownOrder:
    """The order in the dialect's words."""
    ticket = order.ticket
    return ShownOrder(
        order_id=order.order_id,
        broker_order_id=broker_order_id(order),
        client_order_id=ticket.client_order_id,
        strategy_id=ticket.strategy_id,
        symbol=ticket.symbol,
        side=ticket.side,
        type=ticket.type,
        time_in_force="day",
        quantity=ticket.quantity,
        filled_quantity=order.filled - order.busted,
        remaining_quantity=order.remaining,
        status=order.status,
        average_price=order.average_price,
        limit_price=ticket.limit_price,
        extended_hours=ticket.extended_hours,
        reason=order.reason,
        fills=tuple(
            ShownFill(
                execution_id=fill.execution_id,
                quantity=fill.quantity,
                price=fill.price,
                commission=fill.commission,
                cumulative_quantity=fill.cumulative,
                filled_at=fill.filled_at,
                busted=fill.busted is not None,
                bust_reason=fill.busted,
            )
            for fill in order.fills
        ),
        created_at=order.created_at,
        updated_at=order.updated_at,
    )


def accepted(order: Order) -> Accepted:
    """What the submit is answered with."""
    return Accepted(
        order_id=order.order_id,
        status="accepted",
        created_at=order.created_at,
        client_order_id=order.ticket.client_order_id,
    )


def ticket_of(
    body: NewOrder, correlation_id: str | None = None, trace: str | None = None
) -> Ticket:
    """The checked order. Raises Refusal with what is wrong in its form."""
    if not body.symbol or len(body.symbol) > SYMBOL_LETTERS_MAX:
        raise invalid(f"symbol: must have 1 to {SYMBOL_LETTERS_MAX} letters")
    if body.side not in list(Side):
        raise invalid("side: must be buy or sell")
    kind = body.type or body.order_type or ""
    if kind not in list(OrderType):
        raise invalid("type: must be market or limit")
    if body.time_in_force != "day":
        raise invalid("timeInForce: must be day")
    client_id = body.client_order_id
    if client_id is not None and not 1 <= len(client_id) <= CLIENT_ORDER_ID_LETTERS_MAX:
        raise invalid(f"clientOrderId: must have 1 to {CLIENT_ORDER_ID_LETTERS_MAX} letters")
    limit = None
    if kind == OrderType.LIMIT:
        limit = usable(body.limit_price, "limitPrice")
        if limit % tick_of(limit):
            raise invalid(f"limitPrice: must be a multiple of {tick_of(limit)}")
    elif body.extended_hours:
        raise invalid("extendedHours: only for limit orders")
    return Ticket(
        symbol=body.symbol,
        side=Side(body.side),
        quantity=usable(body.quantity, "quantity"),
        type=OrderType(kind),
        limit_price=limit,
        extended_hours=body.extended_hours,
        client_order_id=client_id,
        strategy_id=body.strategy_id,
        correlation_id=correlation_id,
        trace=trace,
    )
