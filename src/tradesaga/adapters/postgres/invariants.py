"""What must always hold, asked of the database: each entry of `sql/invariants.sql` returns what
broke it, and the hash chain of the log is computed again, row by row.

A whole check reads everything. A recheck, for a system at work, follows the chain from where the
last one ended and gives every other check a little time: one that takes longer is skipped, and
says so. Both run on one snapshot, so that nothing under way looks broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import asyncpg

from tradesaga.adapters.chain import GENESIS, fault_of
from tradesaga.adapters.postgres.connection import Connection
from tradesaga.adapters.postgres.queries import QUERIES, load
from tradesaga.domain.ids import AgentId
from tradesaga.domain.invariants import remedy_of
from tradesaga.ports.records import Circumstances, Invariant, LogMark

SAMPLE_MAX: Final = 5
LOG_ROWS_AT_ONCE: Final = 500
LOG_ROWS_PER_RECHECK: Final = 20_000
CHECKS_PER_SHARE: Final = 4
"""A recheck's time is shared as if one check in so many needed it."""
RECHECK_ROWS_AT_ONCE: Final = 100
"""Fewer, since the event loop waits while a batch is hashed."""
CHAIN: Final = "I12_chain"
_CHECKS: Final = load("invariants")
_GIVEN: Final = """
with given as (
  select
    coalesce($2::timestamptz,
      (select at from journal_log where agent_id = $1::uuid order by seq desc limit 1)) as now,
    $3::float8 as pace, $4::interval as patience,
    $5::integer as orders_per_minute, $6::integer as orders_per_day,
    (select range_agg(tstzrange(open, close))
      from unnest($7::timestamptz[], $8::timestamptz[]) as w(open, close)) as sessions
), v as (
"""
_SUBJECTS: Final[Mapping[str, str]] = {
    "I1_one_saga_per_decision": "sagas",
    "I4_positions": "positions",
    "I5_fill_once": "fills",
    "I5_one_trade_per_fill": "fills",
    "I5_known_order": "fills",
    "I6_reservations": "reservations",
    "I6_whole_trades": "sagas",
    "I7_consumed": "reservations",
    "I8_steps": "saga_steps",
    "I9_alerts": "sagas",
    "I9_deadlines": "sagas",
    "I10_epochs": "journal_log",
    "I11_cycle_events": "cycles",
    "I11_publication_order": "relay_marks",
    "I11_published": "outbox",
    "I15_no_overlap": "cycles",
    "I15_live_epoch": "cycles",
    "I18_driven": "sagas",
    "I18_commanded": "agent_status",
    "I19_counters": "agent_status",
    "I20_one_status": "agent_status",
}
"""What each check counts as looked at; of all others it is `orders`."""
_COUNTS: Final = {
    **{
        table: f"select count(*) from {table} where agent_id = $1"  # noqa: S608 -- our own names
        for table in {*_SUBJECTS.values(), "orders"} - {"agent_status", "outbox"}
    },
    "agent_status": "select count(*) from agent_status where id = $1",
    "outbox": "select count(*) from journal_log where agent_id = $1 and event_type is not null",
}
_COLUMNS: Final = """
select count(*) from information_schema.columns
where table_schema = current_schema() and $1::uuid is not null
"""


async def check_invariants(
    connection: Connection, agent_id: AgentId, given: Circumstances | None = None
) -> Sequence[Invariant]:
    """All invariants, on whatever snapshot the connection's transaction has."""
    told = given or Circumstances()
    found = [await _check(connection, agent_id, told, name) for name in _CHECKS]
    chain, _ = await check_chain(connection, agent_id)
    return [*await _counted(connection, agent_id, found), chain]


async def recheck_invariants(
    connection: Connection,
    agent_id: AgentId,
    given: Circumstances,
    *,
    mark: LogMark | None,
    time_max: timedelta,
) -> tuple[Sequence[Invariant], LogMark | None]:
    """As `ports.records.Records.recheck`; needs an open transaction, one snapshot."""
    ends = asyncio.get_running_loop().time() + time_max.total_seconds()
    found = []
    for number, name in enumerate(_CHECKS):
        # What the quick ones leave is for the slow ones; none takes more than a part of the rest.
        rest = ends - asyncio.get_running_loop().time()
        parts = max(1.0, (len(_CHECKS) - number) / CHECKS_PER_SHARE)
        milliseconds = max(1, int(rest / parts * 1000))
        # Text of our own: SET takes no parameters.
        await connection.execute(f"set local statement_timeout = {milliseconds}")
        try:
            async with connection.transaction():  # a savepoint: a late check ends alone
                found.append(await _check(connection, agent_id, given, name))
        except asyncpg.QueryCanceledError:
            why = f"it took longer than {milliseconds} ms; `tradesaga verify` checks it whole"
            found.append(_answer(name, (), skipped=why))
    await connection.execute("set local statement_timeout = 0")
    start = mark or await _recent(connection, agent_id)
    chain, reached = await check_chain(
        connection, agent_id, start, rows_max=LOG_ROWS_PER_RECHECK, at_once=RECHECK_ROWS_AT_ONCE
    )
    return [*found, chain], start if chain.violations else reached


