"""Sagas of long ago, so that the cost of a new one is measured in tables that are full.

Ids follow from a number, so every table is filled by itself, and more can be added later. Foreign
keys and triggers are not asked: what is written here cannot break them.
"""

from __future__ import annotations

import asyncpg

_LOAD = """
insert into orchestration.decisions
  select md5('decision' || n)::uuid, 'old-' || n, $1, null, null, 'S' || n % 50, 'buy', 0.8, 10,
    370, 'old', 'old', t, t, t, 'allowed', true, '[]'
  from generate_series($2::bigint, $3::bigint) n, lateral (select now() - n * interval '1 s') x(t);
insert into orchestration.inbox
  select $1, 'old-' || n, 'ai.decision.generated', 'old', now() - n * interval '1 s'
  from generate_series($2::bigint, $3::bigint) n;
insert into orchestration.sagas
  select md5('saga' || n)::uuid, $1, 'trade_execution', md5('decision' || n)::uuid, null, null,
    'S' || n % 50, t, t, t, 'completed', 4, 0, null, true, false, '', 2
  from generate_series($2::bigint, $3::bigint) n, lateral (select now() - n * interval '1 s') x(t);
insert into orchestration.reservations
  select md5('reservation' || n)::uuid, $1, md5('saga' || n)::uuid, 'S' || n % 50, 3700, t, 3700, 0,
    'closed', t, 2
  from generate_series($2::bigint, $3::bigint) n, lateral (select now() - n * interval '1 s') x(t);
insert into orchestration.orders
  select md5('order' || n)::uuid, $1, md5('saga' || n)::uuid, md5('decision' || n)::uuid, null,
    null, 0, 'entry', 'old-' || n, 'S' || n % 50, 'buy', 10, 'market', null, 'day', true, 370, t, t,
    'filled', 'old-' || n, 10, 3700, 0, 1, 0, null, null, null, t, t, t, 'old', 2
  from generate_series($2::bigint, $3::bigint) n, lateral (select now() - n * interval '1 s') x(t);
insert into orchestration.venue_order_ids
  select $1, 'old-' || n, md5('order' || n)::uuid from generate_series($2::bigint, $3::bigint) n;
insert into orchestration.fills
  select md5('fill' || n)::uuid, $1, md5('order' || n)::uuid, md5('saga' || n)::uuid, 'old:' || n,
    'S' || n % 50, 'buy', 10, 370, 0, t, t
  from generate_series($2::bigint, $3::bigint) n, lateral (select now() - n * interval '1 s') x(t);
insert into orchestration.trades
  select md5('trade' || n)::uuid, $1, md5('fill' || n)::uuid, md5('order' || n)::uuid,
    md5('saga' || n)::uuid, md5('decision' || n)::uuid, null, 'S' || n % 50, 'buy', 10, 370, 0,
    now() - n * interval '1 s', null
  from generate_series($2::bigint, $3::bigint) n;
insert into orchestration.journal_log
  select $1, n, now(), 1, 'saga.steps', 'old', 'bench', repeat('x', 600), null, null, null, null,
    null, decode(repeat('00', 32), 'hex')
  from generate_series(3 * $2::bigint - 2, 3 * $3::bigint) n;
"""
"""The log of another agent: this one's is a hash chain, which nobody can make up."""
AGENT_OF_OLD = "00000000-0000-0000-0000-000000000008"
_TOGETHER = 250_000


async def load(dsn: str, number: int, there: int = 0) -> None:
    """Fill the tables with `number` ended sagas, of which so many are `there` already."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("set session_replication_role = replica")
        await connection.execute("set synchronous_commit = off")
        for first in range(there + 1, number + 1, _TOGETHER):
            last = min(number, first + _TOGETHER - 1)
            for statement in _LOAD.strip().rstrip(";").split(";\n"):
                await connection.execute(statement, AGENT_OF_OLD, first, last)
        await connection.execute("analyze")
        await connection.execute("checkpoint")
    finally:
        await connection.close()
