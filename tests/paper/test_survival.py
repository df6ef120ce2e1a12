"""What the process survives: SIGKILL, a clean stop, NATS away; and what it refuses at the start."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import nats
import pytest
from nats.aio.msg import Msg

from tests.paper.served import (
    BUY,
    MARKET,
    TRADING,
    Client,
    Heard,
    filled,
    served,
    settings_of,
)
from tradesaga.adapters.system import ScaledClock
from tradesaga.domain.errors import Conflict, Invalid, Refused, Unavailable
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.paper.process import run_paper
from tradesaga.paper.settings import Endpoints, PaperSettings


@asynccontextmanager
async def process(settings: PaperSettings) -> AsyncIterator[Client]:
    """The neighbours as a process, killed at the end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.paper.served",
        str(settings.state_dir), settings.nats_url, settings.nats_token or "",
        settings.subject_prefix, str(settings.speed),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    async with asyncio.timeout(10):
        addresses = json.loads(await child.stdout.readline())
    client = Client(Endpoints(**addresses))
    try:
        yield client
    finally:
        await client.close()
        child.kill()
        await child.wait()


async def stored(settings: PaperSettings, event_types: str) -> list[tuple[str, str]]:
    """Type and order of all events in the stream."""
    bus = await nats.connect(settings.nats_url, token=settings.nats_token)
    subject = f"{settings.subject_prefix}.{event_types}"
    reader = await bus.jetstream().pull_subscribe(subject)
    count = (await reader.consumer_info()).num_pending or 0
    messages: list[Msg] = []
    while len(messages) < count:
        messages += await reader.fetch(count, timeout=5)
    await bus.close()
    events = [json.loads(message.data) for message in messages]
    return [(event["metadata"]["eventType"], event["payload"]["orderId"]) for event in events]


async def test_nothing_is_lost_by_sigkill_and_time_never_turns_back(
    settings: PaperSettings, heard: Heard
) -> None:
    settings.state_dir.mkdir()
    accepted = []
    async with process(settings) as client:
        await client.until(MARKET, "/quotes?symbols=SPY", lambda body: body["quotes"])
        clock = ScaledClock(settings.clock_path)
        for number in range(6):
            body = {**BUY, "quantity": 1, "clientOrderId": f"ts-{number}"}
            status, reply = await client.call(TRADING, "POST", "/orders", body)
            assert status == 201
            accepted.append(reply["orderId"])
        _, before = await client.call(TRADING, "GET", "/orders")
        latest = clock.now()
    async with process(settings) as client:
        assert clock.now() >= latest
        clock.close()
        known = {**BUY, "clientOrderId": "ts-0"}
        assert (await client.call(TRADING, "POST", "/orders", known))[0] == 422
        for order_id in accepted:
            await filled(client, order_id)
        _, orders = await client.call(TRADING, "GET", "/orders")
        assert [order["orderId"] for order in orders["orders"]] == accepted
        for was, now in zip(before["orders"], orders["orders"], strict=True):
            assert now["fills"][: len(was["fills"])] == was["fills"]
        paid = sum(
            fill["price"] * fill["quantity"]
            for order in orders["orders"]
            for fill in order["fills"]
        )
        _, account = await client.call(TRADING, "GET", "/account")
        assert account["cash"] == 100_000 - paid
        for order_id in accepted:
            for kind in ("submitted", "filled"):
                await heard.wait(f"trade.order.{kind}", orderId=order_id)
        await client.until(TRADING, "/health/ready", lambda body: body["status"] == "ready")
    # What was sent again after the kill has the same id: the stream holds each event once.
    told = await stored(settings, "trade.order.*")
    assert sorted(told) == sorted(
        (f"trade.order.{kind}", order_id)
        for order_id in accepted
        for kind in ("submitted", "filled")
    )


async def test_a_clean_stop_freezes_time_and_the_next_start_goes_on(
    settings: PaperSettings,
) -> None:
    async with served(settings) as client:
        await client.until(MARKET, "/market/status", lambda body: body["isOpen"])
    clock = ScaledClock(settings.clock_path)
    frozen = clock.now()
    assert clock.now() == frozen
    clock.close()
    async with served(settings) as client:
        body = await client.until(MARKET, "/market/status", lambda body: body["isOpen"])
        assert body["asOf"] >= frozen.isoformat()[:19]


async def test_events_wait_while_nats_is_away(
    settings: PaperSettings, durable_nats: EmbeddedNats
) -> None:
    own = settings_of(
        settings.state_dir, durable_nats.url, durable_nats.token, settings.subject_prefix, 60
    )
    async with served(own) as client:
        await client.until(TRADING, "/health/ready", lambda body: body["status"] == "ready")
        await client.until(MARKET, "/quotes?symbols=SPY", lambda body: body["quotes"])
        await durable_nats.stop()
        _, accepted = await client.call(TRADING, "POST", "/orders", BUY)
        await filled(client, accepted["orderId"])
        assert (await client.call(TRADING, "GET", "/health"))[1]["status"] == "degraded"
        await durable_nats.start()
        await client.until(TRADING, "/health/ready", lambda body: body["status"] == "ready")
        bus = await nats.connect(durable_nats.url, token=durable_nats.token)
        async with asyncio.timeout(10):
            while len(told := await stored(own, "trade.order.*")) < 2:
                pass
        assert [kind for kind, _ in told] == ["trade.order.submitted", "trade.order.filled"]
        request = {"payload": {"requestId": "r", "strategyId": "breakout", "symbol": "SPY"}}
        answers = await bus.subscribe(f"{settings.subject_prefix}.ai.>")
        subject = f"{settings.subject_prefix}.orchestrator.analysis.requested"
        await bus.jetstream().publish(subject, json.dumps(request).encode())
        decision = json.loads((await answers.next_msg(timeout=10)).data)
        assert decision["metadata"]["correlationId"] == "r"
        await bus.close()


async def test_what_cannot_work_is_refused_at_the_start(
    settings: PaperSettings, tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match="no such file"):
        await run_paper(replace(settings, data=(tmp_path / "none",)), asyncio.Event())
    async with served(settings) as client:
        with pytest.raises(Conflict, match="in use"):
            await run_paper(settings, asyncio.Event())
        port = int(client.bases["trading"].rpartition(":")[2])
        other = replace(settings, state_dir=tmp_path / "other", trading_engine_port=port)
        with pytest.raises(Unavailable, match="choose another port"):
            await run_paper(other, asyncio.Event())
    wrong = replace(settings, state_dir=tmp_path / "third", nats_token="wrong")
    async with asyncio.timeout(15):
        with pytest.raises(Refused, match="refuses the login"):
            await run_paper(wrong, asyncio.Event())
