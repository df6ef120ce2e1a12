"""`tradesaga up` as a process: a short replay from first start to summary, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.running import connect
from tradesaga.cli.exit_codes import ExitCode
from tradesaga.paper.csv_rows import BARS_HEADER

SERVERS = ("DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "NATS_URL", "NATS_TOKEN")
OPEN = datetime(2020, 12, 15, 14, 30, tzinfo=UTC)
MINUTES = 20
STRATEGIES = """\
- name: quick-breakout
  type: breakout
  symbols: [SPY]
  parameters: {period: 3, exit_period: 3}
"""


@pytest.fixture
def recorded(tmp_path: Path) -> list[str]:
    """The flags of a replay of twenty minutes, in which the price swings up and down twice."""
    rows = [BARS_HEADER]
    for minute in range(MINUTES):
        at = OPEN + timedelta(minutes=minute)
        low = 370 + 1.5 * math.sin(minute * 4 * math.pi / MINUTES)
        prices = f"{low:.2f},{low + 0.06:.2f},{low:.2f},{low + 0.05:.2f}"
        rows.append(f"{at:%Y-%m-%dT%H:%M:%SZ},SPY,{prices},90000")
    data = tmp_path / "bars.csv"
    data.write_text("\n".join(rows) + "\n")
    strategies = tmp_path / "strategies.yaml"
    strategies.write_text(STRATEGIES)
    return ["--paper", "--data", str(data), "--strategies", str(strategies), "--speed", "600"]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in SERVERS}


@asynccontextmanager
async def command(*tokens: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tradesaga", *tokens), stdout=PIPE, stderr=PIPE, env=environment()
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()  # its children die with it
        await process.communicate()


async def done(*tokens: str) -> tuple[int | None, str, str]:
    async with command(*tokens) as process:
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


async def line_with(process: Process, text: str) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"it ended without saying {text!r}")


async def verified(state_dir: Path) -> None:
    """`tradesaga verify` on a system that is up: all holds; what is planted is seen and gone."""
    verify = ["verify", "--state-dir", str(state_dir)]
    code, out, err = await done(*verify)
    assert (code, err) == (0, ""), out
    assert out.splitlines()[-1] == f"{out.count('holds')} checked, none broken"
    assert {f"I{number}" for number in range(1, 21)} == set(re.findall(r"^(I\d+)_", out, re.M))
    change = "update positions set quantity = quantity + $1"
    connection = await connect(state_dir)
    try:
        await connection.execute(change, 1)
        code, out, err = await done(*verify, "-o", "json")
        found = json.loads(out)
        broken = [one["name"] for one in found["invariants"] if one["violations"]]
        assert (code, err, found["broken"]) == (ExitCode.FAILED, "", 2)
        assert broken == ["I4_positions", "I4_venue_positions"]
        code, out, err = await done(*verify, "--venue-url", "http://127.0.0.1:1")
        assert code == ExitCode.FAILED
        assert "I4_positions" in out
        await connection.execute(change, -1)
        code, out, err = await done(*verify, "--venue-url", "http://127.0.0.1:1")
        assert (code, err.count("\n")) == (ExitCode.UNREACHABLE, 1)
        assert "none broken, 5 not checked" in out
    finally:
        await connection.close()


@pytest.mark.acceptance
@pytest.mark.timeout(240)  # three starts of all servers, on a machine that may be busy
async def test_a_replay_from_start_to_summary_and_again(
    recorded: list[str], state_dir: Path
) -> None:
    up = ["up", *recorded, "--state-dir", str(state_dir), "--port", "0"]
    async with command(*up) as process:
        await line_with(process, "API http://127.0.0.1:")
        code, _, err = await done(*up)
        assert (code, err.count("\n")) == (ExitCode.FAILED, 1)
        assert f"already running on {state_dir} (pid {process.pid})" in err
        cycle = await line_with(process, "saga buy")
        assert re.match(r"09:\d\d NY  2020-12-15 14:\d\dZ  decisions 1: buy \d+ SPY", cycle), cycle
        summary = await line_with(process, "invariants")
        assert "none broken" in summary
        await line_with(process, "Ctrl-C stops it")
        await verified(state_dir)
        process.send_signal(signal.SIGTERM)
        await line_with(process, "stopped; the state is kept")
        assert await process.wait() == 0
    code, out, err = await done("verify", "--state-dir", str(state_dir))
    assert (code, out) == (ExitCode.UNREACHABLE, "")
    assert "the database gave no answer" in err
    code, out, err = await done(*up, "--exit-at-end")
    assert (code, err) == (0, "")
    assert "saga buy" not in out.partition("Summary")[0]  # nothing is played twice
    assert summary in out
    assert "--fresh plays it anew" in out
    code, out, err = await done(*up, "--exit-at-end", "--fresh")
    assert (code, err) == (0, "")
    assert "saga buy" in out
    assert (state_dir / "former-runs" / "1" / "pgdata" / "PG_VERSION").is_file()


@pytest.mark.acceptance
async def test_a_taken_port_is_told_before_anything_starts(
    recorded: list[str], state_dir: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = await done(
            "up", *recorded, "--state-dir", str(state_dir), "--port", str(port)
        )
    assert (code, out) == (ExitCode.FAILED, "")
    assert f"127.0.0.1 port {port}" in err
    assert "--port" in err
    assert not (state_dir / "pgdata").exists()


@pytest.mark.acceptance
async def test_bad_data_is_refused_by_file_line_and_remedy(tmp_path: Path, state_dir: Path) -> None:
    data = tmp_path / "bad.csv"
    data.write_text(f"{BARS_HEADER}\n2020-12-15T14:30:00Z,SPY,370,371,369,many,100\n")
    code, _, err = await done("up", "--paper", "--data", str(data), "--state-dir", str(state_dir))
    assert code == ExitCode.USAGE
    assert err.startswith("tradesaga: bad.csv:2: ")
    assert os.listdir(state_dir) == []


@pytest.mark.acceptance
async def test_another_machine_is_not_let_in_by_chance(state_dir: Path) -> None:
    code, _, err = await done("up", "--host", "0.0.0.0", "--state-dir", str(state_dir))
    assert code == ExitCode.USAGE
    assert "--allow-remote" in err


@pytest.mark.acceptance
async def test_flags_of_a_replay_need_one(state_dir: Path) -> None:
    code, _, err = await done("up", "--fresh", "--exit-at-end", "--state-dir", str(state_dir))
    assert code == ExitCode.USAGE
    assert [line.split()[1] for line in err.splitlines()] == ["--exit-at-end", "--fresh"]
