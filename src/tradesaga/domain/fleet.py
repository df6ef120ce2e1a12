"""Nodes side by side: which of them may lead.

All that trade at a time are of one identity: the same code under the same configuration. An old
program that a release has missed must not trade beside the new one. The identity in force is that
of the nodes that lead; while none leads, that of the node that has been there longest. So an
upgrade goes node by node: the new ones stand by until the last of the old has gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.ids import AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One process that can lead; `url` is where its API answers, `leads` the agents it holds."""

    id: str
    url: str
    identity: Identity
    started_at: datetime
    leads: tuple[AgentId, ...] = ()


def in_force(nodes: Sequence[Node]) -> Identity | None:
    """The identity under which is traded; None without nodes."""
    eldest = min(nodes, key=lambda node: (not node.leads, node.started_at, node.id), default=None)
    return None if eldest is None else eldest.identity


def hindrance(own: Identity, nodes: Sequence[Node]) -> str:
    """Why a node of the identity `own` may not begin to lead; empty when it may."""
    lawful = in_force(nodes)
    if lawful is None or lawful == own:
        return ""
    parts = " and ".join(own.changed_from(lawful))
    return f"{parts} of this node differ from what trades: it stands by until those nodes are gone"


def leader_of(agent_id: AgentId, nodes: Sequence[Node]) -> Node | None:
    """The node that holds the agent."""
    return next((node for node in nodes if agent_id in node.leads), None)
