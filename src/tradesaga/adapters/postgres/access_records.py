"""Who may use the API, read from Postgres: implements `ports.access_records.AccessRecords`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from tradesaga.adapters.postgres.decoding import reader
from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.access import ApiToken
from tradesaga.domain.ids import AgentId
from tradesaga.domain.repeats import KeptAnswer

_SQL: Final = {name: query.sql for name, query in load("access").items()}
_token, _kept = reader(ApiToken), reader(KeptAnswer)


class PostgresAccessRecords:
    """Reads over a pool that others use, too."""

    def __init__(self, pool: ReaderPool) -> None:
        self._pool = pool

    async def api_tokens(self, agent_id: AgentId) -> Sequence[ApiToken]:
        """All tokens ever made, in order of creation."""
        return [_token(row) for row in await self._pool.fetch(_SQL["api_tokens"], agent_id)]

    async def kept_answer(self, agent_id: AgentId, row_id: UUID) -> KeptAnswer | None:
        """A command that was taken under its key, with its answer if that is known."""
        rows = await self._pool.fetch(_SQL["kept_answer"], agent_id, row_id)
        return _kept(rows[0]) if rows else None
