"""Questions go to the analyst, its answers come as messages; what the service published waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import msgspec
from typing_extensions import override

from tests.domain.trades import START
from tradesaga.adapters.asking_bus import AskingBus
from tradesaga.adapters.nats.payloads import decode_event
from tradesaga.domain.errors import Unavailable
from tradesaga.domain.events import ANALYSIS_REQUESTED, CYCLE_STARTED, DecisionGenerated, Incoming
from tradesaga.ports.bus import Delivery
from tradesaga.ports.records import OutboxRow
from tradesaga.testing.bus import Answer, MemoryBus, MemoryDelivery
from tradesaga.testing.clock import VirtualClock


@dataclass
class Analyst:
    """Answers when it is let to; the decision of each question is `dec_<symbol>`."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    broken: bool = False

    async def analyse(self, symbol: str) -> bytes:
        self.asked.set()
        await self.open.wait()
        self.left.set()
        if self.broken:
            raise Unavailable("no answer")
        return decision(symbol)


def decision(symbol: str) -> bytes:
    return msgspec.json.encode(
        {"decisionId": f"dec_{symbol}", "symbol": symbol, "action": "buy", "confidence": 0.8}
    )


def read(_subject: str, body: bytes) -> Incoming:
    return decode_event(body, START)


def question(symbol: str) -> OutboxRow:
    return OutboxRow(
        sequence=1,
        event_id="e-1",
        type=ANALYSIS_REQUESTED,
        payload=msgspec.json.encode({"symbol": symbol}),
        correlation_id="question-1",
        causation_id=None,
        at=START,
    )


def published(symbol: str) -> Incoming:
    """As the service tells it on the bus, before it answers."""
    metadata = {"eventId": f"evt_{symbol}", "eventType": "ai.decision.generated",
                "timestamp": START, "source": "ai-decision"}  # fmt: skip
    body = {"metadata": metadata, "payload": msgspec.Raw(decision(symbol))}
    return read("", msgspec.json.encode(body))


class LaterBus(MemoryBus):
    """What is to come again does so after this test."""

    @override
    def requeue(self, delivery: MemoryDelivery) -> None:
        """Keep it."""


@asynccontextmanager
async def asking(bus: MemoryBus, analyst: Analyst) -> AsyncIterator[AskingBus]:
    asked = AskingBus(bus, analyst.analyse, read, VirtualClock(START))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(asked.run())
        yield asked
        running.cancel()


async def first(bus: AskingBus) -> Delivery:
    return await anext(aiter(bus.deliveries()))


async def test_the_answer_bears_the_questions_id_and_the_event_before_it_is_no_news() -> None:
    bus, analyst = LaterBus(), Analyst()
    async with asking(bus, analyst) as asked:
        sent = await asked.publish(question("SPY"))
        assert sent.stream_sequence == 0
        await analyst.asked.wait()
        early = bus.deliver(published("SPY"))
        await bus.until_answered(early)
        assert early.answer is Answer.RETRIED, "held back while the question is open"
        analyst.open.set()
        delivery = await first(asked)
        await delivery.acknowledge()
        assert delivery.incoming is not None
        assert delivery.incoming.correlation_id == "question-1"
        assert isinstance(delivery.incoming.content, DecisionGenerated)
        assert delivery.incoming.content.proposal.external_id == "dec_SPY"
        again = bus.deliver(published("SPY"))
        await bus.until_answered(again)
        assert again.answer is Answer.ACKNOWLEDGED, "it was told as the answer"
    assert bus.published == []


async def test_what_nobody_asked_about_passes_and_other_events_go_over_the_bus() -> None:
    bus, analyst = LaterBus(), Analyst()
    async with asking(bus, analyst) as asked:
        await asked.publish(question("SPY"))
        await analyst.asked.wait()
        bus.deliver(published("QQQ"))
        delivery = await first(asked)
        assert delivery.incoming is not None
        assert delivery.incoming.event_id == "evt_QQQ"
        await asked.publish(replace(question("SPY"), type=CYCLE_STARTED))
    assert [row.type for row in bus.published] == [CYCLE_STARTED]


async def test_a_question_without_an_answer_holds_nothing_back_afterwards() -> None:
    bus, analyst = LaterBus(), Analyst(broken=True)
    async with asking(bus, analyst) as asked:
        await asked.publish(question("SPY"))
        await analyst.asked.wait()
        analyst.open.set()
        await analyst.left.wait()
        await asyncio.sleep(0)  # the failure is told to whoever asked
        bus.deliver(published("SPY"))
        delivery = await first(asked)
        assert delivery.incoming is not None
        assert delivery.incoming.event_id == "evt_SPY"
