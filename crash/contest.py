"""A second hand on every saga: it has missed the news and writes on what it saw at the beginning.

It writes in the same moment as the first news of a saga, so that its Change lies among those of
others. It alone must be told Conflict; the others must not notice.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tradesaga.domain.errors import Conflict, Fenced, Unavailable
from tradesaga.domain.ids import AgentId, SagaId
from tradesaga.domain.saga import Saga
from tradesaga.ports.journal import Change, Entry, Insert, Update
from tradesaga.testing.seams import Opens


class ContestedJournal:
    """Implements `ports.journal.Journal`; contests only where it is asked to."""

    def __init__(self, journal: Opens, *, contested: bool) -> None:
        self._journal = journal
        self._contested = contested
        self._begun: dict[SagaId, Saga] = {}
        self._writing: set[asyncio.Task[None]] = set()
        self._let_in: list[str] = []

    async def open(self, agent_id: AgentId, epoch: int) -> object:
        """See `ports.journal`."""
        return await self._journal.open(agent_id, epoch)

    async def commit(self, change: Change) -> int:
        """See `ports.journal`."""
        for row in change.rows if self._contested else ():
            if isinstance(row, Insert) and isinstance(row.value, Saga):
                self._begun[row.value.id] = row.value
            elif isinstance(row, Update) and isinstance(row.value, Saga):
                self._contest(change, row.value.id)
        return await self._journal.commit(change)

    def _contest(self, change: Change, saga_id: SagaId) -> None:
        saga = self._begun.pop(saga_id, None)
        if saga is None:
            return
        stale = Update(replace(saga, version=saga.version + 1, reason="a second hand"))
        entry = Entry(kind="second.hand", subject=str(saga_id), actor="crash", body={})
        task = asyncio.get_running_loop().create_task(
            self._write(replace(change, rows=(stale,), entries=(entry,)), str(saga_id))
        )
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, change: Change, name: str) -> None:
        try:
            await self._journal.commit(change)
        except (Conflict, Fenced, Unavailable):
            return
        self._let_in.append(name)

    def judge(self) -> None:
        """Raises AssertionError when a second hand was let in."""
        assert not self._let_in, f"a second hand has written on {self._let_in}"
