"""`tradesaga up --paper --dialect platform`: the agent trades with the platform's real manners.

What passes on the bus keeps to its schemas, and a trace leads through the services, which know
nothing of headers on the bus.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.overhearing import broken, overheard, type_of
from tests.acceptance.running import Up, write_recording
from tests.collector import collecting, ways_of
from tradesaga.paper.settings import Dialect

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(170)]

FILLED = "select count(*) > 0 from fills"
CLOSED = """
    select count(*) > 0 from sagas
    where type = 'position_close' and status = 'completed'
"""


WAYS = (
    "http.request ai-decision < analyse < decision",
    "order.reported < consume < http.request trading-engine < saga.step < saga < decision",
)
PASSED = {"ai.decision.generated", "trade.order.filled", "trade.position.closed"}


async def test_it_trades_for_some_minutes_and_all_books_agree(
    state_dir: Path, tmp_path: Path
) -> None:
    data = write_recording(tmp_path, minutes=15)
    with collecting() as collector:
        up = Up(
            state_dir,
            *("--dialect", "platform", "--data", str(data), "--speed", "60", "--exit-at-end"),
            variables={"ORCHESTRATOR__OBSERVABILITY__TRACING__ENDPOINT": collector.url},
        )
        try:
            await up.until("select to_regclass('orchestration.fills') is not null")
            async with overheard(state_dir, Dialect.PLATFORM) as passed:
                tail = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tradesaga", "events", "tail"),
                    *("--state-dir", str(state_dir), "--count", "5"),
                )
                await _trades_and_closes(up)
                assert await tail.wait() == 0, "it knows by itself what is spoken here"
                code = await up.ended(120)
            assert code == 0, up.output
            assert "none broken" in up.output
        finally:
            up.stop()
        ways = ways_of(collector.spans())
    assert broken(passed, Dialect.PLATFORM) == []
    assert {type_of(message) for message in passed} >= PASSED
    assert [way for way in WAYS if not ways[way]] == [], "\n".join(ways)


async def _trades_and_closes(up: Up) -> None:
    await up.until(FILLED)
    token = (up.state_dir / "api-token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    base = f"http://127.0.0.1:{up.port}"
    async with httpx2.AsyncClient(timeout=20, trust_env=False, headers=headers) as client:
        health = (await client.get(f"{base}/health")).json()
        assert health["selfTrading"] == "parked", "else the engine trades each decision again"
        path = f"{base}/api/v1/positions/SPY/close"
        closing = await client.post(path, json={"reason": "an exit"})
        assert closing.status_code == 200, closing.text
    await up.until(CLOSED)


ADOPT = {"ORCHESTRATOR__SERVICES__TRADINGENGINE__SELFTRADING": "adopt"}
ALL_ADOPTED = """
    select count(*) >= 9 and bool_and(e.decision_id is not null)
       and count(distinct e.decision_id) = count(*)
    from external_orders e
"""
EXECUTED = """
    select count(*) from external_orders e
    join decisions d on d.agent_id = e.agent_id and d.external_id = e.decision_id
    where d.confidence >= 0.6 and d.action <> 'hold'
"""


async def test_the_engines_own_orders_are_kept_and_none_is_made_beside_them(
    state_dir: Path, tmp_path: Path
) -> None:
    data = write_recording(tmp_path, minutes=15)
    up = Up(
        state_dir,
        *("--dialect", "platform", "--data", str(data), "--speed", "60", "--exit-at-end"),
        variables=ADOPT,
    )
    try:
        await up.until("select to_regclass('orchestration.external_orders') is not null")
        await up.until("select count(*) > 0 from external_orders")
        token = (state_dir / "api-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        base = f"http://127.0.0.1:{up.port}"
        async with httpx2.AsyncClient(timeout=20, trust_env=False, headers=headers) as client:
            health = (await client.get(f"{base}/health")).json()
            assert health["selfTrading"] == "adopt"
            foreign = (await client.get(f"{base}/api/v1/orders/external")).json()
            assert {one["kind"] for one in foreign["orders"]} == {"external"}
        # Each heard of by the news of its own, in whichever order they came.
        await up.until(ALL_ADOPTED)
        assert await up.ask(EXECUTED) >= 9
        assert await up.ask("select count(*) from orders") == 0, "or it would be executed twice"
        assert await up.ask("select reasons::text like '%DRIFT%' from ladders"), "as it must be"
        code = await up.ended(120)
        assert code == 0, up.output
        assert "none broken" in up.output
        assert "orders      0" in up.output
    finally:
        up.stop()
