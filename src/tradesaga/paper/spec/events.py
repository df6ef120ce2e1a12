"""Events of the spec dialect, each in the nested envelope that every reader of the platform takes.

Event ids are functions of what the event is about, so that an event that is produced again after a
crash is the same event. Beyond the documents' fields a fill carries its `executionId`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from tradesaga.paper.identifiers import derived_uuid7
from tradesaga.paper.orders import (
    FillBusted,
    Order,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    PositionClosed,
    PositionOpened,
    PositionUpdated,
    VenueEvent,
    mean,
)
from tradesaga.paper.spec.wire import Wire, encode
from tradesaga.paper.store import Outgoing

VERSION = "1.0"
PERCENT = Decimal(100)
_SECONDS_A_MINUTE = 60


class Metadata(Wire, frozen=True, kw_only=True):
    """Who tells what, when, and because of what."""

    event_id: str
    event_type: str
    timestamp: datetime
    version: str
    source: str
    correlation_id: str | None = None
    causation_id: str | None = None


class Envelope(Struct, frozen=True, kw_only=True):
    """One message on the bus."""

    metadata: Metadata
    payload: Any


def event(
    event_type: str,
    source: str,
    at: datetime,
    payload: Any,
    *,
    about: tuple[object, ...],
    symbol: str | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    trace: str | None = None,
) -> Outgoing:
    """A message; its id is a function of the type, the moment and `about`."""
    event_id = str(derived_uuid7(at, event_type, *about))
    envelope = Envelope(
        metadata=Metadata(
            event_id=event_id,
            event_type=event_type,
            timestamp=at,
            version=VERSION,
            source=source,
            correlation_id=correlation_id,
            causation_id=causation_id,
        ),
        payload=payload,
    )
    return Outgoing(
        event_id=event_id,
        event_type=event_type,
        source=source,
        symbol=symbol,
        body=encode(envelope),
        trace=trace,
    )


def broker_order_id(order: Order) -> str:
    """The broker's own id of an order; here it only looks different."""
    return f"brk_{order.number:08d}"


def of_venue(happened: VenueEvent) -> Outgoing:
    """What happened at the venue, as an event of the trading engine."""
    event_type, payload, about = _told(happened)
    order = happened.order
    return event(
        event_type,
        "trading-engine",
        happened.at,
        {key: value for key, value in payload.items() if value is not None},
        about=about,
        symbol=order.ticket.symbol,
        correlation_id=order.ticket.correlation_id,
        trace=order.ticket.trace,
    )


def _told(happened: VenueEvent) -> tuple[str, dict[str, Any], tuple[object, ...]]:
    order_id = happened.order.order_id
    match happened:
        case OrderSubmitted():
            return "trade.order.submitted", _submitted(happened), (order_id,)
        case OrderFilled():
            return "trade.order.filled", _filled(happened), (happened.fill.execution_id,)
        case OrderRejected():
            return "trade.order.rejected", _rejected(happened), (order_id,)
        case OrderCancelled():
            return "trade.order.cancelled", _cancelled(happened), (order_id,)
        case FillBusted():
            about = (happened.fill.execution_id, "bust")
            return "trade.order.busted", _busted(happened), about
        case PositionOpened():
            return "trade.position.opened", _opened(happened), _cause(happened.order)
        case PositionUpdated():
            return "trade.position.updated", _updated(happened), _cause(happened.order)
        case PositionClosed():
            return "trade.position.closed", _closed(happened), _cause(happened.order)


def _cause(order: Order) -> tuple[object, ...]:
    return ("position", order.fills[-1].execution_id)


def _submitted(happened: OrderSubmitted) -> dict[str, Any]:
    order, ticket = happened.order, happened.order.ticket
    return {
        "orderId": order.order_id,
        "brokerOrderId": broker_order_id(order),
        "clientOrderId": ticket.client_order_id,
        "symbol": ticket.symbol,
        "side": ticket.side,
        "quantity": ticket.quantity,
        "orderType": ticket.type,
        "timeInForce": "day",
        "limitPrice": ticket.limit_price,
        "extendedHours": ticket.extended_hours,
        "strategyId": ticket.strategy_id,
    }


