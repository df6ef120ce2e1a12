"""Orders, what the venue says about them, fills, trades and reservations.

    INTENT --sent, no usable answer--> UNKNOWN --looked up--> WORKING, an end, or NOT_PLACED
       |                                  ^ a crash after the intent: it may have been sent
       +--accepted--> WORKING --> PARTIALLY_FILLED --> FILLED
       |                 |               |
       +--refused--> REJECTED            +--> CANCELED, EXPIRED (what filled stays)

An end needs evidence from the venue. CANCELED -> FILLED exists: a fill beats a cancel, and the
venue's late word is true. Cumulative quantity never falls; a fill is known by the cumulative
quantity it reaches, so that a reply, a poll and an event about one fill book it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tradesaga.domain.ids import (
    AgentId,
    CycleId,
    DecisionId,
    FillId,
    OrderId,
    ReservationId,
    SagaId,
    StrategyId,
    TradeId,
    VoidId,
    derived_beside,
)
from tradesaga.domain.money import ZERO
from tradesaga.domain.values import changed, quick


class Side(StrEnum):
    """Buy or sell."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How the price is set."""

    MARKET = "market"
    LIMIT = "limit"


class OrderStatus(StrEnum):
    """Where an order stands, as far as we have evidence."""

    INTENT = "intent"
    UNKNOWN = "unknown"
    WORKING = "working"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    NOT_PLACED = "not_placed"


LIVE = frozenset({OrderStatus.UNKNOWN, OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED})
"""The venue may still fill it."""
ENDED = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.NOT_PLACED,
    }
)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order of ours. `filled_value` is the sum of quantity times price over its fills."""

    id: OrderId
    agent_id: AgentId
    saga_id: SagaId
    decision_id: DecisionId
    strategy_id: StrategyId | None
    cycle_id: CycleId | None
    leg: int
    purpose: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType
    limit_price: Decimal | None
    time_in_force: str
    opening: bool
    reference_price: Decimal
    expires_at: datetime
    created_at: datetime
    status: OrderStatus = OrderStatus.INTENT
    venue_order_id: str | None = None
    filled_quantity: Decimal = ZERO
    filled_value: Decimal = ZERO
    fees: Decimal = ZERO
    sends: int = 0
    lookups: int = 0
    unknown_since: datetime | None = None
    cancel_wanted_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    submitted_at: datetime | None = None
    acked_at: datetime | None = None
    ended_at: datetime | None = None
    evidence: str | None = None
    version: int = 1

    @property
    def average_price(self) -> Decimal | None:
        """Mean fill price; None before the first fill."""
        return self.filled_value / self.filled_quantity if self.filled_quantity else None

    @property
    def remaining(self) -> Decimal:
        """What has not been filled."""
        return self.quantity - self.filled_quantity


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class VenueFill:
    """One execution as the venue tells it; `cumulative` is the order's total after it."""

    cumulative: Decimal
    quantity: Decimal
    price: Decimal
    at: datetime
    fee: Decimal = ZERO
    execution_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueBust:
    """One execution that the venue has taken back; `cumulative` is the total that it reached."""

    cumulative: Decimal
    quantity: Decimal
    price: Decimal
    fee: Decimal = ZERO
    reason: str = ""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class VenueReport:
    """What a reply, a poll, a look-up or an event says about an order.

    `status` is one of WORKING, PARTIALLY_FILLED, FILLED, CANCELED, REJECTED, EXPIRED.
    `fills` may be incomplete or empty; `filled_quantity` is the cumulative truth, except that a
    `remaining_quantity` beats it: what is filled is then the order's quantity less that.
    All of these count executions that were taken back, too, so that they never fall; `busts` are
    those, and `average_price` is that of what is left.
    """

    venue_order_id: str
    status: OrderStatus
    source: str
    at: datetime
    symbol: str = ""
    decision_id: str | None = None
    client_order_id: str | None = None
    filled_quantity: Decimal = ZERO
    remaining_quantity: Decimal | None = None
    average_price: Decimal | None = None
    fills: tuple[VenueFill, ...] = ()
    busts: tuple[VenueBust, ...] = ()
    reason: str = ""

    def value_of(self, filled: Decimal) -> Decimal | None:
        """What `filled` cost in all by the average, busts included; None without an average."""
        left = filled - sum((bust.quantity for bust in self.busts), ZERO)
        value = sum((bust.quantity * bust.price for bust in self.busts), ZERO)
        if self.average_price is None:
            return value if self.busts and left == ZERO else None
        return self.average_price * left + value

    def filled_of(self, ordered: Decimal) -> Decimal:
        """The cumulative quantity filled of an order of `ordered`."""
        if self.remaining_quantity is None:
            return self.filled_quantity
        return ordered - self.remaining_quantity


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A booked execution. Negative `quantity` is a void row: a correction, never a deletion."""

    id: FillId
    agent_id: AgentId
    order_id: OrderId
    saga_id: SagaId
    venue_fill_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    filled_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """A fill, or a part of one, that the venue has taken back; all amounts as it was booked.

    `cumulative` is what the order had reached with it: its identity, for ever. Beside this row
    stand a fill and a trade with the opposite sign.
    """

    id: VoidId
    agent_id: AgentId
    order_id: OrderId
    saga_id: SagaId
    cumulative: Decimal
    quantity: Decimal
    price: Decimal
    fee: Decimal
    reason: str
    recorded_at: datetime


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """The record of one fill for people and performance figures; exactly one a fill."""

    id: TradeId
    agent_id: AgentId
    fill_id: FillId
    order_id: OrderId
    saga_id: SagaId
    decision_id: DecisionId
    strategy_id: StrategyId | None
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    executed_at: datetime
    correction_reason: str | None = None


class ReservationState(StrEnum):
    """A reservation is open exactly as long as its saga."""

    OPEN = "open"
    CLOSED = "closed"


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Buying power set aside for a saga; an order that reduces a position reserves nothing."""

    id: ReservationId
    agent_id: AgentId
    saga_id: SagaId
    symbol: str
    amount: Decimal
    created_at: datetime
    consumed: Decimal = ZERO
    released: Decimal = ZERO
    state: ReservationState = ReservationState.OPEN
    closed_at: datetime | None = None
    version: int = 1

    @property
    def outstanding(self) -> Decimal:
        """What still reduces the buying power that others may use."""
        if self.state is ReservationState.CLOSED:
            return ZERO
        return max(ZERO, self.amount - self.consumed)


