"""The answers of the API about cycles: the list, and one cycle with all that belongs to it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from msgspec import Struct

from tradesaga.api.answers import Timestamp, milliseconds, stamp, stamp_or_none
from tradesaga.domain.cycle import TIMING, Cycle, CycleStatus
from tradesaga.domain.decisions import Decision
from tradesaga.domain.orders import Order
from tradesaga.ports.journal import CycleLog
from tradesaga.ports.records import CycleRecord


class CycleErrorAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """What went wrong for one strategy, or for the whole cycle when `strategyId` is null."""

    strategy_id: str | None
    error: str


class CycleAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A cycle in the list; `duration` in milliseconds, null while it runs."""

    id: str
    type: str
    started_at: Timestamp
    completed_at: Timestamp | None
    duration: int | None
    status: CycleStatus
    decisions: int
    orders: int
    errors: list[CycleErrorAnswer]


class CyclesAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of cycles, the latest first."""

    cycles: list[CycleAnswer]
    next_cursor: str | None


class CycleDetails(Struct, frozen=True, kw_only=True, rename="camel"):
    """A cycle with everything that is kept about it; `step` is null when none is left to do.

    `timings` has the milliseconds of each step that is done.
    """

    id: str
    type: str
    started_at: Timestamp
    completed_at: Timestamp | None
    duration: int | None
    status: CycleStatus
    decisions: int
    orders: int
    errors: list[CycleErrorAnswer]
    agent_id: str
    outcome: str
    triggered_by: str
    scheduled_at: Timestamp
    progress: int
    step: str | None
    steps: list[str]
    timings: dict[str, int]
    strategies_processed: int
    orders_filled: int
    metadata: dict[str, Any]


class DenialAnswer(Struct, frozen=True, kw_only=True):
    """A risk rule that said no."""

    code: str
    message: str


class DecisionAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A decision and what the risk rules made of it; `confidence` is 0 to 1.

    `rules` are the inputs and the verdict of each rule, as stored; empty for a HOLD.
    """

    id: str
    external_id: str
    cycle_id: str | None
    strategy_id: str | None
    symbol: str
    action: str
    confidence: Decimal
    quantity: Decimal
    reference_price: Decimal
    reasoning: str
    model: str
    verdict: str
    opening: bool
    denials: list[DenialAnswer]
    rules: dict[str, Any]
    as_of: Timestamp
    expires_at: Timestamp
    created_at: Timestamp


class OrderAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """An order as far as there is evidence; `averagePrice` is null before the first fill."""

    id: str
    client_order_id: str
    venue_order_id: str | None
    saga_id: str
    decision_id: str
    strategy_id: str | None
    cycle_id: str | None
    leg: int
    purpose: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    limit_price: Decimal | None
    time_in_force: str
    opening: bool
    status: str
    filled_quantity: Decimal
    average_price: Decimal | None
    fees: Decimal
    reference_price: Decimal
    evidence: str | None
    created_at: Timestamp
    submitted_at: Timestamp | None
    ended_at: Timestamp | None
    expires_at: Timestamp


class LogAnswer(Struct, frozen=True, kw_only=True):
    """A line of the cycle's log."""

    level: str
    message: str
    context: dict[str, Any]
    timestamp: Timestamp


class CycleRecordAnswer(Struct, frozen=True, kw_only=True):
    """A cycle with its decisions, orders and log lines in order of creation."""

    cycle: CycleDetails
    decisions: list[DecisionAnswer]
    orders: list[OrderAnswer]
    logs: list[LogAnswer]


def cycles_answer(cycles: Iterable[Cycle], next_cursor: str | None) -> CyclesAnswer:
    """The list."""
    return CyclesAnswer(cycles=[cycle_answer(cycle) for cycle in cycles], next_cursor=next_cursor)


def cycle_answer(cycle: Cycle) -> CycleAnswer:
    """One line of the list."""
    return CycleAnswer(
        id=str(cycle.id),
        type=cycle.type,
        started_at=stamp(cycle.started_at),
        completed_at=stamp_or_none(cycle.completed_at),
        duration=milliseconds(cycle.duration),
        status=cycle.status,
        decisions=cycle.decisions_generated,
        orders=cycle.orders_submitted,
        errors=_errors(cycle),
    )


def cycle_record_answer(record: CycleRecord) -> CycleRecordAnswer:
    """One cycle, whole."""
    return CycleRecordAnswer(
        cycle=_details(record.cycle),
        decisions=[decision_answer(decision) for decision in record.decisions],
        orders=[order_answer(order) for order in record.orders],
        logs=[log_answer(line) for line in record.logs],
    )


def _errors(cycle: Cycle) -> list[CycleErrorAnswer]:
    return [CycleErrorAnswer(strategy_id=e.strategy_id, error=e.error) for e in cycle.errors]


def _details(cycle: Cycle) -> CycleDetails:
    return CycleDetails(
        id=str(cycle.id),
        type=cycle.type,
        started_at=stamp(cycle.started_at),
        completed_at=stamp_or_none(cycle.completed_at),
        duration=milliseconds(cycle.duration),
        status=cycle.status,
        decisions=cycle.decisions_generated,
        orders=cycle.orders_submitted,
        errors=_errors(cycle),
        agent_id=str(cycle.agent_id),
        outcome=cycle.outcome,
        triggered_by=cycle.triggered_by,
        scheduled_at=stamp(cycle.scheduled_at),
        progress=cycle.progress,
        step=cycle.step,
        steps=list(cycle.steps),
        timings=dict(cycle.timings),
        strategies_processed=cycle.strategies_processed,
        orders_filled=cycle.orders_filled,
        metadata={k: v for k, v in cycle.metadata.items() if not k.startswith(TIMING)},
    )


def decision_answer(decision: Decision) -> DecisionAnswer:
    """One decision."""
    return DecisionAnswer(
        id=str(decision.id),
        external_id=decision.external_id,
        cycle_id=_text(decision.cycle_id),
        strategy_id=_text(decision.strategy_id),
        symbol=decision.symbol,
        action=decision.action,
        confidence=decision.confidence,
        quantity=decision.quantity,
        reference_price=decision.reference_price,
        reasoning=decision.reasoning,
        model=decision.model,
        verdict=decision.verdict,
        opening=decision.opening,
        denials=[DenialAnswer(code=d.code, message=d.message) for d in decision.denials],
        rules=dict(decision.rules),
        as_of=stamp(decision.as_of),
        expires_at=stamp(decision.expires_at),
        created_at=stamp(decision.created_at),
    )


def order_answer(order: Order) -> OrderAnswer:
    """One order."""
    return OrderAnswer(
        id=str(order.id),
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
        saga_id=str(order.saga_id),
        decision_id=str(order.decision_id),
        strategy_id=_text(order.strategy_id),
        cycle_id=_text(order.cycle_id),
        leg=order.leg,
        purpose=order.purpose,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        limit_price=order.limit_price,
        time_in_force=order.time_in_force,
        opening=order.opening,
        status=order.status,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        fees=order.fees,
        reference_price=order.reference_price,
        evidence=order.evidence,
        created_at=stamp(order.created_at),
        submitted_at=stamp_or_none(order.submitted_at),
        ended_at=stamp_or_none(order.ended_at),
        expires_at=stamp(order.expires_at),
    )


def log_answer(line: CycleLog) -> LogAnswer:
    """One line."""
    return LogAnswer(
        level=line.level,
        message=line.message,
        context=dict(line.context),
        timestamp=stamp(line.timestamp),
    )


def _text(identity: object | None) -> str | None:
    return None if identity is None else str(identity)
