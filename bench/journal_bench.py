"""Durable trade sagas per second through the journal alone: no venue, no engine.

Each saga is three commits with the product's full rows: decision, saga, order and reservation; the
order working; filled, with fill, trade, position, reservation and counters. fsync is on. The raw
rate is that of single-row commits, one at a time, on the same server in the same run.

    python bench/journal_bench.py [--seconds 4] [--concurrency 1 16 64 256] [--dsn DSN]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import asyncpg

from tests.adapters.postgres import values
from tradesaga.adapters.postgres.journal import PostgresJournal
from tradesaga.adapters.postgres.lease import PostgresLease
from tradesaga.adapters.postgres.migrate import migrate
from tradesaga.adapters.system import SystemClock
from tradesaga.domain.agent import AgentCounts
from tradesaga.domain.events import SAGA_COMPLETED, SAGA_STARTED, Event
from tradesaga.domain.ids import AgentId, derived
from tradesaga.domain.trade_messages import TradeState
from tradesaga.embedded.postgres import EmbeddedPostgres
from tradesaga.ports.journal import Add, Change, Entry, Insert, Row, Update

BODY = {"before": "running", "after": "running", "input": "done", "name": "submit_order", "n": 1}


def _change(
    agent_id: AgentId, epoch: int, state: TradeState, rows: tuple[Row, ...], event: str | None
) -> Change:
    payload = {"sagaId": str(state.saga.id), "symbol": "SPY", "quantity": Decimal("10")}
    told = None if event is None else Event(type=event, payload=payload)
    entries = tuple(
        Entry(kind="saga.step", subject=str(state.saga.id), actor="engine", body=BODY, event=e)
        for e in (None, told)
    )
    return Change(agent_id=agent_id, epoch=epoch, at=datetime.now(UTC), rows=rows, entries=entries)


async def _saga(journal: PostgresJournal, agent_id: AgentId, epoch: int, name: str) -> None:
    began = values.trade(name, agent_id)
    rows = (Insert(values.decision(name, agent_id)), *values.began(began))
    await journal.commit(_change(agent_id, epoch, began, rows, SAGA_STARTED))
    works = values.working(began)
    await journal.commit(
        _change(agent_id, epoch, works, (Update(works.saga), Update(works.order)), None)
    )
    ends = values.filled(works)
    ended = Update(ends.saga), Update(ends.order), Update(ends.reservation)
    rows = (*ended, *values.booked_rows(ends), Add(AgentCounts(orders_executed=1)))
    await journal.commit(_change(agent_id, epoch, ends, rows, SAGA_COMPLETED))


async def _run(
    journal: PostgresJournal, agent_id: AgentId, epoch: int, concurrency: int, seconds: float
) -> None:
    latencies: list[float] = []
    began = time.perf_counter()

    async def worker(number: int) -> None:
        count = 0
        while time.perf_counter() - began < seconds:
            at = time.perf_counter()
            await _saga(journal, agent_id, epoch, f"{concurrency}-{number}-{count}-{began}")
            latencies.append(time.perf_counter() - at)
            count += 1

    async with asyncio.TaskGroup() as group:
        for number in range(concurrency):
            group.create_task(worker(number))
    took = time.perf_counter() - began
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.99))
    rate = len(latencies) / took
    print(f"{concurrency:>11}  {rate:>8.0f}  {rate * 3:>9.0f}  {p50:>7.1f}  {p99:>7.1f}")


async def _raw(dsn: str, seconds: float) -> float:
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table if not exists raw_commits (n bigint, at timestamptz)")
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        await connection.execute("insert into raw_commits values ($1, now())", count)
        count += 1
    rate = count / (time.perf_counter() - began)
    await connection.execute("drop table raw_commits")
    await connection.close()
    return rate


async def _bench(dsn: str, seconds: float, concurrency: list[int]) -> None:
    await migrate(dsn)
    raw = await _raw(dsn, min(seconds, 2.0))
    print(f"raw single-row commits, one at a time: {raw:.0f}/s")
    print("concurrency   sagas/s  commits/s   p50 ms   p99 ms")
    agent_id = AgentId(UUID(int=derived("bench", time.time()).int))
    lease = PostgresLease(dsn, SystemClock())
    held = await lease.take(agent_id)
    assert held is not None
    journal = PostgresJournal(dsn)
    async with asyncio.TaskGroup() as group:
        group.create_task(journal.run())
        await journal.open(agent_id, held.epoch)
        new = replace(values.agent(), id=agent_id)
        await journal.commit(values.change(Insert(new), agent_id=agent_id, epoch=held.epoch))
        for number in concurrency:
            await _run(journal, agent_id, held.epoch, number, seconds)
        await journal.close(timedelta(seconds=5))
    await lease.close()


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--dsn", default=None)
    options = parser.parse_args()
    if options.dsn is not None:
        await _bench(options.dsn, options.seconds, options.concurrency)
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        Path(directory).chmod(0o711)
        postgres = EmbeddedPostgres(Path(directory))
        await postgres.start()
        try:
            await _bench(postgres.dsn, options.seconds, options.concurrency)
        finally:
            await postgres.stop()


if __name__ == "__main__":
    asyncio.run(_main())
