"""What the bus has kept of our events, and what we know that it took: to see a loss and mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tradesaga.domain.ids import AgentId
from tradesaga.ports.records import OutboxRow


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """The stream that takes our events: when it was made, and its last number."""

    created: datetime
    last_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The last mark of the relay: up to which row, under which number of the stream, and when."""

    sequence: int
    stream_sequence: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event in the stream, by the row of our log that it comes of."""

    agent_id: AgentId
    sequence: int
    event_id: str


class StreamState(Protocol):
    """The bus's side."""

    def connection(self) -> int:
        """The number of the present connection, 0 without one; a new one may have lost things."""
        ...

    async def stream_end(self) -> StreamEnd:
        """Where the stream ends now. Raises Unavailable."""
        ...

    async def last_of_ours(self) -> Told | None:
        """The last event of an orchestrator; None without one, or when it does not tell its row.

        Raises Unavailable.
        """
        ...


class SentEvents(Protocol):
    """Our side. All raise Unavailable when the database gives no answer."""

    async def last_sent(self, agent_id: AgentId) -> Sent | None:
        """The last mark; None before the first."""
        ...

    async def stream_known(self, agent_id: AgentId) -> datetime | None:
        """When the stream of the latest comparison was made."""
        ...

    async def remember_stream(self, agent_id: AgentId, created: datetime) -> None:
        """The stream that the last mark and all later ones are about; those before it are not."""
        ...

    async def kept_up_to(self, agent_id: AgentId, stream_sequence: int) -> int:
        """The last row that is marked under that number of this stream or a lower one, else 0."""
        ...

    async def sent_before(self, agent_id: AgentId, at: datetime) -> int:
        """The last row that was marked before `at`, else 0."""
        ...

    async def between(
        self, agent_id: AgentId, *, after: int, until: int | None, limit: int
    ) -> Sequence[OutboxRow]:
        """Rows after one number up to another, published or not, in the order of the log."""
        ...

    async def has_row(self, told: Told) -> bool:
        """Whether the log has that row; also for an agent that was never in this database."""
        ...

    async def mark_again(self, agent_id: AgentId, *, sequence: int, stream_sequence: int) -> None:
        """Row `sequence`, the last mark, stands under another number now, none before it higher."""
        ...
