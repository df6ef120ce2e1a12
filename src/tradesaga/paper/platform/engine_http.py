"""HTTP of the platform's trading engine. There is no account, and no look-up by a client's id."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from tradesaga.paper.platform.books import CANCELABLE, ZERO, Limits, Order, Wish
from tradesaga.paper.platform.engine import Engine, Failed, RiskRefusal
from tradesaga.paper.platform.wire import AnyRequest, answer, fields_of, page
from tradesaga.paper.spec.http_faults import through_faults

REQUIRED = ("symbol", "side", "quantity", "orderType")


@post("/orders")
async def submit(request: AnyRequest) -> Response[bytes]:
    """Take an order: 201, 400 for its form, 422 for the risk check."""
    engine, body = _engine(request), await fields_of(request)
    if body is None:
        return page(request, 400, "SyntaxError: Unexpected token in JSON")
    if (wrong := _wrong(body)) is not None:
        return answer(wrong, 400)
    wish = _wish(body)

    async def act() -> Response[bytes]:
        try:
            order = await engine.submit(wish)
        except RiskRefusal as error:
            return answer({"error": "Risk check failed", "reason": str(error)}, 422)
        except Failed as error:
            told = {
                "success": False,
                "orderId": error.order.order_id,
                "error": str(error),
                "status": "failed",
            }
            return answer(told, 400)
        is_filled = order.filled_price is not None
        told = {
            "success": True,
            "orderId": order.order_id,
            "filledQuantity": order.filled_quantity if is_filled else None,
            "filledPrice": order.filled_price,
            "status": order.status,
        }
        return answer(told, 201)

    return await through_faults(request, engine.faults, "submit", act, symbol=wish.symbol)


@delete("/orders/{order_id:str}", status_code=200)
async def cancel(request: AnyRequest, order_id: FromPath[str]) -> Response[bytes]:
    """Cancel: 404 for an unknown order, and for one that has ended, too."""
    engine = _engine(request)

    async def act() -> Response[bytes]:
        order = engine.books.orders.get(order_id)
        if order is None:
            return answer({"error": "Order not found"}, 404)
        if order.status not in CANCELABLE:
            return answer({"error": f"Cannot cancel order in {order.status} status"}, 404)
        await engine.cancel(order)
        return answer({"success": True, "orderId": order_id, "message": "Order canceled"})

    return await through_faults(request, engine.faults, "cancel", act)


@get("/orders/{order_id:str}")
async def one(request: AnyRequest, order_id: FromPath[str]) -> Response[bytes]:
    """One order."""
    engine = _engine(request)

    async def act() -> Response[bytes]:
        order = engine.books.orders.get(order_id)
        if order is None:
            return answer({"error": "Order not found"}, 404)
        return answer(order)

    return await through_faults(request, engine.faults, "order", act)


@get("/orders")
async def several(request: AnyRequest) -> Response[bytes]:
    """All orders of this life; of the filters only `?status=active` is heeded."""
    engine = _engine(request)
    request.app.state.agent_seen()

    async def act() -> Response[bytes]:
        orders: list[Order] = list(engine.books.orders.values())
        if request.query_params.get("status") == "active":
            orders = [order for order in orders if order.status in ("pending", "submitted")]
        return answer({"orders": orders, "count": len(orders)})

    return await through_faults(request, engine.faults, "orders", act)


@get("/positions")
async def positions(request: AnyRequest) -> Response[bytes]:
    """All positions, longs and shorts side by side: `?symbol=`."""
    engine = _engine(request)
    request.app.state.agent_seen()

    async def act() -> Response[bytes]:
        symbol = request.query_params.get("symbol")
        held = [p for p in engine.books.positions.values() if symbol in (None, p.symbol)]
        body = {
            "positions": held,
            "count": len(held),
            "totalExposure": engine.books.exposure,
            "unrealizedPnl": ZERO,
        }
        return answer(body)

    return await through_faults(request, engine.faults, "positions", act)


@get("/positions/{position_id:str}")
async def position(request: AnyRequest, position_id: FromPath[str]) -> Response[bytes]:
    """One position by its id; a symbol is no id."""
    held = _engine(request).books.positions.get(position_id)
    return answer({"error": "Position not found"}, 404) if held is None else answer(held)


@post("/positions/{position_id:str}/close", status_code=200)
async def close(request: AnyRequest, position_id: FromPath[str]) -> Response[bytes]:
    """Close a position whole, at the `exitPrice` that the caller names."""
    engine, body = _engine(request), await fields_of(request)

    async def act() -> Response[bytes]:
        held = engine.books.positions.get(position_id)
        if held is None:
            return answer({"error": "Position not found"}, 404)
        named = (body or {}).get("exitPrice")
        gain = await engine.close(held, named if isinstance(named, Decimal) else None)
        told = {
            "success": True,
            "positionId": position_id,
            "realizedPnl": gain,
            "message": "Position closed",
        }
        return answer(told)

    return await through_faults(request, engine.faults, "close", act)


@get("/risk/limits")
async def limits(request: AnyRequest) -> Response[bytes]:
    """The four limits, as far as there are any."""
    return answer(_engine(request).books.limits)


@put("/risk/limits")
async def set_limits(request: AnyRequest) -> Response[bytes]:
    """Replace all four: what is not given is gone."""
    body = await fields_of(request) or {}
    count = body.get("maxPositionsCount")
    _engine(request).books.limits = Limits(
        max_position_size_percent=body.get("maxPositionSizePercent"),
        max_total_exposure_percent=body.get("maxTotalExposurePercent"),
        max_positions_count=None if count is None else int(count),
        daily_loss_limit_percent=body.get("dailyLossLimitPercent"),
    )
    return answer(_engine(request).books.limits)


@post("/risk/check", status_code=200)
async def check(request: AnyRequest) -> Response[bytes]:
    """Whether an order would pass."""
    body = await fields_of(request) or {}
    if (wrong := _wrong(body)) is not None:
        return answer(wrong, 400)
    reason = _engine(request).books.refusal(_wish(body))
    return answer({"allowed": not reason, "reason": reason or None})


def _engine(request: AnyRequest) -> Engine:
    engine: Engine = request.app.state.desk
    return engine


def _wrong(body: dict[str, Any]) -> dict[str, Any] | None:
    """What is wrong in the form of an order."""
    if not all(body.get(name) for name in REQUIRED):
        return {"error": "Missing required fields", "required": list(REQUIRED)}
    if body["side"] not in ("buy", "sell"):
        return {"error": "Invalid side. Must be buy or sell"}
    if body["orderType"] not in ("market", "limit"):
        return {"error": "Invalid orderType. Must be market or limit"}
    if body["orderType"] == "limit" and not body.get("limitPrice"):
        return {"error": "Limit price required for limit orders"}
    return None


def _wish(body: dict[str, Any]) -> Wish:
    def number(name: str) -> Decimal | None:
        value = body.get(name)
        return value if isinstance(value, Decimal) and value.is_finite() else None

    return Wish(
        symbol=str(body["symbol"]),
        side=body["side"],
        quantity=number("quantity") or ZERO,
        order_type=body["orderType"],
        limit_price=number("limitPrice"),
        stop_loss=number("stopLoss"),
        take_profit=number("takeProfit"),
        time_in_force=str(body.get("timeInForce") or "day"),
    )


HANDLERS = [
    submit, cancel, one, several, positions, position, close, limits, set_limits, check,
]  # fmt: skip
