"""`python -m bench.api`: what the API costs, and whether a flood of strangers costs orders time.

A real `tradesaga serve` as in `bench.whole`. First 200 requests a second, mixed reads and a few
commands, while so many decisions a second arrive and are cycled to the venue; then decisions at a
steady rate with and without a client beside them that floods the API without a token, as fast as it
is answered. The flood is a process of its own on the same machine, so it takes processor time from
all others; `beside a stranger` is the same flood at a server of nothing, which shows that part by
itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from bench.requests import Client, Request
from bench.sagas import percentile
from bench.whole import SETTINGS, Whole, decide, running
from tradesaga.adapters import logging as log_output

READS = (
    "/api/v1/agent/status", "/api/v1/strategies", "/api/v1/cycles", "/api/v1/sagas",
    "/api/v1/orders?status=filled", "/api/v1/positions", "/api/v1/reservations", "/api/v1/ladder",
    "/api/v1/risk/limits", "/health",
)  # fmt: skip
READS_FOR_ONE_COMMAND = 49
DECISIONS_PER_SECOND = 20.0
CYCLES_PER_SECOND = (1.0, 5.0, 20.0)
"""Beside the requests; the product's own pace is one a minute for a strategy."""
FLOOD_CONNECTIONS = 64
HEADS = "requests   number   p50 ms   p99 ms   most ms"


def mixture() -> list[tuple[Request, str]]:
    """Reads in turn, and now and then a command: a strategy's priority, a start that stands."""
    reads: list[tuple[Request, str]] = [
        (("GET", READS[number % len(READS)], b""), "reads")
        for number in range(READS_FOR_ONE_COMMAND)
    ]
    change = "PATCH", "/api/v1/strategies/bench"
    return [
        *reads,
        ((*change, msgspec.json.encode({"priority": 1})), "commands"),
        *reads,
        (("POST", "/api/v1/agent/start", b"{}"), "commands"),
        *reads,
        ((*change, msgspec.json.encode({"priority": 2})), "commands"),
    ]


async def reading(
    whole: Whole, per_second: float, decided_per_second: float, seconds: float, first: int
) -> int:
    """The mixture beside decisions that are cycled; the number of decisions."""
    token = whole.api.headers["Authorization"].removeprefix("Bearer ")
    client, number = Client(whole.port, token), int(decided_per_second * seconds)
    await client.steadily(mixture(), 50.0, 1.0)  # connections, plans
    client.waits.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(client.steadily(mixture(), per_second, seconds))
        decided = group.create_task(
            decide(whole.venue, whole.bus, decided_per_second, number, first)
        )
    client.close()
    print(f"{per_second:.0f} requests a second, {decided_per_second:.0f} cycles beside them")
    print(HEADS)
    for kind, waits in sorted(client.waits.items()):
        _row(kind, sorted(waits))
    others = {status: n for status, n in client.statuses.items() if status != 200}
    print(f"answers other than 200: {others or 'none'}")
    _row("orders", decided.result()[0])
    return number


async def flooded(whole: Whole, seconds: float, first: int) -> None:
    """Decisions alone, beside a flood of nothing, beside a flood of the API, and alone again."""
    number = int(DECISIONS_PER_SECOND * seconds)
    print(f"\n{DECISIONS_PER_SECOND:.0f} decisions a second, from the bus to the venue")
    print("beside            orders  orders/s   p50 ms   p99 ms   the flood's answers")
    async with nothing() as elsewhere:
        for beside, port in (
            ("nobody", None), ("a stranger", elsewhere), ("the flood", whole.port),
            ("nobody again", None),
        ):  # fmt: skip
            process = None if port is None else await _flood(port, seconds + 2)
            await asyncio.sleep(1.0)  # it begins
            waits, took = await decide(whole.venue, whole.bus, DECISIONS_PER_SECOND, number, first)
            first += number
            said = "" if process is None else (await process.communicate())[0].decode().strip()
            print(
                f"{beside:16}  {len(waits):6}  {len(waits) / took:8.1f} "
                f"{percentile(waits, 50):8.1f} {percentile(waits, 99):8.1f}   {said}"
            )


@asynccontextmanager
async def nothing() -> AsyncIterator[int]:
    """The port of a process that answers 401 to everything and does nothing else."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.stranger", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None, "it was asked for"
    try:
        yield int(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


async def measure(
    directory: Path, per_second: float, beside: Sequence[float], seconds: float
) -> None:
    """Start all and run both parts."""
    async with running(directory, SETTINGS) as whole:
        await decide(whole.venue, whole.bus, 5, 10, 0)
        first = 10
        for decided_per_second in beside:
            first += await reading(whole, per_second, decided_per_second, seconds, first)
        await flooded(whole, seconds, first)


async def _flood(port: int, seconds: float) -> asyncio.subprocess.Process:
    flags = [str(port), "--connections", str(FLOOD_CONNECTIONS), "--seconds", str(seconds)]
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.requests", *flags, stdout=asyncio.subprocess.PIPE
    )


def _row(name: str, waits: Sequence[float]) -> None:
    most = waits[-1] if waits else 0.0
    print(
        f"{name:9} {len(waits):7} {percentile(list(waits), 50):8.1f} "
        f"{percentile(list(waits), 99):8.1f} {most:9.1f}"
    )


def main() -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=float, default=200.0, help="a second")
    parser.add_argument(
        "--cycles", type=float, nargs="+", default=CYCLES_PER_SECOND, help="a second, beside them"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="time for each part")
    options = parser.parse_args()
    log_output.configure(level="ERROR", form="text")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"load of the machine before the run (1, 5, 15 minutes): {load}")
    place = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # on disk, not in memory
    with tempfile.TemporaryDirectory(prefix="tradesaga-api-", dir=place) as directory:
        Path(directory).chmod(0o711)
        asyncio.run(measure(Path(directory), options.requests, options.cycles, options.seconds))


if __name__ == "__main__":
    main()
