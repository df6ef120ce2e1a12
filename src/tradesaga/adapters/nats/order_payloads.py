"""Events about orders, in both dialects, as reports of the venue.

`at` of a report is when we heard it, not what the sender's clock says: our waits count from it.
A cancel or an expiry that does not say how much was filled before is reported as WORKING: news of
an order that lives as far as we know, so that a look-up brings the quantities before the end.
What was taken back is counted in every quantity of a report, see `domain.orders.VenueReport`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from decimal import Decimal

from tradesaga.adapters.nats.envelope import Unreadable
from tradesaga.adapters.nats.heard import Heard, Moment, Name, Payload, Symbol
from tradesaga.domain.events import Content, OrderReported
from tradesaga.domain.money import ZERO, is_usable
from tradesaga.domain.orders import OrderStatus, VenueBust, VenueFill, VenueReport


class OrderNews(Payload, frozen=True, kw_only=True):
    """An order of the venue lives."""

    order_id: Name
    symbol: Symbol
    client_order_id: Name | None = None
    decision_id: Name | None = None
    reason: str | None = None
    busted_quantity: Decimal | None = None
    """How much of the order has been taken back; the filled quantities are without it."""

    @property
    def voided(self) -> Decimal:
        """As a number."""
        return self.busted_quantity or ZERO

    def check(self) -> None:
        """No quantity, price or fee is below zero."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Decimal) and value < ZERO:
                raise Unreadable(f"{name} is below zero")


class OrderFilled(OrderNews, frozen=True, kw_only=True):
    """An execution; `remainingQuantity`, if there, decides what is filled in all."""

    filled_quantity: Decimal
    average_price: Decimal
    remaining_quantity: Decimal | None = None
    fill_price: Decimal | None = None
    fill_quantity: Decimal | None = None
    commission: Decimal | None = None
    execution_id: Name | None = None
    filled_at: Moment | None = None
    is_partial: bool = False


class OrderRejected(OrderNews, frozen=True, kw_only=True):
    """The venue did not take the order."""

    rejection_reason: str | None = None
    rejection_code: str | None = None


class OrderEnded(OrderNews, frozen=True, kw_only=True):
    """The order was cancelled, or its time was over."""

    filled_quantity_before_cancel: Decimal | None = None
    filled_quantity: Decimal | None = None
    average_price: Decimal | None = None


def _accepted(heard: Heard) -> Content:
    said = heard.read(OrderNews)
    return OrderReported(report=_report(heard, said, OrderStatus.WORKING))


def _filled(heard: Heard) -> Content:
    said = heard.read(OrderFilled)
    said.check()
    prices = [p for p in (said.average_price, said.fill_price) if p is not None]
    if not all(is_usable(number) for number in (said.filled_quantity, *prices)):
        raise Unreadable("a fill without quantity or price")
    partial = said.is_partial or bool(said.remaining_quantity)
    partial = partial or heard.envelope.event_type == "trade.order.partial"
    return OrderReported(
        report=_report(
            heard,
            said,
            OrderStatus.PARTIALLY_FILLED if partial else OrderStatus.FILLED,
            filled_quantity=said.filled_quantity + said.voided,
            remaining_quantity=None if said.voided else said.remaining_quantity,
            # with busts that this event does not name it is not the average of all executions
            average_price=None if said.voided else said.average_price,
            fills=_fills(heard, said),
        )
    )


def _fills(heard: Heard, said: OrderFilled) -> tuple[VenueFill, ...]:
    """The one execution that the event is about, if it says how much and at what price.

    Without these the domain books the difference to what it knows, at a price from the average:
    an event before this one may be missing, so nothing else makes the total right.
    """
    if said.fill_price is None or said.fill_quantity is None:
        return ()
    at = heard.envelope.at if said.filled_at is None else said.filled_at.astimezone(UTC)
    return (
        VenueFill(
            cumulative=said.filled_quantity + said.voided,
            quantity=said.fill_quantity,
            price=said.fill_price,
            at=at,
            fee=said.commission or ZERO,
            execution_id=said.execution_id,
        ),
    )


