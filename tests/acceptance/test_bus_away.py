"""NATS is away for ten minutes of market time: cycles go on, no entry is made, nothing is lost.

The same on real time: `tradesaga up --paper --speed 1` with NATS_URL set to a server of its own,
that server stopped for ten minutes and started again, then the two questions at the end of here.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from tests.acceptance.running import Up, connect, rows, write_recording, write_strategies
from tests.acceptance.test_kills import check_books
from tradesaga.domain.events import ANALYSIS_REQUESTED
from tradesaga.embedded.nats import EmbeddedNats
from tradesaga.embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(170)]

SPEED = 120
AWAY_SECONDS = 600 / SPEED
DOWN = "select coalesce(bool_or(reasons::text like '%EVENT_BUS_DOWN%'), false) from ladders"

UNPUBLISHED_AT_THE_STOP = "published_at is null and type like 'orchestrator.cycle.%'"


@pytest.fixture
def hour(durable_nats: EmbeddedNats, tmp_path: Path) -> Iterator[Up]:
    directory = Path(tempfile.mkdtemp(prefix="tradesaga-state-"))
    directory.chmod(0o711)
    up = Up(
        directory,
        "--data", str(write_recording(tmp_path, minutes=40)),
        "--strategies", str(write_strategies(tmp_path)),
        "--speed", str(SPEED), "--exit-at-end",
        variables={
            "NATS_URL": durable_nats.url, "NATS_TOKEN": durable_nats.token,
            "ORCHESTRATOR__EVENTBUS__LOSTAFTER": "1000",
        },
    )  # fmt: skip
    yield up
    up.stop()
    shutil.rmtree(directory)


async def test_ten_minutes_without_the_bus(hour: Up, durable_nats: EmbeddedNats) -> None:
    await hour.until("select to_regclass('fills') is not null")
    await hour.until("select count(*) > 1 from fills")
    cycles = "select count(*) from cycles where status <> 'started'"
    await durable_nats.stop()
    before = await hour.ask(cycles)
    await asyncio.sleep(AWAY_SECONDS)  # the outage itself; nothing is waited for
    assert await hour.ask("select count(*) > 0 from outbox where published_at is null")
    assert await hour.ask(cycles) > before, "cycles go on without the bus"
    await hour.until(DOWN)  # the ladder allows no entries
    await durable_nats.start()
    await hour.until("select count(*) = 0 from outbox where published_at is null")
    decided = await hour.ask("select count(*) from decisions")
    await hour.until("select count(*) > $1 from decisions", decided)
    await hour.until(DOWN, wanted=False)
    assert await hour.ended(100) == 0, hour.output

    await check_books(hour.state_dir)
    told, stored = await _told(hour.state_dir), await _stored(durable_nats)
    assert len(told) > 100
    # A question whose time was over when the bus was back is passed by: nobody waits for it.
    missing = {event_type for event_id, event_type in told.items() if event_id not in stored}
    assert missing <= {ANALYSIS_REQUESTED}, "every other event of ours is in the stream"


async def _told(state_dir: Path) -> dict[str, str]:
    server = EmbeddedPostgres(state_dir)
    await server.start()
    try:
        connection = await connect(state_dir)
        query = f"select event_id::text, type from outbox where not ({UNPUBLISHED_AT_THE_STOP})"
        found = await rows(connection, query)
        await connection.close()
        return {one["event_id"]: one["type"] for one in found}
    finally:
        await server.stop()


async def _stored(nats: EmbeddedNats) -> dict[str, int]:
    """By event id, the number in the stream."""
    client = Client()
    await client.connect(nats.url, token=nats.token)
    try:
        stream = client.jetstream()
        last = (await stream.stream_info("AI_TRADER_ORCHESTRATOR")).state.last_seq
        found = {}
        for number in range(1, last + 1):
            message = await stream.get_msg("AI_TRADER_ORCHESTRATOR", number)
            found[json.loads(message.data or b"")["metadata"]["eventId"]] = number
        return found
    finally:
        await client.close()
