"""Halting all agents at once, as an operator sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from tradesaga.domain.ids import AgentId
from tradesaga.ports.ladder_operations import Killed


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAgent:
    """An agent, for people."""

    id: AgentId
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltedAgent:
    """An agent that was halted here, and what its kill has done by the time of the answer."""

    agent: NamedAgent
    killed: Killed


class HaltOperations(Protocol):
    """Needs neither database nor bus. Re-arming is each agent's own."""

    async def halt(self, *, reason: str, who: str) -> Sequence[HaltedAgent]:
        """Halt whatever is driven here, and what this node takes up within a minute.

        Answers within two seconds.
        """
        ...

    def others(self) -> Sequence[str]:
        """Where the other living nodes answer."""
        ...

    def unheard(self, heard: Collection[AgentId]) -> Sequence[NamedAgent]:
        """All that some node should drive, as last seen here, and that are not among `heard`."""
        ...
