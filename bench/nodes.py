"""`python -m bench.nodes`: how fast another node leads after a kill, a freeze, or an orderly end.

One `tradesaga up --paper --nodes 2` trades recorded minutes while its leader is deposed again and
again, in an order that the seed draws. The time is from the signal to the new epoch in the
database, looked at every few milliseconds. At the end the invariants must hold. With `--agents`
it is about many agents over the nodes: see `bench.agents`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bench.agents import Plan, run
from tests.acceptance.running import Up, write_strategies

EPOCH = "select coalesce(max(epoch), 0) from leases where holder is not null"
HOLDER = "select holder from leases"
LIVING = """select count(*) >= 2 from nodes
  where seen_at > clock_timestamp() - interval '1 second' and url <> '' and id <> all ($1)"""
WAYS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "end": signal.SIGTERM}
TARGETS = {"kill": 0.5, "freeze": 2.1, "end": 1.5}


async def deposed(up: Up, way: str, before: list[str]) -> float:
    """Seconds until another leads; `before` are those that are on their way out."""
    await up.until(LIVING, before)
    epoch, holder = await up.ask(EPOCH), await up.ask(HOLDER)
    before.append(holder)
    pid = int(holder.split(":")[-2])
    began = time.monotonic()
    os.kill(pid, WAYS[way])
    await up.until(f"select ({EPOCH}) > $1", epoch)
    seconds = time.monotonic() - began
    if way == "freeze":
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    return seconds


async def measured(place: Path, number: int, seed: int, speed: float) -> int:
    """Print the times; 1 when an invariant broke."""
    draw, found = random.Random(seed), {way: list[float]() for way in WAYS}
    up = Up(
        place / "state", "--strategies", str(write_strategies(place)),
        "--speed", str(speed), "--nodes", "2",
    )  # fmt: skip
    try:
        await up.until("select to_regclass('fills') is not null")
        await up.until("select count(*) > 0 from fills")
        before: list[str] = []
        for _ in range(number):
            way = draw.choice(list(WAYS))
            found[way].append(await deposed(up, way, before))
            await asyncio.sleep(draw.uniform(0, 2))
        for way, seconds in found.items():
            if seconds:
                print(
                    f"{way:<8} {len(seconds):>4} times  p50 {statistics.median(seconds):.2f} s  "
                    f"max {max(seconds):.2f} s  target {TARGETS[way]:.1f} s"
                )
        orders = await up.ask("select count(*) from orders")
        return await verified(up, orders)
    finally:
        up.stop()


async def verified(up: Up, orders: int) -> int:
    """What `tradesaga verify` says of the system as it runs."""
    verifying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tradesaga", "verify", "--state-dir", str(up.state_dir),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await verifying.communicate()
    print(f"{orders} orders; {said.decode().strip().splitlines()[-1]}")
    return int(bool(verifying.returncode))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.nodes", description=__doc__)
    parser.add_argument("--number", type=int, default=100, help="how often a leader is deposed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=20.0, help="times real time")
    parser.add_argument("--agents", type=int, default=0, help="so many beside the default one")
    parser.add_argument("--trading", type=int, help="so many of them trade; else all")
    parser.add_argument("--nodes", type=int, default=3, help="over which the agents are spread")
    parser.add_argument("--kills", type=int, default=0, help="kill and freeze at random, so often")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tradesaga-nodes-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        place.chmod(0o711)  # the server may run as another user
        if not given.agents:
            return asyncio.run(measured(place, given.number, given.seed, given.speed))
        trading = given.agents if given.trading is None else min(given.trading, given.agents)
        plan = Plan(
            agents=given.agents,
            trading=trading,
            nodes=given.nodes,
            number=given.number,
            kills=given.kills,
            seed=given.seed,
            speed=given.speed,
        )
        return asyncio.run(run(place, plan))


if __name__ == "__main__":
    raise SystemExit(main())
