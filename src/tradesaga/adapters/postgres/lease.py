"""The lease on Postgres: one row per agent, compared and swapped by single statements.

Time is the server's `clock_timestamp()`, never ours and never the start of a transaction. Taking
it and raising its epoch write the agent's head row in the same statement, which is what fences the
journal. It has a connection of its own with a short time limit, so that no long query of ours can
make a renewal late.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta

import asyncpg

from tradesaga.adapters.postgres.connection import KeptConnection
from tradesaga.adapters.postgres.holder import is_provably_dead, this_process
from tradesaga.adapters.postgres.lease_round import COMMAND_SECONDS_MAX, NO_WAIT, LeaseRound
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.domain.errors import Fenced
from tradesaga.domain.ids import AgentId
from tradesaga.ports.clock import Clock
from tradesaga.ports.lease import Held

LOOK_SECONDS = 0.02
"""How often a holder on this machine is looked at; only /proc is read."""


class PostgresLease:
    """Implements `ports.lease.Lease` for one holder.

    With `shared`, its connection and its rounds are used.
    `time_to_live` is how long a take or a renewal lasts, `send_time_max` how long a request to a
    venue that the old holder sent may be on its way. The same holder may take again what it holds.
    """

    def __init__(
        self,
        dsn: str,
        clock: Clock,
        *,
        time_to_live: timedelta = timedelta(seconds=2),
        send_time_max: timedelta = timedelta(seconds=10),
        holder: str | None = None,
        is_dead: Callable[[str], bool] = is_provably_dead,
        schema: str,
        shared: LeaseRound | None = None,
    ) -> None:
        self._clock = clock
        self._time_to_live = time_to_live
        self._send_time_max = send_time_max
        self._holder = this_process() if holder is None else holder
        self._is_dead = is_dead
        self._rival = ""
        self._runs_until = math.inf
        self._shared = shared
        self._kept = (
            shared.kept
            if shared is not None
            else KeptConnection(
                dsn,
                application="tradesaga lease",
                command_time_max=COMMAND_SECONDS_MAX,
                schema=schema,
            )
        )

    async def take(self, agent_id: AgentId) -> Held | None:
        """Take it, or None while another holder's time runs. Raises the epoch by one.

        One that is held ahead for its agent is handed over as it is.
        """
        if self._shared is not None and (ahead := self._shared.taken(agent_id)) is not None:
            return ahead
        async with self._kept.lent("the lease") as connection:
            found = await connection.fetchrow(QUERIES["lease"], agent_id)
            wait, dead_epoch = self._judged(found)
            before = self._clock.monotonic()
            epoch = await connection.fetchval(
                QUERIES["take_lease"], agent_id, self._holder, self._time_to_live, dead_epoch
            )
        if epoch is None:
            self._refused(found, before)
            return None
        if epoch - 1 != (0 if found is None else found["epoch"]):
            wait = self._send_time_max  # another holder came and went since we looked
        return self._held(epoch, before, wait)

    async def freed(self, within: timedelta) -> None:
        """Wait until the holder's time is over as the last take saw it, or it is provably dead."""
        rival, until = (
            self._rival,
            min(self._runs_until, self._clock.monotonic() + within.total_seconds()),
        )
        self._rival, self._runs_until = "", math.inf
        while True:
            await asyncio.sleep(LOOK_SECONDS)  # noqa: TID251 -- real time
            if self._clock.monotonic() >= until or self._is_dead(rival):
                return

    async def renew(self, agent_id: AgentId, epoch: int) -> Held:
        """Make it last another time to live; one that ran out unnoticed by others lives on."""
        if self._shared is None:
            return await self._swap("renew_lease", agent_id, epoch)
        renewed, before = await self._shared.renew(agent_id, epoch)
        if not renewed:
            raise _fenced(agent_id, epoch)
        return self._held(epoch, before, NO_WAIT)

    async def raise_epoch(self, agent_id: AgentId, epoch: int) -> Held:
        """Keep it under a new epoch: nothing of the old one can be committed any more."""
        return await self._swap("raise_epoch", agent_id, epoch)

    async def release(self, agent_id: AgentId, epoch: int) -> None:
        """Give it up at once: a clean hand-over; silent if it is lost already."""
        if self._shared is not None:
            await self._shared.release(agent_id, epoch)
            return
        async with self._kept.lent("the lease") as connection:
            await connection.fetch(QUERIES["release_lease"], agent_id, self._holder, epoch)

    async def close(self) -> None:
        """Close the connection; what is held stays held until its time is over."""
        if self._shared is None:
            await self._kept.close()

    def _refused(self, found: asyncpg.Record | None, at: float) -> None:
        """Keep what `freed` waits for: no row means that somebody took it just now."""
        left, self._rival = NO_WAIT, ""
        if found is not None and found["holder"] is not None:
            left, self._rival = found["left"], found["holder"]
        self._runs_until = at + left.total_seconds()

    def _judged(self, found: asyncpg.Record | None) -> tuple[timedelta, int | None]:
        """How long a new holder must wait, and the epoch that may be taken before its time."""
        if found is None or found["holder"] is None:
            return NO_WAIT, None
        if found["holder"] != self._holder and self._is_dead(found["holder"]):
            return NO_WAIT, int(found["epoch"])
        return self._send_time_max, None

    async def _swap(self, query: str, agent_id: AgentId, epoch: int) -> Held:
        async with self._kept.lent("the lease") as connection:
            before = self._clock.monotonic()
            now = await connection.fetchval(
                QUERIES[query], agent_id, self._holder, epoch, self._time_to_live
            )
        if now is None:
            raise _fenced(agent_id, epoch)
        return self._held(now, before, NO_WAIT)

    def _held(self, epoch: int, before: float, wait: timedelta) -> Held:
        return Held(epoch=epoch, until=before + self._time_to_live.total_seconds(), wait=wait)


def _fenced(agent_id: AgentId, epoch: int) -> Fenced:
    return Fenced(f"agent {agent_id} is no longer held under epoch {epoch}: stop acting")
