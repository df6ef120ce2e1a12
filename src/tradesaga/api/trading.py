"""The reading operations on what trades leave: orders, reservations, positions."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get
from litestar.params import QueryParameter

from tradesaga.api.problems import failures
from tradesaga.api.sagas import OPEN, Limit, SagasPort, Symbol
from tradesaga.api.trade_answers import (
    OrdersAnswer,
    PositionsAnswer,
    ReservationsAnswer,
    orders_answer,
    positions_answer,
    reservations_answer,
    status_of,
)
from tradesaga.domain.orders import ENDED, OrderStatus
from tradesaga.domain.saga import ENDS
from tradesaga.ports.trade_records import TradeQuery

ACTIVE = frozenset(OrderStatus) - ENDED
TAGS = ["trading"]


@get(
    "/orders",
    operation_id="listOrders",
    summary="List orders",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_orders(
    sagas: SagasPort,
    symbol: Symbol = None,
    status: Annotated[
        Literal[
            "open",
            "intent",
            "unknown",
            "working",
            "partially_filled",
            "filled",
            "canceled",
            "rejected",
            "expired",
            "not_placed",
        ]
        | None,
        QueryParameter(
            description="open (may still fill), intent, unknown, working, partially_filled, "
            "filled, canceled, rejected, expired or not_placed"
        ),
    ] = None,
    limit: Limit = 20,
) -> OrdersAnswer:
    """Orders by creation, the latest first."""
    wanted = None
    if status is not None:
        wanted = ACTIVE if status == "open" else frozenset({OrderStatus(status)})
    # An order that may fill belongs to a saga that is open: there are few of those.
    states = OPEN if wanted is not None and wanted <= ACTIVE else None
    query = TradeQuery(limit=limit, sagas=states, orders=wanted, symbol=symbol)
    return orders_answer(trade.order for trade in await sagas.trades(query))


@get(
    "/reservations",
    operation_id="listReservations",
    summary="List reservations",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_reservations(
    sagas: SagasPort,
    symbol: Symbol = None,
    status: Annotated[
        Literal["open", "closed"] | None, QueryParameter(description="open or closed")
    ] = None,
    limit: Limit = 20,
) -> ReservationsAnswer:
    """Reservations by creation, the latest first; one is open as long as its saga."""
    states = None
    if status is not None:
        states = OPEN if status == "open" else ENDS
    query = TradeQuery(limit=limit, sagas=states, symbol=symbol)
    return reservations_answer(trade.reservation for trade in await sagas.trades(query))


@get(
    "/positions",
    operation_id="listPositions",
    summary="List positions",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_positions(
    sagas: SagasPort,
    symbol: Symbol = None,
    status: Annotated[
        Literal["open", "flat"] | None, QueryParameter(description="open or flat")
    ] = None,
    limit: Limit = 20,
) -> PositionsAnswer:
    """The sums of every symbol that was traded, by symbol."""
    found = [
        position
        for position in await sagas.positions()
        if symbol in (None, position.symbol) and status in (None, status_of(position))
    ]
    return positions_answer(found[:limit])
