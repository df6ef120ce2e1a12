"""How the tables grow under a steady stream of sagas, with a short retention and without any.

With the policy the working tables stop growing once a saga's age is reached; the archive and the
log take what comes. The latencies are those of `decisions`, to see that archiving stands in
nobody's way. Autovacuum looks every second here: space is used again only after it has passed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from bench.decisions import Reaction, reaction
from bench.product import AGENT, Product
from tradesaga.adapters.postgres.archive import PostgresArchive
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.domain.retention import KEEP_ALL, RetentionPolicy
from tradesaga.engine.retention import Retention

PER_SECOND = 200
AGE = timedelta(seconds=5)
POLICY = RetentionPolicy(sagas=AGE, inbox=AGE, interval=timedelta(seconds=0.5))
SAMPLES = 8
_TABLES = (
    "sagas", "orders", "venue_order_ids", "reservations", "fills", "trades", "decisions", "inbox",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The tables at one moment, `second` after the beginning; sizes in MiB with indexes."""

    second: float
    rows: int
    mib: float
    archived_rows: int
    archived_mib: float
    log_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a stream of sagas left behind."""

    samples: Sequence[Sample]
    reaction: Reaction


async def growth(product: Product, dsn: str, seconds: float, *, archiving: bool) -> Growth:
    """Let sagas arrive for `seconds`, with retention or without, and look at the tables."""
    archive = PostgresArchive(dsn, schema=SCHEMA)
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "orchestration"})
    await connection.execute("alter system set autovacuum_naptime = '1s'")
    await connection.execute("select pg_reload_conf()")
    await connection.execute(f"truncate {', '.join(_TABLES)}")
    samples: list[Sample] = []

    async def look() -> None:
        began = time.perf_counter()
        for number in range(SAMPLES + 1):
            await asyncio.sleep(began + number * seconds / SAMPLES - time.perf_counter())
            samples.append(await _sample(connection, archive, time.perf_counter() - began))

    retention = Retention(
        archive=archive,
        scribe=product.scribe,
        clock=product.clock,
        metrics=PrometheusMetrics(version="bench", now=product.clock.now),
        agent_id=AGENT,
        policy=POLICY if archiving else KEEP_ALL,
    )
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(look())
        keeping = group.create_task(retention.run())
        found = await reaction(product, PER_SECOND, seconds)
        await asyncio.wait([looking])
        keeping.cancel()
    assert retention.last is None or not retention.last.problem, retention.last
    await archive.close()
    await connection.close()
    return Growth(samples=samples, reaction=found)


async def _sample(
    connection: asyncpg.Connection[asyncpg.Record], archive: PostgresArchive, second: float
) -> Sample:
    count = " + ".join(f"(select count(*) from {{0}}{table})" for table in _TABLES)
    rows = await connection.fetchval(f"select {count.format('only ')}")
    archived = await connection.fetchval(f"select {count.format('archived_')}")
    sizes = {size.name: size for size in await archive.sizes()}
    ours = [sizes[table] for table in _TABLES]
    return Sample(
        second=second,
        rows=rows,
        mib=sum(size.bytes for size in ours) / 2**20,
        archived_rows=archived,
        archived_mib=sum(size.archived_bytes for size in ours) / 2**20,
        log_mib=sizes["journal_log"].bytes / 2**20,
    )
