"""Where ended rows go when they are old.

This is not the journal: the journal adds what has happened, one version after the other, and its
batches are on the path of every order. Moving rows says nothing new, touches many of them, and may
wait. Readers do not notice it: they are answered from both places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tradesaga.domain.ids import AgentId
from tradesaga.domain.retention import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """One table; rows are the database's estimate, bytes with indexes.

    The archived figures are zero for a table that has no archive.
    """

    name: str
    rows: int
    bytes: int
    archived_rows: int
    archived_bytes: int


class Archive(Protocol):
    """Moves rows out of the working tables. A move is atomic: each row is in one place, always."""

    async def move(
        self, agent_id: AgentId, kind: Kind, *, epoch: int, before: datetime, rows_max: int
    ) -> Mapping[str, int]:
        """Move at most `rows_max` rows of `kind` with what belongs to them; how many, by table.

        Nothing under way is touched. Repeated, it goes on with the next rows; all zero when
        nothing is due. A call in doubt may have moved its rows.

        Raises:
            Fenced: the epoch is stale; nothing was moved.
            Unavailable: the database gave no answer, or the rows are in use: try later.
            Refused: the database cannot do it; nothing was moved.
        """
        ...

    async def sizes(self) -> Sequence[TableSize]:
        """The tables that are looked after, and the log, by name. Raises Unavailable, Refused."""
        ...
