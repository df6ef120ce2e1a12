"""The register of processes on Postgres. Nothing rests on it but what `engine.fleet` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tradesaga.adapters.postgres.connection import KeptConnection
from tradesaga.adapters.postgres.holder import is_provably_dead, this_process
from tradesaga.adapters.postgres.queries import load
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.fleet import Node
from tradesaga.domain.ids import AgentId

COMMAND_SECONDS_MAX: Final = 2.0
FRESH: Final = timedelta(seconds=1.25)
"""For how long a process that was seen counts as living; one proven dead does not.

It must be found missing before its leases, of 2 s, have run out: then nobody waits longer for them.
"""
_SQL: Final = {name: query.sql for name, query in load("nodes").items()}


class PostgresNodes:
    """Implements `ports.nodes.Nodes` for one process.

    `url` is where its API answers, and may be told later; empty while it does not.
    """

    def __init__(
        self,
        dsn: str,
        *,
        url: str = "",
        identity: Identity,
        own_id: str | None = None,
        fresh: timedelta = FRESH,
        is_dead: Callable[[str], bool] = is_provably_dead,
        schema: str,
    ) -> None:
        self._kept = KeptConnection(
            dsn,
            application="tradesaga nodes",
            command_time_max=COMMAND_SECONDS_MAX,
            schema=schema,
        )
        self._own_id = this_process() if own_id is None else own_id
        self.url = url
        self._identity = identity
        self._fresh = fresh
        self._proves_dead = is_dead

    @property
    def own_id(self) -> str:
        """See the port."""
        return self._own_id

    async def announce(self) -> Sequence[Node]:
        """See the port."""
        who = self._identity
        async with self._kept.lent("the nodes") as connection:
            await connection.fetch(
                _SQL["announce"],
                self._own_id,
                self.url,
                who.release,
                who.code,
                who.configuration,
            )
            found = await connection.fetch(_SQL["nodes"], self._fresh)
        return tuple(
            Node(
                id=row["id"],
                url=row["url"],
                identity=Identity(
                    release=row["release"], code=row["code"], configuration=row["configuration"]
                ),
                started_at=row["started_at"],
                leads=tuple(map(AgentId, row["leads"])),
            )
            for row in found
            if row["id"] == self._own_id or not self.is_dead(row["id"])
        )

    def is_dead(self, node_id: str) -> bool:
        """See the port."""
        return self._proves_dead(node_id)

    async def leave(self) -> None:
        """See the port."""
        async with self._kept.lent("the nodes") as connection:
            await connection.fetch(_SQL["leave"], self._own_id)

    async def close(self) -> None:
        """Close the connection."""
        await self._kept.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leading:
    """The node that holds an agent."""

    url: str
    epoch: int
    since: datetime


async def leading(pool: ReaderPool, agent_id: AgentId) -> Leading | None:
    """Who holds the agent; None when nobody does, or nobody answers."""
    try:
        rows = await pool.fetch(_SQL["leader"], agent_id)
    except Unavailable:
        return None
    return Leading(**rows[0]) if rows else None
