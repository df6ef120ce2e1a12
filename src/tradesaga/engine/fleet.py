"""This process among the others: seen by them, and knowing who leads.

What is known is at most `ANNOUNCE_SECONDS` old while the database answers. It decides nothing that
could harm: who acts for an agent is the lease's to say. It keeps a process of another build from
asking for a lease, and tells where to pass a request on to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from structlog import get_logger

from tradesaga.domain.checkpoint import Identity
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.fleet import Node, hindrance, leader_of
from tradesaga.domain.ids import AgentId
from tradesaga.ports.nodes import FleetReport, Nodes

log = get_logger()
ANNOUNCE_SECONDS = 0.5
LOOK_SECONDS = 0.05
"""How often it is looked whether a node of this machine is dead: only /proc is read."""
_NOT_YET = "this node has not been announced yet"


class Fleet:
    """The nodes as last seen."""

    def __init__(self, nodes: Nodes, identity: Identity) -> None:
        self._register = nodes
        self._identity = identity
        self._nodes: Sequence[Node] = ()  # the eldest first, this one included
        self._said = ""

    @property
    def nodes(self) -> Sequence[Node]:
        """As last seen, the eldest first; another value whenever anything has changed."""
        return self._nodes

    @property
    def own_id(self) -> str:
        """This process, as its leases name it."""
        return self._register.own_id

    async def run(self) -> None:
        """Announce for ever; leaves when it is cancelled."""
        try:
            while True:
                await self.look()
                await self._pause()
        finally:
            await self._leave()

    async def look(self) -> None:
        """Announce this process and see who is there; without an answer what was known stays."""
        try:
            found = await self._register.announce()
            if found != self._nodes:
                self._nodes = found
        except Unavailable as error:
            log.debug("not announced", error=str(error))

    def hindrance(self) -> str:
        """Why this process may not take a lease now; empty when it may."""
        if not self._nodes:
            return _NOT_YET
        why = hindrance(self._identity, self._nodes)
        if why != self._said:
            self._said = why
            log.warning("stands by", reason=why) if why else log.info("may lead again")
        return why

    def elsewhere(self, agent_id: AgentId) -> str:
        """Where the API of the agent's leader is; empty when that is this node, or not known."""
        leader = self.leader(agent_id)
        return "" if leader is None or leader.id == self.own_id else leader.url

    def report(self) -> FleetReport:
        """The nodes as last seen, for people."""
        return FleetReport(own_id=self.own_id, nodes=self._nodes, hindrance=self.hindrance())

    def leader(self, agent_id: AgentId) -> Node | None:
        """Who held the agent at the last look."""
        return leader_of(agent_id, self._nodes)

    async def _pause(self) -> None:
        """Until it is time to announce again, or a node is seen to be dead."""
        others = [node.id for node in self._nodes if node.id != self.own_id]
        for _ in range(round(ANNOUNCE_SECONDS / LOOK_SECONDS)):
            await asyncio.sleep(LOOK_SECONDS)  # noqa: TID251 -- real time
            if any(map(self._register.is_dead, others)):
                return

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(ANNOUNCE_SECONDS):
                await self._register.leave()
        except (Unavailable, TimeoutError) as error:
            log.info("not taken off the register: it forgets by itself", error=repr(error))
