"""What readers see of what was committed, the same over memory and Postgres."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.values import AGENT, NOW, SECOND, change, entry
from tests.api.checkpoints import CHECKPOINT
from tests.contract.conftest import Backend
from tradesaga.domain.agent import AgentCounts, Mode
from tradesaga.domain.cycle import CycleStatus
from tradesaga.domain.decisions import Action, Verdict
from tradesaga.domain.errors import Conflict
from tradesaga.domain.events import Event
from tradesaga.domain.ids import (
    AgentId,
    DecisionId,
    FillId,
    OrderId,
    SagaId,
    StrategyId,
    TradeId,
    derived,
)
from tradesaga.domain.limit_change import LimitChange
from tradesaga.domain.orders import OrderStatus, Side
from tradesaga.domain.strategies import Performance, StrategyMode
from tradesaga.engine.order_pace import HOUR, submission_of
from tradesaga.ports.journal import (
    Add,
    DeadLetter,
    Entry,
    Insert,
    Update,
)


async def test_events_leave_in_the_order_of_the_log(backend: Backend) -> None:
    async def told(*numbers: int) -> int:
        events = (
            Event(
                type="orchestrator.saga.started",
                payload={"n": number, "price": Decimal("1.50"), "at": NOW},
                correlation_id=f"c{number}",
            )
            for number in numbers
        )
        entries: list[Entry] = [entry(), *(entry("x", "k", event) for event in events)]
        return await backend.journal.commit(change(entries=tuple(entries)))

    await told(1)  # 2 entries after the agent's one: the event is 3
    await told(2, 3)  # 5, 6
    assert await backend.outbox.backlog(AGENT) == 3
    rows = await backend.outbox.pending(AGENT, limit=2)
    assert await backend.outbox.pending(AGENT, limit=2) == rows, "and keeps it"
    assert [row.sequence for row in rows] == [3, 5]
    assert rows[0].payload == b'{"at":"2026-11-20T15:30:00.123456Z","n":1,"price":1.50}'
    assert (rows[0].correlation_id, rows[0].causation_id) == ("c1", None)
    assert (rows[0].type, rows[0].at) == ("orchestrator.saga.started", NOW)
    assert rows[0].agent_id == AGENT
    assert len({row.event_id for row in rows}) == 2, "each has an id of its own"
    await backend.outbox.mark_published(AGENT, sequence=5, stream_sequence=2, at=NOW)
    await backend.outbox.mark_published(AGENT, sequence=3, stream_sequence=1, at=NOW)
    assert [row.sequence for row in await backend.outbox.pending(AGENT, limit=9)] == [6]
    assert await backend.outbox.backlog(AGENT) == 1


async def test_cycles_are_listed_latest_first(backend: Backend) -> None:
    cycles = [values.cycle(n) for n in range(4)]
    await backend.journal.commit(change(*(Insert(cycle) for cycle in cycles)))
    ended = replace(
        cycles[1], status=CycleStatus.CANCELLED, completed_at=NOW + 90 * SECOND, version=2
    )
    await backend.journal.commit(change(Update(ended)))
    assert await backend.records.cycles(AGENT, limit=3) == [cycles[3], cycles[2], ended]
    found = await backend.records.cycles(AGENT, limit=3, status=CycleStatus.CANCELLED)
    assert found == [ended]
    unfinished = await backend.records.unfinished_cycles(AGENT)
    assert unfinished == [cycles[0], cycles[2], cycles[3]]
    assert await backend.records.cycle(AGENT, values.cycle(9).id) is None


async def test_cycles_of_one_moment_are_told_apart_by_their_place(backend: Backend) -> None:
    cycles = [replace(values.cycle(n), started_at=NOW) for n in (2, 0, 3, 1)]
    await backend.journal.commit(change(*(Insert(cycle) for cycle in cycles)))
    ordered = sorted(cycles, key=lambda cycle: cycle.id, reverse=True)
    for number, cycle in enumerate(ordered, start=1):
        found = await backend.records.cycles(AGENT, limit=1001, after=(NOW, cycle.id))
        assert found == ordered[number:]
    assert await backend.records.unfinished_cycles(AGENT) == ordered[::-1]


async def test_checkpoints_go_on_after_an_epoch_and_a_time(backend: Backend) -> None:
    made = [
        replace(CHECKPOINT, id=UUID(int=n), agent_id=AGENT, epoch=epoch, taken_at=NOW + n * SECOND)
        for n, epoch in enumerate((1, 1, 2), start=1)
    ]
    await backend.journal.commit(change(*(Insert(one) for one in made)))
    latest = made[::-1]
    assert await backend.records.checkpoints(AGENT, limit=1001) == latest
    for number, one in enumerate(latest, start=1):
        place = one.epoch, one.taken_at
        assert await backend.records.checkpoints(AGENT, limit=9, after=place) == latest[number:]


async def test_unknown_agents_have_nothing(backend: Backend) -> None:
    stranger = AgentId(derived("stranger"))
    assert await backend.records.agent(stranger) is None
    assert await backend.records.counts(stranger) == AgentCounts()
    assert await backend.records.cycles(stranger, limit=5) == []
    assert await backend.outbox.pending(stranger, limit=5) == []


async def test_submissions_are_counted_by_creation(backend: Backend) -> None:
    orders = []
    for number in range(3):
        order = values.trade(str(number)).order
        orders.append(replace(order, created_at=NOW + number * SECOND))
    await backend.journal.commit(change(*(Insert(order) for order in reversed(orders))))
    found = await backend.records.submissions_since(AGENT, NOW + SECOND)
    assert [submission.at for submission in found] == [NOW + SECOND, NOW + 2 * SECOND]
    assert found[0] == submission_of(orders[1])


async def test_a_submission_tells_whether_it_came_to_anything(backend: Backend) -> None:
    refused = replace(values.trade("a").order, status=OrderStatus.REJECTED, ended_at=NOW)
    left = replace(
        values.trade("b").order,
        status=OrderStatus.CANCELED,
        opening=False,
        filled_quantity=Decimal(1),
        ended_at=NOW + SECOND,
        created_at=NOW,
    )
    await backend.journal.commit(change(Insert(refused), Insert(left)))
    found = {s.void: s.left_at for s in await backend.records.submissions_since(AGENT, NOW - HOUR)}
    assert found == {True: None, False: NOW + SECOND}


async def test_strategies_have_run_when_they_were_last_judged_or_their_schedule_fired(
    backend: Backend,
) -> None:
    cycle, decision = values.cycle(), values.decision()
    await backend.journal.commit(change(Insert(values.strategy())))
    [record] = await backend.records.strategies(AGENT)
    assert record.strategy.last_run_at is None
    await backend.journal.commit(
        change(Insert(cycle), Insert(replace(decision, cycle_id=cycle.id)))
    )
    assert decision.strategy_id is not None
    record_ = await backend.records.strategy(AGENT, decision.strategy_id)
    assert record_ is not None
    assert record_.strategy.last_run_at == cycle.started_at
    later = cycle.started_at + SECOND
    schedule = replace(values.schedule(), strategy_id=decision.strategy_id, last_run_at=later)
    await backend.journal.commit(change(Insert(schedule)))
    [record] = await backend.records.strategies(AGENT)
    assert record.strategy.last_run_at == later


async def test_strategies_have_the_figures_of_their_trades(backend: Backend) -> None:
    trade = values.trade()
    bought = values.trade_record(trade, values.fill(trade))  # 10 at 366.01, fee 0.35
    sold = replace(
        bought,
        id=TradeId(derived("sold")),
        fill_id=FillId(derived("sold fill")),
        side=Side.SELL,
        price=Decimal("370.00"),
        executed_at=bought.executed_at + SECOND,
    )
    filled = values.fill(trade)
    await backend.journal.commit(change(Insert(values.strategy()), *values.booked_rows(trade)))
    [record] = await backend.records.strategies(AGENT)
    assert record.performance == Performance(pnl=Decimal("-0.35"), trades=0)
    sale = replace(filled, id=sold.fill_id, venue_fill_id="s", price=sold.price)
    await backend.journal.commit(change(Insert(sold), Add(values.position(sale))))
    [record] = await backend.records.strategies(AGENT)
    # 10 * (370 - 366.01) - 0.70 = 39.20
    assert record.performance == Performance(pnl=Decimal("39.20"), trades=1, win_rate=Decimal(1))
    assert await backend.records.strategies(AGENT) == [record], "asked again, nothing has moved"
    assert await backend.records.strategy(AGENT, record.strategy.id) == record
    assert await backend.records.strategy(AGENT, StrategyId(derived("nobody"))) is None


async def test_a_shadow_has_the_figures_of_what_it_would_have_traded(backend: Backend) -> None:
    """Bought 10 at 366.01, sold 4 of them at 370: 4 * 3.99 = 15.96, still open."""
    shadow = replace(values.strategy(), mode=StrategyMode.SHADOW)
    bought = replace(values.allowed("b"), verdict=Verdict.SHADOW)
    sold = replace(
        values.allowed("s"),
        verdict=Verdict.SHADOW,
        action=Action.SELL,
        quantity=Decimal(4),
        reference_price=Decimal("370.00"),
        created_at=bought.created_at + SECOND,
    )
    denied = values.decision("n")
    rows = [Insert(one) for one in (sold, bought, denied)]
    await backend.journal.commit(change(Insert(shadow), *rows))
    [record] = await backend.records.strategies(AGENT)
    assert record.strategy.mode is StrategyMode.SHADOW
    assert record.performance == Performance(pnl=Decimal("15.96"), hypothetical=True)
    assert await backend.records.strategy(AGENT, shadow.id) == record
    held = await backend.records.imagined_positions(AGENT)
    assert held == {(shadow.id, "SPY"): Decimal(6)}


async def test_dead_letters_are_kept(backend: Backend) -> None:
    letter = DeadLetter(subject="s", reason="no JSON", body=b"\x00\xff{", received_at=NOW)
    assert await backend.journal.commit(change(Insert(letter))) == 2


async def test_money_invariants_hold_and_their_breaks_are_seen(backend: Backend) -> None:
    works = values.working(values.trade())
    ends = values.filled(works)
    decided = Insert(values.allowed()), Add(AgentCounts(decisions_generated=1))
    await backend.journal.commit(change(*decided, *values.began(values.trade())))
    await backend.journal.commit(change(Update(works.saga), Update(works.order)))
    end = [Update(ends.saga), Update(ends.order), Update(ends.reservation)]
    await backend.journal.commit(change(*end, *values.booked_rows(ends)))
    assert _broken(await backend.records.invariants(AGENT)) == set()
    wrong = replace(ends.order, filled_quantity=Decimal(9), version=ends.order.version + 1)
    await backend.journal.commit(change(Update(wrong), Add(values.position(values.fill(ends)))))
    broken = _broken(await backend.records.invariants(AGENT))
    assert broken == {"I4_positions", "I5_order_sums"}


def _broken(invariants: object) -> set[str]:
    assert isinstance(invariants, list)
    return {invariant.name for invariant in invariants if invariant.violations}


async def test_ids_of_orders_and_sagas_are_kept_apart(backend: Backend) -> None:
    """The same UUID in two tables is no key taken twice."""
    one = derived("one")
    trade = values.trade()
    saga = replace(trade.saga, id=SagaId(one), decision_id=DecisionId(one))
    order = replace(trade.order, id=OrderId(one), status=OrderStatus.INTENT)
    assert await backend.journal.commit(change(Insert(saga), Insert(order))) == 2


async def test_changes_of_limits_come_back_in_order(backend: Backend) -> None:
    changes = [
        LimitChange(
            id=derived("limits", number),
            agent_id=AGENT,
            revision=number,
            mode=Mode.NORMAL,
            limits={"positionPercent": Decimal("7.5"), "allowShort": False, "entriesPerHour": 3},
            expires_at=None if number == 1 else NOW + SECOND,
            actor="operator",
            reason="why",
            made_at=NOW,
        )
        for number in (1, 2)
    ]
    await backend.journal.commit(change(*(Insert(each) for each in reversed(changes))))
    assert await backend.records.limit_changes(AGENT) == changes
    again = replace(changes[1], id=derived("other"))
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Insert(again)))


async def test_schedules_are_kept_until_they_are_removed(backend: Backend) -> None:
    first, second = values.schedule(1), values.schedule(2)
    await backend.journal.commit(change(Insert(second), Insert(first)))
    assert await backend.records.schedules(AGENT) == [first, second]
    fired = replace(first, last_run_at=NOW, next_run_at=None, enabled=False, version=2)
    removed = replace(second, removed_at=NOW, version=2)
    await backend.journal.commit(change(Update(fired), Update(removed)))
    assert await backend.records.schedules(AGENT) == [fired]
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Update(fired)))
