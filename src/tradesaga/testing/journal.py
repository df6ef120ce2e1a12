"""The journal in memory with two hands for a test: it keeps every Change, and can be told to fail.

`refuse_next` answers the error with which a Change is refused, None to let it pass.
"""

from __future__ import annotations

from collections.abc import Callable

from typing_extensions import override

from tradesaga.adapters.memory import journal as memory
from tradesaga.adapters.memory.journal import LoggedEntry, MemoryStore, owner_of
from tradesaga.ports.journal import Change

__all__ = ["LoggedEntry", "MemoryJournal", "MemoryStore", "owner_of"]


class MemoryJournal(memory.MemoryJournal):
    """Implements `ports.journal.Journal`."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        super().__init__(store)
        self.changes: list[Change] = []
        self.refuse_next: Callable[[Change], Exception | None] = lambda _: None

    @override
    def _commit(self, change: Change) -> int:
        if (error := self.refuse_next(change)) is not None:
            raise error
        sequence = super()._commit(change)
        self.changes.append(change)
        return sequence
