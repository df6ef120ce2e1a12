"""An archive in memory: readers of a store in memory see one place, so nothing has to move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tradesaga.domain.errors import Fenced, TradesagaError
from tradesaga.domain.ids import AgentId
from tradesaga.domain.retention import Kind
from tradesaga.ports.archive import TableSize


@dataclass(slots=True, kw_only=True)
class MemoryArchive:
    """Implements `ports.archive.Archive`; `due` rows of a kind wait until they are moved.

    `epochs` are those of the store, when there is one: another epoch is fenced. `failures` are
    raised by the next moves, one each. A memory store has one place for all rows, so readers see
    no difference.
    """

    due: dict[Kind, int] = field(default_factory=dict)
    epochs: Mapping[AgentId, int] | None = None
    failures: list[TradesagaError] = field(default_factory=list)
    asked: list[tuple[Kind, datetime]] = field(default_factory=list)

    async def move(
        self, agent_id: AgentId, kind: Kind, *, epoch: int, before: datetime, rows_max: int
    ) -> Mapping[str, int]:
        """Take so many of the backlog."""
        self.asked.append((kind, before))
        if self.failures:
            raise self.failures.pop(0)
        if self.epochs is not None and self.epochs.get(agent_id) != epoch:
            raise Fenced(f"epoch {epoch} is over")
        moved = min(rows_max, self.due.get(kind, 0))
        self.due[kind] = self.due.get(kind, 0) - moved
        return {kind.value: moved}

    async def sizes(self) -> Sequence[TableSize]:
        """One table."""
        return [TableSize(name="orders", rows=3, bytes=4, archived_rows=5, archived_bytes=6)]
