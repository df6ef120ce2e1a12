"""What trades leave: orders, reservations, positions; and the close of a position."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get, post
from litestar.params import JSONBody, PathParameter, QueryParameter

from tradesaga.api.agent_control import Actor
from tradesaga.api.pages import PAGE_USUAL, Cursor, Limit, by_time, cut
from tradesaga.api.problems import failures
from tradesaga.api.saga_answers import SagasAnswer, sagas_answer
from tradesaga.api.saga_requests import InterventionRequest
from tradesaga.api.sagas import OPEN, SYMBOL, SagasPort, Symbol, place_of
from tradesaga.api.trade_answers import (
    ExternalOrdersAnswer,
    OrdersAnswer,
    PositionsAnswer,
    ReservationsAnswer,
    external_answer,
    orders_answer,
    positions_answer,
    reservations_answer,
    status_of,
)
from tradesaga.domain.external import ExternalState
from tradesaga.domain.orders import ENDED, OrderStatus
from tradesaga.domain.saga import ENDS
from tradesaga.ports.trade_records import TradeQuery

ACTIVE = frozenset(OrderStatus) - ENDED
ORDERS, FOREIGN, RESERVATIONS = map(by_time, ("orders", "external orders", "reservations"))
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
    limit: Limit = PAGE_USUAL,
    cursor: Cursor = None,
) -> OrdersAnswer:
    """Orders by creation, the latest first."""
    wanted = None
    if status is not None:
        wanted = ACTIVE if status == "open" else frozenset({OrderStatus(status)})
    # An order that may fill belongs to a saga that is open: there are few of those.
    states = OPEN if wanted is not None and wanted <= ACTIVE else None
    query = TradeQuery(
        limit=limit + 1,
        sagas=states,
        orders=wanted,
        symbol=symbol,
        after=ORDERS.after(cursor),
    )
    page, following = ORDERS.page(await sagas.trades(query), limit, place_of)
    return orders_answer((trade.order for trade in page), following)


@get(
    "/orders/external",
    operation_id="listExternalOrders",
    summary="List orders that are not ours",
    responses=failures(400, 503),
    tags=TAGS,
)
async def list_external_orders(
    sagas: SagasPort,
    symbol: Symbol = None,
    standing: Annotated[
        Literal["open", "gone", "ours"] | None,
        QueryParameter(name="state", description="open, gone or ours"),
    ] = None,
    limit: Limit = PAGE_USUAL,
    cursor: Cursor = None,
) -> ExternalOrdersAnswer:
    """Orders on the account that are not ours, the latest seen first; they are never touched."""
    state = None if standing is None else ExternalState(standing)
    found = await sagas.external_orders(
        limit=limit + 1, state=state, symbol=symbol, after=FOREIGN.after(cursor)
    )
    return external_answer(*FOREIGN.page(found, limit, lambda order: (order.seen_at, order.id)))


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
    limit: Limit = PAGE_USUAL,
    cursor: Cursor = None,
) -> ReservationsAnswer:
    """Reservations by creation, the latest first; one is open as long as its saga."""
    states = None
    if status is not None:
        states = OPEN if status == "open" else ENDS
    query = TradeQuery(
        limit=limit + 1, sagas=states, symbol=symbol, after=RESERVATIONS.after(cursor)
    )
    page, following = RESERVATIONS.page(await sagas.trades(query), limit, place_of)
    return reservations_answer((trade.reservation for trade in page), following)


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
    limit: Limit = PAGE_USUAL,
    cursor: Cursor = None,
) -> PositionsAnswer:
    """The sums of every symbol that was traded, by symbol."""
    found = [
        position
        for position in await sagas.positions()
        if symbol in (None, position.symbol) and status in (None, status_of(position))
    ]
    return positions_answer(*cut("positions", found, limit, cursor, lambda one: (one.symbol,)))


@post(
    "/positions/{symbol:str}/close",
    operation_id="closePosition",
    summary="Close a position",
    responses=failures(400, 409, 413, 415, 503),
    status_code=200,
    tags=TAGS,
)
async def close_position(
    sagas: SagasPort,
    actor: Actor,
    symbol: Annotated[
        str,
        PathParameter(
            pattern=SYMBOL, description="a symbol: letters, digits and . / _ -, at most 32"
        ),
    ],
    data: JSONBody[InterventionRequest],
) -> SagasAnswer:
    """Cancel own entries, then sell or buy back what is held: the sagas that do it."""
    return sagas_answer(await sagas.close_position(symbol, reason=data.reason, actor=actor), None)
