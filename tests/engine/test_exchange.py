"""What the bus tells a node, given to the agent that it is for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from tradesaga.domain.decisions import Proposal
from tradesaga.domain.events import (
    Content,
    DecisionGenerated,
    HeartbeatSeen,
    Incoming,
    OrderReported,
)
from tradesaga.domain.ids import AgentId
from tradesaga.domain.orders import OrderStatus, VenueReport
from tradesaga.engine.decision_requests import DecisionRequests, Question
from tradesaga.engine.exchange import WAITING_MAX, AgentBus, Exchange
from tradesaga.testing.bus import Answer, MemoryBus, MemoryDelivery

NOON = datetime(2020, 12, 15, 17, tzinfo=UTC)
A, B = (AgentId(UUID(int=number)) for number in (1, 2))


class Town:
    """Two agents of one node: each knows one order and has asked one question."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        self.exchange = Exchange(self.bus)
        for agent_id, name in ((A, "a"), (B, "b")):
            requests = DecisionRequests()
            requests.ask([Question(f"question-{name}", None, "SPY", NOON)])
            self.exchange.join(agent_id, _desk(f"ts-{name}"), requests)

    async def told(self, content: Content) -> MemoryDelivery:
        incoming = Incoming(
            event_id="e", type="t", source="s", correlation_id=None, at=NOON, content=content
        )
        delivery = MemoryDelivery(self.bus, incoming, "t", b"{}", "")
        await self.exchange.pass_on(delivery)
        return delivery

    def waiting(self) -> tuple[int, int]:
        return self.exchange.waiting(A).qsize(), self.exchange.waiting(B).qsize()


def _desk(client_order_id: str) -> Any:
    def find(_venue_order_id: str | None, ours: str | None) -> object:
        return object() if ours == client_order_id else None

    return SimpleNamespace(trades=SimpleNamespace(find=find))


def order(client_order_id: str) -> OrderReported:
    report = VenueReport(
        venue_order_id="v",
        status=OrderStatus.FILLED,
        source="event",
        at=NOON,
        client_order_id=client_order_id,
    )
    return OrderReported(report=report)


def decision(request_id: str | None) -> DecisionGenerated:
    return DecisionGenerated(
        proposal=Proposal(
            external_id="d",
            symbol="SPY",
            action="buy",
            confidence=None,
            reasoning="",
            said_at=NOON,
            request_id=request_id,
        )
    )


async def test_an_order_event_is_for_the_agent_that_knows_the_order() -> None:
    town = Town()
    delivery = await town.told(order("ts-b"))
    assert town.waiting() == (0, 1)
    assert delivery.answer is None, "the agent acknowledges it, when its effect is durable"
    assert await anext(AgentBus(town.exchange, town.bus, B).deliveries()) is delivery


async def test_a_decision_is_for_the_agent_that_asked() -> None:
    town = Town()
    await town.told(decision("question-a"))
    assert town.waiting() == (1, 0)


async def test_what_is_for_nobody_here_is_settled() -> None:
    town = Town()
    for content in (order("ts-c"), decision("question-c"), decision(None)):
        assert (await town.told(content)).answer is Answer.ACKNOWLEDGED
    assert town.waiting() == (0, 0)


async def test_a_heartbeat_is_for_all_and_settled_once() -> None:
    town = Town()
    delivery = await town.told(HeartbeatSeen(service="x", status="healthy", at=NOON))
    assert town.waiting() == (1, 1)
    assert delivery.answer is Answer.ACKNOWLEDGED
    for agent_id in (A, B):
        copy = town.exchange.waiting(agent_id).get_nowait()
        assert copy.incoming is delivery.incoming
        await copy.acknowledge()


async def test_an_agent_that_lets_its_messages_wait_gets_more_later() -> None:
    town = Town()
    for _ in range(WAITING_MAX):
        await town.told(order("ts-a"))
    assert (await town.told(order("ts-a"))).answer is Answer.RETRIED
    assert (await town.told(order("ts-b"))).answer is None, "the other one is not held up"


async def test_who_has_left_is_told_nothing() -> None:
    town = Town()
    town.exchange.leave(A)
    assert (await town.told(order("ts-a"))).answer is Answer.ACKNOWLEDGED


async def test_what_comes_by_the_bus_is_passed_on() -> None:
    town = Town()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        running = group.create_task(town.exchange.run())
        incoming = Incoming(
            event_id="e", type="t", source="s", correlation_id=None, at=NOON, content=order("ts-a")
        )
        delivery = town.bus.deliver(incoming)
        assert await town.exchange.waiting(A).get() is delivery
        running.cancel()
