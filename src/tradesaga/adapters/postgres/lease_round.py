"""The leases of all agents of one process, by statements that concern them all.

    hold_ahead ──► taken, by one statement, for agents that have not begun yet; renewed for them
    taken      ──► one of those, once its agent begins: it is renewed as all others are from then on
    renew      ──► asked by each agent; the next round answers, one statement for all
    release    ──► those that wait for the same turn go by one statement

Renewals have a connection of their own: however much is taken and given up, none is late. `run`
must be running. What is held ahead is held under an epoch like everything else: nobody writes or
sends under it before its agent has begun here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import asyncpg

from tradesaga.adapters.postgres.connection import Connection, KeptConnection
from tradesaga.adapters.postgres.holder import is_provably_dead, this_process
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.ports.clock import Clock
from tradesaga.ports.lease import Held

COMMAND_SECONDS_MAX = 2.0
NO_WAIT = timedelta(0)
Answer = tuple[bool, float]
"""Whether it is held, and since when it lasts."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Who had it when it was asked for, and until when it need not be asked for again."""

    rival: str
    until: float


class LeaseRound:
    """Implements `ports.lease.LeasesAhead`; renews for its `PostgresLease`s.

    A renewal waits for the next round, at most `every`.
    """

    def __init__(
        self,
        dsn: str,
        clock: Clock,
        *,
        time_to_live: timedelta = timedelta(seconds=2),
        send_time_max: timedelta = timedelta(seconds=10),
        every: timedelta,
        holder: str | None = None,
        is_dead: Callable[[str], bool] = is_provably_dead,
        schema: str,
    ) -> None:
        self.kept, self._renewals = (
            KeptConnection(
                dsn, application=name, command_time_max=COMMAND_SECONDS_MAX, schema=schema
            )
            for name in ("tradesaga lease", "tradesaga renewals")
        )
        self._clock = clock
        self._time_to_live = time_to_live
        self._send_time_max = send_time_max
        self._seconds = every.total_seconds()
        self._holder = this_process() if holder is None else holder
        self._is_dead = is_dead
        self._asked: dict[tuple[AgentId, int], list[asyncio.Future[Answer]]] = {}
        self._ahead: dict[AgentId, tuple[Held, float]] = {}
        self._refusals: dict[AgentId, _Refusal] = {}
        self._leaving: dict[AgentId, int] = {}

    # -- renewed --

    async def renew(self, agent_id: AgentId, epoch: int) -> Answer:
        """Whether it is held under `epoch`, and since when it lasts. Raises Unavailable."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked.setdefault((agent_id, epoch), []).append(answer)
        return await answer

    async def run(self) -> None:
        """Make a round each `every`, for ever."""
        while True:
            await asyncio.sleep(self._seconds)  # noqa: TID251 -- real time
            await self.run_once()

    async def run_once(self) -> None:
        """Renew what has been asked for and what is held ahead, and answer."""
        asked, self._asked = self._asked, {}
        ahead = {(agent_id, held.epoch) for agent_id, (held, _) in self._ahead.items()}
        if not asked and not ahead:
            return
        try:
            renewed, before = await self._renewed([*{*asked, *ahead}])
        except Unavailable as error:
            for answer in _unanswered(asked):
                answer.set_exception(Unavailable(str(error)))
            return
        for key, answers in asked.items():
            for answer in answers:
                if not answer.done():
                    answer.set_result((key in renewed, before))
        self._renew_ahead(ahead, renewed, before)

    async def _renewed(
        self, keys: Sequence[tuple[AgentId, int]]
    ) -> tuple[set[tuple[AgentId, int]], float]:
        async with self._renewals.lent("the leases") as connection:
            before = self._clock.monotonic()
            rows = await connection.fetch(
                QUERIES["renew_leases"],
                [agent_id for agent_id, _ in keys],
                self._holder,
                [epoch for _, epoch in keys],
                self._time_to_live,
            )
        return {(AgentId(row["agent_id"]), row["epoch"]) for row in rows}, before

    def _renew_ahead(
        self,
        asked: Collection[tuple[AgentId, int]],
        renewed: Collection[tuple[AgentId, int]],
        before: float,
    ) -> None:
        until = before + self._time_to_live.total_seconds()
        for agent_id, epoch in asked:
            found = self._ahead.get(agent_id)
            if found is None or found[0].epoch != epoch:
                continue  # its agent has begun meanwhile, and renews it
            if (agent_id, epoch) in renewed:
                self._ahead[agent_id] = replace(found[0], until=until), found[1]
            else:
                del self._ahead[agent_id]

    # -- held ahead --

    async def hold_ahead(
        self, wanted: Collection[AgentId], *, keeping: Collection[AgentId]
    ) -> Collection[AgentId]:
        """See `ports.lease.LeasesAhead`."""
        surplus = [agent_id for agent_id in self._ahead if agent_id not in keeping]
        if surplus:
            await self._give_up(surplus)
        self._refusals = {a: one for a, one in self._refusals.items() if a in wanted}
        dead = {rival for rival in self._rivals() if self._is_dead(rival)}
        missing = [a for a in wanted if a not in self._ahead and self._may_ask(a, dead)]
        if missing:
            await self._take(missing)
        return self._ahead.keys()

    def taken(self, agent_id: AgentId) -> Held | None:
        """One that is held ahead, handed to its agent; None when there is none."""
        found = self._ahead.pop(agent_id, None)
        if found is None:
            return None
        held, since = found
        waited = timedelta(seconds=self._clock.monotonic() - since)
        return replace(held, wait=max(NO_WAIT, held.wait - waited))

    def _rivals(self) -> Collection[str]:
        """Those who had what was refused, each once: an agent more is no look at /proc more."""
        return {refusal.rival for refusal in self._refusals.values()} - {""}

    def _may_ask(self, agent_id: AgentId, dead: Collection[str]) -> bool:
        refusal = self._refusals.get(agent_id)
        if refusal is None or self._clock.monotonic() >= refusal.until:
            return True
        return refusal.rival in dead

    async def _give_up(self, agent_ids: Sequence[AgentId]) -> None:
        for agent_id in agent_ids:
            self._leaving[agent_id] = self._ahead.pop(agent_id)[0].epoch
        await self._release()

    async def release(self, agent_id: AgentId, epoch: int) -> None:
        """Give one up at once; silent if it is lost already. Raises Unavailable."""
        self._leaving[agent_id] = epoch
        await self._release()

    async def _release(self) -> None:
        """The first whose turn it is gives up all that wait; then the others find nothing."""
        async with self.kept.lent("the leases") as connection:
            leaving, self._leaving = self._leaving, {}
            if leaving:
                await connection.fetch(
                    QUERIES["release_leases"], [*leaving], self._holder, [*leaving.values()]
                )

    async def _take(self, agent_ids: Sequence[AgentId]) -> None:
        async with self.kept.lent("the leases") as connection:
            found = await self._found(connection, agent_ids)
            holders = {row["holder"] for row in found.values()} - {None, self._holder}
            dead = {name for name in holders if self._is_dead(name)}
            before = self._clock.monotonic()
            rows = await connection.fetch(
                QUERIES["take_leases"], agent_ids, self._holder, self._time_to_live, list(dead)
            )
        epochs = {AgentId(row["agent_id"]): int(row["epoch"]) for row in rows}
        until = before + self._time_to_live.total_seconds()
        for agent_id in agent_ids:
            known = found.get(agent_id)
            if (epoch := epochs.get(agent_id)) is not None:
                wait = self._wait(known, epoch, dead)
                self._ahead[agent_id] = Held(epoch=epoch, until=until, wait=wait), before
                self._refusals.pop(agent_id, None)
            else:
                self._refusals[agent_id] = self._refusal(known, before)

    async def _found(
        self, connection: Connection, agent_ids: Sequence[AgentId]
    ) -> Mapping[AgentId, asyncpg.Record]:
        rows = await connection.fetch(QUERIES["leases"], agent_ids)
        return {AgentId(row["agent_id"]): row for row in rows}

    def _wait(self, known: asyncpg.Record | None, epoch: int, dead: Collection[str]) -> timedelta:
        """How long its new holder must wait: the old one may have an order on its way."""
        if epoch - 1 != (0 if known is None else known["epoch"]):
            return self._send_time_max  # another holder came and went since we looked
        is_free = known is None or known["holder"] is None or known["holder"] in dead
        return NO_WAIT if is_free else self._send_time_max

    def _refusal(self, known: asyncpg.Record | None, at: float) -> _Refusal:
        if known is None or known["holder"] is None:
            return _Refusal("", at)  # somebody took it just now
        left = min(self._seconds, known["left"].total_seconds())
        return _Refusal(known["holder"], at + left)

    async def close(self) -> None:
        """Close the connections; what is held stays held until its time is over."""
        await self.kept.close()
        await self._renewals.close()


def _unanswered(
    asked: Mapping[tuple[AgentId, int], Sequence[asyncio.Future[Answer]]],
) -> list[asyncio.Future[Answer]]:
    return [answer for answers in asked.values() for answer in answers if not answer.done()]
