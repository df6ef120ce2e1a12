"""HTTP of the trading engine: orders. `fills`, `clientOrderId` and the like are additions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath

from tradesaga.paper.desk import TradingDesk
from tradesaga.paper.orders import Order, OrderStatus
from tradesaga.paper.spec.http_faults import through_faults
from tradesaga.paper.spec.http_messages import answer, body_of, correlation_id_of, integer, trace_of
from tradesaga.paper.spec.orders import NewOrder, accepted, shown, ticket_of
from tradesaga.paper.spec.wire import Wire, invalid

PAGE_DEFAULT, PAGE_MAX = 100, 500
_AnyRequest = Request[Any, Any, Any]


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


HANDLERS = [submit, cancel, bust, one, several]
