"""Two nodes, six agents: one node is killed, the other drives them all, and all books agree."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from tests.acceptance.accounts import ManyAccounts, accounts_beside
from tests.acceptance.running import STRATEGIES, Up, write_strategies
from tradesaga.bootstrap.token_file import token_path
from tradesaga.bootstrap.verifying import VerifyOptions, verify

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(170)]

AGENTS, TRADING, NODES = 6, 2, 2
SECONDS_MAX = 60
LED = """select count(*) from leases where agent_id = any ($1) and holder is not null
  and expires_at > clock_timestamp()"""
RECOVERED_SINCE = """select count(*) from leases l where agent_id = any ($1) and holder <> $2
  and exists (select from checkpoints c where c.agent_id = l.agent_id and c.epoch >= l.epoch)"""
HOLDERS = """select holder from leases where agent_id = any ($1) and holder is not null
  group by holder order by count(*) desc"""
FILLS = "select count(distinct agent_id) from fills where agent_id = any ($1)"
MORE = "select count(*) > $2 from orders where agent_id = any ($1)"


class Town:
    """The whole, its agents, and a client of one of the nodes."""

    def __init__(self, up: Up, venue: ManyAccounts, client: httpx2.AsyncClient) -> None:
        self.up, self.venue, self.client = up, venue, client
        self.agents: list[UUID] = []

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer, asked for until the node is there and the agent is driven."""
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            with suppress(httpx2.TransportError):
                answer = await self.client.request(method, f"/api/v1{path}", json=body)
                if answer.status_code in (200, 201):
                    return answer.json()
                assert answer.status_code in (404, 503), answer.text
            assert time.monotonic() < deadline, path
            await asyncio.sleep(0.05)

    async def make(self) -> None:
        for index in range(AGENTS):
            engine = f"http://127.0.0.1:{self.venue.port}/accounts/a{index}"
            made = await self.ask("POST", "/agents", {"name": f"a{index}", "tradingEngine": engine})
            self.agents.append(UUID(made["id"]))
        for agent_id in self.agents[:TRADING]:
            for one in STRATEGIES:
                fields = {name: one[name] for name in ("name", "type", "symbols", "parameters")}
                await self.ask("POST", f"/agents/{agent_id}/strategies", {**fields, "active": True})
            await self.ask("POST", f"/agents/{agent_id}/agent/start", {})

    async def kill_the_busiest(self) -> str:
        """SIGKILL the node that drives most of them; its name."""
        connection = await self.up.connect()
        holder = str(await connection.fetchval(HOLDERS, self.agents))
        await connection.close()
        os.kill(int(holder.split(":")[-2]), signal.SIGKILL)
        return holder


async def test_the_other_node_drives_all_agents_of_one_that_was_killed(
    state_dir: Path, tmp_path: Path
) -> None:
    up = Up(
        state_dir,
        *("--strategies", str(write_strategies(tmp_path)), "--speed", "120"),
        *("--nodes", str(NODES)),
    )
    try:
        await up.until("select to_regclass('accounts') is not null")
        await up.until("select count(*) from nodes where url <> ''", wanted=NODES)
        async with asyncio.TaskGroup() as group:
            venue = accounts_beside(up)
            group.create_task(venue.run())
            await venue.listening.wait()
            port = json.loads((state_dir / "ports.json").read_text())["api-2"]
            token = token_path(state_dir).read_text().strip()
            async with httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {token}"},
                timeout=20,
                trust_env=False,
            ) as client:
                await _played(Town(up, venue, client))
            assert venue.twice == 0, "no order was sent twice"
            found = await verify(VerifyOptions(state_dir=state_dir, all_agents=True), {})
            venue.stop.set()
    finally:
        up.stop()
    assert len(found) == 1 + AGENTS
    assert {one.name: [each.name for each in one.broken] for one in found if one.broken} == {}
    assert [one.unreachable for one in found if one.unreachable] == []


async def _played(town: Town) -> None:
    await town.make()
    traders = town.agents[:TRADING]
    await town.up.until(LED, town.agents, wanted=AGENTS)
    await town.up.until(FILLS, traders, wanted=TRADING)
    gone = await town.kill_the_busiest()
    await town.up.until(RECOVERED_SINCE, town.agents, gone, wanted=AGENTS)
    connection = await town.up.connect()
    before = await connection.fetchval(
        "select count(*) from orders where agent_id = any ($1)", traders
    )
    await connection.close()
    await town.up.until(MORE, traders, before)
    for agent_id in town.agents:
        status = await town.ask("GET", f"/agents/{agent_id}/agent/status")
        assert status["status"] == ("running" if agent_id in traders else "stopped")
