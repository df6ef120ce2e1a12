"""`python -m bench.nodes --agents 1000 --nodes 3`: many agents spread over nodes that fail.

One `tradesaga up --paper --nodes n`, and a trading engine of many accounts beside it. Nodes are
killed, frozen and ended in good order. For each agent of such a node it is measured, on the
database's clock, when another node took its lease and when it had recovered the agent. With
`--kills` random nodes are killed and frozen at random moments instead. At the end the invariants of
every agent must hold, and its books must be those of its account.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import httpx2

from tests.acceptance.accounts import START_CASH, ManyAccounts, accounts_beside
from tests.acceptance.running import STRATEGIES, Up, write_strategies
from tradesaga.adapters.postgres.reading import ReaderPool
from tradesaga.bootstrap.token_file import token_path
from tradesaga.bootstrap.verifying import (
    Venue,
    VerifyOptions,
    check_everything,
    circumstances,
    system_of,
)
from tradesaga.domain.ids import AgentId
from tradesaga.domain.spreading import node_for

LED: Final = """select count(*) from leases
  where agent_id = any ($1) and holder is not null and expires_at > clock_timestamp()"""
LIVING: Final = """select id from nodes
  where url <> '' and seen_at > clock_timestamp() - interval '1 second'"""
LED_AGAIN: Final = """select agent_id, extract(epoch from taken_at - $2)::float8 as seconds
  from leases where agent_id = any ($1) and taken_at > $2 and holder is not null"""
EPOCHS: Final = "select agent_id, epoch from heads where agent_id = any ($1)"
RECOVERED: Final = """select distinct x.agent_id from unnest($1::uuid[], $2::bigint[])
  as x(agent_id, epoch) join checkpoints c on c.agent_id = x.agent_id and c.epoch > x.epoch"""
UNSETTLED: Final = """select count(*) from sagas where agent_id = any ($1)
  and status not in ('completed', 'completed_partial', 'compensated')"""
PERIOD_SECONDS: Final = 0.02
WAYS: Final = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "end": signal.SIGTERM}
SETTLE_SECONDS_MAX: Final = 180.0
MADE_AT_ONCE: Final = 8
HITS_MAX, HIT_WINDOW_SECONDS = 6, 60.0
"""The supervisor gives up a process that ends more than eight times in a minute."""


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


def quantiles(seconds: Sequence[float]) -> str:
    """As printed."""
    ordered = sorted(seconds)
    p50, p99 = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
    return f"first {ordered[0]:.2f} s  p50 {p50:.2f} s  p99 {p99:.2f} s  last {ordered[-1]:.2f} s"


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


async def campaign(town: Town, kills: int, draw: random.Random) -> None:
    """Kill and freeze random nodes at random moments; several may be away at a time."""
    done, hit = Counter[str](), list[tuple[float, str]]()
    async with asyncio.TaskGroup() as group:
        while sum(done.values()) < kills:
            hit = [one for one in hit if time.monotonic() - one[0] < HIT_WINDOW_SECONDS]
            often = Counter(port for _, port in hit)
            pids = [pid for pid in town.pids() if often[_port(pid)] < HITS_MAX]
            if pids:
                pid, way = draw.choice(pids), draw.choice(["kill", "freeze"])
                hit.append((time.monotonic(), _port(pid)))
                with suppress(ProcessLookupError):
                    os.kill(pid, WAYS[way])
                    done[way] += 1
                    if way == "freeze":
                        group.create_task(thawed(pid, draw.uniform(0.1, 5)))
            await asyncio.sleep(draw.uniform(0, 4))
    print(f"{done['kill']} kills, {done['freeze']} freezes")


def _port(pid: int) -> str:
    """Where a node listens, which it keeps over its lives."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return words[words.index(b"--port") + 1].decode()
    except (OSError, ValueError):
        return ""


async def thawed(pid: int, seconds: float) -> None:
    """Let it go on after a while."""
    await asyncio.sleep(seconds)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


async def checked(town: Town, trading: int) -> int:
    """Whether all holds at the end: 0 if it does."""
    await town.all_led()
    traders = town.agents[:trading]
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while await town.database.fetchval(UNSETTLED, traders):
        if time.monotonic() > deadline:
            print("sagas are open that do not end")
            break
        await asyncio.sleep(0.2)
    system = system_of(VerifyOptions(state_dir=town.up.state_dir), {})
    pool, broken, orders = ReaderPool(system.dsn), 0, 0
    try:
        for index, key in enumerate(traders):
            agent_id = AgentId(key)
            given = await circumstances(system.settings, system.market_clock, pool, agent_id)
            url = f"http://127.0.0.1:{town.venue.port}/accounts/a{index}"
            venue = Venue(url=url, start_cash=START_CASH)
            for one in await check_everything(pool, agent_id, venue=venue, given=given):
                if one.violations:
                    broken += 1
                    print(f"agent a{index}: {one.name} is broken: {one.violations}")
            orders += (
                len(town.venue.books[f"a{index}"].orders) if f"a{index}" in town.venue.books else 0
            )
    finally:
        await pool.close()
    twice = f"{town.venue.twice} sent again and refused as known"
    print(f"{orders} orders at {trading} accounts, {twice}; {broken} invariants broken")
    return int(broken > 0)


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
        "--speed", str(plan.speed), "--nodes", str(plan.nodes),
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
        await campaign(town, plan.kills, draw)
    else:
        await take_overs(town, plan.number, draw)
    return await checked(town, plan.trading)
