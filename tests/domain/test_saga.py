"""The saga machine: exactly the edges of its table, and the laws of every run."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.trades import SECOND, START, begun, pending
from tradesaga.domain import saga as machine
from tradesaga.domain.errors import IllegalTransition
from tradesaga.domain.saga import ENDS, Input, Plan, Saga, SagaStatus, Step

S, In = SagaStatus, Input
PLAN = Plan(
    type="test",
    steps=tuple(Step(action=f"do {n}", compensation=f"undo {n}") for n in range(5)),
    pivot=2,
)
LEGAL = {
    S.PENDING: {In.BEGIN},
    S.RUNNING: {In.DONE, In.DONE_PARTLY, In.FAILED, In.PIVOTED},
    S.COMPENSATING: {In.DONE, In.FAILED, In.PIVOTED},
    S.MANUAL_REQUIRED: {In.PIVOTED, In.RESUME},
    S.COMPLETED: set[Input](),
    S.COMPLETED_PARTIAL: set[Input](),
    S.COMPENSATED: {In.REVIVED},
}
NEW = pending().saga


def at(
    status: SagaStatus, cursor: int = 0, *, pivoted: bool = False, partial: bool = False
) -> Saga:
    """A saga that stands there, in the middle of its tries."""
    return replace(
        NEW, status=status, cursor=cursor, pivoted=pivoted, partial=partial, attempt=2, due=START
    )


def fed(saga: Saga, *inputs: Input) -> Saga:
    for happened in inputs:
        saga, _ = machine.advance(saga, PLAN, happened, START)
    return saga


@pytest.mark.parametrize("status", S)
@pytest.mark.parametrize("happened", In)
def test_the_machine_has_exactly_these_edges(status: SagaStatus, happened: Input) -> None:
    for cursor, pivoted in product(range(5), (False, True)):
        saga = at(status, cursor, pivoted=pivoted)
        if happened in LEGAL[status]:
            machine.advance(saga, PLAN, happened, START)
            continue
        refusal = f"{saga.id} is {status}, it cannot .*{happened}"
        with pytest.raises(IllegalTransition, match=refusal):
            machine.advance(saga, PLAN, happened, START)


def place(saga: Saga) -> tuple[SagaStatus, int, bool]:
    return saga.status, saga.cursor, saga.pivoted


@pytest.mark.parametrize(
    ("saga", "happened", "expected"),
    [
        (at(S.PENDING), In.BEGIN, (S.RUNNING, 0, False)),
        (at(S.RUNNING, 0), In.DONE, (S.RUNNING, 1, False)),
        (at(S.RUNNING, 1), In.DONE_PARTLY, (S.RUNNING, 2, False)),
        (at(S.RUNNING, 2), In.DONE, (S.RUNNING, 3, True)),  # the pivot step is done
        (at(S.RUNNING, 4, pivoted=True), In.DONE, (S.COMPLETED, 4, True)),
        (at(S.RUNNING, 4, pivoted=True), In.DONE_PARTLY, (S.COMPLETED_PARTIAL, 4, True)),
        (at(S.RUNNING, 4, pivoted=True, partial=True), In.DONE, (S.COMPLETED_PARTIAL, 4, True)),
        (at(S.RUNNING, 1), In.FAILED, (S.COMPENSATING, 1, False)),
        (at(S.RUNNING, 2), In.FAILED, (S.COMPENSATING, 2, False)),
        (at(S.RUNNING, 3, pivoted=True), In.FAILED, (S.MANUAL_REQUIRED, 3, True)),
        (at(S.RUNNING, 1), In.PIVOTED, (S.RUNNING, 2, True)),  # the fill overtook the reply
        (at(S.RUNNING, 3, pivoted=True), In.PIVOTED, (S.RUNNING, 3, True)),
        (at(S.COMPENSATING, 2), In.DONE, (S.COMPENSATING, 1, False)),
        (at(S.COMPENSATING, 0), In.DONE, (S.COMPENSATED, 0, False)),
        (at(S.COMPENSATING, 1), In.FAILED, (S.MANUAL_REQUIRED, 1, False)),
        (at(S.COMPENSATING, 1), In.PIVOTED, (S.RUNNING, 2, True)),  # the fill beat the cancel
        (at(S.MANUAL_REQUIRED, 1), In.RESUME, (S.COMPENSATING, 1, False)),
        (at(S.MANUAL_REQUIRED, 3, pivoted=True), In.RESUME, (S.RUNNING, 3, True)),
        (at(S.COMPENSATED, 0), In.REVIVED, (S.COMPENSATING, 1, False)),
        (at(S.MANUAL_REQUIRED, 1), In.PIVOTED, (S.MANUAL_REQUIRED, 2, True)),
    ],
)
def test_where_each_edge_leads(
    saga: Saga, happened: Input, expected: tuple[SagaStatus, int, bool]
) -> None:
    after, transition = machine.advance(saga, PLAN, happened, START + SECOND, "why")
    assert place(after) == expected
    assert (transition.before, transition.after) == (saga.status, after.status)
    assert (transition.input, transition.reason, transition.at) == (happened, "why", START + SECOND)
    assert transition.name == machine.name_of(saga, PLAN)
    assert (after.updated_at, after.reason) == (START + SECOND, "why")
    assert after.version == saga.version, "the version is left to whoever commits"


def test_a_step_is_named_by_the_way_the_saga_goes() -> None:
    assert machine.name_of(at(S.RUNNING, 1), PLAN) == "do 1"
    assert machine.name_of(at(S.COMPENSATING, 1), PLAN) == "undo 1"


def test_a_reason_stays_until_there_is_another() -> None:
    failed, _ = machine.advance(at(S.RUNNING, 1), PLAN, In.FAILED, START, "refused")
    undone, _ = machine.advance(failed, PLAN, In.DONE, START)
    assert undone.reason == "refused"


def test_the_way_back_undoes_every_step_that_was_begun() -> None:
    saga = fed(at(S.PENDING), In.BEGIN, In.DONE, In.DONE, In.FAILED)
    names = []
    while saga.status is S.COMPENSATING:
        names.append(machine.name_of(saga, PLAN))
        saga = fed(saga, In.DONE)
    assert names == ["undo 2", "undo 1", "undo 0"]
    assert saga.status is S.COMPENSATED


@given(st.lists(st.sampled_from(list(In)), max_size=30))
def test_laws_of_every_run(inputs: list[Input]) -> None:
    saga = NEW
    for happened in inputs:
        if happened not in LEGAL[saga.status]:
            continue
        before, saga = saga, fed(saga, happened)
        assert 0 <= saga.cursor < len(PLAN.steps)
        assert saga.pivoted or not before.pivoted, "the pivot is never taken back"
        assert saga.partial or not before.partial
        assert before.status not in ENDS - {S.COMPENSATED}
        assert not (saga.pivoted and saga.status in {S.COMPENSATING, S.COMPENSATED})
        assert saga.status not in {S.COMPLETED, S.COMPLETED_PARTIAL} or saga.pivoted
        assert (saga.status is S.COMPLETED_PARTIAL) <= saga.partial
        if (saga.status, saga.cursor) != (before.status, before.cursor):
            assert saga.attempt == 0, "each step has all its tries"
            assert saga.due is None


def test_a_plan_needs_its_pivot_among_its_steps() -> None:
    with pytest.raises(AssertionError):
        Plan(type="test", steps=PLAN.steps, pivot=5)


def test_the_ends_are_those_without_an_edge() -> None:
    ends = {status for status, inputs in LEGAL.items() if inputs <= {In.REVIVED}}
    assert ends == ENDS
    assert begun().saga.status not in ENDS
