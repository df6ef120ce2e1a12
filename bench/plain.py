"""The yardstick: the same rows, copied by plain batched inserts into tables of the same shape."""

from __future__ import annotations

import time

import asyncpg

from bench.sagas import LOG_ENTRIES

TABLES = (
    "decisions", "sagas", "orders", "venue_order_ids", "reservations", "fills", "trades", "inbox",
    "journal_log",
)  # fmt: skip
SAGAS_A_BATCH = 128


async def rows_per_second(dsn: str, sagas_max: int = 4000) -> float:
    """Insert what the latest sagas left, 128 sagas to a transaction, one `executemany` a table."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("drop schema if exists plain cascade; create schema plain")
        batches: list[list[tuple[str, list[tuple[object, ...]]]]] = []
        for name in TABLES:
            await connection.execute(
                f"create table plain.{name} (like orchestration.{name} including all)"
            )
            each = LOG_ENTRIES if name == "journal_log" else 1
            found = await connection.fetch(
                f"select * from orchestration.{name} limit {sagas_max * each}"
            )
            rows, size = [tuple(row) for row in found], SAGAS_A_BATCH * each
            for number, start in enumerate(range(0, len(rows), size)):
                if number == len(batches):
                    batches.append([])
                places = ", ".join(f"${place + 1}" for place in range(len(rows[0])))
                statement = f"insert into plain.{name} values ({places})"
                batches[number].append((statement, rows[start : start + size]))
        began, written = time.perf_counter(), 0
        for batch in batches:
            async with connection.transaction():
                for statement, rows in batch:
                    await connection.executemany(statement, rows)
                    written += len(rows)
        return written / (time.perf_counter() - began)
    finally:
        await connection.execute("drop schema if exists plain cascade")
        await connection.close()
