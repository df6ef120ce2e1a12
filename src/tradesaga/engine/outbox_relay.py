"""Publishes what was committed: the outbox is the truth, the bus carries it, at least once.

Rows leave in the order of the log. Rows about different things (correlation ids) are published
side by side, those about one thing one after the other. A row counts as sent only after the bus's
acknowledgement; without one it is sent again under the same message id.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from structlog import get_logger

from tradesaga.domain.errors import Unavailable
from tradesaga.domain.ids import AgentId
from tradesaga.engine.look_back import LookBack
from tradesaga.ports.bus import Bus
from tradesaga.ports.clock import Clock
from tradesaga.ports.records import Outbox, OutboxRow

log = get_logger()
BATCH_MAX = 256
IDLE_SECONDS = 0.5
"""Real time between looks when nothing wakes the relay."""
RETRY_SECONDS = 0.2


def _ids_of(row: OutboxRow) -> dict[str, str]:
    """What a line of the log says it is about."""
    ids = {"event_id": row.event_id, "event_type": row.type}
    return ids if row.correlation_id is None else {**ids, "correlation_id": row.correlation_id}


def _always(_row: OutboxRow) -> bool:
    return True


class OutboxRelay:
    """One agent's relay; `wake` is set by the scribe when it has written an event.

    `wanted` says whether a row still means something to anybody: a question whose deadline is over
    is passed by, since a late answer could trade.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        bus: Bus,
        clock: Clock,
        agent_id: AgentId,
        wake: asyncio.Event,
        look_back: LookBack | None = None,
        wanted: Callable[[OutboxRow], bool] = _always,
        idle: timedelta = timedelta(seconds=IDLE_SECONDS),
    ) -> None:
        self._outbox = outbox
        self._bus = bus
        self._clock = clock
        self._agent_id = agent_id
        self._wake = wake
        self._look_back = look_back
        self._wanted = wanted
        self._highest = 0
        self._idle_seconds = idle.total_seconds()
        self.stuck_since: float | None = None
        """Since when, on the clock's monotonic scale, the bus has not taken what waits."""
        self._oldest: datetime | None = None
        self._passes = 0
        self._found_nothing = 0  # the last pass that did
        self._passed = asyncio.Event()

    def lag(self) -> float:
        """Seconds since the oldest event that waits was committed; 0 when none does."""
        oldest = self._oldest
        return 0.0 if oldest is None else max(0.0, (self._clock.now() - oldest).total_seconds())

    def stuck_for(self) -> float:
        """Seconds since the bus has not taken what waits; 0 while it does."""
        since = self.stuck_since
        return 0.0 if since is None else max(0.0, self._clock.monotonic() - since)

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            self._wake.clear()
            try:
                if self._look_back is not None:
                    await self._look_back.run_once()
                published = await self.run_once()
            except Unavailable as error:
                log.warning("outbox waits", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)  # noqa: TID251 -- real time, not market time
                continue
            if published == 0:
                await self._idle()

    async def emptied(self) -> None:
        """Return when `run` has published all that was committed before the call."""
        passes = self._passes
        while self._found_nothing <= passes:
            self._passed.clear()
            self._wake.set()
            await self._passed.wait()

    async def run_once(self) -> int:
        """Publish one batch; how many rows the bus has taken. Raises Unavailable."""
        self._passes += 1
        rows = await self._outbox.pending(self._agent_id, limit=BATCH_MAX)
        if not rows:
            self.stuck_since = self._oldest = None
            self._found_nothing = self._passes
            self._passed.set()
            return 0
        self._oldest = rows[0].at
        begun = self._clock.monotonic()
        by_thing: defaultdict[str, list[OutboxRow]] = defaultdict(list)
        for row in rows:
            by_thing[row.correlation_id or row.type].append(row)
        sent = await self._publish_all(list(by_thing.values()))
        done = self._whole_prefix(rows, sent)
        if done:
            last = rows[done - 1]
            self._highest = max(self._highest, *(sent[row.sequence] for row in rows[:done]))
            await self._outbox.mark_published(
                self._agent_id,
                sequence=last.sequence,
                stream_sequence=await self._number(),
                at=self._clock.now(),
            )
        if done < len(rows):
            self._oldest = rows[done].at
            if done or self.stuck_since is None:
                self.stuck_since = begun
            raise Unavailable(f"the bus took {done} of {len(rows)} events")
        self.stuck_since = self._oldest = None
        return done

    async def _publish_all(self, things: Sequence[Sequence[OutboxRow]]) -> dict[int, int]:
        """Side by side; the numbers in the stream, by row, of those that the bus has taken."""
        sent: dict[int, int] = {}
        if len(things) == 1:  # as nearly always; a task for it would be the dearest part
            await self._publish(things[0], sent)
            return sent
        async with asyncio.TaskGroup() as group:
            for thing in things:
                group.create_task(self._publish(thing, sent))
        return sent

    async def _publish(self, rows: Sequence[OutboxRow], sent: dict[int, int]) -> None:
        for row in rows:
            if not self._wanted(row):
                log.info("question dropped: nobody waits for its answer", **_ids_of(row))
                sent[row.sequence] = 0
                continue
            try:
                published = await self._bus.publish(row)
            except Unavailable as error:
                log.warning("event not acknowledged", **_ids_of(row), error=str(error))
                return  # what follows about the same thing must not overtake it
            sent[row.sequence] = published.stream_sequence

    async def _number(self) -> int:
        """The highest number of the stream so far: what was not published has none of its own."""
        if not self._highest and self._look_back is not None:
            last = await self._look_back.sent.last_sent(self._agent_id)
            self._highest = 0 if last is None else last.stream_sequence
        return self._highest

    def _whole_prefix(self, rows: Sequence[OutboxRow], sent: dict[int, int]) -> int:
        for number, row in enumerate(rows):
            if row.sequence not in sent:
                return number
        return len(rows)

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(self._idle_seconds):
                await self._wake.wait()
        except TimeoutError:
            return
