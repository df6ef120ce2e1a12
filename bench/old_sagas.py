"""Sagas of long ago, so that the cost of a new one is measured in tables that are full."""

from __future__ import annotations

import asyncpg

_LOAD = """
insert into orchestration.decisions
  select gen_random_uuid(), 'old-' || n, $1, null, null, 'S' || n % 50, 'buy', 0.8, 10, 370, 'old',
    'old', t, t, t, 'allowed', true, '[]'
  from generate_series(1, $2::bigint) n, lateral (select now() - n * interval '1 s' as t) x;
insert into orchestration.inbox
  select $1, 'old-' || id, 'ai.decision.generated', 'old', as_of
  from orchestration.decisions where model = 'old';
insert into orchestration.sagas
  select gen_random_uuid(), $1, 'trade_execution', id, null, null, symbol, as_of, as_of, as_of,
    'completed', 4, 0, null, true, false, '', 2
  from orchestration.decisions where model = 'old';
insert into orchestration.reservations
  select gen_random_uuid(), $1, id, symbol, 3700, created_at, 3700, 0, 'closed', created_at, 2
  from orchestration.sagas where created_at < now() - interval '1 s';
insert into orchestration.orders
  select gen_random_uuid(), $1, id, decision_id, null, null, 0, 'entry', 'old-' || id, symbol,
    'buy', 10, 'market', null, 'day', true, 370, created_at, created_at, 'filled', 'old-' || id, 10,
    3700, 0, 1, 0, null, null, null, created_at, created_at, created_at, 'old', 2
  from orchestration.sagas where created_at < now() - interval '1 s';
insert into orchestration.venue_order_ids
  select $1, venue_order_id, id from orchestration.orders where evidence = 'old';
insert into orchestration.fills
  select gen_random_uuid(), $1, id, saga_id, 'old:' || id, symbol, 'buy', 10, 370, 0, created_at,
    created_at
  from orchestration.orders where evidence = 'old';
insert into orchestration.trades
  select gen_random_uuid(), $1, f.id, f.order_id, f.saga_id, o.decision_id, null, f.symbol, 'buy',
    10, 370, 0, f.filled_at, null
  from orchestration.fills f join orchestration.orders o on o.id = f.order_id;
insert into orchestration.journal_log
  select $1, n, now(), 1, 'saga.steps', 'old', 'bench', repeat('x', 600), null, null, null, null,
    null, decode(repeat('00', 32), 'hex')
  from generate_series(1, 3 * $2::bigint) n;
"""
"""The log of another agent: this one's is a hash chain, which nobody can make up."""
AGENT_OF_OLD = "00000000-0000-0000-0000-000000000008"


async def load(dsn: str, number: int) -> None:
    """Fill the empty tables with `number` ended sagas; slow, about a minute a million."""
    connection = await asyncpg.connect(dsn)
    try:
        for statement in _LOAD.strip().rstrip(";").split(";\n"):
            arguments = [AGENT_OF_OLD, number] if "$2" in statement else [AGENT_OF_OLD]
            await connection.execute(statement, *arguments)
        await connection.execute("analyze")
    finally:
        await connection.close()
