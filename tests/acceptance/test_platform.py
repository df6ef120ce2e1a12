"""`tradesaga up --paper --dialect platform`: the agent trades with the platform's real manners."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.acceptance.running import Up, write_recording

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(170)]

FILLED = "select count(*) > 0 from fills"
CLOSED = """
    select count(*) > 0 from sagas
    where type = 'position_close' and status = 'completed'
"""


async def test_it_trades_for_some_minutes_and_all_books_agree(
    state_dir: Path, tmp_path: Path
) -> None:
    data = write_recording(tmp_path, minutes=25)
    up = Up(
        state_dir,
        *("--dialect", "platform", "--data", str(data), "--speed", "60", "--exit-at-end"),
    )
    try:
        await up.until("select to_regclass('orchestration.fills') is not null")
        await up.until(FILLED)
        token = (state_dir / "api-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        base = f"http://127.0.0.1:{up.port}"
        async with httpx2.AsyncClient(timeout=20, trust_env=False, headers=headers) as client:
            health = (await client.get(f"{base}/health")).json()
            assert health["selfTrading"] == "parked", "else the engine trades each decision again"
            path = f"{base}/api/v1/positions/SPY/close"
            closing = await client.post(path, json={"reason": "an exit"})
            assert closing.status_code == 200, closing.text
        await up.until(CLOSED)
        code = await up.ended(120)
        assert code == 0, up.output
        assert "none broken" in up.output
    finally:
        up.stop()
