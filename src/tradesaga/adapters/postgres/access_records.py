"""Who may use the API, read from Postgres: implements `ports.access_records.AccessRecords`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tradesaga.adapters.postgres.decoding import reader
from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.access import ApiToken
from tradesaga.domain.ids import AgentId

_SQL: Final = {name: query.sql for name, query in load("access").items()}
_token = reader(ApiToken)


class PostgresAccessRecords:
    """Reads over a pool that others use, too."""

    def __init__(self, pool: ReaderPool) -> None:
        self._pool = pool

    async def api_tokens(self, agent_id: AgentId) -> Sequence[ApiToken]:
        """All tokens ever made, in order of creation."""
        return [_token(row) for row in await self._pool.fetch(_SQL["api_tokens"], agent_id)]