async def check_chain(
    connection: Connection,
    agent_id: AgentId,
    start: LogMark | None = None,
    *,
    rows_max: int | None = None,
    at_once: int = LOG_ROWS_AT_ONCE,
) -> tuple[Invariant, LogMark]:
    """Follow the log to the head, from `start` on; needs an open transaction.

    After `rows_max` rows it ends, says so, and the mark says where.
    """
    broken: list[dict[str, Any]] = []
    count, rows = 0, 0
    seq, digest = (0, GENESIS) if start is None else (start.seq, start.hash)
    query = QUERIES["log_rows_after"], agent_id, seq, rows_max
    async for row in connection.cursor(*query, prefetch=at_once):
        wrong = fault_of(row, agent_id, seq, digest)
        rows, seq, digest = rows + 1, row["seq"], row["hash"]
        if wrong is not None:
            count += 1
            broken.append({"seq": seq, "what": wrong})
    heads = await connection.fetch(QUERIES["read_heads"], [agent_id])
    stored = (heads[0]["seq"], heads[0]["hash"]) if heads else (0, GENESIS)
    left = stored[0] - seq if rows == rows_max else 0
    if stored != (seq, digest) and left <= 0:
        count += 1
        broken.append({"seq": stored[0], "what": "the log does not end at the head"})
    chain = Invariant(
        name=CHAIN,
        description="the audit chain is gapless, linked, recomputable and ends at the head",
        violations=count,
        sample=broken[:SAMPLE_MAX],
        looked_at=rows,
        remedy=remedy_of(CHAIN),
        skipped=f"{left} rows are left for the next time" if left > 0 else "",
    )
    return chain, LogMark(seq=seq, hash=digest)


async def _check(
    connection: Connection, agent_id: AgentId, given: Circumstances, name: str
) -> Invariant:
    if missing := _missing(name, given):
        return _answer(name, (), skipped=missing)
    body = _CHECKS[name].sql.rstrip(";")
    query = f"{_GIVEN}{body}) select count(*) over () as n, v.* from v limit {SAMPLE_MAX}"  # noqa: S608 -- our own file's text
    rows = await connection.fetch(
        query,
        agent_id,
        given.now,
        given.pace,
        given.patience,
        given.orders_per_minute,
        given.orders_per_day,
        [opens for opens, _ in given.sessions],
        [closes for _, closes in given.sessions],
    )
    return _answer(name, rows)


def _missing(name: str, given: Circumstances) -> str:
    """Why `name` cannot be checked under what is given; empty when it can."""
    if name == "I13_rate" and None in (given.orders_per_minute, given.orders_per_day):
        return "the order rates in force are not given"
    if name == "I16_session" and not given.sessions:
        return "no sessions are given"
    return ""


def _answer(name: str, rows: Sequence[asyncpg.Record], *, skipped: str = "") -> Invariant:
    return Invariant(
        name=name,
        description=_CHECKS[name].description,
        violations=rows[0]["n"] if rows else 0,
        sample=[{key: row[key] for key in row.keys() if key != "n"} for row in rows],  # noqa: SIM118 -- a Record iterates over its values
        remedy=remedy_of(name),
        skipped=skipped,
    )


async def _counted(
    connection: Connection, agent_id: AgentId, found: Sequence[Invariant]
) -> list[Invariant]:
    """The answers with how many rows each looked at; every table is counted once."""
    counts = {table: await connection.fetchval(query, agent_id) for table, query in _COUNTS.items()}
    columns = await connection.fetchval(_COLUMNS, agent_id)
    return [
        one
        if one.skipped
        else replace(
            one,
            looked_at=columns
            if one.name == "I7_exact_columns"
            else counts[_SUBJECTS.get(one.name, "orders")],
        )
        for one in found
    ]


async def _recent(connection: Connection, agent_id: AgentId) -> LogMark | None:
    """Where one recheck from now back would begin; None at the beginning of the log."""
    heads = await connection.fetch(QUERIES["read_heads"], [agent_id])
    seq = heads[0]["seq"] - LOG_ROWS_PER_RECHECK if heads else 0
    digest = await connection.fetchval(QUERIES["hash_at"], agent_id, seq) if seq > 0 else None
    return None if digest is None else LogMark(seq=seq, hash=digest)
