"""The log entry of a person's word about a saga: who said what and why, and what it changed.

It stands beside the transitions that the word made, in the same Change.
"""

from __future__ import annotations

from typing import assert_never

from tradesaga.domain import saga as machine
from tradesaga.domain.saga import Input, SagaStatus
from tradesaga.domain.trade_intervention import COMPENSATE, RESOLVE, RETRY
from tradesaga.domain.trade_messages import (
    Intervention,
    Outcome,
    Resolved,
    Resumed,
    TradeState,
    TurnedBack,
)
from tradesaga.domain.trade_plan import PLAN
from tradesaga.ports.journal import Entry

KIND = "saga.intervention"


def intervention(
    before: TradeState, outcome: Outcome, *, actor: str, what: str
) -> tuple[Entry, ...]:
    """One entry when `outcome` is a person's word being done, else none."""
    if before.saga.status is not SagaStatus.MANUAL_REQUIRED or not outcome.transitions:
        return ()
    first = outcome.transitions[0]
    if first.input is not Input.RESUME:
        return ()
    body = {
        "command": what,
        "reason": first.reason,
        "before": _state(before),
        "after": _state(outcome.state),
    }
    saga = before.saga
    return (
        Entry(
            kind=KIND,
            subject=str(saga.id),
            actor=actor,
            body=body,
            correlation_id=str(saga.decision_id),
        ),
    )


def command_of(happened: Intervention) -> str:
    """What the person asked for, in the words of the API."""
    match happened:
        case Resumed():
            return RETRY
        case TurnedBack():
            return COMPENSATE
        case Resolved(resolution=resolution):
            return f"{RESOLVE} {resolution}"
        case _:
            assert_never(happened)


def _state(state: TradeState) -> dict[str, object]:
    saga, order = state.saga, state.order
    return {
        "status": saga.status,
        "step": machine.name_of(saga, PLAN),
        "reason": saga.reason,
        "orderStatus": order.status,
        "venueOrderId": order.venue_order_id,
        "evidence": order.evidence,
        "reserved": state.reservation.outstanding,
    }
