"""Our own events as they were committed, for those who follow them without the bus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tradesaga.ports.records import OutboxRow


class EventFeed(Protocol):
    """Reads the log of one agent. Both raise Unavailable when the database gives no answer."""

    async def latest(self) -> int:
        """The sequence at which the log ends; 0 for an empty one."""
        ...

    async def since(self, sequence: int, *, limit: int) -> Sequence[OutboxRow]:
        """The events after `sequence`, in the order of the log."""
        ...
