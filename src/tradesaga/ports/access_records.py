"""Reading who may use the API and what was answered, without the lease: every node must know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from tradesaga.domain.access import ApiToken
from tradesaga.domain.ids import AgentId
from tradesaga.domain.repeats import KeptAnswer


class AccessRecords(Protocol):
    """What is kept about access. Raises Unavailable when the database gives no answer."""

    async def api_tokens(self, agent_id: AgentId) -> Sequence[ApiToken]:
        """All tokens ever made, in order of creation; at most a thousand live."""
        ...

    async def kept_answer(self, agent_id: AgentId, row_id: UUID) -> KeptAnswer | None:
        """A command that was taken under its key, with its answer if that is known."""
        ...
