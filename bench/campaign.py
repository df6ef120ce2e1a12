"""Nodes that are killed and frozen at random moments, for `bench.agents`.

Several may be away at a time. For each fault it is measured when each agent of the node was led by
another, and when that one had recovered it. After every ten faults the whole is given time to come
to rest, and everything that must hold is asked.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from bench.checking import checked
from bench.town import RECOVERED, SETTLE_SECONDS_MAX, Town, quantiles

PART: Final = 10
HITS_MAX, HIT_WINDOW_SECONDS = 6, 60.0
"""The supervisor gives up a process that ends more than eight times in a minute."""
PAUSE_SECONDS_MAX, FROZEN_SECONDS = 10.0, (0.1, 5.0)
LOOK_SECONDS: Final = 0.1
KEPT_SECONDS: Final = 3.0
"""A node that has been thawed for so long, and holds a lease yet, has not lost it."""
HELD: Final = """select agent_id, epoch, holder from leases
  where agent_id = any ($1) and holder is not null"""
LED: Final = """select l.agent_id, extract(epoch from l.taken_at - $3)::float8 as seconds
  from unnest($1::uuid[], $2::bigint[]) as x(agent_id, epoch)
    join leases l on l.agent_id = x.agent_id and l.epoch > x.epoch
  where l.taken_at > $3"""


@dataclass(slots=True)
class Fault:
    """What was done to a node, and what became of its agents; seconds since the signal."""

    way: str
    led: dict[UUID, float] = field(default_factory=dict)
    recovered: dict[UUID, float] = field(default_factory=dict)
    agents: int = 0
    kept: int = 0


async def campaign(town: Town, kills: int, trading: int, draw: random.Random) -> int:
    """Do so many faults in parts; 1 when an invariant broke."""
    faults, hit, broken = list[Fault](), list[tuple[float, str]](), 0
    while len(faults) < kills:
        async with asyncio.TaskGroup() as group:
            part = min(kills, len(faults) + PART)
            while len(faults) < part:
                hit = [one for one in hit if time.monotonic() - one[0] < HIT_WINDOW_SECONDS]
                often = Counter(port for _, port in hit)
                pids = [pid for pid in town.pids() if often[_port(pid)] < HITS_MAX]
                if pids:
                    pid = draw.choice(pids)
                    hit.append((time.monotonic(), _port(pid)))
                    faults.append(Fault(draw.choice(["kill", "freeze"])))
                    group.create_task(struck(town, pid, faults[-1], draw.uniform(*FROZEN_SECONDS)))
                await asyncio.sleep(draw.uniform(0, PAUSE_SECONDS_MAX))
        seconds = await town.spread()
        load = os.getloadavg()[0]
        print(f"{len(faults)} faults; spread again after {seconds:.1f} s, load {load:.1f}")
        last = len(faults) >= kills
        _told(faults)
        broken += await checked(town, len(town.agents) if last else trading)
    return int(broken > 0)


async def struck(town: Town, pid: int, fault: Fault, frozen: float) -> None:
    """Do it, and watch the agents that the node had."""
    database = await town.up.connect()
    try:
        rows = await database.fetch(HELD, town.agents)
        epochs = {r["agent_id"]: r["epoch"] for r in rows if int(r["holder"].split(":")[-2]) == pid}
        fault.agents = len(epochs)
        await _watched(database, town, pid, fault, frozen, epochs)
    finally:
        database.terminate()


async def _watched(
    database: asyncpg.Connection[asyncpg.Record],
    town: Town,
    pid: int,
    fault: Fault,
    frozen: float,
    epochs: Mapping[UUID, int],
) -> None:
    began = await database.fetchval("select clock_timestamp()")
    signalled = time.monotonic()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL if fault.way == "kill" else signal.SIGSTOP)
    thawed_at: float | None = None
    while len(fault.recovered) + fault.kept < len(epochs):
        seconds = time.monotonic() - signalled
        if fault.way == "freeze" and thawed_at is None and seconds >= frozen:
            thawed_at = seconds
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        left = [agent_id for agent_id in epochs if agent_id not in fault.led]
        for row in await database.fetch(LED, left, [epochs[one] for one in left], began):
            fault.led[row["agent_id"]] = row["seconds"]
        left = [one for one in fault.led if one not in fault.recovered]
        for row in await database.fetch(RECOVERED, left, [epochs[one] for one in left]):
            fault.recovered[row["agent_id"]] = seconds
        if thawed_at is not None and seconds >= thawed_at + KEPT_SECONDS:
            fault.kept = len(epochs) - len(fault.led)
        if seconds >= SETTLE_SECONDS_MAX:
            late = len(epochs) - len(fault.recovered)
            print(f"{fault.way}: {late} agents were not recovered in {seconds:.0f} s", flush=True)
            break
        await asyncio.sleep(LOOK_SECONDS)
    if fault.way == "freeze" and thawed_at is None:
        await asyncio.sleep(max(0.0, frozen - (time.monotonic() - signalled)))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _told(faults: Sequence[Fault]) -> None:
    """Print the times by what was done."""
    for way in ("kill", "freeze"):
        these = [one for one in faults if one.way == way]
        lost, kept = sum(len(one.led) for one in these), sum(one.kept for one in these)
        print(f"{way}: {len(these)} times, {lost} agents lost, {kept} kept")
        for what, each in (
            ("led again", [seconds for one in these for seconds in one.led.values()]),
            ("recovered", [seconds for one in these for seconds in one.recovered.values()]),
        ):
            if each:
                print(f"    agents {what}: {quantiles(each)}")
        last = [max(one.recovered.values()) for one in these if one.recovered]
        if last:
            print(f"    the last agent of a node recovered: {quantiles(last)}", flush=True)


def _port(pid: int) -> str:
    """Where a node listens, which it keeps over its lives."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return words[words.index(b"--port") + 1].decode()
    except (OSError, ValueError):
        return ""
