"""The saga machine: which step comes next, and what is undone when one fails.

    PENDING --begin--> RUNNING --done(last step)--> COMPLETED, COMPLETED_PARTIAL
                         |  ^
          failed before  |  |  pivoted: the world was faster
          the pivot      v  |
                     COMPENSATING --done(first step)--> COMPENSATED

    RUNNING past the pivot --failed--+
    COMPENSATING ---failed-----------+--> MANUAL_REQUIRED --resume--> the way it was going
    COMPENSATED --revived--> COMPENSATING

    status \\ input    begin    done      done_partly  failed        pivoted        resume
    PENDING           RUNNING  -         -            -             -              -
    RUNNING           -        next/end  next/end     COMP/MANUAL   at the pivot   -
    COMPENSATING      -        back/end  -            MANUAL        RUNNING        -
    MANUAL_REQUIRED   -        -         -            -             stays, forward RUNNING/COMP

Every transition lives in this file; the machine knows no trade, clock or store. Past the pivot a
saga only goes forward (Garcia-Molina & Salem, 1987).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import AgentId, CycleId, DecisionId, SagaId, StrategyId
from tradesaga.domain.values import quick, written


class SagaStatus(StrEnum):
    """Where a saga stands; the values are those of the database and the API."""

    PENDING = "pending"
    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPLETED_PARTIAL = "completed_partial"
    COMPENSATED = "compensated"
    MANUAL_REQUIRED = "manual_required"


ENDS = frozenset({SagaStatus.COMPLETED, SagaStatus.COMPLETED_PARTIAL, SagaStatus.COMPENSATED})
"""A saga in one of these moves no more, but for COMPENSATED, which can be revived."""


class Input(StrEnum):
    """What can happen to a saga."""

    BEGIN = "begin"
    DONE = "done"
    DONE_PARTLY = "done_partly"
    FAILED = "failed"  # it has not taken effect and never will
    PIVOTED = "pivoted"  # the pivot took effect, wherever the saga stood
    RESUME = "resume"  # a person removed the obstacle
    REVIVED = "revived"  # it was proven not to have taken effect, and has


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An action, and the compensation that takes it back."""

    action: str
    compensation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One kind of saga: `pivot` is the index of the step that cannot be taken back."""

    type: str
    steps: tuple[Step, ...]
    pivot: int

    def __post_init__(self) -> None:
        assert 0 <= self.pivot < len(self.steps), self.pivot


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Saga:
    """`cursor` is the step being done (RUNNING) or undone (COMPENSATING), counted from 0.

    `attempt` counts the tries at what that step asks of the world, `due` is when the next is
    allowed. `version` counts transitions and other commits of the saga, without gaps.
    """

    id: SagaId
    agent_id: AgentId
    type: str
    decision_id: DecisionId
    strategy_id: StrategyId | None
    cycle_id: CycleId | None
    symbol: str
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    status: SagaStatus = SagaStatus.PENDING
    cursor: int = 0
    attempt: int = 0
    due: datetime | None = None
    pivoted: bool = False
    partial: bool = False
    reason: str = ""
    version: int = 1


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step of the machine, for the audit log and the event stream."""

    before: SagaStatus
    after: SagaStatus
    input: Input
    name: str
    reason: str
    at: datetime


def name_of(saga: Saga, plan: Plan) -> str:
    """The action or the compensation that the saga stands at."""
    step = plan.steps[saga.cursor]
    return step.compensation if saga.status is SagaStatus.COMPENSATING else step.action


def advance(
    saga: Saga,
    plan: Plan,
    happened: Input,
    now: datetime,
    reason: str = "",
    *,
    original: Saga | None = None,
) -> tuple[Saga, Transition]:
    """The saga after `happened`; its version is left to whoever commits it.

    A saga that is not `original`, where one is given, is the caller's own and is written on.

    Raises:
        IllegalTransition: the machine has no such edge.
    """
    before, name = saga.status, name_of(saga, plan)
    changes = _moved(saga, plan, happened)
    changes["updated_at"] = now
    if reason:
        changes["reason"] = reason
    after = written(saga, saga if original is None else original, **changes)
    transition = Transition(
        before=before, after=after.status, input=happened, name=name, reason=reason, at=now
    )
    return after, transition


