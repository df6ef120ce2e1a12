"""Dead letters on Postgres: implements `ports.dead_letters.DeadLetterRecords`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.risk_records import PostgresRiskRecords
from tradesaga.domain.dead_letters import Letter, LetterEnd, LetterState
from tradesaga.domain.ids import AgentId

LETTERS_MAX: Final = 1001
_SQL: Final = {name: query.sql for name, query in load("letters").items()}


class PostgresDeadLetterRecords(PostgresRiskRecords):
    """Implements `ports.dead_letters.DeadLetterRecords`."""

    async def letters(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        state: LetterState | None = None,
        before: int | None = None,
    ) -> Sequence[Letter]:
        """The latest letters, latest first; 1 <= limit <= 1001."""
        assert 1 <= limit <= LETTERS_MAX, limit
        rows = await self._pool.fetch(_SQL["letters"], agent_id, state, before, limit)
        return [_letter(agent_id, row) for row in rows]

    async def letter(self, agent_id: AgentId, letter_id: int) -> Letter | None:
        """One letter."""
        rows = await self._pool.fetch(_SQL["letter"], agent_id, letter_id)
        return _letter(agent_id, rows[0]) if rows else None


def _letter(agent_id: AgentId, row: asyncpg.Record) -> Letter:
    end = None
    if row["end_id"] is not None:
        end = LetterEnd(
            id=row["end_id"],
            agent_id=agent_id,
            letter_id=row["id"],
            state=LetterState(row["state"]),
            who=row["who"],
            reason=row["end_reason"],
            ended_at=row["ended_at"],
        )
    return Letter(
        id=row["id"],
        subject=row["subject"],
        problem=row["reason"],
        body=row["body"],
        received_at=row["received_at"],
        end=end,
    )
