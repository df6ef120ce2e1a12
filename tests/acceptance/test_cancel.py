"""A person cancels a cycle that waits for a slow decision maker, on real servers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.acceptance.overhearing import broken, overheard, type_of
from tests.acceptance.running import Up, write_recording, write_strategies

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(170)]
SECONDS_MAX = 60.0
ENDED = "orchestrator.cycle.completed"
REASON = "the model is asleep"
WAITING = """
    select id::text from cycles
    where type = 'analysis' and status in ('started', 'running') order by started_at desc limit 1
"""
SILENCE = {"kind": "event_dropped", "eventType": "ai.decision.generated", "count": 1000}


@pytest.fixture
def patient(state_dir: Path, tmp_path: Path) -> Iterator[Up]:
    up = Up(
        state_dir,
        "--data", str(write_recording(tmp_path, minutes=60)),
        "--strategies", str(write_strategies(tmp_path)),
        "--speed", "60",
        variables={"ORCHESTRATOR__CYCLES__ANALYSIS__DECISIONTIMEOUT": "115000"},
    )  # fmt: skip
    yield up
    up.stop()


async def cancelled(up: Up, api: httpx2.AsyncClient) -> dict[str, Any]:
    """The answer about the first cycle that was running when the order came."""
    connection = await up.connect()
    try:
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                cycle_id = await connection.fetchval(WAITING)
                if cycle_id is not None:
                    said = await api.post(f"/cycles/{cycle_id}/cancel", json={"reason": REASON})
                    if said.status_code == 200:
                        answer: dict[str, Any] = said.json()
                        return answer
                    assert said.status_code == 409, said.text  # it has ended in between
                await asyncio.sleep(0.02)
    finally:
        connection.terminate()


async def test_a_cycle_is_cancelled_while_it_waits_for_decisions(patient: Up) -> None:
    await patient.until("select to_regclass('cycles') is not null")
    await patient.until("select count(*) > 0 from cycles where type = 'analysis'")
    ports = json.loads((patient.state_dir / "ports.json").read_text())
    token = (patient.state_dir / "api-token").read_text().strip()
    async with (
        httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{patient.port}/api/v1",
            headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30,
        ) as api,
        overheard(patient.state_dir) as passed,
    ):  # fmt: skip
        maker = f"http://127.0.0.1:{ports['paper_ai_decision']}"
        assert (await api.post(f"{maker}/paper/faults", json=SILENCE)).status_code == 201
        answer = await cancelled(patient, api)
        cycle = answer["cycle"]
        cycle_id = cycle["id"]
        assert (cycle["status"], cycle["outcome"]) == ("cancelled", "cancelled")
        assert cycle["errors"] == [{"strategyId": None, "error": f"cancelled: {REASON}"}]
        assert (answer["decisions"], answer["orders"]) == ([], [])

        again = await api.post(f"/cycles/{cycle_id}/cancel", json={"reason": "once more"})
        assert again.json()["cycle"] == cycle, "nothing is left to be cancelled"
        assert (await api.get(f"/cycles/{cycle_id}")).json()["cycle"] == cycle
        by_hand = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tradesaga", "cycles", "cancel", cycle_id, "--reason", "x"),
            *("--url", f"http://127.0.0.1:{patient.port}"),
            *("--token-file", str(patient.state_dir / "api-token")),
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await by_hand.communicate()
        assert by_hand.returncode == 0
        assert cycle_id in printed.decode()

        after = f"select count(*) > 0 from cycles where id > '{cycle_id}' and type = 'analysis'"
        await patient.until(after)
        done = await patient.ask("select id::text from cycles where status = 'completed' limit 1")
        refused = await api.post(f"/cycles/{done}/cancel", json={"reason": "too late"})
        assert (refused.status_code, refused.json()["code"]) == (409, "wrong-state")

    assert await patient.ask(f"select count(*) from orders where cycle_id = '{cycle_id}'") == 0
    told = [json.loads(one.data)["payload"] for one in passed if type_of(one) == ENDED]
    [said] = [one for one in told if one["cycleId"] == cycle_id]
    assert said["status"] == "cancelled"
    assert [one["error"] for one in said["errors"]] == [f"cancelled: {REASON}"]
    assert broken(passed) == []
