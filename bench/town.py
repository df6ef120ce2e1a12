"""Many agents on the nodes of one `tradesaga up --paper`, for `bench.agents`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import httpx2

from tests.acceptance.accounts import ManyAccounts
from tests.acceptance.running import STRATEGIES, Up
from tradesaga.domain.ids import AgentId
from tradesaga.domain.spreading import node_for

LED: Final = """select count(*) from leases
  where agent_id = any ($1) and holder is not null and expires_at > clock_timestamp()"""
LIVING: Final = """select id from nodes
  where url <> '' and seen_at > clock_timestamp() - interval '1 second'"""
RECOVERED: Final = """select distinct x.agent_id from unnest($1::uuid[], $2::bigint[])
  as x(agent_id, epoch) join checkpoints c on c.agent_id = x.agent_id and c.epoch > x.epoch"""
PERIOD_SECONDS: Final = 0.02
SETTLE_SECONDS_MAX: Final = 180.0
MADE_AT_ONCE: Final = 8


@dataclass(slots=True)
class Town:
    """The whole while it runs."""

    up: Up
    nodes: int
    venue: ManyAccounts
    database: asyncpg.Connection[asyncpg.Record]
    client: httpx2.AsyncClient
    agents: list[UUID] = field(default_factory=list)

    async def make(self, number: int, trading: int) -> None:
        """Make the agents; the first `trading` of them get strategies and run."""
        self.agents = [UUID(int=0)] * number
        await self._at_once(range(number), self._make)
        await self.all_led()
        await self._at_once(range(trading), self._start)

    async def _at_once(self, items: range, do: Callable[[int], Awaitable[None]]) -> None:
        """Do it for each, some at a time."""
        waiting = list(reversed(items))

        async def work() -> None:
            while waiting:
                await do(waiting.pop())

        async with asyncio.TaskGroup() as group:
            for _ in range(MADE_AT_ONCE):
                group.create_task(work())

    async def _make(self, index: int) -> None:
        url = f"http://127.0.0.1:{self.venue.port}/accounts/a{index}"
        answer = await self.post("/agents", {"name": f"a{index}", "tradingEngine": url})
        self.agents[index] = UUID(answer["id"])

    async def _start(self, index: int) -> None:
        agent_id = self.agents[index]
        for one in STRATEGIES:
            fields = {name: one[name] for name in ("name", "type", "symbols", "parameters")}
            await self.post(f"/agents/{agent_id}/strategies", {**fields, "active": True})
        await self.post(f"/agents/{agent_id}/agent/start", {})

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer; asked again while nobody leads the agent yet."""
        deadline, key = time.monotonic() + SETTLE_SECONDS_MAX, {"Idempotency-Key": str(uuid4())}
        while True:
            with suppress(httpx2.TransportError):
                answer = await self.client.post(f"/api/v1{path}", json=body, headers=key)
                if answer.status_code in (200, 201):
                    found: dict[str, Any] = answer.json()
                    return found
                assert answer.status_code in (404, 409, 429, 503), answer.text
            assert time.monotonic() < deadline, path
            await asyncio.sleep(0.1)

    async def all_led(self) -> float:
        """Seconds until each agent has a leader."""
        began = time.monotonic()
        while await self.database.fetchval(LED, self.agents) < len(self.agents):
            assert time.monotonic() - began < SETTLE_SECONDS_MAX, self.up.output
            await asyncio.sleep(PERIOD_SECONDS)
        return time.monotonic() - began

    async def spread(self) -> float:
        """Seconds until all nodes live and have their shares."""
        began = time.monotonic()
        while True:
            names = [row["id"] for row in await self.database.fetch(LIVING)]
            held = await self.holders()
            fallen = {name: list[UUID]() for name in names}
            for agent_id in self.agents if names else ():
                fallen[node_for(AgentId(agent_id), names)].append(agent_id)
            if len(names) == self.nodes and all(
                sorted(held.get(key, [])) == sorted(agents) for key, agents in fallen.items()
            ):
                return time.monotonic() - began
            assert time.monotonic() - began < SETTLE_SECONDS_MAX, (names, self.up.output)
            await asyncio.sleep(0.1)

    async def holders(self) -> dict[str, list[UUID]]:
        """The agents of each node."""
        found: dict[str, list[UUID]] = {}
        rows = await self.database.fetch(
            "select holder, agent_id from leases where agent_id = any ($1) and holder is not null "
            "and expires_at > clock_timestamp()",
            self.agents,
        )
        for row in rows:
            found.setdefault(row["holder"], []).append(row["agent_id"])
        return found

    def pids(self) -> list[int]:
        """The processes of the nodes that are there now."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if b"serve" in words and str(self.up.state_dir).encode() in words:
                        found.append(int(entry.name))
        return sorted(found)


def quantiles(seconds: Sequence[float]) -> str:
    """As printed."""
    ordered = sorted(seconds)
    p50, p99 = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
    return f"first {ordered[0]:.2f} s  p50 {p50:.2f} s  p99 {p99:.2f} s  last {ordered[-1]:.2f} s"
