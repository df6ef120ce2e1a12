"""The cycle machine: its steps in order, its three ends, and nothing after an end."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from tests.domain.trades import SECOND, START
from tradesaga.domain import cycle as machine
from tradesaga.domain.cycle import (
    STEPS,
    Cycle,
    CycleError,
    CycleStatus,
    CycleType,
    TriggeredBy,
)
from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.ids import DEFAULT_AGENT, CycleId

S = CycleStatus
END = START + 9 * SECOND


def started(kind: CycleType = CycleType.ANALYSIS) -> Cycle:
    return Cycle(
        id=CycleId(UUID(int=1)),
        agent_id=DEFAULT_AGENT,
        type=kind,
        triggered_by=TriggeredBy.SCHEDULE,
        scheduled_at=START,
        started_at=START,
        epoch=1,
    )


def test_the_steps_of_the_specification() -> None:
    assert STEPS[CycleType.ANALYSIS] == (
        "fetch_market_data",
        "evaluate_positions",
        "generate_decisions",
        "validate_decisions",
        "execute_orders",
        "update_state",
    )
    assert STEPS[CycleType.HEARTBEAT] == ("check_service_health", "sync_positions", "update_status")
    assert set(STEPS) == set(CycleType)


@pytest.mark.parametrize("kind", CycleType)
def test_steps_are_taken_in_order_to_the_end(kind: CycleType) -> None:
    cycle, taken, progress = started(kind), [], []
    while cycle.step is not None:
        taken.append(cycle.step)
        progress.append(cycle.progress)
        assert (cycle.status, cycle.completed_at, cycle.duration) == (S.STARTED, None, None)
        before, cycle = cycle, machine.step_done(cycle, END, began_at=END)
        assert cycle.version == before.version + 1
    assert tuple(taken) == STEPS[kind]
    assert progress == [100 * n // len(STEPS[kind]) for n in range(len(STEPS[kind]))]
    assert (cycle.status, cycle.progress, cycle.completed_at) == (S.COMPLETED, 100, END)
    assert cycle.duration == 9 * SECOND


def test_progress_of_the_analysis_in_whole_percent() -> None:
    cycle, seen = started(), []
    while cycle.step is not None:
        cycle = machine.step_done(cycle, END, began_at=END)
        seen.append(cycle.progress)
    assert seen == [16, 33, 50, 66, 83, 100]


def test_a_step_sets_figures_of_the_cycle_and_nothing_else() -> None:
    cycle = machine.step_done(started(), END, began_at=END, decisions_generated=3)
    assert (cycle.decisions_generated, cycle.cursor) == (3, 1)
    with pytest.raises(TypeError):
        machine.step_done(started(), END, began_at=END, nonsense=1)


def ended(status: CycleStatus) -> Cycle:
    if status is S.COMPLETED:
        return replace(started(), status=status, cursor=6, completed_at=END)
    return (machine.failed if status is S.FAILED else machine.cancelled)(started(), "why", END)


@pytest.mark.parametrize("status", [S.FAILED, S.CANCELLED])
def test_an_early_end_says_why(status: CycleStatus) -> None:
    cycle = ended(status)
    assert (cycle.status, cycle.completed_at, cycle.version) == (status, END, 2)
    assert cycle.errors == (CycleError(strategy_id=None, error="why"),)
    assert cycle.outcome == status


@pytest.mark.parametrize("status", [S.COMPLETED, S.FAILED, S.CANCELLED])
def test_after_an_end_everything_is_refused(status: CycleStatus) -> None:
    cycle = ended(status)
    with pytest.raises(IllegalTransition, match=f"is {status}, it cannot take a step"):
        machine.step_done(cycle, END, began_at=END)
    with pytest.raises(IllegalTransition, match=f"is {status}, it cannot fail"):
        machine.failed(cycle, "x", END)
    with pytest.raises(IllegalTransition, match=f"is {status}, it cannot be cancelled"):
        machine.cancelled(cycle, "x", END)


def test_a_failed_strategy_makes_the_outcome_partial() -> None:
    done = ended(S.COMPLETED)
    assert done.outcome == "success"
    error = CycleError(strategy_id="sma", error="no answer")
    assert replace(done, errors=(error,)).outcome == "partial"


def test_another_version_of_the_same_cycle() -> None:
    assert machine.with_version(started(), 7) == replace(started(), version=7)
