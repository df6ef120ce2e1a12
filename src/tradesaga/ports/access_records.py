"""Reading the tokens of the API, without the lease: every node must know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tradesaga.domain.access import ApiToken
from tradesaga.domain.ids import AgentId


class AccessRecords(Protocol):
    """What is kept about access. Raises Unavailable when the database gives no answer."""

    async def api_tokens(self, agent_id: AgentId) -> Sequence[ApiToken]:
        """All tokens ever made, in order of creation; at most a thousand live."""
        ...
