"""The approval machine: one order that waits for a named operator, and what became of it.

    PENDING --approve--> CONSUMED     the order's intent is in the same commit
       |-----deny------> DENIED
       +-----expire----> EXPIRED      its time is over, or a newer proposal has replaced it

Approving and ordering are one step: an approval that is given and not used is never stored, so no
crash can leave one behind or use one twice. It is bound to the order by a digest: an order that
differs in any field, or settings that have changed, need a new approval. All rules run again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Final

from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import AgentId, ApprovalId, DecisionId, SagaId, StrategyId, derived
from tradesaga.domain.orders import Order, OrderType, Side

TIME_MAX: Final = timedelta(minutes=15)
"""How long an operator has, at most."""
LAST_REMINDER: Final = timedelta(seconds=60)
"""So long before the end comes the last one."""


class ExecutionMode(StrEnum):
    """Who has the last word on an order."""

    AUTONOMOUS = "AUTONOMOUS"
    SEMI_AUTO = "SEMI_AUTO"
    MANUAL = "MANUAL"


class ApprovalState(StrEnum):
    """PENDING waits for a person; the others are ends."""

    PENDING = "pending"
    CONSUMED = "consumed"
    DENIED = "denied"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One order as it was proposed; `decided_by` and `reason` are the operator's words.

    `saga_id` is that of the order that it became, or would become.
    """

    id: ApprovalId
    agent_id: AgentId
    decision_id: DecisionId
    saga_id: SagaId
    strategy_id: StrategyId | None
    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType
    limit_price: Decimal | None
    time_in_force: str
    reference_price: Decimal
    digest: str
    created_at: datetime
    expires_at: datetime
    updated_at: datetime
    state: ApprovalState = ApprovalState.PENDING
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str = ""
    version: int = 1
    reminders: int = 0
    """How many of the moments of `reminder_times` have been told."""


def digest_of(order: Order, configuration: str) -> str:
    """What an operator agrees to: the order as the venue will see it, whose, under which settings.

    Equal numbers are equal, however they are written.
    """
    parts = (
        order.symbol,
        order.side,
        _number(order.quantity),
        order.type,
        _number(order.limit_price),
        order.time_in_force,
        order.strategy_id,
        configuration,
    )
    return sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()


def approval_id_of(decision_id: DecisionId) -> ApprovalId:
    """The id of the question about a decision's order."""
    return ApprovalId(derived(decision_id, "approval"))


def asked(order: Order, configuration: str, now: datetime, until: datetime | None) -> Approval:
    """The question about `order`; it ends with the session at `until`, if that is sooner."""
    end = now + TIME_MAX
    return Approval(
        id=approval_id_of(order.decision_id),
        agent_id=order.agent_id,
        decision_id=order.decision_id,
        saga_id=order.saga_id,
        strategy_id=order.strategy_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        type=order.type,
        limit_price=order.limit_price,
        time_in_force=order.time_in_force,
        reference_price=order.reference_price,
        digest=digest_of(order, configuration),
        created_at=now,
        expires_at=end if until is None else min(end, until),
        updated_at=now,
    )


def consumed(
    approval: Approval, order: Order, configuration: str, *, by: str, reason: str, now: datetime
) -> Approval:
    """The approval of exactly `order`, used up.

    Raises:
        IllegalTransition: it has ended, its time is over, or the order is another one.
    """
    must_be_open(approval, now)
    if digest_of(order, configuration) != approval.digest:
        raise IllegalTransition(
            f"approval {approval.id} is for another order or other settings: wait for a new one",
            state=approval.state,
            allowed=("deny",),
        )
    return _ended(approval, ApprovalState.CONSUMED, by, reason, now)


def denied(approval: Approval, *, by: str, reason: str, now: datetime) -> Approval:
    """The operator says no. Raises IllegalTransition as `must_be_open`."""
    must_be_open(approval, now)
    return _ended(approval, ApprovalState.DENIED, by, reason, now)


def expired(approval: Approval, reason: str, now: datetime) -> Approval:
    """Nobody has agreed; that counts as a no."""
    assert approval.state is ApprovalState.PENDING, approval
    return _ended(approval, ApprovalState.EXPIRED, None, reason, now)


def reminder_times(approval: Approval) -> tuple[datetime, datetime]:
    """At half of its time, and shortly before its end."""
    half = approval.created_at + (approval.expires_at - approval.created_at) / 2
    return half, max(half, approval.expires_at - LAST_REMINDER)


def next_look_at(approval: Approval) -> datetime:
    """When a pending one needs its next reminder, or has expired."""
    return (*reminder_times(approval), approval.expires_at)[approval.reminders]


def reminded(approval: Approval, now: datetime) -> Approval:
    """What is due has been told, several at once as one; the same value when nothing is due."""
    due = sum(1 for at in reminder_times(approval) if at <= now)
    if approval.state is not ApprovalState.PENDING or due <= approval.reminders:
        return approval
    return replace(approval, reminders=due, updated_at=now, version=approval.version + 1)


def must_be_open(approval: Approval, now: datetime) -> None:
    """Refuse what has ended.

    Raises:
        IllegalTransition: it is not pending, or its time is over.
    """
    if approval.state is not ApprovalState.PENDING:
        raise IllegalTransition(f"approval {approval.id} is {approval.state}", state=approval.state)
    if now >= approval.expires_at:
        ended = approval.expires_at.isoformat()
        raise IllegalTransition(
            f"approval {approval.id} ended at {ended}", state=ApprovalState.EXPIRED
        )


def _ended(
    approval: Approval, state: ApprovalState, by: str | None, reason: str, now: datetime
) -> Approval:
    return replace(
        approval,
        state=state,
        decided_by=by,
        decided_at=now,
        reason=reason,
        updated_at=now,
        version=approval.version + 1,
    )


def _number(value: Decimal | None) -> str:
    return "" if value is None else format(value.normalize(), "f")
