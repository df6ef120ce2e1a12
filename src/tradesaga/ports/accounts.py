"""The agents that people have made: reading them, and what may be done about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tradesaga.domain.account import Account
from tradesaga.domain.agent import AgentStatus
from tradesaga.domain.ids import AgentId


class AccountRecords(Protocol):
    """What is stored. Raises Unavailable when the database gives no answer."""

    async def accounts(self, agent_id: AgentId) -> Sequence[Account]:
        """All agents ever made, in order of creation; `agent_id` is the default one."""
        ...

    async def accounts_stamp(self, agent_id: AgentId) -> tuple[int, int]:
        """What is another one whenever `accounts` would answer differently."""
        ...

    async def standing(
        self, agent_ids: Sequence[AgentId]
    ) -> Mapping[AgentId, tuple[AgentStatus, str, int]]:
        """Status, the address of its node or empty, and open sagas; unless it never was driven."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    """One agent for people; `status` is None before it was driven for the first time."""

    account: Account
    status: AgentStatus | None
    node: str
    is_default: bool = False


class AccountOperations(Protocol):
    """Agents as an administrator sees them. All writes raise Unavailable without the lease."""

    async def agents(self) -> Sequence[AgentRecord]:
        """All of them, the default one first, then in order of creation."""
        ...

    async def agent(self, agent_id: AgentId) -> AgentRecord:
        """One of them. Raises NotFound."""
        ...

    async def add(self, name: str, trading_engine: str, *, actor: str) -> AgentRecord:
        """Make one; it is driven within a second, and stopped until somebody starts it.

        Raises:
            Invalid: the name or the address is no good.
            Conflict: a living one has the name or the trading engine, or there are too many.
        """
        ...

    async def retire(self, agent_id: AgentId, *, actor: str) -> AgentRecord:
        """Never drive it again; one that is retired is answered.

        Raises:
            NotFound: there is none.
            IllegalTransition: it is the default one, or not stopped, or has open sagas.
        """
        ...