def _filled(happened: OrderFilled) -> dict[str, Any]:
    order, fill, ticket = happened.order, happened.fill, happened.order.ticket
    return {
        "orderId": order.order_id,
        "brokerOrderId": broker_order_id(order),
        "clientOrderId": ticket.client_order_id,
        "executionId": fill.execution_id,
        "symbol": ticket.symbol,
        "side": ticket.side,
        "quantity": ticket.quantity,
        "filledQuantity": fill.cumulative - order.busted,
        "bustedQuantity": order.busted or None,
        "fillQuantity": fill.quantity,
        "remainingQuantity": ticket.quantity - fill.cumulative,
        "averagePrice": order.average_price,
        "fillPrice": fill.price,
        "commission": fill.commission,
        "isPartial": fill.cumulative < ticket.quantity,
        "filledAt": fill.filled_at,
        "strategyId": ticket.strategy_id,
    }


def _rejected(happened: OrderRejected) -> dict[str, Any]:
    order, ticket = happened.order, happened.order.ticket
    return {
        "orderId": order.order_id,
        "clientOrderId": ticket.client_order_id,
        "symbol": ticket.symbol,
        "side": ticket.side,
        "quantity": ticket.quantity,
        "rejectionReason": order.reason,
        "rejectionCode": happened.code,
        "strategyId": ticket.strategy_id,
    }


def _cancelled(happened: OrderCancelled) -> dict[str, Any]:
    order, ticket = happened.order, happened.order.ticket
    return {
        "orderId": order.order_id,
        "brokerOrderId": broker_order_id(order),
        "clientOrderId": ticket.client_order_id,
        "symbol": ticket.symbol,
        "cancelledQuantity": order.remaining,
        "filledQuantityBeforeCancel": order.filled - order.busted,
        "bustedQuantity": order.busted or None,
        "cancelledBy": happened.by,
        "reason": order.reason,
    }


def _busted(happened: FillBusted) -> dict[str, Any]:
    order, fill, ticket = happened.order, happened.fill, happened.order.ticket
    return {
        "orderId": order.order_id,
        "clientOrderId": ticket.client_order_id,
        "executionId": fill.execution_id,
        "symbol": ticket.symbol,
        "side": ticket.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "commission": fill.commission,
        "cumulativeQuantity": fill.cumulative,
        "filledQuantity": order.filled - order.busted,
        "bustedQuantity": order.busted,
        "reason": fill.busted,
        "bustedAt": happened.at,
    }


def _opened(happened: PositionOpened) -> dict[str, Any]:
    position = happened.position
    return {
        "positionId": _position_id(position.symbol, position.opened_at),
        "symbol": position.symbol,
        "side": "long",
        "quantity": position.quantity,
        "entryPrice": position.average_entry_price,
        "openedAt": position.opened_at,
        "strategyId": happened.order.ticket.strategy_id,
    }


def _updated(happened: PositionUpdated) -> dict[str, Any]:
    position, price = happened.position, happened.price
    value = position.quantity * price
    gain = value - position.cost
    return {
        "symbol": position.symbol,
        "previousQuantity": happened.before,
        "currentQuantity": position.quantity,
        "side": "long",
        "averageEntryPrice": position.average_entry_price,
        "currentPrice": price,
        "marketValue": value,
        "unrealizedPnl": gain,
        "unrealizedPnlPercent": mean(gain * PERCENT, position.cost),
        "realizedPnlToday": happened.realized_today,
        "costBasis": position.cost,
    }


def _closed(happened: PositionClosed) -> dict[str, Any]:
    position = happened.position
    gain = position.sold_for - position.bought_for
    held = happened.at - position.opened_at
    return {
        "symbol": position.symbol,
        "closedQuantity": position.sold,
        "averageEntryPrice": mean(position.bought_for, position.bought),
        "averageExitPrice": mean(position.sold_for, position.sold),
        "realizedPnl": gain,
        "realizedPnlPercent": mean(gain * PERCENT, position.bought_for),
        "holdingPeriodMinutes": int(held.total_seconds()) // _SECONDS_A_MINUTE,
        "strategyId": happened.order.ticket.strategy_id,
        "positionId": _position_id(position.symbol, position.opened_at),
        "closedAt": happened.at,
    }


def _position_id(symbol: str, opened_at: datetime) -> str:
    return f"pos_{symbol}_{int(opened_at.timestamp() * 1000)}"
