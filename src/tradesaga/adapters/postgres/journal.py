"""A group-commit journal on Postgres: many callers, one writer, one call per batch.

What waits when the writer is free becomes one batch and one transaction, but at most half of the
work that is open, so that the server writes one half while the callers prepare the other. Every
batch compares and swaps the agents' head rows (epoch, sequence, hash): that fences a deposed
writer, keeps the log gapless, and makes a repeated batch harmless. A refused row rolls its batch
back; the Changes it belongs to get Conflict, the others go again.

An answer that was lost is looked up: once the head row's lock is free, the log either holds the
batch's last hash or it does not. If not, the very same batch is sent again; should the lost one
arrive late after all, only one of the two finds the head as it expects it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import msgspec

from tradesaga.adapters.postgres.batch import STATEMENT, Batch, Head, Pending, encode
from tradesaga.adapters.postgres.connection import DAMAGED, LOST, Connection, connect, damaged
from tradesaga.adapters.postgres.encoding import key_of
from tradesaga.adapters.postgres.queries import QUERIES
from tradesaga.domain.errors import Conflict, Fenced, Invalid, TradesagaError, Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.ports.database import DamageSeen
from tradesaga.ports.journal import Change
from tradesaga.ports.tracing import UNTRACED, Tracer

BATCH_MIN = 16
"""Smaller batches are not halved."""
BATCH_MAX = 512
RETRY_SECONDS_FIRST = 0.02
RETRY_SECONDS_MAX = 1.0
SETTINGS = {
    # Index lookups by key always, whatever the statistics say of a young table.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
_REFUSED_DATA = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
_HEAD_MOVED, _ROW_MOVED = "TS001", "TS002"


@dataclass(slots=True, eq=False)
class _Opening:
    agent_id: AgentId
    epoch: int
    done: asyncio.Future[int]


Written = Callable[[int, float], None]
"""Told of each batch whose outcome is known: how many Changes, how many seconds."""


def _unseen(_changes: int, _seconds: float) -> None:
    pass


class PostgresJournal:
    """Implements `ports.journal.Journal`; `run` must be running for anything to be written.

    An agent is opened with the epoch of its lease before its first Change, and again whenever the
    epoch rises. `waiting_max` bounds the Changes that wait. A Change whose data the database
    cannot hold is refused with Invalid, one that meets a damaged page with Damaged: nothing of it
    was written.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str,
        waiting_max: int = 10_000,
        command_time_max: timedelta = timedelta(seconds=30),
        on_written: Written = _unseen,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self._dsn, self._schema = dsn, schema
        self._waiting_max = waiting_max
        self._on_written = on_written
        self._command_seconds_max = command_time_max.total_seconds()
        self.damage = DamageSeen()
        self._heads: dict[AgentId, Head] = {}
        self._waiting: deque[Pending] = deque()
        self._openings: deque[_Opening] = deque()
        self._in_flight: Batch | None = None
        self._batch_max = BATCH_MAX
        self._size_last = 0
        self._connection: Connection | None = None
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many Changes wait for their batch."""
        return len(self._waiting)

    async def open(self, agent_id: AgentId, epoch: int) -> int:
        """Write for the agent under `epoch` from now on; return where its log ends.

        Changes of an older epoch that still wait are refused. Waits while the database is away.

        Raises:
            Fenced: the stored epoch is another one.
            Unavailable: the journal is closed.
        """
        self._must_be_open()
        opening = _Opening(agent_id, epoch, asyncio.get_running_loop().create_future())
        self._openings.append(opening)
        self._wake.set()
        return await opening.done

    async def commit(self, change: Change) -> int:
        """Return the log sequence of the Change's last entry once all of it is durable.

        Raises:
            Conflict, Fenced, Unavailable: as the port says.
            Invalid: the Change cannot be stored as it is; nothing was written.
        """
        self._must_be_open()
        if len(self._waiting) >= self._waiting_max:
            raise Unavailable(f"{len(self._waiting)} changes wait for the database: try later")
        if not self._is_current(change.agent_id, change.epoch):
            raise _fenced(change.agent_id, change.epoch)
        pending = encode(change)
        if self._tracer.is_on:
            pending.asked_in = self._tracer.here()
        self._waiting.append(pending)
        self._wake.set()
        return await pending.outcome()

    async def run(self) -> None:
        """Write until `close`; one task of the caller's group.

        Raises whatever shows that program and schema do not fit together; everybody who waits
        gets Unavailable then.
        """
        self._task = asyncio.current_task()
        try:
            while await self._has_work():
                if self._openings:
                    await self._open_agents()
                elif (batch := self._gather()) is not None:
                    self._in_flight = batch
                    began, since = asyncio.get_running_loop().time(), self._tracer.moment()
                    await self._settle(batch)
                    took = asyncio.get_running_loop().time() - began
                    self._on_written(len(batch.changes), took)
                    if self._tracer.is_on:
                        self._tell(batch, since)
                    self._in_flight = None
        finally:
            self._closing.set()
            self._abandon()
            self._disconnect()
            self._ended.set()

    async def close(self, time_max: timedelta) -> None:
        """Take no more, write what waits, and end `run`, by force when `time_max` is over."""
        self._closing.set()
        self._wake.set()
        if self._task is None:
            self._abandon()
            return
        try:
            async with asyncio.timeout(time_max.total_seconds()):
                await self._ended.wait()
        except TimeoutError:
            self._task.cancel()
            await self._ended.wait()

    # -- batches --

    def _tell(self, batch: Batch, since: int) -> None:
        """Tell who traces, with the commits that the batch was made of."""
        links = [change.asked_in for change in batch.changes if change.asked_in is not None]
        changes = len(batch.changes)
        self._tracer.told("journal.batch", since=since, links=links, changes=changes)

    async def _has_work(self) -> bool:
        while not self._waiting and not self._openings:
            if self._closing.is_set():
                return False
            self._wake.clear()
            await self._wake.wait()
        return True

    def _gather(self) -> Batch | None:
        """The next batch; None when all that waited was stale."""
        half = (len(self._waiting) + self._size_last) // 2
        size = min(self._batch_max, max(BATCH_MIN, half))
        batch = Batch()
        while self._waiting and len(batch.changes) < size:
            change = self._waiting[0]
            if not self._is_current(change.agent_id, change.epoch):
                self._waiting.popleft().settle(_fenced(change.agent_id, change.epoch))
                continue
            if not batch.admits(change):
                break  # the row is claimed, or the batch full: order is kept, so the rest waits
            batch.add(self._waiting.popleft(), self._heads[change.agent_id])
        self._size_last = len(batch.changes)
        return batch if batch.changes else None

    async def _settle(self, batch: Batch) -> None:
        """Send the batch until its outcome is known. No bound: the database may be away long."""
        seconds = RETRY_SECONDS_FIRST
        in_doubt = False
        while True:
            try:
                connection = await self._connected()
                if in_doubt and await self._looked_up(connection, batch):
                    return
                in_doubt = False
                await connection.fetchval(STATEMENT, *batch.arguments())
            except LOST:
                self._disconnect()
                seconds = await self._pause(seconds)
            except asyncpg.PostgresError as error:
                if in_doubt and isinstance(error, DAMAGED):
                    self.damage.saw(str(error))  # the log itself cannot be read: nobody knows
                    seconds = await self._pause(seconds)
                elif self._refused(batch, error):
                    return
            else:
                self._succeed(batch)
                return
            in_doubt = True

    async def _looked_up(self, connection: Connection, batch: Batch) -> bool:
        """Whether the stored log settles what became of the batch; if not, it may go again."""
        if await self._was_written(connection, batch):
            self._succeed(batch)
            return True
        if stale := await self._stale(connection, batch):
            self._fence(batch, stale)
            return True
        return False

    def _refused(self, batch: Batch, error: asyncpg.PostgresError) -> bool:
        """Whether the error settles the batch; if not, the stored log must tell."""
        if error.sqlstate == _HEAD_MOVED:
            return False
        if error.sqlstate == _ROW_MOVED:
            self._conflict(batch, error)
        elif isinstance(error, _REFUSED_DATA):
            self._narrow(batch, Invalid([f"the database cannot hold the change: {error}"]), error)
        elif isinstance(error, DAMAGED):
            self.damage.saw(str(error))
            self._narrow(batch, damaged(error), error)
        else:
            raise error
        return True

    def _succeed(self, batch: Batch) -> None:
        self._heads.update(batch.end)
        self._batch_max = min(BATCH_MAX, self._batch_max * 2)
        batch.succeed()

    async def _was_written(self, connection: Connection, batch: Batch) -> bool:
        """Whether the log holds the batch; waits for a backend that may still be writing it."""
        agent_id, end = next(iter(batch.end.items()))
        # Two statements: the second must see what the first may have waited for.
        await connection.fetch(QUERIES["lock_heads"], list(batch.end))
        found = await connection.fetchval(QUERIES["hash_at"], agent_id, end.seq)
        return bool(found == end.hash)

    async def _stale(self, connection: Connection, batch: Batch) -> set[AgentId]:
        rows = await connection.fetch(QUERIES["read_heads"], list(batch.begin))
        stored = {row["agent_id"]: Head(row["epoch"], row["seq"], row["hash"]) for row in rows}
        return {agent_id for agent_id, head in batch.begin.items() if stored.get(agent_id) != head}

    # -- refusals: the culprits are told, the others go to the front of the queue again --

    def _fence(self, batch: Batch, stale: set[AgentId]) -> None:
        for agent_id in stale:
            del self._heads[agent_id]
        for change in batch.changes:
            if change.agent_id in stale:
                change.settle(_fenced(change.agent_id, change.epoch))
        self._again([change for change in batch.changes if change.agent_id not in stale])

    def _conflict(self, batch: Batch, error: asyncpg.PostgresError) -> None:
        told = msgspec.json.decode(error.detail or "[]", type=list[tuple[str, str]])
        rows = {key_of(table, name): f"{table} {name}" for table, name in told}
        culprits = [c for c in batch.changes if not rows.keys().isdisjoint(c.keys)]
        assert culprits, f"the database refused {told}, which the batch does not hold"
        for change in culprits:
            own = ", ".join(name for key, name in rows.items() if key in change.keys)
            change.settle(Conflict(f"{own} was changed or exists: load it again"))
        self._again([change for change in batch.changes if change not in culprits])

    def _narrow(self, batch: Batch, refusal: TradesagaError, error: Exception) -> None:
        """Halve until the culprit stands alone: the database does not say which row it is."""
        if len(batch.changes) == 1:
            refusal.__cause__ = error
            batch.changes[0].settle(refusal)
            return
        self._batch_max = len(batch.changes) // 2
        self._again(batch.changes)

    def _again(self, changes: list[Pending]) -> None:
        self._waiting.extendleft(reversed(changes))

    # -- agents, connection, end --

    async def _open_agents(self) -> None:
        seconds = RETRY_SECONDS_FIRST
        while self._openings:
            try:
                connection = await self._connected()
                asked = list({opening.agent_id for opening in self._openings})
                rows = await connection.fetch(QUERIES["read_heads"], asked)
            except LOST:
                self._disconnect()
                seconds = await self._pause(seconds)
                continue
            except DAMAGED as error:
                self.damage.saw(str(error))
                seconds = await self._pause(seconds)
                continue
            stored = {row["agent_id"]: Head(row["epoch"], row["seq"], row["hash"]) for row in rows}
            # Whoever asked while we read waits for the next round.
            for _ in range(len(self._openings)):
                opening = self._openings.popleft()
                if opening.agent_id in asked:
                    self._opened(opening, stored.get(opening.agent_id))
                else:
                    self._openings.append(opening)

    def _opened(self, opening: _Opening, head: Head | None) -> None:
        if opening.done.done():
            return
        if head is None or head.epoch != opening.epoch:
            opening.done.set_exception(_fenced(opening.agent_id, opening.epoch))
            return
        self._heads[opening.agent_id] = head
        opening.done.set_result(head.seq)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(
                self._dsn,
                application="tradesaga journal",
                command_time_max=self._command_seconds_max,
                schema=self._schema,
                **SETTINGS,
            )
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _pause(self, seconds: float) -> float:
        """Wait before the next try, and return how long to wait before the one after it."""
        await asyncio.sleep(seconds)  # noqa: TID251 -- a server that is away gives no event to wait for
        return min(seconds * 2, RETRY_SECONDS_MAX)

    def _abandon(self) -> None:
        closed = Unavailable("the journal is closed; nothing was written")
        for opening in self._openings:
            if not opening.done.done():
                opening.done.set_exception(closed)
        for change in self._waiting:
            change.settle(closed)
        doubt = Unavailable("the journal was closed before the database answered: look it up")
        for change in self._in_flight.changes if self._in_flight is not None else ():
            change.settle(doubt)

    def _must_be_open(self) -> None:
        if self._closing.is_set():
            raise Unavailable("the journal is closed; nothing was written")

    def _is_current(self, agent_id: AgentId, epoch: int) -> bool:
        head = self._heads.get(agent_id)
        return head is not None and head.epoch == epoch


def _fenced(agent_id: AgentId, epoch: int) -> Fenced:
    return Fenced(f"agent {agent_id} is not held under epoch {epoch}: take the lease again")
