"""What every journal promises, with its readers and its outbox: in memory and on Postgres."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.adapters.postgres import values
from tests.adapters.postgres.values import AGENT, NOW, SECOND, change, entry
from tests.contract.conftest import Backend
from tradesaga.domain.agent import AgentCounts, AgentStatus
from tradesaga.domain.cycle import CycleError, CycleStatus
from tradesaga.domain.errors import Conflict, Fenced, Invalid, Unavailable
from tradesaga.domain.ids import AgentId, derived
from tradesaga.domain.strategies import Performance
from tradesaga.ports.journal import (
    Add,
    Change,
    CycleLog,
    InboxEntry,
    Insert,
    Update,
)


async def test_a_commit_answers_the_sequence_of_its_last_entry(backend: Backend) -> None:
    assert await backend.journal.commit(change()) == 2
    assert await backend.journal.commit(change(entries=(entry(), entry(), entry()))) == 5


async def test_sequences_of_agents_are_their_own(backend: Backend) -> None:
    with pytest.raises(Fenced):
        await backend.journal.commit(change(agent_id=AgentId(derived("other"))))
    assert await backend.journal.commit(change()) == 2


async def test_what_was_inserted_is_read_back(backend: Backend) -> None:
    log = CycleLog(
        cycle_id=values.cycle().id,
        level="info",
        message="took 2 bars",
        context={"bars": 2, "close": Decimal("366.0100"), "names": ["a"]},
        timestamp=NOW,
    )
    trade = values.trade()
    await backend.journal.commit(
        change(
            Insert(values.strategy()),
            Insert(values.cycle()),
            Insert(log),
            Insert(values.decision()),
            *values.began(trade),
        )
    )
    assert await backend.records.agent(AGENT) == values.agent()
    [strategy] = await backend.records.strategies(AGENT)
    assert strategy.strategy == values.strategy()
    assert strategy.performance == Performance()
    record = await backend.records.cycle(AGENT, values.cycle().id)
    assert record is not None
    assert record.cycle == values.cycle()
    assert record.decisions == [values.decision()]
    assert record.orders == [trade.order]
    assert record.logs == [log]
    assert await backend.records.open_trades(AGENT) == [trade]
    assert await backend.records.unfinished_cycles(AGENT) == [values.cycle()]


async def test_what_was_updated_is_read_back(backend: Backend) -> None:
    began = values.trade()
    agent, strategy, cycle = values.agent(), values.strategy(), values.cycle()
    await backend.journal.commit(
        change(Insert(strategy), Insert(cycle), Insert(values.decision()), *values.began(began))
    )
    works = values.working(began)
    ends = values.filled(works)
    await backend.journal.commit(change(Update(works.saga), Update(works.order)))
    agent = replace(
        agent, status=AgentStatus.RUNNING, name="beta", pause_reasons=frozenset(), version=2
    )
    strategy = replace(strategy, parameters={"fast": Decimal("7.5")}, version=2)
    cycle = replace(
        cycle,
        status=CycleStatus.FAILED,
        cursor=2,
        completed_at=NOW + SECOND,
        strategies_processed=1,
        decisions_generated=2,
        orders_submitted=3,
        orders_filled=4,
        errors=(CycleError(strategy_id=str(strategy.id), error="no bars"),),
        metadata={},
        version=2,
    )
    await backend.journal.commit(
        change(
            Update(agent),
            Update(strategy),
            Update(cycle),
            Update(ends.saga),
            Update(ends.order),
            Update(ends.reservation),
            *values.booked_rows(ends),
        )
    )
    assert await backend.records.agent(AGENT) == agent
    assert [r.strategy for r in await backend.records.strategies(AGENT)] == [strategy]
    assert await backend.records.cycles(AGENT, limit=1) == [cycle]
    assert await backend.records.open_trades(AGENT) == []
    found = await backend.records.trade_of(
        AGENT, venue_order_id=ends.order.venue_order_id, client_order_id=None
    )
    assert found == ends
    assert found == await backend.records.trade_of(
        AGENT, venue_order_id=None, client_order_id=ends.order.client_order_id
    )
    nobody = await backend.records.trade_of(AGENT, venue_order_id="?", client_order_id="?")
    assert nobody is None


@pytest.mark.parametrize("version", [1, 3])
async def test_an_update_needs_the_version_before(backend: Backend, version: int) -> None:
    trade = values.trade()
    await backend.journal.commit(change(*values.began(trade)))
    moved = replace(trade.saga, reason="moved", version=version)
    with pytest.raises(Conflict):
        await backend.journal.commit(change(Update(moved)))
    assert await backend.records.open_trades(AGENT) == [trade]


async def test_a_refused_change_leaves_no_trace(backend: Backend) -> None:
    trade = values.trade()
    stale = Update(replace(values.strategy(), version=2))
    booked = values.fill(trade)
    with pytest.raises(Conflict):
        await backend.journal.commit(
            change(
                *values.began(trade),
                Add(values.position(booked)),
                Add(AgentCounts(errors_count=1)),
                Insert(_inbox("e")),
                stale,
            )
        )
    assert await backend.records.open_trades(AGENT) == []
    assert await backend.records.positions(AGENT) == []
    assert await backend.records.counts(AGENT) == AgentCounts()
    assert not await backend.records.was_received(AGENT, "e")
    assert await backend.journal.commit(change()) == 2


def _inbox(event_id: str) -> InboxEntry:
    return InboxEntry(event_id=event_id, event_type="t", source="venue", received_at=NOW)


async def test_unique_keys_are_kept(backend: Backend) -> None:
    trade = values.trade()
    booked = values.fill(trade)
    record = values.trade_record(trade, booked)
    await backend.journal.commit(
        change(
            Insert(values.strategy()),
            Insert(_inbox("e")),
            *values.began(trade),
            Insert(booked),
            Insert(record),
        )
    )
    other: Any = derived("another id")
    for again in (
        values.agent(),
        values.strategy(),
        replace(values.strategy(), id=other),
        _inbox("e"),
        trade.saga,
        replace(trade.saga, id=other),
        trade.order,
        replace(trade.order, id=other),
        trade.reservation,
        replace(trade.reservation, id=other),
        booked,
        replace(booked, id=other),
        record,
        replace(record, id=other),
    ):
        with pytest.raises(Conflict):
            await backend.journal.commit(change(Insert(again)))


async def test_an_event_is_taken_once_by_each_agent(backend: Backend) -> None:
    await backend.journal.commit(change(Insert(_inbox('\'odd, "id"'))))
    assert await backend.records.was_received(AGENT, '\'odd, "id"')
    assert not await backend.records.was_received(AGENT, "other")
    assert not await backend.records.was_received(AgentId(derived("other")), '\'odd, "id"')


async def test_sums_commute(backend: Backend) -> None:
    trade = values.trade()
    delta = values.position(values.fill(trade))
    sold = replace(
        delta,
        quantity=Decimal("-4"),
        bought_quantity=Decimal(0),
        bought_value=Decimal(0),
        sold_quantity=Decimal(4),
        sold_value=Decimal("1500.004"),
        fees=Decimal("0.01"),
    )
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(
                backend.journal.commit(
                    change(Add(delta), Add(AgentCounts(cycles_completed=1, errors_count=2)))
                )
            )
            group.create_task(backend.journal.commit(change(Add(sold))))
    [position] = await backend.records.positions(AGENT)
    assert (position.symbol, position.quantity) == ("SPY", Decimal(120))
    assert (position.bought_quantity, position.bought_value) == (Decimal(200), Decimal("73202"))
    assert (position.sold_quantity, position.sold_value) == (Decimal(80), Decimal("30000.08"))
    assert position.fees == Decimal("7.2")
    counts = await backend.records.counts(AGENT)
    assert counts == AgentCounts(cycles_completed=20, errors_count=40)


async def test_a_stale_epoch_is_fenced(backend: Backend) -> None:
    epoch = await backend.raise_epoch()
    with pytest.raises(Fenced):
        await backend.journal.commit(change(Insert(values.strategy())))
    assert await backend.records.strategies(AGENT) == []
    with pytest.raises(Fenced):
        await backend.open(AGENT, 1)
    assert await backend.open(AGENT, epoch) == 1
    assert await backend.journal.commit(change(epoch=epoch)) == 2
    with pytest.raises(Fenced):
        await backend.journal.commit(change(epoch=1))


async def test_a_cancelled_caller_does_not_cancel_its_commit(backend: Backend) -> None:
    caller = asyncio.create_task(backend.journal.commit(change(Insert(values.strategy()))))
    await asyncio.sleep(0)  # it has handed its Change in
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    assert len(await backend.records.strategies(AGENT)) == 1  # it ended when the outcome was known
    assert await backend.journal.commit(change()) == 3


async def test_concurrent_changes_conflict_for_the_culprits_alone(backend: Backend) -> None:
    trades = [values.trade(str(n)) for n in range(30)]
    async with asyncio.TaskGroup() as group:
        for trade in trades:
            group.create_task(backend.journal.commit(change(*values.began(trade))))
    rivals: list[Change] = []
    for trade in trades:
        rivals += [change(Update(replace(trade.saga, reason=who, version=2))) for who in "ab"]
    tasks = [asyncio.create_task(backend.journal.commit(rival)) for rival in rivals]
    await asyncio.wait(tasks)
    won = [task.exception() is None for task in tasks]
    # the first of each pair was first in the queue
    assert won == [True, False] * 30
    assert all(type(t.exception()) is Conflict for t in tasks[1::2])
    assert {t.saga.reason for t in await backend.records.open_trades(AGENT)} == {"a"}


async def test_a_change_that_cannot_be_stored_is_invalid(backend: Backend) -> None:
    trade = values.trade()
    stranger = replace(values.strategy(), agent_id=AgentId(derived("other")))
    for rows in (
        (Insert(stranger),),
        (Insert(trade.saga), Update(replace(trade.saga, version=2))),
        (Insert(replace_log("no such cycle")),),
    ):
        with pytest.raises(Invalid):
            await backend.journal.commit(change(*rows))
    assert await backend.journal.commit(change()) == 2


def replace_log(message: str) -> CycleLog:
    return CycleLog(
        cycle_id=values.cycle(7).id, level="info", message=message, context={}, timestamp=NOW
    )


async def test_a_closed_journal_refuses(backend: Backend) -> None:
    await backend.close()
    with pytest.raises(Unavailable):
        await backend.journal.commit(change())
