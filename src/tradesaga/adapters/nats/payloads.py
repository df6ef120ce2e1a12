"""Payloads of the neighbours' events, in all their dialects, as what the domain knows.

Unknown fields are ignored; a missing required one, a number that cannot be meant (NaN, absurd in
size or precision, below zero) or an empty name raises `Unreadable`. An event type that we do not
act on becomes `Unhandled`, whatever it holds.

`at` of a report is when we heard it, not what the sender's clock says: our waits count from it.
A cancel or an expiry that does not say how much was filled before is reported as WORKING: news of
an order that lives as far as we know, so that a look-up brings the quantities before the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, TypeVar

import msgspec

from tradesaga.adapters.nats.envelope import Envelope, Unreadable, decode
from tradesaga.domain.decisions import Proposal
from tradesaga.domain.events import (
    Content,
    DecisionGenerated,
    ErrorOccurred,
    HeartbeatSeen,
    Incoming,
    OrderReported,
    SessionChanged,
    Unhandled,
)
from tradesaga.domain.market import SessionKind
from tradesaga.domain.money import ZERO, is_sane, is_usable
from tradesaga.domain.orders import OrderStatus, VenueFill, VenueReport

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_Symbol = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Payload(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Fields that both dialects have, or one of them."""


_P = TypeVar("_P", bound=_Payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """One event in the reading: its envelope, and when it reached us."""

    envelope: Envelope
    received_at: datetime

    def read(self, form: type[_P]) -> _P:
        try:
            payload = msgspec.json.decode(self.envelope.payload, type=form)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(f"payload of {self.envelope.event_type}: {error}") from error
        for name in form.__struct_fields__:
            value = getattr(payload, name)
            if isinstance(value, Decimal) and not is_sane(value):
                raise Unreadable(f"{name} of {self.envelope.event_type} cannot be meant")
        return payload


def decode_event(body: bytes, received_at: datetime) -> Incoming:
    """Read a message as it came from the bus.

    Raises:
        Unreadable: nobody can read it, now or later.
    """
    envelope = decode(body)
    heard = _Heard(envelope=envelope, received_at=received_at)
    reader = _READERS.get(envelope.event_type)
    if reader is None and envelope.event_type.startswith("system.heartbeat."):
        reader = _heartbeat
    return Incoming(
        event_id=envelope.event_id,
        type=envelope.event_type,
        source=envelope.source,
        correlation_id=envelope.correlation_id,
        at=envelope.at,
        content=Unhandled(type=envelope.event_type) if reader is None else reader(heard),
    )


# ---- decisions ----------------------------------------------------------------------------------


class _Decision(_Payload, frozen=True, kw_only=True):
    decision_id: _Name
    symbol: _Symbol
    action: _Name
    confidence: Decimal | None = None
    reasoning: str | list[str] | None = None
    request_id: _Name | None = None
    strategy_id: str | None = None
    suggested_quantity: Decimal | None = None
    suggested_price: Decimal | None = None
    model_used: str | None = None


def _decision(heard: _Heard) -> Content:
    said = heard.read(_Decision)
    reasoning = said.reasoning or ""
    return DecisionGenerated(
        proposal=Proposal(
            external_id=said.decision_id,
            symbol=said.symbol,
            action=said.action,
            confidence=said.confidence,
            reasoning=reasoning if isinstance(reasoning, str) else "; ".join(reasoning),
            received_at=heard.received_at,
            request_id=said.request_id,
            strategy_id=said.strategy_id or None,
            suggested_quantity=said.suggested_quantity,
            suggested_price=said.suggested_price,
            model=said.model_used or "",
        )
    )


# ---- orders -------------------------------------------------------------------------------------


class _OrderNews(_Payload, frozen=True, kw_only=True):
    order_id: _Name
    symbol: _Symbol
    client_order_id: _Name | None = None
    reason: str | None = None

    def check(self) -> None:
        """No quantity, price or fee is below zero."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Decimal) and value < ZERO:
                raise Unreadable(f"{name} is below zero")


class _Filled(_OrderNews, frozen=True, kw_only=True):
    filled_quantity: Decimal
    average_price: Decimal
    remaining_quantity: Decimal | None = None
    fill_price: Decimal | None = None
    fill_quantity: Decimal | None = None
    commission: Decimal | None = None
    execution_id: _Name | None = None
    filled_at: _Moment | None = None
    is_partial: bool = False


class _Rejected(_OrderNews, frozen=True, kw_only=True):
    rejection_reason: str | None = None
    rejection_code: str | None = None


class _Ended(_OrderNews, frozen=True, kw_only=True):
    filled_quantity_before_cancel: Decimal | None = None
    filled_quantity: Decimal | None = None
    average_price: Decimal | None = None


def _accepted(heard: _Heard) -> Content:
    said = heard.read(_OrderNews)
    return OrderReported(report=_report(heard, said, OrderStatus.WORKING))


def _filled(heard: _Heard) -> Content:
    said = heard.read(_Filled)
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
            filled_quantity=said.filled_quantity,
            remaining_quantity=said.remaining_quantity,
            average_price=said.average_price,
            fills=_fills(heard, said),
        )
    )


def _fills(heard: _Heard, said: _Filled) -> tuple[VenueFill, ...]:
    """The one execution that the event is about, if it says how much and at what price.

    Without these the domain books the difference to what it knows, at a price from the average:
    an event before this one may be missing, so nothing else makes the total right.
    """
    if said.fill_price is None or said.fill_quantity is None:
        return ()
    at = heard.envelope.at if said.filled_at is None else said.filled_at.astimezone(UTC)
    return (
        VenueFill(
            cumulative=said.filled_quantity,
            quantity=said.fill_quantity,
            price=said.fill_price,
            at=at,
            fee=said.commission or ZERO,
            execution_id=said.execution_id,
        ),
    )


def _rejected(heard: _Heard) -> Content:
    said = heard.read(_Rejected)
    why = [text for text in (said.rejection_code, said.rejection_reason or said.reason) if text]
    return OrderReported(report=_report(heard, said, OrderStatus.REJECTED, reason=": ".join(why)))


def _canceled(heard: _Heard) -> Content:
    return _ended(heard, OrderStatus.CANCELED)


def _expired(heard: _Heard) -> Content:
    return _ended(heard, OrderStatus.EXPIRED)


def _ended(heard: _Heard, status: OrderStatus) -> Content:
    said = heard.read(_Ended)
    said.check()
    filled = said.filled_quantity_before_cancel
    if filled is None:
        filled = said.filled_quantity
    return OrderReported(
        report=_report(
            heard,
            said,
            OrderStatus.WORKING if filled is None else status,
            filled_quantity=filled or ZERO,
            average_price=said.average_price,
            reason=said.reason or "",
        )
    )


def _report(
    heard: _Heard,
    said: _OrderNews,
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
        filled_quantity=filled_quantity,
        remaining_quantity=remaining_quantity,
        average_price=average_price,
        fills=fills,
        reason=reason,
    )


# ---- sessions, health, errors -------------------------------------------------------------------

US_EQUITY = "US_EQUITY"


class _SessionChanged(_Payload, frozen=True, kw_only=True):
    current_session: SessionKind
    market: _Name = US_EQUITY
    effective_at: _Moment | None = None


class _SessionEdge(_Payload, frozen=True, kw_only=True):
    market: _Name = US_EQUITY


class _Heartbeat(_Payload, frozen=True, kw_only=True):
    service: _Name
    status: _Name
    checked_at: _Moment | None = None


class _Error(_Payload, frozen=True, kw_only=True):
    service: _Name
    message: str
    severity: _Name
    error_code: str = ""


class _Alert(_Payload, frozen=True, kw_only=True):
    service: _Name
    message: str
    severity: _Name
    title: str = ""


def _session(heard: _Heard) -> Content:
    said = heard.read(_SessionChanged)
    at = heard.envelope.at if said.effective_at is None else said.effective_at.astimezone(UTC)
    return SessionChanged(market=said.market, session=said.current_session, effective_at=at)


def _opened(heard: _Heard) -> Content:
    market = heard.read(_SessionEdge).market
    return SessionChanged(
        market=market, session=SessionKind.REGULAR, effective_at=heard.envelope.at
    )


def _closed(heard: _Heard) -> Content:
    market = heard.read(_SessionEdge).market
    return SessionChanged(market=market, session=SessionKind.CLOSED, effective_at=heard.envelope.at)


def _heartbeat(heard: _Heard) -> Content:
    said = heard.read(_Heartbeat)
    at = heard.envelope.at if said.checked_at is None else said.checked_at.astimezone(UTC)
    return HeartbeatSeen(service=said.service, status=said.status.lower(), at=at)


def _error(heard: _Heard) -> Content:
    said = heard.read(_Error)
    return ErrorOccurred(
        service=said.service, severity=said.severity, code=said.error_code, message=said.message
    )


def _alert(heard: _Heard) -> Content:
    said = heard.read(_Alert)
    return ErrorOccurred(
        service=said.service, severity=said.severity, code=said.title, message=said.message
    )


_READERS: dict[str, Callable[[_Heard], Content]] = {
    "ai.decision.generated": _decision,
    "trade.order.submitted": _accepted,
    "trade.order.accepted": _accepted,
    "trade.order.filled": _filled,
    "trade.order.partial": _filled,
    "trade.order.rejected": _rejected,
    "trade.order.cancelled": _canceled,
    "trade.order.canceled": _canceled,
    "trade.order.expired": _expired,
    "market.session.changed": _session,
    "market.session.opened": _opened,
    "market.session.closed": _closed,
    "system.heartbeat": _heartbeat,
    "system.health.check": _heartbeat,
    "system.error.occurred": _error,
    "system.alert.triggered": _alert,
}
