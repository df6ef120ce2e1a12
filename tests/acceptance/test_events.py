"""What crosses NATS while the whole system trades, and the traces that tell of it.

Every message keeps to its schema; one trace leads from a question to the fill that came of it.
"""

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
from tests.collector import Collector, collecting, facts_of
from tests.json_schema import faults
from tradesaga.bootstrap.event_documents import event_types, schema_of
from tradesaga.ports.tracing import Facts

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

SEEN_AT_LEAST = {
    "orchestrator.cycle.started", "orchestrator.cycle.completed",
    "orchestrator.analysis.requested", "orchestrator.strategy.activated",
    "orchestrator.saga.started", "orchestrator.saga.completed",
    "ai.decision.generated", "trade.order.submitted", "trade.order.filled",
    "system.heartbeat",
}  # fmt: skip
"""The session changes once, at the open: on a busy machine the tail may come later than that."""
FACTS = {
    *(f"tradesaga.{name}" for name in Facts.__annotations__), "error.type", "peer.service",
    "http.request.method", "http.response.status_code", "http.route", "messaging.destination.name",
}  # fmt: skip
BYTES_MAX = 32 * 1024
"""Of one message of ours in the platform's stream."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def quarter(state_dir: Path, tmp_path: Path, collector: Collector) -> Iterator[Up]:
    up = Up(
        state_dir,
        "--data", str(write_recording(tmp_path, minutes=60)),
        "--strategies", str(write_strategies(tmp_path)),
        "--speed", "120", "--exit-at-end",
        variables={"ORCHESTRATOR__OBSERVABILITY__TRACING__ENDPOINT": collector.url},
    )  # fmt: skip
    yield up
    up.stop()


async def test_every_captured_event_keeps_to_its_schema(
    quarter: Up, tmp_path: Path, collector: Collector
) -> None:
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
    _from_the_question_to_the_fill(collector)


def _from_the_question_to_the_fill(collector: Collector) -> None:
    """One trace leads over both neighbours, HTTP, the bus and the outbox, and says no amounts."""
    spans = {span.span_id: span for span in collector.spans()}
    led = []
    for span in spans.values():
        above = [span]
        while above[-1].parent_span_id in spans:
            above.append(spans[above[-1].parent_span_id])
        names = [f"{one.name} {facts_of(one).get('peer.service', '')}".strip() for one in above]
        led.append(" < ".join(names))
        assert {one.trace_id for one in above} == {span.trace_id}
    ways = Counter(led)
    for way in (
        "consume < publish < decision",  # ai-decision has passed the question's context on
        "order.reported < consume < http.request trading-engine < saga.step < saga < decision",
        "risk.verdict < decision",
        "publish < decision",
        "http.request market-data < cycle.step < cycle",
        "publish < cycle",
        "journal.batch",
    ):
        assert ways[way], (way, ways)
    of_batches = [span for span in spans.values() if span.name == "journal.batch"]
    commits = {span.span_id for span in spans.values() if span.name == "journal.commit"}
    assert any(link.span_id in commits for batch in of_batches for link in batch.links)
    said = {name for span in spans.values() for name in facts_of(span)}
    assert said <= FACTS, said - FACTS
    assert not any(span.events for span in spans.values())