def _rejected(heard: Heard) -> Content:
    said = heard.read(OrderRejected)
    why = [text for text in (said.rejection_code, said.rejection_reason or said.reason) if text]
    return OrderReported(report=_report(heard, said, OrderStatus.REJECTED, reason=": ".join(why)))


def _canceled(heard: Heard) -> Content:
    return _ended(heard, OrderStatus.CANCELED)


def _expired(heard: Heard) -> Content:
    return _ended(heard, OrderStatus.EXPIRED)


def _ended(heard: Heard, status: OrderStatus) -> Content:
    said = heard.read(OrderEnded)
    said.check()
    filled = said.filled_quantity_before_cancel
    if filled is None:
        filled = said.filled_quantity
    return OrderReported(
        report=_report(
            heard,
            said,
            OrderStatus.WORKING if filled is None else status,
            filled_quantity=(filled or ZERO) + said.voided,
            average_price=None if said.voided else said.average_price,
            reason=said.reason or "",
        )
    )


class OrderBusted(OrderNews, frozen=True, kw_only=True):
    """An execution is taken back."""

    cumulative_quantity: Decimal
    quantity: Decimal
    price: Decimal
    filled_quantity: Decimal
    commission: Decimal | None = None
    busted_at: Moment | None = None


def _busted(heard: Heard) -> Content:
    """An execution is taken back. It is told as a fill, too: its own news may still be under way.

    Whether the order lives is not said: WORKING ends nothing and re-opens nothing.
    """
    said = heard.read(OrderBusted)
    said.check()
    amounts = (said.cumulative_quantity, said.quantity, said.price)
    if not all(is_usable(number) for number in amounts):
        raise Unreadable("a bust without quantity or price")
    fee = said.commission or ZERO
    execution = VenueFill(
        cumulative=said.cumulative_quantity,
        quantity=said.quantity,
        price=said.price,
        at=heard.envelope.at,
        fee=fee,
    )
    bust = VenueBust(
        cumulative=said.cumulative_quantity,
        quantity=said.quantity,
        price=said.price,
        fee=fee,
        reason=said.reason or "",
    )
    report = _report(
        heard,
        said,
        OrderStatus.WORKING,
        filled_quantity=max(said.cumulative_quantity, said.filled_quantity + said.voided),
        fills=(execution,),
    )
    return OrderReported(report=replace(report, busts=(bust,)))


def _report(
    heard: Heard,
    said: OrderNews,
    status: OrderStatus,
    *,
    filled_quantity: Decimal = ZERO,
    remaining_quantity: Decimal | None = None,
    average_price: Decimal | None = None,
    fills: tuple[VenueFill, ...] = (),
    reason: str = "",
) -> VenueReport:
    return VenueReport(
        venue_order_id=said.order_id,
        status=status,
        source=heard.envelope.event_type,
        at=heard.received_at,
        symbol=said.symbol,
        client_order_id=said.client_order_id,
        decision_id=said.decision_id,
        filled_quantity=filled_quantity,
        remaining_quantity=remaining_quantity,
        average_price=average_price,
        fills=fills,
        reason=reason,
    )


ORDER_READERS: dict[str, Callable[[Heard], Content]] = {
    "trade.order.submitted": _accepted,
    "trade.order.accepted": _accepted,
    "trade.order.filled": _filled,
    "trade.order.partial": _filled,
    "trade.order.busted": _busted,
    "trade.order.rejected": _rejected,
    "trade.order.cancelled": _canceled,
    "trade.order.canceled": _canceled,
    "trade.order.expired": _expired,
}

ORDER_FORMS: dict[str, type[Payload]] = {
    "trade.order.submitted": OrderNews,
    "trade.order.accepted": OrderNews,
    "trade.order.filled": OrderFilled,
    "trade.order.partial": OrderFilled,
    "trade.order.busted": OrderBusted,
    "trade.order.rejected": OrderRejected,
    "trade.order.cancelled": OrderEnded,
    "trade.order.canceled": OrderEnded,
    "trade.order.expired": OrderEnded,
}
"""What each reader needs and understands."""