_Fields = dict[str, object]
"""What changes of a saga, by the names of its fields; made for one move, so it may be added to."""


def _moved(saga: Saga, plan: Plan, happened: Input) -> _Fields:
    match saga.status:
        case SagaStatus.PENDING:
            if happened is Input.BEGIN:
                return {"status": SagaStatus.RUNNING}
        case SagaStatus.RUNNING:
            return _from_running(saga, plan, happened)
        case SagaStatus.COMPENSATING:
            return _from_compensating(saga, plan, happened)
        case SagaStatus.MANUAL_REQUIRED:
            return _from_manual_required(saga, plan, happened)
        case SagaStatus.COMPENSATED:
            if happened is Input.REVIVED:
                return _at(SagaStatus.COMPENSATING, max(0, plan.pivot - 1))
        case SagaStatus.COMPLETED | SagaStatus.COMPLETED_PARTIAL:
            pass
        case _:
            assert_never(saga.status)
    raise _refusal(saga, happened)


def _from_running(saga: Saga, plan: Plan, happened: Input) -> _Fields:
    match happened:
        case Input.DONE:
            return _forward(saga, plan, partial=saga.partial)
        case Input.DONE_PARTLY:
            return _forward(saga, plan, partial=True)
        case Input.FAILED if saga.pivoted:
            return _at(SagaStatus.MANUAL_REQUIRED, saga.cursor)
        case Input.FAILED:
            return _at(SagaStatus.COMPENSATING, saga.cursor)
        case Input.PIVOTED:
            return _past_pivot(saga, plan, SagaStatus.RUNNING)
        case Input.BEGIN | Input.RESUME | Input.REVIVED:
            raise _refusal(saga, happened)
        case _:
            assert_never(happened)


def _from_compensating(saga: Saga, plan: Plan, happened: Input) -> _Fields:
    match happened:
        case Input.DONE if saga.cursor == 0:
            return _at(SagaStatus.COMPENSATED, 0)
        case Input.DONE:
            return _at(SagaStatus.COMPENSATING, saga.cursor - 1)
        case Input.FAILED:
            return _at(SagaStatus.MANUAL_REQUIRED, saga.cursor)
        case Input.PIVOTED:  # the cancel lost the race to a fill
            return _past_pivot(saga, plan, SagaStatus.RUNNING)
        case Input.BEGIN | Input.DONE_PARTLY | Input.RESUME | Input.REVIVED:
            raise _refusal(saga, happened)
        case _:
            assert_never(happened)


def _from_manual_required(saga: Saga, plan: Plan, happened: Input) -> _Fields:
    match happened:
        case Input.RESUME if saga.pivoted:
            return _at(SagaStatus.RUNNING, saga.cursor)
        case Input.RESUME:
            return _at(SagaStatus.COMPENSATING, saga.cursor)
        case Input.PIVOTED:  # the world does not wait for the person
            return _past_pivot(saga, plan, SagaStatus.MANUAL_REQUIRED)
        case Input.BEGIN | Input.DONE | Input.DONE_PARTLY | Input.FAILED | Input.REVIVED:
            raise _refusal(saga, happened)
        case _:
            assert_never(happened)


def _forward(saga: Saga, plan: Plan, *, partial: bool) -> _Fields:
    if saga.cursor == len(plan.steps) - 1:
        end = SagaStatus.COMPLETED_PARTIAL if partial else SagaStatus.COMPLETED
        moved = _at(end, saga.cursor)
    else:
        moved = _at(SagaStatus.RUNNING, saga.cursor + 1)
    moved["partial"] = partial
    moved["pivoted"] = saga.pivoted or saga.cursor == plan.pivot
    return moved


def _past_pivot(saga: Saga, plan: Plan, status: SagaStatus) -> _Fields:
    """Forward from the pivot: whatever stands before it has evidently been done."""
    if saga.pivoted:
        return {}
    return {**_at(status, max(saga.cursor, plan.pivot)), "pivoted": True}


def _at(status: SagaStatus, cursor: int) -> _Fields:
    return {"status": status, "cursor": cursor, "attempt": 0, "due": None}


def _refusal(saga: Saga, happened: Input) -> IllegalTransition:
    return IllegalTransition(f"saga {saga.id} is {saga.status}, it cannot take {happened}")