def new_fills(
    order: Order, report: VenueReport, now: datetime, voids: tuple[Void, ...] = ()
) -> tuple[Fill, ...]:
    """The fills that `report` proves and `order` does not know yet, in order; often none.

    Executions from the first one that the report skips are booked as one fill, at the price that
    makes the total right. What was voided stays known: its report is never new again.
    """
    known, value = order.filled_quantity, order.filled_value
    for void in voids:
        known, value = known + void.quantity, value + void.quantity * void.price
    filled = report.filled_of(order.quantity)
    unsaid = filled - report.filled_quantity  # by a venue whose filled quantity is one fill's own
    found: list[Fill] = []
    for heard in sorted(report.fills, key=lambda fill: fill.cumulative):
        reached = heard.cumulative + unsaid
        if reached <= known:
            continue
        if reached - heard.quantity > known and report.average_price is not None:
            break  # executions before this one are missing: only the total's price is known
        quantity = reached - known
        heard_in_all = changed(heard, cumulative=reached) if unsaid else heard
        found.append(_fill(order, report, heard_in_all, quantity=quantity, now=now))
        known, value = reached, value + quantity * heard.price
    if filled > known:
        quantity = filled - known
        in_all = report.value_of(filled)
        price = order.reference_price if in_all is None else (in_all - value) / quantity
        rest = VenueFill(cumulative=filled, quantity=quantity, price=price, at=report.at)
        found.append(_fill(order, report, rest, quantity=quantity, now=now))
    return tuple(found)


def _fill(
    order: Order, report: VenueReport, heard: VenueFill, *, quantity: Decimal, now: datetime
) -> Fill:
    venue_fill_id = f"{report.venue_order_id}:{heard.cumulative.normalize():f}"
    return Fill(
        id=FillId(derived_beside(order.id, order.agent_id, "fill", venue_fill_id)),
        agent_id=order.agent_id,
        order_id=order.id,
        saga_id=order.saga_id,
        venue_fill_id=venue_fill_id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        price=heard.price,
        fee=heard.fee,
        filled_at=heard.at,
        recorded_at=now,
    )


def trade_of(order: Order, fill: Fill, *, correction_reason: str | None = None) -> Trade:
    """The trade record that belongs to `fill`."""
    return Trade(
        id=TradeId(derived_beside(fill.id, fill.id, "trade")),
        agent_id=order.agent_id,
        fill_id=fill.id,
        order_id=order.id,
        saga_id=order.saga_id,
        decision_id=order.decision_id,
        strategy_id=order.strategy_id,
        symbol=order.symbol,
        side=order.side,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        executed_at=fill.filled_at,
        correction_reason=correction_reason,
    )


def with_report(
    order: Order, report: VenueReport, fills: tuple[Fill, ...], voided: Decimal = ZERO
) -> Order:
    """The order after `report` and the `fills` it proved; never less filled, never re-opened.

    An end that we have stays an end, except that a fill beats a cancel. `voided` is how much of
    it has been taken back: the venue does not fill that again.
    """
    filled = order.filled_quantity + sum((f.quantity for f in fills), ZERO)
    value = order.filled_value + sum((f.quantity * f.price for f in fills), ZERO)
    status = _status_after(order, report, filled + voided)
    ended = status in ENDED
    sent_by = max(report.at, order.created_at)  # what it reports had been sent by then
    return changed(
        order,
        status=status,
        venue_order_id=order.venue_order_id or report.venue_order_id or None,
        filled_quantity=filled,
        filled_value=value,
        fees=order.fees + sum((f.fee for f in fills), ZERO),
        unknown_since=None,
        submitted_at=min(order.submitted_at or sent_by, sent_by),
        acked_at=order.acked_at or report.at,
        ended_at=(order.ended_at or report.at) if ended else None,
        evidence=_evidence(report) if ended and status is not order.status else order.evidence,
    )


def _status_after(order: Order, report: VenueReport, filled: Decimal) -> OrderStatus:
    if filled >= order.quantity:
        return OrderStatus.FILLED
    if order.status in ENDED:
        return order.status
    if report.status in ENDED and report.status is not OrderStatus.FILLED:
        return report.status
    return OrderStatus.PARTIALLY_FILLED if filled > ZERO else OrderStatus.WORKING


def _evidence(report: VenueReport) -> str:
    said = f"{report.source} {report.venue_order_id} {report.status} at {report.at.isoformat()}"
    return f"{said}: {report.reason}" if report.reason else said
