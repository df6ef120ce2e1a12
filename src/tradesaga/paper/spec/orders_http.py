"""HTTP of the trading engine: orders. `fills`, `clientOrderId` and the like are additions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath

from tradesaga.paper.desk import TradingDesk
from tradesaga.paper.orders import Order, OrderStatus, OrderType, Side, Ticket
from tradesaga.paper.prices import tick_of
from tradesaga.paper.spec.events import broker_order_id
from tradesaga.paper.spec.http_faults import through_faults
from tradesaga.paper.spec.wire import (
    Wire,
    answer,
    body_of,
    correlation_id_of,
    integer,
    invalid,
    trace_of,
    usable,
)

CLIENT_ORDER_ID_LETTERS_MAX = 64
SYMBOL_LETTERS_MAX = 10
PAGE_DEFAULT, PAGE_MAX = 100, 500
_AnyRequest = Request[Any, Any, Any]


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


@post("/orders")
async def submit(request: _AnyRequest) -> Response[bytes]:
    """Accept an order: 201 with its id, or the reason why not."""
    body = await body_of(request, NewOrder)
    ticket = ticket_of(body, correlation_id_of(request), trace_of(request))
    desk = _desk(request)

    async def act() -> Response[bytes]:
        order = desk.submit(ticket)
        await desk.before_reply(order)
        return answer(accepted(order), 201)

    return await through_faults(request, desk.faults, "submit", act, symbol=ticket.symbol)


@delete("/orders/{order_id:str}", status_code=200)
async def cancel(request: _AnyRequest, order_id: FromPath[str]) -> Response[bytes]:
    """Cancel what is left of an order: 404 if it is unknown, 409 if it is done."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        order = desk.cancel(order_id)
        message = f"order {order_id} is cancelled, {order.filled} were filled"
        return answer({"success": True, "message": message, "orderId": order_id})

    return await through_faults(request, desk.faults, "cancel", act)


class Bust(Wire, frozen=True, kw_only=True):
    """The body of `POST /orders/:orderId/bust`."""

    reason: str = "busted by the exchange"


@post("/orders/{order_id:str}/bust", status_code=200)
async def bust(request: _AnyRequest, order_id: FromPath[str]) -> Response[bytes]:
    """Take the last execution of an order back, as an exchange does: a hook for tests."""
    order = _desk(request).bust(order_id, reason=(await body_of(request, Bust)).reason)
    return answer(shown(order))


@get("/orders/{order_id:str}")
async def one(request: _AnyRequest, order_id: FromPath[str]) -> Response[bytes]:
    """One order with its fills."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        return answer(shown(desk.order(order_id)))

    return await through_faults(request, desk.faults, "order", act)


@get("/orders")
async def several(request: _AnyRequest) -> Response[bytes]:
    """Orders, oldest first: `?status=open|closed|all|<status>&symbol&clientOrderId&limit&after`."""
    desk = _desk(request)
    request.app.state.agent_seen()

    async def act() -> Response[bytes]:
        limit = integer(request, "limit", default=PAGE_DEFAULT, most=PAGE_MAX)
        fits = _filter(request)
        found = []
        for order in desk.orders(client_order_id=request.query_params.get("clientOrderId")):
            if fits(order):
                found.append(order)
            if len(found) > limit:
                break
        body: dict[str, Any] = {"orders": [shown(order) for order in found[:limit]]}
        if len(found) > limit:
            body["nextCursor"] = found[limit - 1].order_id
        return answer(body)

    return await through_faults(request, desk.faults, "orders", act)


def _desk(request: _AnyRequest) -> TradingDesk:
    desk: TradingDesk = request.app.state.desk
    return desk


def accepted(order: Order) -> Accepted:
    """What the submit is answered with."""
    return Accepted(
        order_id=order.order_id,
        status="accepted",
        created_at=order.created_at,
        client_order_id=order.ticket.client_order_id,
    )


def _filter(request: _AnyRequest) -> Callable[[Order], bool]:
    status = request.query_params.get("status", "all")
    symbol = request.query_params.get("symbol")
    after = request.query_params.get("after")
    if status not in ("open", "closed", "all", *OrderStatus):
        raise invalid("status: must be open, closed, all or the status of an order")
    first = 0
    if after is not None:
        number = after.rpartition("_")[2]
        if not number.isdecimal():
            raise invalid("after: must be the id of an order")
        first = int(number)

    def fits(order: Order) -> bool:
        if order.number <= first or symbol not in (None, order.ticket.symbol):
            return False
        if status in ("open", "closed"):
            return order.is_open is (status == "open")
        return status in ("all", order.status)

    return fits


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


HANDLERS = [submit, cancel, bust, one, several]
