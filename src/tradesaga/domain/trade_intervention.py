"""What a person may do about a trade saga that is parked, and what it makes of its order.

    retry       on the way it was going: forward past the pivot, else back; it is looked up and
                asked for anew, with all attempts
    compensate  back, as long as nothing is filled: cancel what may live, await the verdict, release
    resolve     the person states what became of an order that may live: never placed, canceled, or
                known to the venue under an id, which is then looked up

Refuses everything for a saga that is not parked, and to turn back past the pivot. A person's word
ends an order, with the person as evidence; a fill is booked on the venue's word alone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.money import ZERO
from tradesaga.domain.orders import ENDED, Order, OrderStatus
from tradesaga.domain.saga import SagaStatus
from tradesaga.domain.trade_messages import (
    Intervention,
    Resolution,
    Resolved,
    Resumed,
    TradeState,
    TurnedBack,
)

RETRY, COMPENSATE, RESOLVE = "retry", "compensate", "resolve"


def allowed(state: TradeState) -> tuple[str, ...]:
    """What a person may do now, by the names of the commands."""
    if state.saga.status is not SagaStatus.MANUAL_REQUIRED:
        return ()
    actions = [RETRY]
    if not _goes_forward(state):
        actions.append(COMPENSATE)
    if state.order.status not in ENDED:
        actions.append(RESOLVE)
    return tuple(actions)


def order_after(state: TradeState, happened: Intervention, now: datetime) -> Order:
    """The order after a person's word.

    Raises:
        IllegalTransition: the saga is not parked, or its order does not allow that.
    """
    saga, order = state.saga, state.order
    if saga.status is not SagaStatus.MANUAL_REQUIRED:
        raise IllegalTransition(f"saga {saga.id} is {saga.status}, it does not wait for a person")
    match happened:
        case Resumed():
            return _anew(order, now)
        case TurnedBack():
            if _goes_forward(state):
                raise IllegalTransition(
                    f"saga {saga.id} has filled {order.filled_quantity}: past the pivot it only "
                    "goes forward"
                )
            return (
                order if order.status in ENDED else replace(_anew(order, now), cancel_wanted_at=now)
            )
        case Resolved():
            return _resolved(order, happened, now)
        case _:
            assert_never(happened)


def _goes_forward(state: TradeState) -> bool:
    return state.saga.pivoted or state.order.filled_quantity > ZERO


def _anew(order: Order, now: datetime) -> Order:
    """With all look-ups and cancels to come; a wish to cancel counts its time from now."""
    if order.status in ENDED:
        return order
    wanted = None if order.cancel_wanted_at is None else now
    return replace(order, lookups=0, cancel_wanted_at=wanted, cancel_requested_at=None)


def _resolved(order: Order, told: Resolved, now: datetime) -> Order:
    if order.status in ENDED:
        raise IllegalTransition(
            f"order {order.client_order_id} is {order.status} on the venue's word: retry instead"
        )
    evidence = f"operator {told.by}: {told.reason}"
    match told.resolution:
        case Resolution.NOT_PLACED:
            if order.venue_order_id is not None:
                raise IllegalTransition(
                    f"order {order.client_order_id} was placed: the venue has called it "
                    f"{order.venue_order_id}"
                )
            return _ended(order, OrderStatus.NOT_PLACED, evidence, now)
        case Resolution.CANCELED:
            return _ended(order, OrderStatus.CANCELED, evidence, now)
        case Resolution.ADOPT:
            return _adopted(order, told.venue_order_id, evidence, now)
        case _:
            assert_never(told.resolution)


def _ended(order: Order, status: OrderStatus, evidence: str, now: datetime) -> Order:
    return replace(order, status=status, evidence=evidence, ended_at=now, unknown_since=None)


def _adopted(order: Order, venue_order_id: str | None, evidence: str, now: datetime) -> Order:
    assert venue_order_id, "the door asks for it"
    if order.venue_order_id not in (None, venue_order_id):
        raise IllegalTransition(
            f"order {order.client_order_id} is {order.venue_order_id} at the venue, "
            f"not {venue_order_id}"
        )
    order = replace(_anew(order, now), venue_order_id=venue_order_id, evidence=evidence)
    if order.status is not OrderStatus.INTENT:
        return order
    return replace(order, status=OrderStatus.UNKNOWN, unknown_since=now, sends=1)
