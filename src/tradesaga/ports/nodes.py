"""The processes that can lead: their register, and how one asks another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tradesaga.domain.fleet import Node
from tradesaga.domain.ids import AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReport:
    """The nodes as this one sees them; `hindrance` is why it may not lead, empty when it may."""

    own_id: str
    nodes: Sequence[Node]
    hindrance: str


class Nodes(Protocol):
    """One row for each process, fresh while it lives."""

    @property
    def own_id(self) -> str:
        """This process, as its leases name it."""
        ...

    async def announce(self) -> Sequence[Node]:
        """Say that this process lives; returns all that do. Raises Unavailable."""
        ...

    def is_dead(self, node_id: str) -> bool:
        """Whether that process can provably never act again; asks nobody, takes microseconds."""
        ...

    async def leave(self) -> None:
        """Go in peace: nobody counts on this process any more. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A request as it is passed on; `target` is path and query as they came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAnswer:
    """What the other node answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Peers(Protocol):
    """The way to the node that leads."""

    def elsewhere(self, agent_id: AgentId | None) -> str:
        """The address of the node that leads the agent, when it is another and known; else empty.

        None is the default agent.
        """
        ...

    async def ask(self, url: str, request: Passed) -> PeerAnswer:
        """Pass it on, once. Raises Unavailable; whether it had its effect is not known then."""
        ...
