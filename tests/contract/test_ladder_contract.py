"""The ladder and the equity marks as stored, the same over memory and Postgres."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.adapters.postgres.values import AGENT, NOW, SECOND, change
from tests.contract.conftest import Backend
from tradesaga.domain.cash import CashMark
from tradesaga.domain.decision_cost import DecisionCharge
from tradesaga.domain.errors import Conflict
from tradesaga.domain.ids import derived
from tradesaga.domain.ladder import Cause, Ladder, Reason, Scope, ScopeKind
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.domain.schedule import FiresMark
from tradesaga.ports.journal import Insert, Update

KILLED = Reason(cause=Cause.KILL_SWITCH, detail='"broken\\" ü', since=NOW, who="api:127.0.0.1")
DRIFT = Reason(
    cause=Cause.DRIFT,
    scope=Scope(ScopeKind.SYMBOL, "BRK.B"),
    detail="ours 1, theirs 2",
    since=NOW + SECOND,
    acknowledged_by="ann",
)
LADDER = Ladder(id=AGENT, agent_id=AGENT, updated_at=NOW, reasons=(KILLED, DRIFT), version=1)
MARKS = EquityMarks(
    id=AGENT,
    agent_id=AGENT,
    session_at=NOW,
    session_equity=Decimal("100000.123456789"),
    peak_equity=Decimal("100001"),
    updated_at=NOW,
)


async def test_a_ladder_is_read_as_it_was_written(backend: Backend) -> None:
    assert await backend.records.ladder(AGENT) is None
    await backend.journal.commit(change(Insert(LADDER)))
    assert await backend.records.ladder(AGENT) == LADDER
    after = replace(LADDER, reasons=(DRIFT,), updated_at=NOW + SECOND, version=2)
    await backend.journal.commit(change(Update(after)))
    assert await backend.records.ladder(AGENT) == after
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Update(after)))


async def test_the_marks_are_read_as_they_were_written(backend: Backend) -> None:
    assert await backend.records.equity_marks(AGENT) is None
    await backend.journal.commit(change(Insert(MARKS)))
    assert await backend.records.equity_marks(AGENT) == MARKS
    after = replace(MARKS, peak_equity=Decimal("100002.5"), version=2)
    await backend.journal.commit(change(Update(after)))
    assert await backend.records.equity_marks(AGENT) == after


async def test_the_charges_of_a_day_add_up(backend: Backend) -> None:
    first = DecisionCharge(
        id=derived("charge", 1), agent_id=AGENT, day=NOW.date(), charged_at=NOW,
        amount=Decimal("1.25"), decisions=2,
    )  # fmt: skip
    second = replace(
        first, id=derived("charge", 2), amount=Decimal("-0.3"), decisions=0, prompt_tokens=2**33
    )
    other_day = replace(first, id=derived("charge", 3), day=NOW.date() + timedelta(days=1))
    assert await backend.records.decision_costs(AGENT, NOW.date()) == 0
    await backend.journal.commit(change(Insert(first), Insert(second), Insert(other_day)))
    assert await backend.records.decision_costs(AGENT, NOW.date()) == Decimal("0.95")
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Insert(first)))


async def test_the_cash_mark_is_read_as_it_was_written(backend: Backend) -> None:
    assert await backend.records.cash_mark(AGENT) is None
    mark = CashMark(id=AGENT, agent_id=AGENT, base=Decimal("-1.000000001"), marked_at=NOW)
    await backend.journal.commit(change(Insert(mark)))
    assert await backend.records.cash_mark(AGENT) == mark
    after = replace(mark, base=Decimal(7), version=2)
    await backend.journal.commit(change(Update(after)))
    assert await backend.records.cash_mark(AGENT) == after


async def test_the_mark_of_fires_is_read_as_it_was_written(backend: Backend) -> None:
    assert await backend.records.fires_mark(AGENT) is None
    mark = FiresMark(id=AGENT, agent_id=AGENT, fired_until=NOW)
    await backend.journal.commit(change(Insert(mark)))
    assert await backend.records.fires_mark(AGENT) == mark
    after = replace(mark, fired_until=NOW + SECOND, version=2)
    await backend.journal.commit(change(Update(after)))
    assert await backend.records.fires_mark(AGENT) == after
