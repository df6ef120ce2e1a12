"""The real book of keys over a store that is a dictionary; the scribe carries claims as it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from tradesaga.domain.errors import Conflict, Unavailable
from tradesaga.domain.ids import DEFAULT_AGENT, AgentId
from tradesaga.domain.repeats import KeptAnswer
from tradesaga.engine.claims import rows_with, taken_along
from tradesaga.engine.repeat_book import RepeatBook
from tradesaga.engine.scribe import Scribe
from tradesaga.ports.journal import Entry, Insert, Row


class Store:
    """Scribe and records in one."""

    def __init__(self) -> None:
        self.kept: dict[UUID, KeptAnswer] = {}
        self.away = False

    async def fact(self, rows: Sequence[Row], entries: Sequence[Entry]) -> None:
        claim = taken_along()
        for row in rows_with(claim, tuple(rows)):
            value: Any = row.value
            if self.away:
                raise Unavailable("gone")
            if isinstance(row, Insert) and value.id in self.kept:
                raise Conflict("exists")
            self.kept[value.id] = value

    async def kept_answer(self, agent_id: AgentId, row_id: UUID) -> KeptAnswer | None:
        if self.away:
            raise Unavailable("gone")
        return self.kept.get(row_id)


def repeats_over(store: Store, clock: Any) -> RepeatBook:
    return RepeatBook(
        scribe=cast("Scribe", store),
        records=cast("Any", store),
        clock=clock,
        agent_id=DEFAULT_AGENT,
    )
