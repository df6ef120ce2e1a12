"""HTTP of the trading engine: positions and the account; `asOf` and the sums are additions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from litestar import Request, Response, delete, get
from litestar.params import FromPath

from tradesaga.paper.desk import TradingDesk
from tradesaga.paper.orders import Order, OrderType, Position, Refusal, Side, Ticket, mean
from tradesaga.paper.spec.http_faults import through_faults
from tradesaga.paper.spec.http_messages import answer, body_of
from tradesaga.paper.spec.wire import ACCOUNT_ID, Wire, usable

PERCENT = Decimal(100)
_AnyRequest = Request[Any, Any, Any]


class Close(Wire, frozen=True, kw_only=True):
    """The body of `DELETE /positions/:symbol`; without quantity all of it is sold."""

    quantity: Decimal | None = None
    client_order_id: str | None = None
    strategy_id: str | None = None


class ShownPosition(Wire, frozen=True, kw_only=True):
    """A position at the last known price."""

    symbol: str
    quantity: Decimal
    side: str
    average_entry_price: Decimal
    current_price: Decimal
    market_value: Decimal
    unrealized_pnl: Decimal
    unrealized_pnl_percent: Decimal
    cost_basis: Decimal
    opened_at: datetime


class ShownAccount(Wire, frozen=True, kw_only=True):
    """The account; cash + longMarketValue = equity, cash - reserved = buyingPower."""

    account_id: str
    equity: Decimal
    cash: Decimal
    buying_power: Decimal
    reserved: Decimal
    long_market_value: Decimal
    realized_pnl: Decimal
    realized_pnl_today: Decimal
    daytrade_count: int
    pattern_day_trader: bool
    trading_blocked: bool
    account_blocked: bool
    as_of: datetime


def shown(position: Position, price: Decimal) -> ShownPosition:
    """The position in the dialect's words."""
    value = position.quantity * price
    gain = value - position.cost
    return ShownPosition(
        symbol=position.symbol,
        quantity=position.quantity,
        side="long",
        average_entry_price=position.average_entry_price,
        current_price=price,
        market_value=value,
        unrealized_pnl=gain,
        unrealized_pnl_percent=mean(gain * PERCENT, position.cost),
        cost_basis=position.cost,
        opened_at=position.opened_at,
    )


@get("/positions")
async def several(request: _AnyRequest) -> Response[bytes]:
    """All positions, total equity and buying power."""
    desk = _desk(request)
    request.app.state.agent_seen()

    async def act() -> Response[bytes]:
        equity = desk.equity()
        held = sorted(desk.venue.account.positions.values(), key=lambda held: held.symbol)
        body = {
            "positions": [_shown_now(desk, position) for position in held],
            "totalEquity": equity,
            "buyingPower": desk.venue.buying_power,
        }
        return answer(body)

    return await through_faults(request, desk.faults, "positions", act)


@get("/positions/{symbol:str}")
async def one(request: _AnyRequest, symbol: FromPath[str]) -> Response[bytes]:
    """One position, 404 when nothing is held."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        desk.run_due()
        return answer(_shown_now(desk, _held(desk, symbol)))

    return await through_faults(request, desk.faults, "positions", act, symbol=symbol)


@delete("/positions/{symbol:str}", status_code=200)
async def close(request: _AnyRequest, symbol: FromPath[str]) -> Response[bytes]:
    """Sell a position, or `quantity` of it, at the market."""
    desk = _desk(request)
    wish = await body_of(request, Close)

    async def act() -> Response[bytes]:
        desk.run_due()
        position = _held(desk, symbol)
        quantity = position.quantity
        if wish.quantity is not None:
            quantity = usable(wish.quantity, "quantity")
        order = _sell(desk, symbol, quantity, wish)
        await desk.before_reply(order)
        return answer({"orderId": order.order_id, "status": "accepted"})

    return await through_faults(request, desk.faults, "close", act, symbol=symbol)


@delete("/positions", status_code=200)
async def close_all(request: _AnyRequest) -> Response[bytes]:
    """Sell everything at the market; what cannot be sold now is not counted."""
    desk = _desk(request)

    async def act() -> Response[bytes]:
        desk.run_due()
        closed = []
        for symbol, position in sorted(desk.venue.account.positions.items()):
            try:
                closed.append(_sell(desk, symbol, position.quantity, Close()).order_id)
            except Refusal:
                continue  # told by the count: fewer orders than positions
        return answer({"closedCount": len(closed), "orderIds": closed})

    return await through_faults(request, desk.faults, "close", act)


@get("/account")
async def account(request: _AnyRequest) -> Response[bytes]:
    """Cash, equity, buying power."""
    desk = _desk(request)
    request.app.state.agent_seen()

    async def act() -> Response[bytes]:
        equity = desk.equity()
        books = desk.venue.account
        body = ShownAccount(
            account_id=ACCOUNT_ID,
            equity=equity,
            cash=books.cash,
            buying_power=desk.venue.buying_power,
            reserved=desk.venue.reserved,
            long_market_value=equity - books.cash,
            realized_pnl=books.realized,
            realized_pnl_today=books.realized_today,
            daytrade_count=0,
            pattern_day_trader=False,
            trading_blocked=False,
            account_blocked=False,
            as_of=desk.now(),
        )
        return answer(body)

    return await through_faults(request, desk.faults, "account", act)


def _desk(request: _AnyRequest) -> TradingDesk:
    desk: TradingDesk = request.app.state.desk
    return desk


def _held(desk: TradingDesk, symbol: str) -> Position:
    position = desk.venue.account.positions.get(symbol)
    if position is None:
        raise Refusal("POSITION_NOT_FOUND", f"no {symbol} is held")
    return position


def _shown_now(desk: TradingDesk, position: Position) -> ShownPosition:
    return shown(position, desk.venue.value_of(position.symbol, desk.now()))


def _sell(desk: TradingDesk, symbol: str, quantity: Decimal, wish: Close) -> Order:
    return desk.submit(
        Ticket(
            symbol=symbol,
            side=Side.SELL,
            quantity=quantity,
            type=OrderType.MARKET,
            client_order_id=wish.client_order_id,
            strategy_id=wish.strategy_id,
        )
    )


HANDLERS = [several, one, close, close_all, account]
