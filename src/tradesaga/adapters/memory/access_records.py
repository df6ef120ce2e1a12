"""Who may use the API, over the store of `adapters.memory.journal`."""

from __future__ import annotations

from collections.abc import Sequence

from tradesaga.adapters.memory.journal import MemoryStore
from tradesaga.domain.access import ApiToken
from tradesaga.domain.ids import AgentId


class MemoryAccessRecords:
    """Implements `ports.access_records.AccessRecords`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def api_tokens(self, agent_id: AgentId) -> Sequence[ApiToken]:
        """All tokens ever made, in order of creation."""
        found: list[ApiToken] = self._store.of(ApiToken, agent_id)
        return sorted(found, key=lambda token: (token.created_at, token.id))
