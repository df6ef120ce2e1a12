"""Two nodes, one agent: the leader killed and frozen, and nothing lost, doubled or forgotten."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.running import Up, write_recording, write_strategies
from tests.acceptance.test_kills import check_books
from tradesaga.bootstrap.token_file import token_path

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(170)]

EPOCH = "select coalesce(max(epoch), 0) from leases where holder is not null"
HOLDER = "select holder from leases"
AFTER_A_CRASH, AFTER_A_FREEZE = 0.5, 2.1
SLACK = 8
"""Seconds that a busy machine may add; `bench.nodes` measures on an idle one."""


@pytest.fixture
def hour(state_dir: Path, tmp_path: Path) -> Iterator[Up]:
    up = Up(
        state_dir,
        "--data", str(write_recording(tmp_path, minutes=60)),
        "--strategies", str(write_strategies(tmp_path)),
        "--speed", "150", "--exit-at-end", "--nodes", "2",
    )  # fmt: skip
    yield up
    up.stop()


def pid_of_leader(holder: str) -> int:
    return int(holder.split(":")[-2])


async def deposed(hour: Up, number: signal.Signals) -> tuple[int, float]:
    """Do this to the leader; its process, and the seconds until another leads."""
    epoch = await hour.ask(EPOCH)
    pid = pid_of_leader(await hour.ask(HOLDER))
    began = time.monotonic()
    os.kill(pid, number)
    await hour.until(f"select ({EPOCH}) > $1", epoch)
    return pid, time.monotonic() - began


def asked(up: Up, port: int, path: str) -> HTTPResponse:
    token = token_path(up.state_dir).read_text().strip()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"}
    )
    answer = urllib.request.urlopen(request, timeout=20)
    assert isinstance(answer, HTTPResponse)
    return answer


def ask(up: Up, port: int, path: str) -> Any:
    with asked(up, port, path) as answer:
        return json.load(answer)


async def test_the_other_node_takes_over_from_one_killed_and_one_frozen(hour: Up) -> None:
    filled = "select count(*) from fills"
    await hour.until("select to_regclass('fills') is not null")
    await hour.until(f"select ({filled}) > 0")
    _, seconds = await deposed(hour, signal.SIGKILL)
    assert seconds < AFTER_A_CRASH + SLACK

    before = await hour.ask(filled)
    await hour.until(f"select ({filled}) > $1", before)
    pid, seconds = await deposed(hour, signal.SIGSTOP)
    assert seconds < AFTER_A_FREEZE + SLACK
    before = await hour.ask(filled)
    await hour.until(f"select ({filled}) > $1", before)
    with suppress(ProcessLookupError):  # the supervisor may have ended what stood still
        os.kill(pid, signal.SIGCONT)  # it finds itself deposed, ends, and comes back to stand by
    assert await hour.ended_but_for_cycles(100), hour.output
    assert hour.output.count(" leads, epoch ") >= 3
    await check_books(hour.state_dir)


@pytest.fixture
def day(state_dir: Path, tmp_path: Path) -> Iterator[Up]:
    """A session that no slow machine sees the end of."""
    up = Up(
        state_dir,
        "--data", str(write_recording(tmp_path, minutes=390)),
        "--strategies", str(write_strategies(tmp_path)),
        "--speed", "30", "--nodes", "2",
    )  # fmt: skip
    yield up
    up.stop()


async def told(up: Up, port: int, path: str, expected: Callable[[Any], bool]) -> Any:
    """What this node answers as soon as that is as `expected`."""
    deadline = time.monotonic() + 30
    while not expected(answer := ask(up, port, path)):
        assert time.monotonic() < deadline, answer
        await asyncio.sleep(0.1)
    return answer


async def test_any_node_answers(day: Up) -> None:
    await day.until("select to_regclass('nodes') is not null")
    await day.until("select count(*) = 2 from nodes where url <> ''")
    ports = [day.port, json.loads((day.state_dir / "ports.json").read_text())["api-2"]]
    seen = [
        await told(day, port, "/api/v1/nodes", lambda one: len(one["nodes"]) == 2) for port in ports
    ]
    assert len({one["here"] for one in seen}) == 2
    await day.until("select count(*) > 0 from cycles where status = 'completed'")
    for port in ports:
        await told(day, port, "/api/v1/agent/status", lambda one: one["status"] == "running")
        with asked(day, port, "/api/v1/events") as stream:  # of its own: it has no end to wait for
            while not stream.readline().startswith(b"event: orchestrator.cycle."):
                pass
