"""Who may use the API, over the store of `adapters.memory.journal`."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tradesaga.adapters.memory.journal import MemoryStore
from tradesaga.domain.access import ApiToken
from tradesaga.domain.ids import AgentId
from tradesaga.domain.repeats import KeptAnswer


class MemoryAccessRecords:
    """Implements `ports.access_records.AccessRecords`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def api_tokens(self, agent_id: AgentId) -> Sequence[ApiToken]:
        """All tokens ever made, in order of creation."""
        found: list[ApiToken] = self._store.of(ApiToken, agent_id)
        return sorted(found, key=lambda token: (token.created_at, token.id))

    async def kept_answer(self, agent_id: AgentId, row_id: UUID) -> KeptAnswer | None:
        """A command that was taken under its key, with its answer if that is known."""
        found = [kept for kept in self._store.of(KeptAnswer, agent_id) if kept.id == row_id]
        return found[0] if found else None
