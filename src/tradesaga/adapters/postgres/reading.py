"""The pool that readers share: every wait bounded, every lost answer is Unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

from tradesaga.adapters.postgres.connection import (
    CONNECT_SECONDS_MAX,
    DAMAGED,
    LOST,
    Connection,
    damaged,
    server_settings,
)
from tradesaga.adapters.postgres.decoding import Row, set_codecs
from tradesaga.adapters.postgres.together import Together
from tradesaga.domain.errors import Unavailable
from tradesaga.ports.database import DamageSeen


class ReaderPool:
    """Connections for reading, made when needed; it survives a restart of the server."""

    def __init__(
        self,
        dsn: str,
        *,
        schema: str,
        connections_max: int = 4,
        command_time_max: timedelta = timedelta(seconds=10),
        damage: DamageSeen | None = None,
    ) -> None:
        self._damage = damage or DamageSeen()
        self._seconds_max = command_time_max.total_seconds()
        self._pool: asyncpg.Pool[asyncpg.Record] = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=connections_max,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=self._seconds_max,
            server_settings=server_settings("tradesaga records", schema)
            | {
                "idle_in_transaction_session_timeout": "10s",
                # The server ends what we have given up, and no query before that.
                "statement_timeout": f"{self._seconds_max * 1000:.0f}ms",
            },
            init=set_codecs,
            reset=_nothing_to_reset,
        )
        self._together = Together(self.fetch)
        self._ready = asyncio.Lock()
        self._initialized = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection.

        Raises:
            Unavailable: none is free or the server is away; as Damaged: it cannot read a page.
        """
        try:
            await self._initialize()
            async with self._pool.acquire(timeout=self._seconds_max) as connection:
                yield connection  # type: ignore[misc]  # a proxy with the methods of Connection
        except LOST as error:
            raise Unavailable(f"the database gave no answer: {error!r}") from error
        except DAMAGED as error:
            self._damage.saw(str(error))
            raise damaged(error) from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """Lend a connection on which all queries see the same committed rows."""
        async with (
            self.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows of one query."""
        async with self.connection() as connection:
            return await connection.fetch(sql, *arguments)

    async def fetch_together(self, sql: str, *arguments: object) -> Sequence[Row]:
        """As `fetch`, for what many agents ask at a time; rows are read by position."""
        return await self._together.ask(sql, *arguments)

    async def tell_together(self, sql: str, *arguments: object) -> None:
        """Have something written that many agents write at a time; `sql` takes arrays."""
        await self._together.tell(sql, *arguments)

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        """The first column of the first row; None without a row."""
        async with self.connection() as connection:
            return await connection.fetchval(sql, *arguments)

    async def close(self) -> None:
        """Close all connections, by force when a query does not end in time."""
        if not self._initialized:
            return
        try:
            async with asyncio.timeout(self._seconds_max):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _initialize(self) -> None:
        async with self._ready:
            if not self._initialized:
                _ = await self._pool
                self._initialized = True


async def _nothing_to_reset(_connection: object) -> None:
    """Whoever reads leaves nothing in the session: one round trip less for each query."""
