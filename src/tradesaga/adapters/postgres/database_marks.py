"""Which database this is, and which one was noted: implements `ports.database.DatabaseMarks`.

The server tells its identity to every user unless its administrator has forbidden that; then
nothing is compared.
"""

from __future__ import annotations

from typing import Final

import asyncpg
from structlog import get_logger

from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.ids import AgentId
from tradesaga.ports.database import DatabaseIdentity, DatabaseLook

log = get_logger()
_SQL: Final = {name: query.sql for name, query in load("database").items()}


class PostgresDatabaseMarks:
    """Implements `ports.database.DatabaseMarks`."""

    def __init__(self, pool: ReaderPool) -> None:
        self._pool = pool

    async def look(self, agent_id: AgentId) -> DatabaseLook | None:
        """What is here and what was noted; None where this user may not ask."""
        try:
            [row] = await self._pool.fetch_together(_SQL["look"], agent_id)
        except asyncpg.InsufficientPrivilegeError as error:
            log.warning("the database does not tell which one it is", error=str(error))
            return None
        system, timeline, noted_system, noted_timeline, doubt = row
        noted = None
        if noted_system is not None:
            noted = DatabaseIdentity(system=noted_system, timeline=noted_timeline)
        here = DatabaseIdentity(system=system, timeline=timeline)
        return DatabaseLook(here=here, noted=noted, doubt=doubt)

    async def note(self, agent_id: AgentId, here: DatabaseIdentity) -> None:
        """See `ports.database`."""
        await self._pool.tell_together(_SQL["note"], agent_id, here.system, here.timeline)

    async def doubt(self, agent_id: AgentId, why: str) -> None:
        """See `ports.database`."""
        await self._pool.fetch(_SQL["doubt"], agent_id, why)
