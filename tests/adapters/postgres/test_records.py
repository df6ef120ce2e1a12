"""What is read is what was written, to the digit and the microsecond; and it is read fast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta, timezone
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings

from tests.adapters.postgres import drawn, values
from tests.adapters.postgres.running import Running, running
from tests.adapters.postgres.values import AGENT, NOW, change
from tradesaga.adapters.postgres.decoding import field_names
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresRecords
from tradesaga.domain.agent import Agent, AgentCounts
from tradesaga.domain.cycle import Cycle, CycleStatus
from tradesaga.domain.decisions import Decision
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ladder import Ladder, Rung
from tradesaga.domain.loss_tiers import EquityMarks
from tradesaga.domain.orders import (
    Order,
    Reservation,
    Trade,
)
from tradesaga.domain.saga import Saga
from tradesaga.domain.schedule import Schedule
from tradesaga.domain.strategies import Strategy
from tradesaga.domain.trade_messages import TradeState
from tradesaga.ports.journal import CycleLog, Insert, Update
from tradesaga.ports.records import PositionSums

MANY = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
async def parts(database_dsn: str) -> AsyncIterator[Running]:
    async with running(database_dsn) as parts:
        yield parts


def _types(values: Mapping[str, object]) -> dict[str, type]:
    return {name: type(value) for name, value in values.items()}


@MANY
@given(agent=drawn.AGENTS)
async def test_agents(parts: Running, agent: Agent) -> None:
    agent = replace(agent, id=AGENT, version=2)
    await parts.admin.execute("update agent_status set version = 1")
    await parts.journal.commit(change(Update(agent)))
    assert await parts.records.agent(AGENT) == agent


@MANY
@given(strategy=drawn.STRATEGIES)
async def test_strategies(parts: Running, strategy: Strategy) -> None:
    await parts.admin.execute("truncate strategies")
    await parts.journal.commit(change(Insert(strategy)))
    [found] = await parts.records.strategies(AGENT)
    assert found.strategy == replace(strategy, last_run_at=None)  # no cycle tells of a run
    assert _types(found.strategy.parameters) == _types(strategy.parameters)


@MANY
@given(cycle=drawn.CYCLES, decision=drawn.DECISIONS, order=drawn.ORDERS, saga=drawn.SAGAS)
async def test_cycles_with_all_that_belongs_to_them(
    parts: Running, cycle: Cycle, decision: Decision, order: Order, saga: Saga
) -> None:
    await parts.admin.execute("truncate cycles, cycle_logs, decisions, orders, sagas")
    decision = replace(decision, cycle_id=cycle.id)
    saga = replace(saga, decision_id=decision.id)
    order = replace(order, cycle_id=cycle.id, saga_id=saga.id)
    log = CycleLog(
        cycle_id=cycle.id,
        level="info",
        message=decision.reasoning,
        context=dict(cycle.metadata),
        timestamp=cycle.started_at,
    )
    rows = Insert(cycle), Insert(decision), Insert(saga), Insert(order), Insert(log)
    await parts.journal.commit(change(*rows))
    found = await parts.records.cycle(AGENT, cycle.id)
    assert found is not None
    assert found.cycle == cycle
    assert _types(found.cycle.metadata) == _types(cycle.metadata)
    assert found.decisions == [decision]
    assert found.orders == [order]
    assert found.logs == [log]


@MANY
@given(saga=drawn.SAGAS, order=drawn.ORDERS, reservation=drawn.RESERVATIONS)
async def test_trades(parts: Running, saga: Saga, order: Order, reservation: Reservation) -> None:
    await parts.admin.execute("truncate sagas, orders, reservations, venue_order_ids")
    order, reservation = replace(order, saga_id=saga.id), replace(reservation, saga_id=saga.id)
    await parts.journal.commit(change(Insert(saga), Insert(order), Insert(reservation)))
    state = TradeState(saga=saga, order=order, reservation=reservation)
    ids = {"venue_order_id": order.venue_order_id, "client_order_id": order.client_order_id}
    for venue_id, client_id in ((None, order.client_order_id), tuple(ids.values())):
        found = await parts.records.trade_of(
            AGENT, venue_order_id=venue_id, client_order_id=client_id
        )
        assert found == state


@pytest.mark.parametrize(
    "number", ["0", "-0.00", "1.50", "1e-20", "123456789012345678901234.123456789012345678"]
)
async def test_amounts_keep_every_digit(parts: Running, number: str) -> None:
    """Trailing zeros, too."""
    order = replace(values.trade().order, fees=Decimal(number))
    await parts.journal.commit(change(Insert(order)))
    stored = await parts.admin.fetchval("select fees::text from orders")
    assert stored == format(abs(order.fees) if not order.fees else order.fees, "f")


async def test_ten_thousand_open_trades_are_read_at_once(parts: Running) -> None:
    trade = values.trade()
    await parts.journal.commit(change(*values.began(trade)))
    for table, own in (("orders", "saga_id"), ("reservations", "saga_id"), ("sagas", "id")):
        columns = [
            row[0]
            for row in await parts.admin.fetch(
                "select attname from pg_attribute where attrelid = $1::regclass and attnum > 0",
                table,
            )
        ]
        new = {
            "id": "md5(n || $${table}$$)::uuid",
            own: "md5(n || 'saga')::uuid",
            "decision_id": "md5(n || 'decision')::uuid",
            "client_order_id": "n::text",
        }
        select = ", ".join(new.get(c, c).replace("{table}", table) for c in columns)
        await parts.admin.execute(
            f"insert into {table} ({', '.join(columns)})"
            f" select {select} from {table}, generate_series(1, 10000) n"
        )
    await parts.admin.execute("analyze sagas, orders, reservations")
    trades = await parts.records.open_trades(AGENT)
    assert len(trades) == 10_001
    assert all(t.order.saga_id == t.saga.id == t.reservation.saga_id for t in trades)


TRADE_COLUMNS = (
    *field_names(Saga),
    *field_names(Order),
    *field_names(Reservation),
    "voids",
)


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("agent", field_names(Agent)),
        ("counts", field_names(AgentCounts)),
        ("open_trades", TRADE_COLUMNS),
        ("trade_of", TRADE_COLUMNS),
        ("unfinished_cycles", field_names(Cycle)),
        ("latest_cycles", field_names(Cycle)),
        ("cycle", field_names(Cycle)),
        ("decisions_of_cycle", field_names(Decision)),
        ("orders_of_cycle", field_names(Order)),
        ("logs_of_cycle", field_names(CycleLog)),
        ("strategies", field_names(Strategy)),
        ("schedules", field_names(Schedule)),
        ("ladder", field_names(Ladder)),
        ("equity_marks", field_names(EquityMarks)),
        ("trades_of_symbols", field_names(Trade)),
        ("positions", field_names(PositionSums)),
    ],
)
async def test_columns_come_in_the_order_of_the_fields(
    parts: Running, query: str, columns: tuple[str, ...]
) -> None:
    statement = await parts.admin.prepare(QUERIES[query])
    assert tuple(attribute.name for attribute in statement.get_attributes()) == columns


async def test_readers_survive_a_lost_connection(parts: Running) -> None:
    assert await parts.records.agent(AGENT) is not None
    await parts.admin.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where application_name = 'tradesaga records' and datname = current_database()"
    )
    found = None
    async with asyncio.timeout(10):
        while found is None:
            try:
                found = await parts.records.agent(AGENT)
            except Unavailable:
                continue
    assert found == values.agent()


async def test_no_server_is_unavailable() -> None:
    records = PostgresRecords(ReaderPool("postgresql://x@/x?host=/nonexistent", schema=SCHEMA))
    with pytest.raises(Unavailable):
        await records.agent(AGENT)


async def test_an_older_database_row_of_the_specification_is_read(parts: Running) -> None:
    """A cycle that was inserted with the specification's columns alone."""
    await parts.admin.execute(
        "insert into cycles (id, type, agent_id, errors) values ($1, 'analysis', $2, null)",
        ident := uuid4(),
        AGENT,
    )
    [cycle] = await parts.records.cycles(AGENT, limit=1)
    assert (cycle.id, cycle.status, cycle.errors) == (ident, CycleStatus.STARTED, ())
    assert cycle.scheduled_at == cycle.started_at


async def test_times_are_stored_as_the_same_moment(parts: Running) -> None:
    local = NOW.astimezone(timezone(timedelta(hours=-5)))
    await parts.journal.commit(change(Insert(replace(values.cycle(), started_at=local))))
    assert await parts.admin.fetchval("select started_at from cycles") == NOW


@pytest.mark.parametrize(
    "reasons",
    ['{"cause": 1}', '[{"cause": "NO_SUCH_CAUSE"}]', "[1]", '"text"', "null"],
)
async def test_a_ladder_that_nobody_can_read_is_halted(parts: Running, reasons: str) -> None:
    await parts.admin.execute(
        "insert into ladders (id, agent_id, updated_at, reasons, version)"
        f" values ($1, $1, $2, '{reasons}'::jsonb, 7)",
        AGENT,
        NOW,
    )
    ladder = await parts.records.ladder(AGENT)
    assert ladder is not None
    assert (ladder.rung(), ladder.version) == (Rung.HALTED, 7)
