"""The memory bus keeps the promises of the port."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from tradesaga.domain.errors import Unavailable
from tradesaga.domain.events import Incoming, Unhandled
from tradesaga.ports.records import OutboxRow
from tradesaga.testing.bus import Answer, MemoryBus

NOW = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)


def row(event_id: str) -> OutboxRow:
    return OutboxRow(
        sequence=1,
        event_id=event_id,
        type="orchestrator.cycle.started",
        payload=b"{}",
        correlation_id=None,
        causation_id=None,
        at=NOW,
    )


def incoming(event_id: str) -> Incoming:
    return Incoming(
        event_id=event_id,
        type="x.y",
        source="s",
        correlation_id=None,
        at=NOW,
        content=Unhandled(type="x.y"),
    )


async def test_an_event_is_stored_once_even_if_its_acknowledgement_is_lost() -> None:
    bus = MemoryBus()
    bus.lose_acks = 1
    with pytest.raises(Unavailable):
        await bus.publish(row("e-1"))
    again = await bus.publish(row("e-1"))

    assert again.duplicate
    assert [stored.event_id for stored in bus.published] == ["e-1"]
    assert bus.attempts == 2


async def test_nothing_is_stored_while_it_is_away() -> None:
    bus = MemoryBus()
    bus.connected = False
    with pytest.raises(Unavailable):
        await bus.publish(row("e-1"))
    assert bus.published == []
    assert not bus.is_connected()


async def test_what_is_put_back_comes_again_and_idleness_waits_for_it() -> None:
    bus = MemoryBus()
    bus.deliver(incoming("e-1"))
    bus.deliver_poison(b"\xff")

    async def work() -> None:
        retried = False
        async for delivery in bus.deliveries():
            if delivery.incoming is None:
                await delivery.discard()
            elif not retried:
                retried = True
                await delivery.retry_later()
            else:
                await delivery.acknowledge()

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        worker = group.create_task(work())
        await bus.until_idle()
        worker.cancel()
    answers = [delivery.answer for delivery in bus.answered]
    assert answers == [Answer.RETRIED, Answer.DISCARDED, Answer.ACKNOWLEDGED]


async def test_two_answers_to_one_delivery_are_a_defect() -> None:
    bus = MemoryBus()
    delivery = bus.deliver(incoming("e-1"))
    await delivery.acknowledge()
    with pytest.raises(AssertionError):
        await delivery.discard()


async def test_a_test_can_wait_for_what_is_published() -> None:
    bus = MemoryBus()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = group.create_task(bus.until_published(2))
        await bus.publish(row("e-1"))
        await bus.publish(row("e-2"))
    assert [stored.event_id for stored in waiting.result()] == ["e-1", "e-2"]
