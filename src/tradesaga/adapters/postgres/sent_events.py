"""What the bus took of our events, on Postgres: implements `ports.stream.SentEvents`.

Like the relay's marks these rows are no state of the agent: they only say what the bus has, and
may be behind. Losing them costs events published once more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.records import PostgresOutbox
from tradesaga.domain.ids import AgentId
from tradesaga.ports.stream import Sent, Told

_SQL: Final = {name: query.sql for name, query in load("sent").items()}


class PostgresSentEvents(PostgresOutbox):
    """Implements `ports.stream.SentEvents`."""

    async def last_sent(self, agent_id: AgentId) -> Sent | None:
        """The last mark; None before the first."""
        rows = await self._pool.fetch_together(_SQL["last_sent"], agent_id)
        if not rows:
            return None
        sequence, stream_sequence, at = rows[0]
        return Sent(sequence=sequence, stream_sequence=stream_sequence, at=at)

    async def stream_known(self, agent_id: AgentId) -> datetime | None:
        """When the stream of the latest comparison was made."""
        rows = await self._pool.fetch_together(_SQL["stream_known"], agent_id)
        return rows[0][0] if rows else None

    async def remember_stream(self, agent_id: AgentId, created: datetime) -> None:
        """The stream that all later marks are about."""
        await self._pool.fetch(_SQL["remember_stream"], agent_id, created)

    async def kept_up_to(self, agent_id: AgentId, stream_sequence: int) -> int:
        """The last row that is marked under that number of the stream or a lower one, else 0."""
        return int(await self._pool.fetchval(_SQL["kept_up_to"], agent_id, stream_sequence))

    async def sent_before(self, agent_id: AgentId, at: datetime) -> int:
        """The last row that was marked before `at`, else 0."""
        return int(await self._pool.fetchval(_SQL["sent_before"], agent_id, at))

    async def has_row(self, told: Told) -> bool:
        """Whether the log has that row; also for an agent that was never in this database."""
        place = told.agent_id, told.sequence, UUID(told.event_id)
        [[has_it]] = await self._pool.fetch_together(_SQL["has_row"], *place)
        return bool(has_it)

    async def mark_again(self, agent_id: AgentId, *, sequence: int, stream_sequence: int) -> None:
        """Row `sequence`, marked before, stands under another number of the stream now."""
        await self._pool.fetch(_SQL["mark_again"], agent_id, sequence, stream_sequence)
