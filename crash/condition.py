"""In which condition a dead life leaves the world: what decides how the next one recovers.

Rows, the venue's books and the messages on the bus, as text that is the same for conditions that
are alike: symbols are interchangeable, times are relative.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from crash.outside import Outside
from tradesaga.domain.events import DecisionGenerated, OrderReported
from tradesaga.domain.ids import AgentId

TRADES = """select o.symbol, s.status, s.cursor, s.pivoted, s.partial, o.status as order_status,
  o.venue_order_id is not null as has_id, o.filled_quantity, least(o.sends, 2) as sends,
  o.cancel_wanted_at is not null as wanted, o.cancel_requested_at is not null as requested,
  r.state, r.consumed, c.status as cycle, c.cursor as step
  from sagas s join orders o on o.saga_id = s.id join reservations r on r.saga_id = s.id
  left join cycles c on c.id = s.cycle_id
  where s.agent_id = $1"""
REST = """select
  (select status from agent_status where id = $1) as agent,
  (select count(*) from journal_log where agent_id = $1 and event_id is not null) as events,
  (select max(seq) from relay_marks where agent_id = $1) as marked,
  (select max(seq) from journal_log where agent_id = $1) as written,
  array(select status || cursor from cycles where agent_id = $1 order by 1) as cycles,
  array(select symbol || ' ' || verdict from decisions where agent_id = $1) as decisions,
  array(select event_id from inbox where agent_id = $1) as inbox"""


async def condition(connection: Any, agent_id: AgentId, outside: Outside) -> str:
    """What is left now, as text that is the same for conditions that are alike."""
    trades = await connection.fetch(TRADES, agent_id)
    rest = await connection.fetchrow(REST, agent_id)
    symbols = sorted({_symbol(message.incoming.content) for message in outside.messages})
    about = sorted(str(_about(symbol, trades, rest, outside)) for symbol in symbols)
    backlog = rest["written"] is not None and (rest["marked"] or 0) < rest["written"]
    common = (rest["agent"], rest["cycles"], rest["events"] - len(outside.published), backlog)
    return str((common, about))


def _symbol(content: object) -> str:
    match content:
        case DecisionGenerated(proposal=proposal):
            return proposal.symbol
        case OrderReported(report=report):
            return report.symbol
        case _:
            return ""


def _about(
    symbol: str, trades: list[asyncpg.Record], rest: asyncpg.Record, outside: Outside
) -> tuple[object, ...]:
    rows = [tuple(row.values())[1:] for row in trades if row["symbol"] == symbol]
    decided = sorted(d.partition(" ")[2] for d in rest["decisions"] if d.startswith(f"{symbol} "))
    now = outside.clock.now()
    placed = [
        (p.status, p.filled, p.visible_at <= now)
        for p in outside.placed
        if p.order.symbol == symbol
    ]
    told = sorted(
        (m.incoming.type, m.acknowledged, m.incoming.event_id in rest["inbox"])
        for m in outside.messages
        if _symbol(m.incoming.content) == symbol
    )
    return rows, decided, placed, told
