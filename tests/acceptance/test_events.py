"""What crosses NATS while the whole system trades: every message keeps to its schema."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.running import Up, write_recording, write_strategies
from tests.json_schema import faults
from tradesaga.bootstrap.event_documents import event_types, schema_of

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

SEEN_AT_LEAST = {
    "orchestrator.cycle.started", "orchestrator.cycle.completed",
    "orchestrator.analysis.requested", "orchestrator.strategy.activated",
    "orchestrator.saga.started", "orchestrator.saga.completed",
    "ai.decision.generated", "trade.order.submitted", "trade.order.filled",
    "market.session.changed", "system.heartbeat",
}  # fmt: skip
BYTES_MAX = 32 * 1024
"""Of one message of ours in the platform's stream."""


@pytest.fixture
def quarter(state_dir: Path, tmp_path: Path) -> Iterator[Up]:
    up = Up(
        state_dir,
        "--data", str(write_recording(tmp_path, minutes=60)),
        "--strategies", str(write_strategies(tmp_path)),
        "--speed", "120", "--exit-at-end",
    )  # fmt: skip
    yield up
    up.stop()


async def test_every_captured_event_keeps_to_its_schema(quarter: Up, tmp_path: Path) -> None:
    await quarter.until("select to_regclass('orders') is not null")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DB_", "NATS_"))}
    state = ("--state-dir", str(quarter.state_dir))
    command = (sys.executable, "-m", "tradesaga", "events")
    captured = tmp_path / "captured.jsonl"
    with captured.open("wb") as out:
        tail = await asyncio.create_subprocess_exec(
            *command, "tail", *state, "-o", "json", stdout=out, env=environment
        )
        await quarter.until("select count(*) > 3 from fills")
        replayed = await asyncio.create_subprocess_exec(
            *command, "replay", "--since", "1", *state, env=environment
        )
        assert await replayed.wait() == 0
        assert await quarter.ended(90) == 0, quarter.output
        await tail.wait()  # the connection ends with the system

    messages = [json.loads(line) for line in captured.read_text().splitlines()]
    found: list[str] = []
    for message in messages:
        event_type = message["metadata"]["eventType"]
        if event_type in event_types():
            schema = schema_of(event_type)
            found += [f"{event_type}: {fault}" for fault in faults(message, schema, schema)]
    assert found == []
    seen = Counter(message["metadata"]["eventType"] for message in messages)
    assert set(seen) >= SEEN_AT_LEAST
    assert max(len(json.dumps(message)) for message in messages) < BYTES_MAX
    started = Counter(
        message["metadata"]["eventId"]
        for message in messages
        if message["metadata"]["eventType"].startswith("orchestrator.")  # the tail may come late
    )
    assert max(started.values()) >= 2, "what was replayed came again under its id"
