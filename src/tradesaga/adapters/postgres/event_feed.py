"""Our own events read from the log: implements `ports.event_feed.EventFeed`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.adapters.postgres.records import PostgresOutbox
from tradesaga.domain.ids import AgentId
from tradesaga.ports.records import OutboxRow

_SQL: Final = {name: query.sql for name, query in load("access").items()}


class PostgresEventFeed:
    """Reads over a pool that others use, too."""

    def __init__(self, pool: ReaderPool, agent_id: AgentId) -> None:
        self._pool = pool
        self._outbox = PostgresOutbox(pool)
        self._agent_id = agent_id

    async def latest(self) -> int:
        """The sequence at which the log ends; 0 for an empty one."""
        return int(await self._pool.fetchval(_SQL["log_end"], self._agent_id) or 0)

    async def since(self, sequence: int, *, limit: int) -> Sequence[OutboxRow]:
        """The events after `sequence`, in the order of the log."""
        return await self._outbox.between(self._agent_id, after=sequence, until=None, limit=limit)
