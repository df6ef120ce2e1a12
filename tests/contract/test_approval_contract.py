"""Approvals as stored, the same over memory and Postgres."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from tests.adapters.postgres.values import AGENT, NOW, SECOND, change
from tests.contract.conftest import Backend
from tradesaga.domain.approval import Approval, ApprovalState
from tradesaga.domain.errors import Conflict
from tradesaga.domain.ids import ApprovalId, DecisionId, SagaId, StrategyId
from tradesaga.domain.orders import OrderType, Side
from tradesaga.ports.journal import Insert, Update

FIRST = Approval(
    id=ApprovalId(UUID(int=11)),
    agent_id=AGENT,
    decision_id=DecisionId(UUID(int=12)),
    saga_id=SagaId(UUID(int=13)),
    strategy_id=StrategyId(UUID(int=14)),
    symbol="BRK.B",
    side=Side.SELL,
    quantity=Decimal("0.123456789"),
    type=OrderType.LIMIT,
    limit_price=Decimal("321.5"),
    time_in_force="day",
    reference_price=Decimal("321.25"),
    digest="d1",
    created_at=NOW,
    expires_at=NOW + 900 * SECOND,
    updated_at=NOW,
)
SECOND_ONE = replace(
    FIRST,
    id=ApprovalId(UUID(int=21)),
    decision_id=DecisionId(UUID(int=22)),
    strategy_id=None,
    limit_price=None,
    created_at=NOW + SECOND,
)


async def test_an_approval_is_read_as_it_was_written(backend: Backend) -> None:
    assert await backend.records.approval(AGENT, FIRST.id) is None
    await backend.journal.commit(change(Insert(FIRST), Insert(SECOND_ONE)))
    assert await backend.records.approval(AGENT, FIRST.id) == FIRST
    used = replace(
        FIRST,
        state=ApprovalState.CONSUMED,
        decided_by='ann "ü"',
        decided_at=NOW + SECOND,
        reason="good",
        updated_at=NOW + SECOND,
        version=2,
    )
    await backend.journal.commit(change(Update(used)))
    assert await backend.records.approval(AGENT, FIRST.id) == used
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Update(used)))


async def test_the_list_has_the_latest_first_and_takes_a_state(backend: Backend) -> None:
    await backend.journal.commit(change(Insert(FIRST), Insert(SECOND_ONE)))
    listed = backend.records.approvals
    assert list(await listed(AGENT, limit=9)) == [SECOND_ONE, FIRST]
    assert list(await listed(AGENT, limit=1)) == [SECOND_ONE]
    assert list(await listed(AGENT, limit=9, state=ApprovalState.PENDING)) == [SECOND_ONE, FIRST]
    assert list(await listed(AGENT, limit=9, state=ApprovalState.DENIED)) == []


async def test_a_decision_has_one_approval(backend: Backend) -> None:
    await backend.journal.commit(change(Insert(FIRST)))
    again = replace(FIRST, id=ApprovalId(UUID(int=99)))
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Insert(again)))


async def test_approvals_go_on_after_a_place(backend: Backend) -> None:
    third = replace(SECOND_ONE, id=ApprovalId(UUID(int=31)), decision_id=DecisionId(UUID(int=32)))
    await backend.journal.commit(change(Insert(FIRST), Insert(SECOND_ONE), Insert(third)))
    latest = [third, SECOND_ONE, FIRST]
    for number, one in enumerate(latest, start=1):
        place = one.created_at, one.id
        assert await backend.records.approvals(AGENT, limit=9, after=place) == latest[number:]
