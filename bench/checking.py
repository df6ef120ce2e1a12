"""Whether all that must hold does, once a town of `bench.agents` has come to rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from bench.town import Town
from tests.acceptance.accounts import START_CASH
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.bootstrap.verifying import (
    System,
    Venue,
    VerifyOptions,
    check_everything,
    circumstances,
    system_of,
)
from tradesaga.domain.ids import AgentId

AT_ONCE: Final = 4
REST_SECONDS_MAX: Final = 180.0
LOOK_SECONDS: Final = 0.2
UNSETTLED: Final = """select count(*) from sagas where agent_id = any ($1)
  and status not in ('completed', 'completed_partial', 'compensated')"""
UNRECOVERED: Final = """select count(*) from leases l where l.agent_id = any ($1) and not exists (
  select from checkpoints c
  where c.agent_id = l.agent_id and c.epoch = l.epoch and c.occasion = 'recovered')"""
LOG_ENDS: Final = "select agent_id, seq from heads where agent_id = any ($1)"
UNSENT: Final = """select count(*) from unnest($1::uuid[], $2::bigint[]) as x(agent_id, seq)
  where exists (
    select from journal_log l
    where l.agent_id = x.agent_id and l.event_type is not null and l.seq <= x.seq and l.seq >
      coalesce((select max(m.seq) from relay_marks m where m.agent_id = x.agent_id), 0))"""


async def rest(town: Town) -> None:
    """Wait, bounded, until all are led and recovered, no saga is open, and what was told is out."""
    await town.all_led()
    database, agents = town.database, town.agents
    await _none(town, "agents are led and not recovered", UNRECOVERED, agents)
    await _none(town, "sagas are open that do not end", UNSETTLED, agents)
    ends = {row["agent_id"]: row["seq"] for row in await database.fetch(LOG_ENDS, agents)}
    await _none(town, "outboxes do not empty", UNSENT, list(ends), list(ends.values()))


async def _none(town: Town, otherwise: str, query: str, *arguments: object) -> None:
    deadline = time.monotonic() + REST_SECONDS_MAX
    while number := await town.database.fetchval(query, *arguments):
        if time.monotonic() > deadline:
            print(f"{number} {otherwise}", flush=True)
            return
        await asyncio.sleep(LOOK_SECONDS)


async def checked(town: Town, number: int) -> int:
    """Check the default agent and the first `number` of those beside it; how much is broken."""
    began = time.monotonic()
    await rest(town)
    rested = time.monotonic() - began
    system = system_of(VerifyOptions(state_dir=town.up.state_dir), {})
    pool = ReaderPool(system.dsn, schema=system.settings.database.schema)
    waiting = list(reversed(range(number)))
    broken: list[str] = []

    async def work() -> None:
        while waiting:
            index = waiting.pop()
            url = f"http://127.0.0.1:{town.venue.port}/accounts/a{index}"
            venue = Venue(url=url, start_cash=START_CASH)
            broken.extend(await _broken(system, pool, AgentId(town.agents[index]), venue))

    try:
        default = AgentId(system.settings.agent.id)
        broken.extend(await _broken(system, pool, default, system.venue))
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
    finally:
        await pool.close()
    for line in broken:
        print(line)
    orders = sum(len(books.orders) for books in town.venue.books.values())
    twice = f"{town.venue.twice} sent again and refused as known"
    print(
        f"at rest after {rested:.1f} s; {number + 1} agents checked, {orders} orders, {twice}; "
        f"{len(broken)} invariants broken",
        flush=True,
    )
    return len(broken)


async def _broken(
    system: System, pool: ReaderPool, agent_id: AgentId, venue: Venue
) -> Sequence[str]:
    given = await circumstances(system.settings, system.market_clock, pool, agent_id)
    found = await check_everything(pool, agent_id, venue=venue, given=given)
    return [
        f"agent {agent_id}: {one.name} is broken: {one.violations} {one.sample[:2]}"
        for one in found
        if one.violations
    ]
