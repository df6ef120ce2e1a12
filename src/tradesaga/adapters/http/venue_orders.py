"""Orders as the trading engine writes and reads them: both dialects, no I/O.

A status word that we do not know means that the order lives: it is reported as WORKING and
logged. A number that cannot be meant makes the whole answer unusable.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from structlog import get_logger

from tradesaga.domain.errors import Unavailable
from tradesaga.domain.money import ZERO, is_sane
from tradesaga.domain.orders import (
    ENDED,
    Order,
    OrderStatus,
    Side,
    VenueBust,
    VenueFill,
    VenueReport,
)
from tradesaga.ports.services import OpenOrder

log = get_logger(__name__)

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_encoder = msgspec.json.Encoder(decimal_format="number")

_STATUS = {
    "new": OrderStatus.WORKING,
    "pending": OrderStatus.WORKING,
    "submitted": OrderStatus.WORKING,
    "accepted": OrderStatus.WORKING,
    "working": OrderStatus.WORKING,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "cancelled": OrderStatus.CANCELED,
    "canceled": OrderStatus.CANCELED,
    "rejected": OrderStatus.REJECTED,
    "failed": OrderStatus.REJECTED,
    "expired": OrderStatus.EXPIRED,
}


class _Message(msgspec.Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    """Wire names are camelCase; what is absent stays absent."""


class NewOrder(_Message, frozen=True, kw_only=True):
    """The body of `POST /orders`: `type` is read by one dialect, `orderType` by the other."""

    client_order_id: str
    symbol: str
    side: str
    quantity: Decimal
    type: str
    order_type: str
    time_in_force: str
    limit_price: Decimal | None = None
    strategy_id: str | None = None


class ListedFill(_Message, frozen=True, kw_only=True):
    """One execution of a listed order, oldest first; one taken back stays in the list, marked."""

    quantity: Decimal
    price: Decimal
    filled_at: Moment
    execution_id: Name | None = None
    busted: bool = False
    bust_reason: str = ""


class ListedOrder(_Message, frozen=True, kw_only=True):
    """An order in an answer; the reply to a submit has only the first fields."""

    order_id: Name
    status: str
    created_at: Moment | None = None
    filled_quantity: Decimal | None = None
    filled_price: Decimal | None = None
    average_price: Decimal | None = None
    fills: list[ListedFill] = []
    symbol: str | None = None
    side: str | None = None
    quantity: Decimal | None = None
    type: str | None = None
    order_type: str | None = None
    limit_price: Decimal | None = None
    client_order_id: str | None = None
    decision_id: str | None = None
    reason: str | None = None
    error: str | None = None

    def belies(self, order: Order) -> bool:
        """Whether something in it is not so of `order`; what it does not say counts as equal."""
        pairs = (
            (self.symbol, order.symbol),
            (_lower(self.side), order.side),
            (self.quantity, order.quantity),
            (_lower(self.order_type or self.type), order.type),
            (self.limit_price, order.limit_price),
            (self.client_order_id, order.client_order_id),
        )
        return any(said is not None and said != ours for said, ours in pairs)


def encode(order: Order) -> bytes:
    """The request that places `order`."""
    return _encoder.encode(
        NewOrder(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            type=order.type,
            order_type=order.type,
            time_in_force=order.time_in_force,
            limit_price=order.limit_price,
            strategy_id=None if order.strategy_id is None else str(order.strategy_id),
        )
    )


def report_of(listed: ListedOrder, order: Order, *, source: str, now: datetime) -> VenueReport:
    """What `listed` says about `order`.

    Raises:
        Unavailable: it holds a number that cannot be meant, or more fills than it says.
    """
    fills = _fills(listed)
    busts = tuple(
        VenueBust(
            cumulative=fill.cumulative,
            quantity=fill.quantity,
            price=fill.price,
            reason=told.bust_reason,
        )
        for fill, told in zip(fills, listed.fills, strict=True)
        if told.busted
    )
    heard = sum((fill.quantity for fill in fills), ZERO)
    filled = heard
    if listed.filled_quantity is not None:  # what is left of it
        filled = listed.filled_quantity + sum((bust.quantity for bust in busts), ZERO)
    average = listed.average_price or listed.filled_price
    numbers = [filled, average or ZERO]
    numbers += [number for fill in fills for number in (fill.quantity, fill.price)]
    if not all(is_sane(number) and number >= ZERO for number in numbers) or heard > filled:
        raise Unavailable(f"order {listed.order_id} is listed with numbers that cannot be")
    return VenueReport(
        venue_order_id=listed.order_id,
        status=_status(listed),
        source=source,
        at=now,
        symbol=order.symbol,
        client_order_id=listed.client_order_id,
        filled_quantity=filled,
        average_price=average,
        fills=fills,
        busts=busts,
        reason=listed.reason or listed.error or "",
    )


def open_order_of(listed: ListedOrder) -> OpenOrder | None:
    """The order as one of a list of open ones; None when it has ended.

    Raises:
        Unavailable: it does not say what it is, or holds a number that cannot be meant.
    """
    return None if _status(listed) in ENDED else _listed(listed)


def ended_order_of(listed: ListedOrder) -> OpenOrder | None:
    """The order as it stood when it ended; None when it has not, or the venue does not say what
    it was.
    """
    if _status(listed) not in ENDED:
        return None
    try:
        return _listed(listed)
    except Unavailable as error:
        log.warning("ended_order_unclear", venue_order_id=listed.order_id, error=str(error))
        return None


def _listed(listed: ListedOrder) -> OpenOrder:
    side, filled = _lower(listed.side), listed.filled_quantity or ZERO
    symbol, quantity = listed.symbol, listed.quantity
    if not symbol or quantity is None or side not in list(Side):
        raise Unavailable(f"order {listed.order_id} is listed without symbol, side or quantity")
    numbers = (quantity, filled, listed.limit_price or ZERO)
    if not all(is_sane(number) and number >= ZERO for number in numbers):
        raise Unavailable(f"order {listed.order_id} is listed with numbers that cannot be")
    return OpenOrder(
        venue_order_id=listed.order_id,
        client_order_id=listed.client_order_id,
        symbol=symbol,
        side=Side(side),
        type=_lower(listed.order_type or listed.type) or "",
        quantity=quantity,
        filled_quantity=filled,
        limit_price=listed.limit_price,
        created_at=None if listed.created_at is None else listed.created_at.astimezone(UTC),
        decision_id=listed.decision_id,
    )


def _fills(listed: ListedOrder) -> tuple[VenueFill, ...]:
    fills = []
    cumulative = ZERO
    for fill in listed.fills:
        cumulative += fill.quantity
        fills.append(
            VenueFill(
                cumulative=cumulative,
                quantity=fill.quantity,
                price=fill.price,
                at=fill.filled_at.astimezone(UTC),
                execution_id=fill.execution_id,
            )
        )
    return tuple(fills)


def _status(listed: ListedOrder) -> OrderStatus:
    status = _STATUS.get(listed.status.lower())
    if status is None:
        log.warning("order_status_unknown", status=listed.status, venue_order_id=listed.order_id)
        return OrderStatus.WORKING
    return status


def _lower(word: str | None) -> str | None:
    return None if word is None else word.lower()
