"""`python -m bench.nodes --agents 1000 --nodes 3`: many agents spread over nodes that fail.

One `tradesaga up --paper --nodes n`, and a trading engine of many accounts beside it. Nodes are
killed, frozen and ended in good order. For each agent of such a node it is measured, on the
database's clock, when another node took its lease and when it had recovered the agent. With
`--kills` random nodes are killed and frozen at random moments instead (`bench.campaign`). At the
end the invariants of every agent must hold, and its books must be those of its account.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx2

from bench.campaign import campaign
from bench.checking import checked
from bench.town import PERIOD_SECONDS, RECOVERED, SETTLE_SECONDS_MAX, Town, quantiles
from tests.acceptance.accounts import accounts_beside
from tests.acceptance.running import Up, write_strategies
from tradesaga.bootstrap.token_file import token_path

LED_AGAIN: Final = """select agent_id, extract(epoch from taken_at - $2)::float8 as seconds
  from leases where agent_id = any ($1) and taken_at > $2 and holder is not null"""
EPOCHS: Final = "select agent_id, epoch from heads where agent_id = any ($1)"
WAYS: Final = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "end": signal.SIGTERM}
RESTARTS: Final = {"ORCHESTRATOR__RISK__RESTARTSPERDAY": "1000"}
"""An agent whose nodes are killed so often would stop trading by itself, as it should."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds from the signal until each agent of the node was led again, and recovered."""

    led: Sequence[float]
    recovered: Sequence[float]


async def deposed(town: Town, way: str, draw: random.Random) -> Times:
    """Do this to a node; how long its agents were without one."""
    held = await town.holders()
    holder = draw.choice(sorted(held))
    lost, pid = held[holder], int(holder.split(":")[-2])
    epochs = {row["agent_id"]: row["epoch"] for row in await town.database.fetch(EPOCHS, lost)}
    began = await town.database.fetchval("select clock_timestamp()")
    signalled = time.monotonic()
    os.kill(pid, WAYS[way])
    led, recovered = dict[UUID, float](), dict[UUID, float]()
    while len(led) < len(lost) or len(recovered) < len(lost):
        for row in await town.database.fetch(LED_AGAIN, lost, began):
            led.setdefault(row["agent_id"], row["seconds"])
        seconds = time.monotonic() - signalled
        left = [agent_id for agent_id in lost if agent_id not in recovered]
        for row in await town.database.fetch(RECOVERED, left, [epochs[one] for one in left]):
            recovered[row["agent_id"]] = seconds
        assert seconds < SETTLE_SECONDS_MAX, (way, len(led), len(recovered), town.up.output)
        await asyncio.sleep(PERIOD_SECONDS)
    if way == "freeze":
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    return Times([*led.values()], [*recovered.values()])


def burden(pid: int) -> tuple[float, float]:
    """CPU seconds that a process has used, and its memory in MB."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    ticks = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def idle_burden(town: Town, seconds: float) -> None:
    """Print what each node needs while nothing fails."""
    before = {pid: burden(pid)[0] for pid in town.pids()}
    await asyncio.sleep(seconds)
    for pid, used in before.items():
        cpu, memory = burden(pid)
        print(f"node {pid}: {(cpu - used) / seconds:.0%} of a core, {memory:.0f} MB")


async def take_overs(town: Town, number: int, draw: random.Random) -> None:
    """Depose nodes in each way and print the times."""
    found: dict[str, list[Times]] = {way: [] for way in WAYS}
    joins = []
    for index in range(number):
        way = list(WAYS)[index % len(WAYS)]
        found[way].append(await deposed(town, way, draw))
        joins.append(await town.spread())
    for way, times in found.items():
        if times:
            print(f"{way:<8} {len(times):>3} times")
            for what, each in (
                ("led again", [seconds for one in times for seconds in one.led]),
                ("recovered", [seconds for one in times for seconds in one.recovered]),
            ):
                print(f"    agents {what}: {quantiles(each)}")
    print(f"back and spread again after: {quantiles(joins)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done: `number` nodes are deposed one by one, or `kills` nodes at random."""

    agents: int
    trading: int
    nodes: int
    number: int
    kills: int
    seed: int
    speed: float


async def run(place: Path, plan: Plan) -> int:
    """Run it all and print what was found; 1 when an invariant broke."""
    up = Up(
        place / "state", "--strategies", str(write_strategies(place)),
        "--speed", str(plan.speed), "--nodes", str(plan.nodes), variables=RESTARTS,
    )  # fmt: skip
    try:
        await up.until("select to_regclass('accounts') is not null")
        await up.until("select count(*) >= $1 from nodes where url <> ''", plan.nodes)
        async with asyncio.TaskGroup() as group:
            venue = accounts_beside(up)
            group.create_task(venue.run())
            await venue.listening.wait()
            token = token_path(up.state_dir).read_text().strip()
            async with httpx2.AsyncClient(
                base_url=f"http://127.0.0.1:{up.port}",
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
                trust_env=False,
            ) as client:
                town = Town(up, plan.nodes, venue, await up.connect(), client)
                found = await _examined(town, plan)
            venue.stop.set()
        return found
    finally:
        up.stop()


async def _examined(town: Town, plan: Plan) -> int:
    began, draw = time.monotonic(), random.Random(plan.seed)
    await town.make(plan.agents, plan.trading)
    seconds = time.monotonic() - began
    print(f"{plan.agents} agents made and led, {plan.trading} of them trade: {seconds:.1f} s")
    print(f"spread over {town.nodes} nodes after {await town.spread():.1f} s more")
    await idle_burden(town, 20)
    if plan.kills:
        return await campaign(town, plan.kills, plan.trading, draw)
    await take_overs(town, plan.number, draw)
    return int(await checked(town, len(town.agents)) > 0)
