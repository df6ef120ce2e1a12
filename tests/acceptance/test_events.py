"""What crosses NATS while the whole system trades, and the traces that tell of it.

Every message keeps to its schema; one trace leads from a question to the fill that came of it,
also when the process is killed on the way.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.overhearing import broken, overheard, type_of
from tests.acceptance.running import Up, write_recording, write_strategies
from tests.collector import Collector, collecting, facts_of, ways_of
from tradesaga.ports.tracing import Facts

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

SEEN_AT_LEAST = {
    "orchestrator.cycle.started", "orchestrator.cycle.completed",
    "orchestrator.analysis.requested", "orchestrator.strategy.activated",
    "orchestrator.strategy.deactivated",
    "orchestrator.saga.started", "orchestrator.saga.completed",
    "ai.decision.generated", "trade.order.submitted", "trade.order.filled",
    "trade.position.opened", "system.heartbeat",
}  # fmt: skip
"""The session changes once, at the open: on a busy machine the tail may come later than that."""
FACTS = {
    *(f"tradesaga.{name}" for name in Facts.__annotations__), "error.type", "peer.service",
    "http.request.method", "http.response.status_code", "http.route", "messaging.destination.name",
}  # fmt: skip
BYTES_MAX = 32 * 1024
"""Of one message of ours in the platform's stream."""
LATE_MS = 8000
"""Longer than spans wait to be sent: those of the process that is killed have come by then."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def quarter(state_dir: Path, tmp_path: Path, collector: Collector) -> Iterator[Up]:
    up = Up(
        state_dir,
        "--data", str(write_recording(tmp_path, minutes=50)),
        "--strategies", str(write_strategies(tmp_path)),
        "--speed", "120", "--exit-at-end",
        variables={"ORCHESTRATOR__OBSERVABILITY__TRACING__ENDPOINT": collector.url},
    )  # fmt: skip
    yield up
    up.stop()


async def test_every_captured_event_keeps_to_its_schema(quarter: Up, collector: Collector) -> None:
    await quarter.until("select to_regclass('orders') is not null")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DB_", "NATS_"))}
    state = ("--state-dir", str(quarter.state_dir))
    command = (sys.executable, "-m", "tradesaga", "events")
    async with overheard(quarter.state_dir) as passed:
        tail = await asyncio.create_subprocess_exec(
            *command, "tail", *state, "--count", "20", env=environment
        )
        await _killed_while_an_order_is_out(quarter, collector)
        await quarter.until("select count(*) > 3 from fills")
        replayed = await asyncio.create_subprocess_exec(
            *command, "replay", "--since", "1", *state, env=environment
        )
        assert await replayed.wait() == 0
        await _deactivated(quarter)
        assert await tail.wait() == 0, "it has seen one that breaks its schema"
        assert await quarter.ended(90) == 0, quarter.output

    assert broken(passed) == []
    seen = Counter(type_of(message) for message in passed)
    assert set(seen) >= SEEN_AT_LEAST
    assert max(len(message.data) for message in passed) < BYTES_MAX
    sent = Counter((message.headers or {}).get("Nats-Msg-Id") for message in passed)
    assert max(sent.values()) >= 2, "what was replayed came again under its id"
    _from_the_question_to_the_fill(collector)


async def _deactivated(up: Up) -> None:
    """One of the strategies, so that its event passes, too."""
    token = (up.state_dir / "api-token").read_text().strip()
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{up.port}/api/v1", trust_env=False, timeout=20,
        headers={"Authorization": f"Bearer {token}"},
    ) as client:  # fmt: skip
        first, *_ = (await client.get("/strategies")).json()["strategies"]
        done = await client.post(f"/strategies/{first['id']}/deactivate", json={})
        assert done.status_code == 200, done.text


async def _killed_while_an_order_is_out(up: Up, collector: Collector) -> None:
    """What the next process does about the order stands in the trace of the same decision."""
    await up.until("select count(*) > 0 from cycles where status = 'completed'")  # all is up
    port = json.loads((up.state_dir / "ports.json").read_text())["paper_trading_engine"]
    late = {"kind": "delay_before", "operation": "submit", "delayMs": LATE_MS}
    async with httpx2.AsyncClient(trust_env=False, timeout=10) as client:
        ordered = await client.post(f"http://127.0.0.1:{port}/paper/faults", json=late)
        assert ordered.status_code == 201, ordered.text
    await up.until("select count(*) > 0 from orders")
    trace_id = (await up.ask("select decision_id from orders order by created_at limit 1")).hex
    await _come(collector, trace_id, 1, {"risk.verdict"})
    assert await up.ask("select count(*) from fills") == 0, "it is still on its way"
    await up.kill("serve")
    await _come(collector, trace_id, 2, {"saga", "saga.step", "order.reported"})


async def _come(collector: Collector, trace_id: str, number: int, wanted: set[str]) -> None:
    """Wait until so many processes have sent spans of the trace, the last of them these."""
    deadline = time.monotonic() + 60
    while True:
        sent = list(collector.by_process(trace_id).values())
        if len(sent) == number and sent[-1] >= wanted:
            return
        assert time.monotonic() < deadline, sent
        await asyncio.sleep(0.05)


def _from_the_question_to_the_fill(collector: Collector) -> None:
    """One trace leads over both neighbours, HTTP, the bus and the outbox, and says no amounts."""
    spans = {span.span_id: span for span in collector.spans()}
    ways = ways_of(collector.spans())
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
