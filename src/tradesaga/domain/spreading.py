"""Which node drives which agent: rendezvous hashing, the same answer wherever it is asked.

Each agent falls to the node whose hash with it is the highest. So a node that joins takes its share
from all others alike and nothing else moves; a node that goes leaves its own to all others alike.
Nobody is told: whoever sees the same nodes comes to the same answer, and where two differ for a
moment, the lease decides.

Their cycles are spread over their intervals, too: a thousand that beat at the same instant would
stop whatever else a node does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.fleet import Node, in_force
from tradesaga.domain.ids import AgentId


def able(nodes: Sequence[Node]) -> tuple[str, ...]:
    """The ids of those that may drive agents now: all of the identity in force."""
    lawful: Identity | None = in_force(nodes)
    return tuple(sorted(node.id for node in nodes if node.identity == lawful))


def node_for(agent_id: AgentId, nodes: Iterable[str]) -> str:
    """The one of `nodes` that the agent falls to; empty when there is none."""
    agent = agent_id.bytes
    return max(nodes, key=lambda node: (_weight(agent, node), node), default="")


def phase(agent_id: AgentId) -> float:
    """Where in every interval the cycles of the agent fall, from 0 to less than 1."""
    drawn = blake2b(agent_id.bytes, digest_size=4).digest()
    return int.from_bytes(drawn, "big") / 2**32


def _weight(agent: bytes, node: str) -> bytes:
    return blake2b(agent + node.encode(), digest_size=8).digest()
