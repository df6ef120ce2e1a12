"""Messages that were put aside: reading them, and what an operator can do about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tradesaga.domain.dead_letters import Letter, LetterState
from tradesaga.domain.ids import AgentId


class DeadLetterRecords(Protocol):
    """Readers. All raise Unavailable when the database gives no answer."""

    async def letters(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        state: LetterState | None = None,
        before: int | None = None,
    ) -> Sequence[Letter]:
        """The latest letters, latest first, those below the id `before`; 1 <= limit <= 1001."""
        ...

    async def letter(self, agent_id: AgentId, letter_id: int) -> Letter | None:
        """One letter."""
        ...


class DeadLetterOperations(Protocol):
    """A driving port. A command is durable and audited under `actor`, with its words, on return."""

    async def letters(
        self, *, limit: int, state: LetterState | None, before: int | None
    ) -> Sequence[Letter]:
        """See `DeadLetterRecords.letters`."""
        ...

    async def letter(self, letter_id: int) -> Letter:
        """One letter. Raises NotFound, Unavailable."""
        ...

    async def replay(self, letter_id: int, *, by: str, reason: str, actor: str) -> Letter:
        """Handle it once more, here alone; repeated, it answers with what stands.

        Raises:
            NotFound: there is no such letter.
            IllegalTransition: it was discarded, or still nobody can read it; the text says why.
            Unavailable: it could not be handled now; it stays open.
        """
        ...

    async def discard(self, letter_id: int, *, by: str, reason: str, actor: str) -> Letter:
        """Say that it needs none; repeated, it answers with what stands. Raises as `replay`."""
        ...
