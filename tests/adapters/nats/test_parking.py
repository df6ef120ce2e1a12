"""An engine that trades by itself is parked on a real server, whether or not it was ever there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tradesaga.adapters.nats.bus import NatsBus
from tradesaga.adapters.nats.parking import CONSUMER, ConsumerParking
from tradesaga.adapters.system import SystemClock
from tradesaga.domain.errors import Unavailable


@asynccontextmanager
async def connected(url: str, token: str, prefix: str) -> AsyncIterator[NatsBus]:
    bus = NatsBus(
        url=url,
        token=token,
        clock=SystemClock(),
        publish_prefix=f"{prefix}.orchestrator",
        subscriptions=[f"{prefix}.ai.decision.*"],
        durable_prefix=prefix,
    )
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        running = group.create_task(bus.run())
        await bus.until_connected()
        yield bus
        running.cancel()


@pytest.mark.parametrize("exists", [False, True], ids=["never started", "running"])
async def test_it_is_parked_and_stays_so_when_it_starts(
    nats_url: str, nats_token: str, subject_prefix: str, *, exists: bool
) -> None:
    subject = f"{subject_prefix}.ai.decision.generated"
    stream = f"{subject_prefix}.ai".replace("-", "_").replace(".", "_").upper()
    own = ConsumerConfig(
        durable_name=CONSUMER,
        filter_subject=subject,
        deliver_policy=DeliverPolicy.NEW,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=30,
        max_deliver=3,
        max_ack_pending=1000,
    )
    client = await nats.connect(nats_url, token=nats_token)
    try:
        async with connected(nats_url, nats_token, subject_prefix) as bus:
            stream_api = client.jetstream()
            if exists:
                await stream_api.add_consumer(stream, own)
            parking = ConsumerParking(bus.request, subject=subject)
            await parking.park()
            await parking.park()
            await stream_api.add_consumer(stream, own)  # what it asks for at its start
            await client.publish(subject, b"{}")
            await client.flush()
            pulling = await stream_api.pull_subscribe_bind(CONSUMER, stream)
            with pytest.raises(nats.errors.TimeoutError):
                await pulling.fetch(1, timeout=0.3)
            info = await stream_api.consumer_info(stream, CONSUMER)
            assert info.num_pending == 1
            await parking.park()
    finally:
        await client.close()


async def test_what_is_not_certain_is_not_parked(
    nats_url: str, nats_token: str, subject_prefix: str
) -> None:
    async with connected(nats_url, nats_token, subject_prefix) as bus:
        nowhere = ConsumerParking(bus.request, subject="nowhere.ai.decision.generated")
        with pytest.raises(Unavailable, match="NOWHERE_AI"):
            await nowhere.park()

    async def unpaused(_subject: str, _body: bytes) -> bytes:
        return b'{"paused": false}'

    with pytest.raises(Unavailable, match="not paused"):
        await ConsumerParking(unpaused, subject="ai.decision.generated").park()

    async def garbled(_subject: str, _body: bytes) -> bytes:
        return b"<html>"

    with pytest.raises(Unavailable, match="unreadable"):
        await ConsumerParking(garbled, subject="ai.decision.generated").park()
