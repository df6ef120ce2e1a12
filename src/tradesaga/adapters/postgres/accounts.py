"""The agents that people have made, read from Postgres: `ports.accounts.AccountRecords`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tradesaga.adapters.postgres.decoding import reader
from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.account import Account
from tradesaga.domain.agent import AgentStatus
from tradesaga.domain.ids import AgentId

_SQL: Final = {name: query.sql for name, query in load("accounts").items()}
_account = reader(Account)


class PostgresAccountRecords:
    """Reads over a pool that others use, too."""

    def __init__(self, pool: ReaderPool) -> None:
        self._pool = pool

    async def accounts(self, agent_id: AgentId) -> Sequence[Account]:
        """See the port."""
        return [_account(row) for row in await self._pool.fetch(_SQL["accounts"], agent_id)]

    async def accounts_stamp(self, agent_id: AgentId) -> tuple[int, int]:
        """See the port."""
        [(number, versions)] = await self._pool.fetch(_SQL["stamp"], agent_id)
        return number, versions

    async def standing(
        self, agent_ids: Sequence[AgentId]
    ) -> Mapping[AgentId, tuple[AgentStatus, str, int]]:
        """See the port."""
        rows = await self._pool.fetch(_SQL["standing"], list(agent_ids))
        return {
            AgentId(row["id"]): (AgentStatus(row["status"]), row["url"], row["sagas"])
            for row in rows
        }
