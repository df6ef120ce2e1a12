"""Sagas of long ago, so that the cost of a new one is measured in tables that are full.

Ids follow from a number, so every table is filled by itself, and more can be added later; like the
product's they begin with the moment of the saga, a second apart from the next. A venue's ids are
hashes. Foreign keys and triggers are not asked: what is written here cannot break them.
"""

from __future__ import annotations

import asyncpg

from bench.product import AGENT

_ID = """
create or replace function pg_temp.id(kind text, n bigint) returns uuid language sql as $$
  select (lpad(to_hex((1767225600 - n) * 1000), 12, '0') || '7' || substr(md5(kind || n), 1, 3)
    || '8' || substr(md5(kind || n), 5, 15))::uuid
$$
"""
_LOAD = """
insert into orchestration.decisions
  select pg_temp.id('decision', n), 'old-' || n, $1, null, null, 'S' || n % 50, 'buy', 0.8, 10,
    370, 'old', 'old', t, t, t, 'allowed', true, '[]'
  from generate_series($2::bigint, $3::bigint) n, lateral (select now() - n * interval '1 s') x(t);
insert into orchestration.inbox
  select $1, 'bench-' || pg_temp.id('decision', n), 'ai.decision.generated', 'old',
    now() - n * interval '1 s'
  from generate_series($2::bigint, $3::bigint) n;
insert into orchestration.sagas
  select pg_temp.id('saga', n), $1, 'trade_execution', pg_temp.id('decision', n), null, null,
    'S' || n % 50, t, t, t, 'completed', 4, 0, null, true, false, '', 2
  from generate_series($2::bigint, $3::bigint) n, lateral (select now() - n * interval '1 s') x(t);
insert into orchestration.reservations
  select pg_temp.id('reservation', n), $1, pg_temp.id('saga', n), 'S' || n % 50, 3700, t, 3700, 0,
    'closed', t, 2
  from generate_series($2::bigint, $3::bigint) n, lateral (select now() - n * interval '1 s') x(t);
insert into orchestration.orders
  select pg_temp.id('order', n), $1, pg_temp.id('saga', n), pg_temp.id('decision', n), null,
    null, 0, 'entry', 'ts-' || pg_temp.id('order', n), 'S' || n % 50, 'buy', 10, 'market', null,
    'day', true, 370, t, t, 'filled', md5('venue' || n), 10, 3700, 0, 1, 0, null, null, null, t, t,
    t, 'old', 2
  from generate_series($2::bigint, $3::bigint) n, lateral (select now() - n * interval '1 s') x(t);
insert into orchestration.venue_order_ids
  select $1, md5('venue' || n), pg_temp.id('order', n)
  from generate_series($2::bigint, $3::bigint) n order by 2;
insert into orchestration.fills
  select pg_temp.id('fill', n), $1, pg_temp.id('order', n), pg_temp.id('saga', n),
    md5('venue' || n) || ':10', 'S' || n % 50, 'buy', 10, 370, 0, t, t
  from generate_series($2::bigint, $3::bigint) n, lateral (select now() - n * interval '1 s') x(t)
  order by 5;
insert into orchestration.trades
  select pg_temp.id('trade', n), $1, pg_temp.id('fill', n), pg_temp.id('order', n),
    pg_temp.id('saga', n), pg_temp.id('decision', n), null, 'S' || n % 50, 'buy', 10, 370, 0,
    now() - n * interval '1 s', null
  from generate_series($2::bigint, $3::bigint) n;
insert into orchestration.journal_log
  select '00000000-0000-0000-0000-000000000008', n, now(), 1, 'saga.steps', 'old', 'bench',
    repeat('x', 600), null, null, null, null, null, decode(repeat('00', 32), 'hex')
  from generate_series(3 * $2::bigint - 2, 3 * $3::bigint) n where $1::uuid is not null;
"""
"""The log is another agent's: this one's is a hash chain, which nobody can make up."""
_TOGETHER = 1_000_000
"""In the order of the venue's ids: an index that fits into no memory is walked once for them."""
_SETTINGS = ("autovacuum = off", "max_wal_size = '8GB'", "checkpoint_timeout = '1h'")


async def load(dsn: str, number: int, there: int = 0) -> None:
    """Fill the tables with `number` ended sagas, of which so many are `there` already.

    Nothing is vacuumed from then on: it would be what was loaded here, while others are measured.
    """
    connection = await asyncpg.connect(dsn)
    try:
        for setting in _SETTINGS:
            await connection.execute(f"alter system set {setting}")
        await connection.execute("select pg_reload_conf()")
        await connection.execute("set session_replication_role = replica")
        await connection.execute("set synchronous_commit = off")
        await connection.execute(_ID)
        for first in range(there + 1, number + 1, _TOGETHER):
            last = min(number, first + _TOGETHER - 1)
            for statement in _LOAD.strip().rstrip(";").split(";\n"):
                await connection.execute(statement, AGENT, first, last)
        await connection.execute("analyze")
        await connection.execute("checkpoint")
    finally:
        await connection.close()
