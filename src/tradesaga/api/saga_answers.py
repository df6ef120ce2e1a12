"""The answers of the API about sagas: the list, and one saga with its log, order and money.

A step is one entry of the log as it was committed; what an entry does not have is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from tradesaga.api.answers import Timestamp, stamp, stamp_or_none
from tradesaga.api.cycle_answers import OrderAnswer, order_answer
from tradesaga.api.trade_answers import (
    FillAnswer,
    ReservationAnswer,
    fill_answer,
    reservation_answer,
)
from tradesaga.domain.saga import ENDS, Input, Saga, SagaStatus, name_of
from tradesaga.domain.trade_intervention import allowed
from tradesaga.domain.trade_messages import TradeState
from tradesaga.domain.trade_plan import PLAN
from tradesaga.ports.trade_records import LoggedStep, TradeRecord


class SagaAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A saga in the list; `step` is the action or compensation it stands at, null at its end."""

    id: str
    type: str
    state: str
    step: str | None
    symbol: str
    side: str
    quantity: Decimal
    filled_quantity: Decimal
    order_status: str
    reason: str
    decision_id: str
    strategy_id: str | None
    cycle_id: str | None
    created_at: Timestamp
    updated_at: Timestamp
    deadline_at: Timestamp


class SagasAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of sagas, the latest first; `nextCursor` is null on the last page."""

    sagas: list[SagaAnswer]
    next_cursor: str | None


class PlanStepAnswer(Struct, frozen=True, kw_only=True):
    """A step of the plan; `state` is waiting, current, done or undone."""

    action: str
    compensation: str
    pivot: bool
    state: str


class StepAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One log entry about the saga: a transition, a fact, a fill, an alert, an intervention."""

    sequence: int
    at: Timestamp
    kind: str
    actor: str
    epoch: int
    before: str | None
    after: str | None
    step: str | None
    input: str | None
    reason: str | None
    order_status: str | None
    evidence: str | None


class AttemptsAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """How often what was tried; `attempt` counts at the present step, `nextAt` is the next try."""

    attempt: int
    next_at: Timestamp | None
    sends: int
    lookups: int
    unknown_since: Timestamp | None
    cancel_wanted_at: Timestamp | None
    cancel_requested_at: Timestamp | None


class DeadlinesAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """Nothing is sent after either: the saga's own, and that of the decision."""

    saga_at: Timestamp
    order_expires_at: Timestamp


class CompensationAnswer(Struct, frozen=True, kw_only=True):
    """A step that was taken back."""

    compensation: str
    at: Timestamp
    reason: str


class SagaRecordAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A saga with all that is kept about it; `allowedActions` is what a person may do now."""

    saga: SagaAnswer
    pivoted: bool
    partial: bool
    version: int
    allowed_actions: list[str]
    plan: list[PlanStepAnswer]
    steps: list[StepAnswer]
    compensations: list[CompensationAnswer]
    attempts: AttemptsAnswer
    deadlines: DeadlinesAnswer
    evidence: str | None
    order: OrderAnswer
    fills: list[FillAnswer]
    reservation: ReservationAnswer


def sagas_answer(trades: Sequence[TradeState], next_cursor: str | None) -> SagasAnswer:
    """The page."""
    return SagasAnswer(sagas=[saga_answer(trade) for trade in trades], next_cursor=next_cursor)


def saga_answer(trade: TradeState) -> SagaAnswer:
    """One saga in the list."""
    saga, order = trade.saga, trade.order
    return SagaAnswer(
        id=str(saga.id),
        type=saga.type,
        state=saga.status,
        step=None if saga.status in ENDS else name_of(saga, PLAN),
        symbol=saga.symbol,
        side=order.side,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        order_status=order.status,
        reason=saga.reason,
        decision_id=str(saga.decision_id),
        strategy_id=None if saga.strategy_id is None else str(saga.strategy_id),
        cycle_id=None if saga.cycle_id is None else str(saga.cycle_id),
        created_at=stamp(saga.created_at),
        updated_at=stamp(saga.updated_at),
        deadline_at=stamp(saga.deadline_at),
    )


def saga_record_answer(record: TradeRecord) -> SagaRecordAnswer:
    """One saga, whole."""
    saga, order = record.state.saga, record.state.order
    return SagaRecordAnswer(
        saga=saga_answer(record.state),
        pivoted=saga.pivoted,
        partial=saga.partial,
        version=saga.version,
        allowed_actions=list(allowed(record.state)),
        plan=_plan(saga),
        steps=[_step(step) for step in record.steps],
        compensations=[
            CompensationAnswer(
                compensation=str(step.body["step"]),
                at=stamp(step.at),
                reason=str(step.body.get("reason") or ""),
            )
            for step in record.steps
            if _takes_back(step.body)
        ],
        attempts=AttemptsAnswer(
            attempt=saga.attempt,
            next_at=stamp_or_none(saga.due),
            sends=order.sends,
            lookups=order.lookups,
            unknown_since=stamp_or_none(order.unknown_since),
            cancel_wanted_at=stamp_or_none(order.cancel_wanted_at),
            cancel_requested_at=stamp_or_none(order.cancel_requested_at),
        ),
        deadlines=DeadlinesAnswer(
            saga_at=stamp(saga.deadline_at), order_expires_at=stamp(order.expires_at)
        ),
        evidence=order.evidence,
        order=order_answer(order),
        fills=[fill_answer(fill) for fill in record.fills],
        reservation=reservation_answer(record.state.reservation),
    )


def _plan(saga: Saga) -> list[PlanStepAnswer]:
    return [
        PlanStepAnswer(
            action=step.action,
            compensation=step.compensation,
            pivot=index == PLAN.pivot,
            state=_standing(saga, index),
        )
        for index, step in enumerate(PLAN.steps)
    ]


def _standing(saga: Saga, index: int) -> str:
    match saga.status:
        case SagaStatus.COMPLETED | SagaStatus.COMPLETED_PARTIAL:
            return "done"
        case SagaStatus.COMPENSATED:
            return "undone"
        case _ if index == saga.cursor:
            return "current"
        case _:
            return "done" if index < saga.cursor else "waiting"


def _step(step: LoggedStep) -> StepAnswer:
    body = step.body
    return StepAnswer(
        sequence=step.sequence,
        at=stamp(step.at),
        kind=step.kind,
        actor=step.actor,
        epoch=step.epoch,
        before=_word(body, "from") or _word(_inner(body, "before"), "status"),
        after=_word(body, "to") or _word(_inner(body, "after"), "status"),
        step=_word(body, "step"),
        input=_word(body, "input") or _word(body, "command"),
        reason=_word(body, "reason") or _word(body, "fact") or _word(body, "alert"),
        order_status=_word(body, "orderStatus") or _word(_inner(body, "after"), "orderStatus"),
        evidence=_word(body, "evidence") or _word(_inner(body, "after"), "evidence"),
    )


def _takes_back(body: Mapping[str, Any]) -> bool:
    return body.get("from") == SagaStatus.COMPENSATING and body.get("input") == Input.DONE


def _inner(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = body.get(name)
    return inner if isinstance(inner, Mapping) else {}


def _word(body: Mapping[str, Any], name: str) -> str | None:
    return str(body[name]) if body.get(name) else None
