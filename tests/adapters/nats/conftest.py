"""A bus under a prefix of its own on the run's server, and a neighbour that publishes to it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from tradesaga.adapters.nats.bus import NatsBus
from tradesaga.adapters.nats.provisioning import StreamLimits
from tradesaga.adapters.nats.topology import streams
from tradesaga.adapters.system import SystemClock
from tradesaga.ports.bus import Delivery
from tradesaga.ports.records import OutboxRow

NOW = datetime(2025, 3, 3, 15, 0, tzinfo=UTC)
SMALL = StreamLimits(bytes_max=1024 * 1024)
_numbers = itertools.count(1)


def row(event_id: str, **payload: Any) -> OutboxRow:
    return OutboxRow(
        sequence=next(_numbers),
        event_id=event_id,
        type="orchestrator.cycle.started",
        payload=msgspec.json.encode(payload),
        correlation_id="c-1",
        causation_id=None,
        at=NOW,
    )


def nested(event_type: str, event_id: str = "evt_1", /, **payload: Any) -> bytes:
    metadata = {
        "eventId": event_id,
        "eventType": event_type,
        "timestamp": "2025-03-03T15:00:00.000Z",
        "version": "1.0",
        "source": "trading-engine",
    }
    return msgspec.json.encode({"metadata": metadata, "payload": payload})


@dataclass
class World:
    """A bus that runs, and a plain client beside it."""

    bus: NatsBus
    client: Client
    prefix: str
    taken: list[Delivery] = field(default_factory=list)

    async def publish(self, event_type: str, body: bytes) -> None:
        """As a neighbour: the stream must have stored it."""
        await self.client.jetstream().publish(f"{self.prefix}.{event_type}", body)

    async def take(self, number: int = 1, *, acknowledge: bool = True) -> list[Delivery]:
        """The next deliveries."""
        taken: list[Delivery] = []
        async with asyncio.timeout(10):
            async for delivery in self.bus.deliveries():
                taken.append(delivery)
                if acknowledge:
                    await delivery.acknowledge()
                if len(taken) == number:
                    break
        return taken


def make_bus(url: str, token: str, prefix: str, **options: Any) -> NatsBus:
    words = ("system.heartbeat", "market.session.*", "trade.order.*", "ai.decision.*")
    return NatsBus(
        url=url,
        token=token,
        clock=SystemClock(),
        publish_prefix=f"{prefix}.orchestrator",
        subscriptions=options.pop("subscriptions", [f"{prefix}.{word}" for word in words]),
        limits=SMALL,
        retry_after=options.pop("retry_after", timedelta(milliseconds=20)),
        **options,
    )


@contextlib.asynccontextmanager
async def running(bus: NatsBus) -> AsyncIterator[None]:
    """Run the bus until the block ends, as the orchestrator's TaskGroup would."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bus.run())
        async with asyncio.timeout(10):
            await bus.until_connected()
        yield
        task.cancel()


@contextlib.asynccontextmanager
async def connected(url: str, token: str) -> AsyncIterator[Client]:
    client = Client()
    await client.connect(url, token=token)
    try:
        yield client
    finally:
        await client.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something on the server, or in the bus, that sends no signal."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 -- as it says
            await asyncio.sleep(0.01)


async def until_lost(bus: NatsBus) -> None:
    """Wait until the bus has noticed."""

    async def lost() -> bool:
        return not bus.is_connected()

    await until(lost)


async def remove_streams(client: Client, prefix: str) -> None:
    """The server reserves their room, and it has not much."""
    for plan in streams(f"{prefix}.orchestrator", ()):
        await client.jetstream().delete_stream(plan.name)


@pytest.fixture
async def world(nats_url: str, nats_token: str, subject_prefix: str) -> AsyncIterator[World]:
    bus = make_bus(nats_url, nats_token, subject_prefix)
    async with connected(nats_url, nats_token) as client:
        async with running(bus):
            yield World(bus=bus, client=client, prefix=subject_prefix)
        await remove_streams(client, subject_prefix)
