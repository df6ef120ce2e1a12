"""The feed of our own events: what the log has, in its order, from any place on."""

from __future__ import annotations

from tests.adapters.postgres.running import running
from tests.adapters.postgres.values import AGENT
from tradesaga.adapters.postgres.event_feed import PostgresEventFeed
from tradesaga.adapters.postgres.migrate import SCHEMA
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.ids import AgentId, derived


async def test_it_reads_the_log_from_any_place(database_dsn: str) -> None:
    async with running(database_dsn) as parts:
        pool = ReaderPool(database_dsn, schema=SCHEMA)
        feed = PostgresEventFeed(pool, AGENT)
        end = await parts.admin.fetchval("select max(seq) from journal_log")
        wanted = await parts.admin.fetch(
            "select seq from journal_log where event_type is not null order by seq"
        )
        assert await feed.latest() == end > 0
        found = await feed.since(0, limit=100)
        assert [row.sequence for row in found] == [row["seq"] for row in wanted]
        assert await feed.since(end, limit=100) == []
        assert await PostgresEventFeed(pool, AgentId(derived("nobody"))).latest() == 0
        await pool.close()
