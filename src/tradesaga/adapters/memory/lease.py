"""The lease of a process that shares its store with nobody: it is always given and never ends."""

from __future__ import annotations

import math
from datetime import timedelta

from tradesaga.adapters.memory.journal import MemoryStore
from tradesaga.domain.errors import Fenced
from tradesaga.domain.ids import AgentId
from tradesaga.ports.lease import Held


class MemoryLease:
    """Implements `ports.lease.Lease` over the epochs of the store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def take(self, agent_id: AgentId) -> Held | None:
        """As the port; there is no other holder."""
        return self._next(agent_id)

    async def freed(self, within: timedelta) -> None:
        """Never refused."""

    async def renew(self, agent_id: AgentId, epoch: int) -> Held:
        """As the port."""
        self._must_hold(agent_id, epoch)
        return _held(epoch)

    async def raise_epoch(self, agent_id: AgentId, epoch: int) -> Held:
        """As the port."""
        self._must_hold(agent_id, epoch)
        return self._next(agent_id)

    async def release(self, agent_id: AgentId, epoch: int) -> None:
        """Nobody waits for it."""

    def _must_hold(self, agent_id: AgentId, epoch: int) -> None:
        if self._store.epochs.get(agent_id) != epoch:
            raise Fenced(f"agent {agent_id} is no longer held under epoch {epoch}")

    def _next(self, agent_id: AgentId) -> Held:
        epoch = self._store.epochs[agent_id] = self._store.epochs.get(agent_id, 0) + 1
        return _held(epoch)


def _held(epoch: int) -> Held:
    return Held(epoch=epoch, until=math.inf, wait=timedelta())
