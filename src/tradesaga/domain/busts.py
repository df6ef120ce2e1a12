"""Fills that the venue takes back: which are new, and the rows with the opposite sign.

A bust is known by the cumulative quantity that the execution had reached, like the fill itself.
That identity stays: a second report of the bust, or of the fill, finds it and does nothing. A
correction of a price is a bust, and a new execution beyond it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from tradesaga.domain.ids import FillId, VoidId, derived
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import Fill, Order, VenueReport, Void


def voided(voids: tuple[Void, ...]) -> Decimal:
    """How much of an order has been taken back."""
    return sum((void.quantity for void in voids), ZERO)


def new_voids(
    order: Order, report: VenueReport, known: tuple[Void, ...], now: datetime
) -> tuple[Void, ...]:
    """The busts in `report` that are of booked fills and not known yet."""
    reached = order.filled_quantity + voided(known)
    taken = {void.cumulative for void in known}
    return tuple(
        Void(
            id=VoidId(derived(order.id, "void", f"{bust.cumulative.normalize():f}")),
            agent_id=order.agent_id,
            order_id=order.id,
            saga_id=order.saga_id,
            cumulative=bust.cumulative,
            quantity=bust.quantity,
            price=bust.price,
            fee=min(bust.fee, order.fees),  # a poll may have booked the fill without its fee
            reason=bust.reason,
            recorded_at=now,
        )
        for bust in report.busts
        if bust.cumulative not in taken and bust.cumulative <= reached
    )


def void_fill(order: Order, void: Void) -> Fill:
    """The correcting row: the same amounts, taken away."""
    return Fill(
        id=FillId(derived(void.id, "fill")),
        agent_id=order.agent_id,
        order_id=order.id,
        saga_id=order.saga_id,
        venue_fill_id=f"{order.venue_order_id}:{void.cumulative.normalize():f}:void",
        symbol=order.symbol,
        side=order.side,
        quantity=-void.quantity,
        price=void.price,
        fee=-void.fee,
        filled_at=void.recorded_at,
        recorded_at=void.recorded_at,
    )
