"""A day on real servers, with commands and a crash in it, is recorded and replayed exactly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.running import Up, write_recording, write_strategies
from tradesaga.bootstrap.asking import ask
from tradesaga.bootstrap.rerunning import rerun_recorded
from tradesaga.bootstrap.token_file import token_path
from tradesaga.domain.errors import Unavailable
from tradesaga.replay.tape import read_tape

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]
FILLS = "select count(*) >= $1 from fills"
SECONDS_MAX = 30.0
SPY = {"scope": "symbol", "subject": "SPY"}


@pytest.fixture
def recorded(state_dir: Path, tmp_path: Path) -> Iterator[Up]:
    up = Up(
        state_dir,
        "--data", str(write_recording(tmp_path, minutes=150)),
        "--strategies", str(write_strategies(tmp_path)),
        "--speed", "120", "--record", str(tmp_path / "tapes"),
    )  # fmt: skip
    yield up
    up.stop()


async def order(up: Up, method: str, path: str, body: dict[str, Any]) -> Any:
    """Command, until somebody who leads takes it."""
    token = token_path(up.state_dir).read_text().strip()
    url = f"http://127.0.0.1:{up.port}/api/v1{path}"
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            try:
                status, answer = await ask(method, url, body, token=token)
            except Unavailable:
                status, answer = 503, b""
            if status != 503:
                assert status == 200, answer
                return json.loads(answer)
            await asyncio.sleep(0.1)


async def held(up: Up) -> None:
    """Wait until something is held."""
    await up.until("select coalesce(sum(abs(quantity)), 0) > 0 from positions")


async def two_lives(up: Up) -> set[str]:
    """Commands, a crash, more commands; which orders there are."""
    await up.until("select to_regclass('fills') is not null")
    await up.until(FILLS, 1)
    await order(up, "POST", "/agent/pause", {"duration": 1})
    new = {"strategyId": "quick-cross", "type": "interval", "value": "3m"}
    schedule = await order(up, "POST", "/schedules", new)
    await order(up, "POST", f"/schedules/{schedule['id']}/trigger", {})
    await order(up, "POST", "/agent/resume", {})
    await held(up)
    await order(up, "POST", "/kill", {**SPY, "reason": "a drill"})
    await up.kill("serve")

    again = {**SPY, "operator": "ada", "reason": "it was a drill", "confirm": True}
    await order(up, "POST", "/rearm", again)
    await order(up, "POST", "/strategies/quick-cross/deactivate", {"closePositions": True})
    lower = {"mode": "normal", "limits": {"positionPercent": 7.5}, "reason": "careful"}
    await order(up, "PUT", "/risk/limits", lower)
    fills = await up.ask("select count(*) from fills")
    await up.until(FILLS, fills + 1)
    await order(up, "POST", "/agent/stop", {"reason": "enough", "cancelOpenOrders": True})
    return set(await up.ask("select array_agg('order ' || client_order_id) from orders"))


def test_two_lives_with_commands_are_replayed_to_the_same_orders(
    recorded: Up, tmp_path: Path
) -> None:
    stored = asyncio.run(two_lives(recorded))
    recorded.stop()
    lives = list(rerun_recorded(tmp_path / "tapes", None, {}))
    assert [path.name for path, _ in lives] == ["000001.jsonl.gz", "000002.jsonl.gz"]
    assert [(found.divergences, found.astray) for _, found in lives] == [([], "")] * 2
    commands = [
        [line.name for line in read_tape(path)[1] if line.kind == "command"] for path, _ in lives
    ]
    assert "ladder.kill" in commands[0]
    assert {"ladder.rearm", "strategies.deactivate", "risk.change_limits"} <= set(commands[1])
    # Of what was being written when the process was killed, no tape can know whether it was.
    unknown = stored.intersection(*(found.cut_off for _, found in lives[:1]))
    assert sum(found.orders for _, found in lives) == len(stored - unknown)
    assert not lives[1][1].cut_off
