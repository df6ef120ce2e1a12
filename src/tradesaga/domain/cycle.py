"""The cycle machine: one pass of the agent over its steps.

    STARTED --step done--> STARTED (next step) --last step done--> COMPLETED
       |
       +--failed--> FAILED        +--cancelled, interrupted--> CANCELLED

    status \\ input   step done      failed   cancelled
    STARTED          next/COMPLETED FAILED   CANCELLED
    an end           -              -        -

A strategy that fails is recorded in `errors` and does not fail the cycle. A cycle that a crash
interrupted is not resumed: its data and decisions have aged. It ends as CANCELLED; the sagas that
it began go on by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import AgentId, CycleId


class CycleType(StrEnum):
    """The three kinds of the specification."""

    ANALYSIS = "analysis"
    HEARTBEAT = "heartbeat"
    REBALANCE = "rebalance"


class CycleStatus(StrEnum):
    """The values of the table and the API."""

    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TriggeredBy(StrEnum):
    """Why a cycle ran."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    EVENT = "event"


STEPS: Mapping[CycleType, tuple[str, ...]] = {
    CycleType.ANALYSIS: (
        "fetch_market_data",
        "evaluate_positions",
        "generate_decisions",
        "validate_decisions",
        "execute_orders",
        "update_state",
    ),
    CycleType.HEARTBEAT: ("check_service_health", "sync_positions", "update_status"),
    CycleType.REBALANCE: (
        "calculate_target_weights",
        "compare_current_weights",
        "generate_rebalance_orders",
        "execute_orders",
    ),
}


TIMING: Final = "ms."
"""Before the name of a step in the metadata: how long it took."""
MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleError:
    """What went wrong for one strategy, or for the cycle when `strategy_id` is None."""

    strategy_id: str | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One cycle; `cursor` counts the steps that are done."""

    id: CycleId
    agent_id: AgentId
    type: CycleType
    triggered_by: TriggeredBy
    scheduled_at: datetime
    started_at: datetime
    epoch: int
    status: CycleStatus = CycleStatus.STARTED
    cursor: int = 0
    completed_at: datetime | None = None
    strategies_processed: int = 0
    decisions_generated: int = 0
    orders_submitted: int = 0
    orders_filled: int = 0
    errors: tuple[CycleError, ...] = ()
    metadata: Mapping[str, str | int | Decimal | None] = field(default_factory=dict)
    version: int = 1

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps of its type, in order."""
        return STEPS[self.type]

    @property
    def step(self) -> str | None:
        """The step being done; None after the last."""
        return self.steps[self.cursor] if self.cursor < len(self.steps) else None

    @property
    def progress(self) -> int:
        """0 to 100: how much of the steps is done."""
        return 100 * self.cursor // len(self.steps)

    @property
    def duration(self) -> timedelta | None:
        """From start to end; None while it runs."""
        return None if self.completed_at is None else self.completed_at - self.started_at

    @property
    def timings(self) -> Mapping[str, int]:
        """How long each step took that is done, in milliseconds of the cycle's time."""
        known = ((step, self.metadata.get(TIMING + step)) for step in self.steps)
        return {step: took for step, took in known if isinstance(took, int)}

    @property
    def outcome(self) -> str:
        """The word of the completed event: success, partial, failed or cancelled."""
        if self.status is CycleStatus.COMPLETED:
            return "partial" if self.errors else "success"
        return str(self.status)


def step_done(cycle: Cycle, now: datetime, *, began_at: datetime, **figures: Any) -> Cycle:
    """The cycle after its present step, begun at `began_at`, with the fields in `figures` set.

    Raises:
        IllegalTransition: the cycle has ended.
    """
    _must_run(cycle, "take a step")
    took = max(0, (now - began_at) // MILLISECOND)
    more = figures.pop("metadata", {})
    cursor = cycle.cursor + 1
    last = cursor == len(cycle.steps)
    return replace(
        cycle,
        cursor=cursor,
        status=CycleStatus.COMPLETED if last else CycleStatus.STARTED,
        completed_at=now if last else None,
        version=cycle.version + 1,
        metadata={**cycle.metadata, **more, f"{TIMING}{cycle.step}": took},
        **figures,
    )


def failed(cycle: Cycle, error: str, now: datetime) -> Cycle:
    """The cycle ended by an error of its own, not of one strategy."""
    _must_run(cycle, "fail")
    return _ended(cycle, CycleStatus.FAILED, error, now)


def cancelled(cycle: Cycle, reason: str, now: datetime) -> Cycle:
    """The cycle ended by an operator, a stop, or a crash of the process that ran it."""
    _must_run(cycle, "be cancelled")
    return _ended(cycle, CycleStatus.CANCELLED, reason, now)


def _ended(cycle: Cycle, status: CycleStatus, why: str, now: datetime) -> Cycle:
    return replace(
        cycle,
        status=status,
        completed_at=now,
        errors=(*cycle.errors, CycleError(strategy_id=None, error=why)),
        version=cycle.version + 1,
    )


def _must_run(cycle: Cycle, what: str) -> None:
    if cycle.status is not CycleStatus.STARTED:
        raise IllegalTransition(
            f"cycle {cycle.id} is {cycle.status}, it cannot {what}", state=cycle.status
        )


def with_version(cycle: Cycle, version: int) -> Cycle:
    """The same cycle under another version: for a step that is not written by itself."""
    return replace(cycle, version=version)
