"""Hands Changes to the journal under the epoch that this process holds.

A fact (a fill, the end of a cycle) is true under any epoch of ours: when a stop has raised the
epoch between the making of the Change and its commit, it is committed under the new one. An intent
is not: whoever commits one names the epoch under which it was decided, and it fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tradesaga.domain.errors import Fenced, TradesagaError
from tradesaga.domain.ids import AgentId
from tradesaga.engine.claims import rows_with, taken_along
from tradesaga.engine.commit_times import CommitTimes
from tradesaga.engine.leadership import Leadership
from tradesaga.ports.clock import Clock
from tradesaga.ports.journal import Change, Entry, Journal, Row
from tradesaga.ports.tracing import UNTRACED, Tracer


class Scribe:
    """One agent's way to the journal; `events_written` is set by every commit with an event."""

    def __init__(
        self,
        *,
        journal: Journal,
        clock: Clock,
        leadership: Leadership,
        agent_id: AgentId,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self._journal = journal
        self._clock = clock
        self._leadership = leadership
        self._agent_id = agent_id
        self.events_written = asyncio.Event()
        self.times = CommitTimes(clock)

    @property
    def epoch(self) -> int:
        """The epoch held now. Raises Fenced without the lease."""
        return self._leadership.epoch

    async def epoch_settled(self) -> int:
        """The epoch, once a change of it that is under way is done. Raises Fenced as `epoch`."""
        return await self._leadership.epoch_settled()

    async def fact(self, rows: Sequence[Row], entries: Sequence[Entry]) -> None:
        """Commit what is so, under whichever epoch is ours.

        Raises:
            Conflict, Unavailable: as the journal.
            Fenced: the lease has passed on.
        """
        while True:
            epoch = self.epoch
            try:
                await self.intent(rows, entries, epoch=epoch)
            except Fenced:
                # The store may have the new epoch while we do not know it yet.
                if await self.epoch_settled() == epoch:
                    raise
            else:
                return

    async def intent(self, rows: Sequence[Row], entries: Sequence[Entry], *, epoch: int) -> None:
        """Commit what was decided under `epoch`, or not at all. Raises as the journal."""
        claim = taken_along()
        change = Change(
            agent_id=self._agent_id,
            epoch=epoch,
            at=self._clock.now(),
            rows=rows_with(claim, tuple(rows)),
            entries=tuple(entries),
        )
        begun = self.times.begin()
        try:
            with self._tracer.span("journal.commit"):
                await self._journal.commit(change)
        except TradesagaError:
            if claim is not None:
                claim.rides = False  # nothing was written: the next Change carries it
            raise
        finally:
            self.times.end(begun)
        if any(entry.event is not None for entry in entries):
            self.events_written.set()
