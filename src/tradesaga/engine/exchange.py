"""What the bus tells one node, given to those of its agents that it is for.

    order events                 the agent that knows the order, by the venue's id or by ours
    decisions                    the agent whose open question it answers
    sessions, heartbeats, errors all of them
    anything else                nobody: it is for the default agent, which has a reader of its own

The agents beside the default one share a connection and one set of consumers for each node, which
begin with the node. What came before an agent was taken over is not told again: its open orders are
asked for at the venue, and a cycle that waited for a decision has ended with its process. So
they need neighbours that repeat our ids; without one nobody can tell whose an event is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from tradesaga.domain.events import (
    DecisionGenerated,
    ErrorOccurred,
    HeartbeatSeen,
    Incoming,
    OrderReported,
    SessionChanged,
)
from tradesaga.domain.ids import AgentId
from tradesaga.engine.decision_requests import DecisionRequests
from tradesaga.engine.trade_desk import TradeDesk
from tradesaga.ports.bus import Bus, Delivery, Published
from tradesaga.ports.records import OutboxRow

WAITING_MAX: Final = 256
"""Deliveries that wait for one agent; one that lets more come gets them later."""


@dataclass(slots=True, eq=False)
class Member:
    """One agent of this node; `waiting` is what it has been given."""

    desk: TradeDesk
    requests: DecisionRequests
    waiting: asyncio.Queue[Delivery] = field(default_factory=lambda: asyncio.Queue(WAITING_MAX))


@dataclass(frozen=True, slots=True)
class Copy:
    """One of several of a delivery that is settled already."""

    original: Delivery

    @property
    def incoming(self) -> Incoming | None:
        """See `ports.bus.Delivery`, and so the next three."""
        return self.original.incoming

    @property
    def subject(self) -> str:
        """As the original."""
        return self.original.subject

    @property
    def body(self) -> bytes:
        """As the original."""
        return self.original.body

    @property
    def problem(self) -> str:
        """As the original."""
        return self.original.problem

    async def acknowledge(self) -> None:
        """The original was."""

    async def retry_later(self) -> None:
        """What is told to all has no effect that could fail."""

    async def discard(self) -> None:
        """The original was settled."""


class Exchange:
    """The agents of one node, on one connection to the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._members: dict[AgentId, Member] = {}

    def join(self, agent_id: AgentId, desk: TradeDesk, requests: DecisionRequests) -> None:
        """Give the agent what is for it from now on."""
        self._members[agent_id] = Member(desk, requests)

    def leave(self, agent_id: AgentId) -> None:
        """The agent is driven here no more; what waited for it is forgotten."""
        self._members.pop(agent_id, None)

    def waiting(self, agent_id: AgentId) -> asyncio.Queue[Delivery]:
        """What the agent has been given."""
        return self._members[agent_id].waiting

    async def run(self) -> None:
        """Hold the connection and pass on what comes, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bus.run(), name="bus of the agents")
            async for delivery in self._bus.deliveries():
                await self.pass_on(delivery)

    async def pass_on(self, delivery: Delivery) -> None:
        """Give one delivery to whom it is for; what is for nobody here is settled."""
        content = None if delivery.incoming is None else delivery.incoming.content
        if isinstance(content, SessionChanged | HeartbeatSeen | ErrorOccurred):
            for member in self._members.values():
                if not member.waiting.full():  # it is told again in a moment
                    member.waiting.put_nowait(Copy(delivery))
            await delivery.acknowledge()
            return
        found = self._found(delivery)
        if found is None:
            await delivery.acknowledge()
        elif found.waiting.full():
            await delivery.retry_later()
        else:
            found.waiting.put_nowait(delivery)

    def _found(self, delivery: Delivery) -> Member | None:
        match None if delivery.incoming is None else delivery.incoming.content:
            case OrderReported(report=report):
                return next(
                    (
                        member
                        for member in self._members.values()
                        if member.desk.trades.find(report.venue_order_id, report.client_order_id)
                    ),
                    None,
                )
            case DecisionGenerated(proposal=proposal):
                return next(
                    (
                        member
                        for member in self._members.values()
                        if member.requests.expects(proposal, delivery)
                    ),
                    None,
                )
            case _:
                return None


class AgentBus:
    """Implements `ports.bus.Bus` for one agent of an exchange."""

    def __init__(self, exchange: Exchange, bus: Bus, agent_id: AgentId) -> None:
        self._exchange, self._bus, self._agent_id = exchange, bus, agent_id

    async def run(self) -> None:
        """The exchange holds the connection."""
        await asyncio.Event().wait()

    async def publish(self, row: OutboxRow) -> Published:
        """See the port."""
        return await self._bus.publish(row)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """What is for this agent, for ever."""
        waiting = self._exchange.waiting(self._agent_id)
        while True:
            yield await waiting.get()

    def is_connected(self) -> bool:
        """See the port."""
        return self._bus.is_connected()
