"""Dead letters over the store of `adapters.memory.journal`; their ids are their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tradesaga.adapters.memory.risk_records import MemoryRiskRecords
from tradesaga.domain.dead_letters import Letter, LetterEnd, LetterState
from tradesaga.domain.ids import AgentId


class MemoryDeadLetterRecords(MemoryRiskRecords):
    """Implements `ports.dead_letters.DeadLetterRecords`."""

    async def letters(
        self,
        agent_id: AgentId,
        *,
        limit: int,
        state: LetterState | None = None,
        before: int | None = None,
    ) -> Sequence[Letter]:
        """The latest letters, latest first."""
        found = [
            letter
            for letter in self._letters(agent_id)
            if state in (None, letter.state) and (before is None or letter.id < before)
        ]
        return found[::-1][:limit]

    async def letter(self, agent_id: AgentId, letter_id: int) -> Letter | None:
        """One letter."""
        return next((one for one in self._letters(agent_id) if one.id == letter_id), None)

    def _letters(self, agent_id: AgentId) -> Iterator[Letter]:
        ends = {end.letter_id: end for end in self._store.of(LetterEnd, agent_id)}
        for number, (owner, letter) in enumerate(self._store.dead_letters, start=1):
            if owner == agent_id:
                yield Letter(
                    id=number,
                    subject=letter.subject,
                    problem=letter.reason,
                    body=letter.body,
                    received_at=letter.received_at,
                    end=ends.get(number),
                )
