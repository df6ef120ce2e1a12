"""What stands between the API and the agents: tokens, keys, events, and the other agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradesaga.adapters.postgres.access_records import PostgresAccessRecords
from tradesaga.adapters.postgres.event_feed import PostgresEventFeed
from tradesaga.adapters.postgres.history import PostgresHistory
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.prometheus import PrometheusMetrics
from tradesaga.bootstrap.access import must_be_guarded, token_book
from tradesaga.bootstrap.hosting import Others, others_of
from tradesaga.bootstrap.oidc import oidc_callers
from tradesaga.config import Settings
from tradesaga.engine.agent_control import AgentControl
from tradesaga.engine.repeat_book import RepeatBook
from tradesaga.engine.settings import EngineSettings
from tradesaga.engine.token_book import TokenBook
from tradesaga.engine.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What stands between the API and the agents."""

    tokens: TokenBook
    repeats: RepeatBook
    feed: PostgresEventFeed
    history: PostgresHistory
    others: Others
    looks: Sequence[Callable[[], Coroutine[Any, Any, None]]]

    async def run(self) -> None:
        """Look for ever at who may come in."""
        async with asyncio.TaskGroup() as group:
            for look in self.looks:
                group.create_task(look())


async def front_of(
    settings: Settings,
    state_dir: Path | None,
    dsn: str,
    world: World,
    engine: EngineSettings,
    control: AgentControl,
    metrics: PrometheusMetrics,
    stack: AsyncExitStack,
) -> Front:
    """Put together, the tokens read. Raises Invalid when nobody could be let in."""
    pool = ReaderPool(dsn, schema=settings.database.schema, connections_max=2)
    stack.push_async_callback(pool.close)
    known = PostgresAccessRecords(pool)
    foreign = await oidc_callers(settings, stack)
    tokens = await token_book(settings, state_dir, known, control.scribe, foreign)
    must_be_guarded(settings.server.host, tokens)
    others = others_of(settings, dsn, world, engine, control, metrics, pool, stack)
    metrics.read_at_scrape(others.hosting.vitals(control.vitals()))
    return Front(
        tokens=tokens,
        repeats=RepeatBook(
            scribe=control.scribe, records=known, clock=world.clock, agent_id=engine.agent_id
        ),
        feed=PostgresEventFeed(pool, engine.agent_id),
        history=PostgresHistory(pool, engine.agent_id),
        others=others,
        looks=[tokens.run, *([] if foreign is None else [foreign.run])],
    )
